"""Alarms and dashboards by hand: keys, palette, the preview while one types; and what is said without a network."""

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.support.processes import Up

pytestmark = [pytest.mark.browser, pytest.mark.system]


def test_from_the_overview_to_an_alarm_by_keys(context: BrowserContext, running: Up, demo: dict[str, str]) -> None:
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first")
    expect(page.locator(".concerns").first).to_contain_text("orders-events")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/alarms")
    page.click("a.name:has-text('orders-events-near-write-limit')")
    expect(page.locator("h1")).to_have_text("orders-events-near-write-limit")
    page.goto(f"{running.endpoint}/t/first/alarms/create?of=stream/orders-events")
    page.fill("#id_name", "orders-late")
    page.fill("#id_threshold", "30 s")
    expect(page.locator("#seen h2")).to_contain_text("Would have fired")
    expect(page.locator("#seen .plot svg")).to_be_visible()
    page.select_option("#id_of", "delivery/stock-ticker")
    expect(page.locator("#id_metric option").first).to_have_text("Age of the oldest record waiting")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list")).to_contain_text("Recent")
    expect(page.locator("#palette-list")).to_contain_text("orders-events-near-write-limit")
    page.close()


def test_without_a_network_a_bar_says_so(context: BrowserContext, running: Up, demo: dict[str, str]) -> None:
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/alarms")
    context.set_offline(True)
    expect(page.locator("#offline")).to_contain_text("You are offline")
    context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    page.close()


def test_what_renews_itself_leaves_the_focus_where_it_was(
    context: BrowserContext, running: Up, demo: dict[str, str]
) -> None:
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/streams/orders-events/shards")
    split = page.locator("#shard-0006 a:has-text('Split')")
    split.focus()
    page.evaluate("document.querySelector('#shards-live').firstElementChild.dataset.old = ''")
    expect(page.locator("#shards-live [data-old]")).to_have_count(0)
    expect(split).to_be_focused()
    page.close()
