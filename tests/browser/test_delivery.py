"""Delivery streams in the browser: from the wizard to the first object with its content, and to an error with its cause."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import demo_deliveries
from tests.support.processes import eventually

pytestmark = [pytest.mark.browser, pytest.mark.system]

BUCKET = "journey-bucket"


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_from_the_wizard_to_the_first_object_and_an_error_with_its_cause(page, running, demo, s3):
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    s3.make_bucket(BUCKET)

    page.goto(f"{running.endpoint}/t/first")
    page.click("nav.nav >> text=Delivery streams")
    page.click("main >> text=Create delivery stream")
    page.fill("#id_name", "trades")
    page.fill("#id_bucket", BUCKET)
    page.fill("#id_prefix", "trades/!{timestamp:yyyy}/")
    page.fill("#id_error_prefix", "failed/!{firehose:error-output-type}/")
    page.fill("#id_interval_s", "1")
    expect(page.locator("#beside")).to_contain_text(re.compile(rf"s3://{BUCKET}/trades/20\d\d/trades-1-"))
    expect(page.locator("#beside")).to_contain_text("aws firehose create-delivery-stream")
    page.click("#dry-run-go")
    expect(page.locator("#dry-run")).to_contain_text("10 records")
    expect(page.locator("#dry-run")).to_contain_text("TICKER_SYMBOL")
    page.click("main button:has-text('Create delivery stream')")
    expect(page.locator("#delivery-mark")).to_have_text("Active")

    page.click("text=Send demo data")
    page.fill("#id_total", "200000")
    page.click("main button:has-text('Send demo data')")
    expect(page.locator("#delivery-now")).to_contain_text(re.compile(r"[1-9]\d* of 200,000 records"))
    expect(page.locator("#delivery-figures")).to_contain_text(re.compile(r"[1-9][\d,]* records"))
    page.click("nav[aria-label='Delivery stream'] >> text=Delivered")
    expect(page.locator("#objects")).to_contain_text("trades/20")
    page.locator("#objects tbody a").first.click()
    expect(page.locator("#content")).to_contain_text(re.compile(r'\{"TICKER_SYMBOL":"[A-Z]{3}","SECTOR":'))
    key = page.inner_text("#object-key")
    assert page.inner_text("#content").strip() == s3.body(BUCKET, key).decode().strip()
    with page.expect_download() as downloading:
        page.click("main >> text=Download")
    assert downloading.value.path().read_bytes() == s3.body(BUCKET, key)

    def gone() -> bool:
        """Deliveries go on meanwhile, and a bucket with something in it stays."""
        for one in s3.keys(BUCKET):
            s3.client.delete_object(Bucket=BUCKET, Key=one)
        try:
            s3.client.delete_bucket(Bucket=BUCKET)
        except s3.client.exceptions.ClientError:
            return False
        return True

    eventually(gone, what="the bucket is gone")
    page.goto(f"{running.endpoint}/t/first/delivery/trades")
    expect(page.locator("#delivery-now")).to_contain_text("Deliveries have failed since")
    expect(page.locator("#delivery-mark")).to_contain_text("Failing")
    page.click("#demo-stop")
    page.click("nav[aria-label='Delivery stream'] >> text=Errors")
    expect(page.locator(".causes")).to_contain_text("S3.NoSuchBucket")
    expect(page.locator(".causes")).to_contain_text("Create the bucket, or name another one")
    page.click("nav[aria-label='Delivery stream'] >> text=Lanes")
    expect(page.locator("#lanes")).to_contain_text("Failing, attempt")

    s3.make_bucket(BUCKET)
    page.goto(f"{running.endpoint}/t/first/delivery/trades")
    page.click("text=Pause >> nth=0")
    expect(page.locator("#delivery-mark")).to_have_text("Paused")
    page.click("text=Resume >> nth=0")  # which tries at once, however long the wait after the last attempt is
    expect(page.locator("#delivery-mark")).to_have_text("Active")
    page.click("text=Pause >> nth=0")
    assert complaints == []


def test_the_wizard_works_without_script_and_shows_only_what_belongs(browser, running, cookies):
    context = browser.new_context(storage_state=next(iter(cookies.values())), java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{running.endpoint}/t/first/create-delivery")
    assert page.locator("#id_http_url").is_hidden()
    page.check("[name=kind][value=http]")
    assert page.locator("#id_http_url").is_visible()
    assert page.locator("#id_time_zone").is_hidden()
    page.fill("#id_name", "without-script")
    page.fill("#id_bucket", demo_deliveries.BUCKET)
    page.fill("#id_http_url", "https://127.0.0.1:9/x")
    page.click("#dry-run-go")
    assert "10 records" in page.inner_text("#rehearsal")
    assert page.input_value("#id_http_url") == "https://127.0.0.1:9/x"
    page.click("main button:has-text('Create delivery stream')")
    assert "without-script is being created" in page.inner_text(".toast")
    context.close()


def test_the_list_is_live_and_everything_is_reached_by_keyboard(page, running, demo):
    page.goto(f"{running.endpoint}/t/first")
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/t/first/delivery")
    expect(page.locator(".live")).to_have_text("Live")
    page.keyboard.press("/")
    page.keyboard.type("status:failing")
    expect(page.locator("[data-stream=alerts-collector]")).to_be_visible()
    expect(page.locator("#delivery-streams")).not_to_contain_text("ticker-by-symbol")
    page.keyboard.press("Control+k")
    page.keyboard.type("stock-tick")
    expect(page.locator("#palette [role=option][aria-selected=true]")).to_contain_text("stock-ticker")
    page.keyboard.press("Enter")
    page.wait_for_url("**/delivery/stock-ticker")
    page.keyboard.press("n")
    expect(page.locator("[data-state]").first).to_have_text("Live")
