"""A running Tidegate with a day's data in it, and the system's Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser import chromium, demo_data, demo_deliveries
from tests.support.processes import HAPPENED_WITHIN_S, Up, eventually, up
from tests.support.s3 import S3Server

expect.set_options(timeout=HAPPENED_WITHIN_S * 1_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium.CHROMIUM is None:
        (pytest.fail if chromium.must_be_there() else pytest.skip)(chromium.MISSING)
    with chromium.chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def s3(browser) -> Iterator[S3Server]:
    """Where delivery streams write to."""
    with demo_deliveries.s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def running(browser, s3, tmp_path_factory) -> Iterator[Up]:
    """Not started where there is no browser to look at it."""
    settings = {**demo_data.SETTINGS, **demo_deliveries.settings_for(s3)}
    with up(tmp_path_factory.mktemp("console") / "data", **settings) as started:
        yield started


@pytest.fixture(scope="session")
def demo(running: Up) -> Iterator[dict[str, str]]:
    """The demo data; addresses of what was put."""
    metrics = demo_data.seed(running)
    try:
        eventually(metrics.caught_up, what="an hour of metrics")
        yield demo_data.pages(running)
    finally:
        metrics.stop()


@pytest.fixture(scope="session")
def cookies(browser: Browser, running: Up, demo) -> dict[str, dict]:
    """By person: what a signed-in browser keeps."""
    kept = {}
    for email in (demo_data.EMAIL, demo_data.VIEWER_EMAIL):
        context = browser.new_context()
        chromium.sign_in(context.new_page(), running.endpoint, email, demo_data.PASSWORD)
        kept[email] = context.storage_state()
        context.close()
    return kept


@pytest.fixture
def context(browser: Browser, cookies) -> Iterator[BrowserContext]:
    """A fresh window, signed in as the owner."""
    opened = browser.new_context(storage_state=cookies[demo_data.EMAIL], viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()
