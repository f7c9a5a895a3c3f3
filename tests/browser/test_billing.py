"""Billing with real data: every figure leads to its records, the numbers agree everywhere, a statement prints as a document."""

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import demo_billing
from tests.browser.budgets import NODES_MAX

pytestmark = [pytest.mark.browser, pytest.mark.system]

A4_POINTS = (595, 842)


@pytest.fixture
def page(context) -> Page:
    return context.new_page()


def amount(text: str) -> Decimal:
    """In whole cents: rows say `<$0.01` of what sums round to nothing, as in the first minutes of a month."""
    return Decimal(0) if "<" in text else Decimal(re.sub(r"[^0-9.-]", "", text))


def test_from_the_months_figure_down_to_the_readings_of_an_hour(page, running, demo):
    page.goto(f"{running.endpoint}/t/first")
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/billing")
    expect(page.locator("h1")).to_have_text("Billing")
    # In the first hour of a month this month has nothing to look into.
    page.goto(f"{running.endpoint}{demo_billing.PAGE}?month={demo_billing.LAST_MONTH}")
    page.click("main table.stackable >> text=PUT payload units")
    page.click("main table.stackable >> text=orders-events")
    row = page.locator("main table.stackable tbody tr", has_text=re.compile(r"\d+ \w+ 20\d\d")).first
    day = amount(row.locator("td").last.inner_text())
    row.locator("a.name").click()
    expect(page.locator("#hours")).to_contain_text("PUT payload units, hour by hour")
    foot = page.locator("section:has(#hours) > .foot b")
    assert amount(foot.inner_text()) == day
    page.click("main table.stackable tbody a.name >> nth=0")
    expect(page.locator("#readings")).to_have_text("Readings behind it")
    metered = page.locator("section:has(#usage) tbody td").last.inner_text()
    shown = page.locator("section:has(#readings) tbody td").last.inner_text()
    assert metered == shown, "a meter that is read for the first time shows what is booked"


def test_page_statement_and_files_have_the_same_total(page, running, demo):
    page.goto(f"{running.endpoint}{demo_billing.PAGE}?month={demo_billing.LAST_MONTH}")
    total = amount(page.locator(".strip dd").first.inner_text())
    assert total > 0
    with page.expect_download() as costs:
        page.click("text=Export CSV")
    assert sum(Decimal(row["cost"]) for row in rows_of(costs.value.path())) == total
    page.goto(f"{running.endpoint}{demo_billing.STATEMENT}?check=1")
    expect(page.locator("[role=status] b", has_text="This bill is right.")).to_be_visible()
    assert amount(page.locator(".sums .total dd").inner_text()) == total
    for form, column in (("CSV", "billed"), ("FOCUS", "BilledCost")):
        page.click("summary:has-text('Download')")
        with page.expect_download() as file:
            page.click(f".pop a:has-text('{form}')")
        assert sum(Decimal(row[column]) for row in rows_of(file.value.path())) == total, form
        page.reload()


def rows_of(path) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.torture
def test_a_statement_prints_as_a_document_in_light_colours(page, running, demo):
    page.emulate_media(color_scheme="dark")
    page.goto(running.endpoint + demo_billing.STATEMENT)
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    boxes = [tuple(round(float(n)) for n in found.split()) for found in re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)]
    assert boxes, "a page"
    assert all(abs(box[2] - A4_POINTS[0]) <= 1 and abs(box[3] - A4_POINTS[1]) <= 1 for box in boxes), boxes
    page.emulate_media(media="print", color_scheme="dark")
    for chrome in (".side", ".top", ".tabs", ".head-actions", "text=Check this bill"):
        expect(page.locator(chrome).first).to_be_hidden()
    for part in (".statement h2", ".bill-lines", ".sums .total", "text=Unit price"):
        expect(page.locator(part).first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.statement h2')).color") == "rgb(20, 24, 29)"


@pytest.mark.torture
def test_no_grouping_has_more_nodes_than_a_page_may(page, running, demo):
    for query in ("", "?group=resource", "?group=day", "?group=key", "?per=month"):
        page.goto(running.endpoint + demo_billing.PAGE + query)
        assert page.locator("*").count() <= NODES_MAX, query
