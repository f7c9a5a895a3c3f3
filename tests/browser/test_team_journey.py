"""Journeys of a team: a hot shard is split from the map; a record is found by a filter and its link shared. And strangers'
names in a real browser."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import demo_data
from tests.browser.chromium import sign_in
from tests.browser.demo_data import kinesis_of, shell
from tests.support import hostile_rows
from tests.support.processes import SOON, eventually

pytestmark = [pytest.mark.browser, pytest.mark.system]

HOSTILE_TEAM = """
from types import SimpleNamespace
from apps.accounts.models import Membership, Team, User
from apps.base.clock import SystemClock
from apps.streams.models import Stream
from tests.support import hostile_rows, usage_sums
from tests.support.delivery_rows import make_delivery
usage_sums.follow()
now_ms = SystemClock().now_ms()
team = Team.objects.create(account_id="310987654321", slug="hostile", name="Hostile", created_at_ms=1)
user = User.objects.create_user("hostile@acme.example", "correct-horse-battery")
member = Membership.objects.create(team=team, user=user, role="owner")
stream = Stream.objects.create(
    team=team, region="us-east-1", name="orders", stream_id="0" * 20 + "-abc", status="ACTIVE", created_at_ms=now_ms
)
hostile_rows.write(member, stream, make_delivery(SimpleNamespace(team=team)), now_ms)
"""
HOSTILE_PAGES = (
    "", "/members", "/roles", "/invitations", "/tokens", "/keys", "/settings", "/audit", "/profile", "/ingestion",
    "/billing", "/billing?group=resource", "/billing?group=tag", "/billing?group=key", "/billing/statements", "/billing/budgets",
    "/streams", "/streams/orders", "/streams/orders/configuration", "/streams/orders/consumers",
    "/streams/orders/activity",
    "/delivery", "/delivery/ticker", "/delivery/ticker/errors", "/delivery/ticker/objects", "/delivery/ticker/jobs",
    "/delivery/ticker/configuration", "/alarms", "/dashboards", "/dashboards/of/late?range=1h",
    "/dashboards/of/late?range=1h&view=table", "/dashboards/of/late/edit",
)  # fmt: skip
OF_ONE = (
    "main a[href*='/alarms/of/'], main a[href*='/ingestion/'], main a[href*='/billing/budgets/'], "
    "main a.name[href*='/billing/statements/'], "
    "main a[href*='/audit?'][href*='entry']"
)
"""Links to pages of things with made-up names or numbers."""

COUNT_REPORTS = """
    window.reports = [];
    addEventListener("securitypolicyviolation", (event) => reports.push(event.violatedDirective + " " + event.blockedURI), true);
"""
MARKUP = "main img, main iframe, main script, [onerror], [onload], a[href^='javascript:']"
HARM = f"""[window.owned ?? 0, window.reports, document.querySelectorAll("{MARKUP}").length]"""


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_a_hot_shard_is_split_from_the_map(page, running):
    """On a stream of its own, as others look at the demo's."""
    kinesis = kinesis_of(running)
    kinesis.create_stream(StreamName="hot", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="hot", WaiterConfig=SOON)
    page.goto(f"{running.endpoint}/t/first/streams/hot/shards")
    page.locator("svg.smap[role=group] a").first.click()
    page.click("tr#shard-0000 >> text=Split")
    expect(page.locator("#preview")).to_contain_text("0001")
    page.click("main button:has-text('Split shard')")
    expect(page.locator(".toast")).to_contain_text("Splitting shard 0000")
    eventually(lambda: len(kinesis.list_shards(StreamName="hot")["Shards"]) == 3, what="the shards of the split")
    page.goto(f"{running.endpoint}/t/first/streams/hot/shards")
    expect(page.locator("svg.smap[role=group]")).to_contain_text("0000 closed")
    kinesis.delete_stream(StreamName="hot")
    kinesis.close()


def test_a_record_is_found_by_a_filter_and_its_link_shared(browser, page, running, cookies):
    kinesis = kinesis_of(running)
    kinesis.put_record(StreamName="payments-ledger", PartitionKey="acct-9", Data=b'{"payment": "needle-4711"}')
    kinesis.close()
    page.goto(f"{running.endpoint}/t/first/streams/payments-ledger/records?start=oldest")
    page.fill("input[name=q]", "needle-4711")
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.locator("#rows tr a").first.click()
    expect(page.locator("#record-body")).to_contain_text("needle-4711")
    link = page.get_attribute("[data-act=copy]:has-text('Copy link to this record')", "data-text")
    assert link is not None
    context = browser.new_context(storage_state=cookies[demo_data.EMAIL])
    theirs = context.new_page()
    theirs.goto(link if link.startswith("http") else running.endpoint + link)
    expect(theirs.locator("main")).to_contain_text("needle-4711")
    context.close()


def test_what_strangers_write_runs_nothing(browser, running):
    shell(running, HOSTILE_TEAM)
    context = browser.new_context()
    context.add_init_script(COUNT_REPORTS)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console", lambda message: problems.append(f"{page.url}: {message.text}") if message.type == "error" else None
    )
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    sign_in(page, running.endpoint, "hostile@acme.example", "correct-horse-battery")
    home, shown = f"{running.endpoint}/t/hostile", set()
    waiting = [home + path for path in HOSTILE_PAGES]
    known = set(waiting)
    while waiting:
        path = waiting.pop(0)
        page.goto(path)
        if (harm := page.evaluate(HARM)) != [0, [], 0]:
            problems.append(f"{path}: {harm}")
        shown |= hostile_rows.places_in(page.content())
        found = set(page.eval_on_selector_all(OF_ONE, "links => links.map(link => link.href.split('#')[0])")) - known
        waiting += sorted(found)
        known |= found
    assert problems == []
    assert hostile_rows.PLACES - shown == set()
    page.keyboard.press("Control+k")
    page.fill("#palette-input", "onerror")
    expect(page.locator("#palette [role=option]:has-text('@alarm.')")).to_have_count(1)
    assert page.evaluate(HARM) == [0, [], 0], "the palette"
    assert problems == []
    context.close()


def test_a_stream_is_made_changed_and_deleted_without_script(browser, running, cookies):
    context = browser.new_context(storage_state=cookies[demo_data.EMAIL], java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/create-stream")
    page.fill("#id_name", "no-script")
    page.click("main button:has-text('Create data stream')")
    assert "no-script is being created" in page.inner_text(".toast")

    def active() -> bool:
        page.goto(f"{running.endpoint}/t/first/streams/no-script")
        return page.locator("#stream-head .st-ok").count() == 1

    eventually(active, what="it is active")
    page.goto(f"{running.endpoint}/t/first/streams/no-script/configuration")
    page.click("#part-tags summary")
    page.fill("#part-tags [name=tags]", "team=core")
    page.click("#part-tags button:has-text('Save tags')")
    assert "core" in page.content()
    page.goto(f"{running.endpoint}/t/first/streams/no-script/delete")
    page.fill("#id_name", "no-scrip")
    page.click("main button:has-text('Delete data stream')")
    assert page.locator(".err").count() >= 1
    assert page.input_value("#id_name") == "no-scrip"
    page.fill("#id_name", "no-script")
    page.click("main button:has-text('Delete data stream')")
    assert re.search("no-script is being deleted|no-script was deleted", page.inner_text(".toast"))
    context.close()


NARROW = ("/t/first", "/t/first/streams", "/t/first/streams/orders-events", "/t/first/streams/orders-events/records",
          "/t/first/create-stream", "/t/first/members", "/t/first/tokens", "/t/first/alarms", "/t/first/audit")  # fmt: skip


def test_nothing_scrolls_sideways_at_320_px_and_forced_colours_keep_the_marks(browser, running, cookies):
    """320 px is 1280 at 400 % zoom."""
    context = browser.new_context(
        storage_state=cookies[demo_data.EMAIL], viewport={"width": 320, "height": 640}, forced_colors="active"
    )
    page = context.new_page()
    wide = []
    for path in NARROW:
        page.goto(running.endpoint + path)
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wide += [f"{path}: {sideways} px"] if sideways > 0 else []
        outlined = page.evaluate("""() => { const field = document.querySelector("main a, main button"); field.focus();
          return matchMedia("(forced-colors: active)").matches && getComputedStyle(field).outlineStyle; }""")
        assert outlined
    assert wide == []
    context.close()
