"""The journey: invite a viewer, and see what they cannot do and why; they ask, and get it."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.system]

ADDRESS = "veronika@acme.example"
STREAM = "/t/first/streams/orders-events"


def test_a_viewer_is_invited_sees_what_is_locked_and_asks_for_it(browser, running, demo, context):
    owner = context.new_page()
    complaints: list[str] = []
    owner.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    owner.goto(f"{running.endpoint}/t/first/members")
    owner.click("main >> text=Invite")
    owner.fill("#id_email", ADDRESS)
    owner.select_option("#id_role", "viewer")
    owner.click("main form button:has-text('Invite')")
    link = owner.locator("#invite-link").inner_text()

    other = browser.new_context(viewport={"width": 1440, "height": 900})
    viewer = other.new_page()
    viewer.goto(link)
    expect(viewer.locator("h1")).to_have_text("Join Acme Retail")
    viewer.fill("#id_name", "Vera Moss")
    viewer.fill("#id_password", "a long enough password")
    viewer.click("text=Create account and join")
    expect(viewer.locator(".toast")).to_contain_text("You are in Acme Retail as Viewer")

    viewer.goto(running.endpoint + STREAM)
    expect(viewer.locator("main")).to_contain_text("Needs record:read: Owner, Admin, Developer, Analyst")
    expect(viewer.locator("main a[aria-disabled=true]:has-text('Delete data stream')")).to_have_count(1)
    expect(viewer.locator("main a[href$='/delete']")).to_have_count(0)
    tab = viewer.locator(".tabs [aria-disabled=true]", has_text="Data viewer")
    tab.focus()
    expect(viewer.get_by_role("tooltip").filter(has_text="record:read").first).to_be_visible()
    viewer.goto(f"{running.endpoint}/t/first/members")
    locked = viewer.locator(".head-actions [aria-disabled=true]", has_text="Invite")
    locked.focus()
    expect(viewer.locator(".head-actions [role=tooltip]")).to_have_text("Needs member:write: Owner, Admin")
    viewer.keyboard.press("Tab")
    expect(viewer.locator(".head-actions .tip-box a")).to_be_focused()

    answer = viewer.goto(f"{running.endpoint}{STREAM}/records")
    assert answer is not None
    assert answer.status == 403
    expect(viewer.locator("main")).to_contain_text("record:read")
    viewer.click("text=Ask for access")
    viewer.fill("#id_reason", "To see why orders are late")
    viewer.click("button:has-text('Ask for access')")
    expect(viewer.locator("h1")).to_have_text("You may not do this")

    owner.goto(f"{running.endpoint}/t/first/members")
    asked = owner.locator(".asks li", has_text="Vera Moss")
    expect(asked).to_contain_text("To see why orders are late")
    asked.locator("select").select_option("analyst")
    asked.locator("button:has-text('Give role')").click()
    expect(owner.locator(".toast")).to_contain_text(f"{ADDRESS} is Analyst now")
    viewer.reload()
    expect(viewer).to_have_title(re.compile("orders-events"))
    assert complaints == []
    other.close()
