"""The journey: sign in, create a stream, put by boto3, and see it within three seconds. And the console by keyboard."""

import re
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import demo_data
from tests.browser.demo_data import kinesis_of
from tests.support.processes import HAPPENED_WITHIN_S

pytestmark = [pytest.mark.browser, pytest.mark.system]

SEEN_WITHIN_S, ATTEMPTS = 3, 6
"""On a busy machine any single one may come later."""


@pytest.fixture(scope="module")
def kinesis(running):
    client = kinesis_of(running)
    yield client
    client.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_from_signing_in_to_seeing_the_first_records(browser, running, demo, kinesis):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)

    page.goto(running.endpoint)
    page.fill("#id_login", demo_data.EMAIL)
    page.fill("#id_password", demo_data.PASSWORD)
    page.click("main button:has-text('Sign in')")
    page.click("nav.nav >> text=Data streams")
    page.click("text=Create data stream")
    page.fill("#id_name", "journey")
    expect(page.locator("#name-check")).to_contain_text("journey is free")
    page.fill("#id_shards", "2")
    expect(page.locator("#beside")).to_contain_text("2 MiB/s")
    page.click("main button:has-text('Create data stream')")
    expect(page.locator(".toast")).to_contain_text("journey is being created")
    expect(page.locator("#stream-head .st-ok")).to_have_text("Active")
    expect(page.locator("#latest")).to_contain_text("Waiting for the first record")
    expect(page.locator("[data-state]")).to_have_text("Live")

    viewer = context.new_page()
    viewer.goto(f"{running.endpoint}/t/first/streams/journey/records")
    viewer.click("[data-follow]")
    expect(viewer.locator("[data-status]")).to_contain_text("Following")

    took = []
    for number in range(ATTEMPTS):
        began = time.monotonic()
        kinesis.put_record(StreamName="journey", PartitionKey=f"key-{number}", Data=b'{"hello": "tide %d"}' % number)
        expect(viewer.locator("#rows")).to_contain_text(f"tide {number}")
        took.append(time.monotonic() - began)
        if took[-1] < SEEN_WITHIN_S:
            break
    assert min(took) < SEEN_WITHIN_S
    page.bring_to_front()
    # Data until the chart's every-second figures have something to say.
    ended = time.monotonic() + HAPPENED_WITHIN_S
    while not re.match(
        r"[\d.,]*[1-9][\d.,]* ?(KiB|MiB)/s", page.inner_text("[data-figure=Incoming]").replace("\n", " ")
    ):
        assert time.monotonic() < ended
        records = [{"PartitionKey": f"k{n}", "Data": b"x" * 1000} for n in range(100)]
        kinesis.put_records(StreamName="journey", Records=records)
        page.wait_for_timeout(200)
    expect(page.locator("#latest")).to_contain_text("k")
    assert complaints == []
    context.close()


def test_following_counts_what_it_skips_and_pauses(page, running, kinesis):
    page.goto(f"{running.endpoint}/t/first/streams/inventory-cdc/records?shard=0000")
    page.click("[data-follow]")
    expect(page.locator("[data-status]")).to_contain_text("Following")
    records = [{"PartitionKey": f"k{n}", "Data": b"flood %d" % n} for n in range(400)]
    kinesis.put_records(StreamName="inventory-cdc", Records=records)
    expect(page.locator("[data-skipped]")).to_have_text(re.compile(r"\d+ skipped"))
    assert page.locator("#rows tr").count() <= 200
    page.click("[data-follow]")
    expect(page.locator("[data-follow] span")).to_have_text("Follow")


def test_a_record_opens_beside_the_list_and_its_address_can_be_shared(page, running):
    page.goto(f"{running.endpoint}/t/first/streams/orders-events/records")
    page.locator("#rows tr a").nth(3).click()
    page.wait_for_url("**record=**")
    expect(page.locator("#rows tr").nth(3)).to_have_attribute("aria-selected", "true")
    body = page.inner_text("#record-body")
    page.click("nav[aria-label='Record view'] >> text=Hex")
    expect(page.locator("#record-body")).to_contain_text("00000000")
    page.goto(page.url.replace("view=hex", "view=json"))
    assert page.inner_text("#record-body") == body


def test_the_list_filters_as_one_types_and_back_goes_back(page, running):
    page.goto(f"{running.endpoint}/t/first/streams")
    page.keyboard.press("/")
    page.keyboard.type("tag:core")
    expect(page.locator("#streams tbody tr")).to_have_count(2)
    page.wait_for_url("**q=tag%3Acore**")
    page.click("th >> text=Shards")
    expect(page.locator("#streams tbody tr").first).to_contain_text("payments-ledger")
    page.go_back()
    expect(page.locator("#filter")).to_have_value("tag:core")


def test_everything_by_keyboard(page, running):
    page.goto(f"{running.endpoint}/t/first")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url("**/t/first/streams")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#streams tbody tr").nth(1).locator("a").first).to_be_focused()
    page.keyboard.press("Control+k")
    page.keyboard.type("fraud")
    expect(page.locator("#palette [role=option][aria-selected=true]")).to_contain_text("fraud-scores")
    page.keyboard.press("Enter")
    page.wait_for_url("**/streams/fraud-scores")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_single_letters_stay_letters_in_fields_and_can_be_switched_off(page, running):
    page.goto(f"{running.endpoint}/t/first/streams")
    page.click("#filter")
    page.keyboard.type("gdn?")
    expect(page.locator("#filter")).to_have_value("gdn?")
    page.goto(f"{running.endpoint}/t/first")
    page.keyboard.press("?")
    page.uncheck("#single-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_the_theme_changes_at_once_and_stays(page, running):
    page.goto(f"{running.endpoint}/t/first")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    with page.expect_response("**/theme"):
        page.click("[data-theme-form] button")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"
    with page.expect_response("**/theme"):
        page.click("[data-theme-form] button")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_copying_copies(browser, running, cookies):
    context = browser.new_context(
        storage_state=cookies[demo_data.EMAIL], permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/streams/orders-events/connect")
    page.click("[aria-label='Copy endpoint'] >> nth=-1")
    assert page.evaluate("navigator.clipboard.readText()") == running.endpoint
    page.click(".codes:has-text('Put a record') label:has-text('Node')")
    page.click(".codes:has-text('Put a record') [data-pane=node] >> text=Copy")
    assert page.evaluate("navigator.clipboard.readText()").startswith("import { KinesisClient")
    context.close()


def test_pages_work_without_script(browser, running, cookies):
    context = browser.new_context(storage_state=cookies[demo_data.EMAIL], java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/streams?q=orders")
    assert page.locator("#streams tbody tr").count() == 1
    page.click("text=orders-events")
    page.click("nav[aria-label=Stream] >> text=Data viewer")
    assert page.locator("#rows tr").count() > 10
    page.locator("#rows tr a").nth(2).click()
    assert page.locator("#rows tr").nth(2).get_attribute("aria-selected") == "true"
    page.click("text=Put again")
    page.click("main button:has-text('Send records')")
    assert "1 record stored" in page.inner_text(".toast")
    page.click("summary[aria-label='More actions']")
    assert page.locator(".pop >> text=Delete data stream").is_visible()
    page.click("nav[aria-label=Stream] >> text=Shards")
    page.click("tr#shard-0005 >> text=Split")
    page.click("main button:has-text('Split shard')")
    assert "Splitting shard 0005" in page.inner_text(".toast")
    context.close()


def test_on_a_phone_the_menu_opens_and_closes(browser, running, cookies):
    context = browser.new_context(storage_state=cookies[demo_data.EMAIL], viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/streams")
    expect(page.locator("#side")).to_be_hidden()
    page.click("[aria-label='Open menu']")
    expect(page.locator("#side")).to_be_visible()
    page.click("nav.nav >> text=Overview")
    page.wait_for_url("**/t/first")
    expect(page.locator("#side")).to_be_hidden()
    context.close()


def test_the_policy_is_kept_and_broken_by_nobody(page, running):
    """A page that tries gets nothing: no inline script, no eval, no other host."""
    page.goto(f"{running.endpoint}/t/first/streams")
    broken = page.evaluate(
        """async () => {
          const seen = [];
          document.addEventListener("securitypolicyviolation", (event) => seen.push(event.violatedDirective));
          const script = document.createElement("script"); script.textContent = "window.owned = true"; document.body.append(script);
          const styled = document.createElement("p"); styled.setAttribute("style", "color: red"); document.body.append(styled);
          const image = new Image(); image.src = "https://example.com/x.png";
          await fetch("https://example.com/").catch(() => {});
          await new Promise((resolve) => setTimeout(resolve, 300));
          return [window.owned ?? null, [...new Set(seen)].sort()];
        }"""
    )
    assert broken == [None, ["connect-src", "img-src", "script-src-elem", "style-src-attr"]]
