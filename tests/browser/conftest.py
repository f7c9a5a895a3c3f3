"""A running Tidegate with a day's data in it, and the system's Chromium."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser import chromium, demo_data
from tests.browser.sharing import Demo, shared_demo
from tests.support.processes import HAPPENED_WITHIN_S, Up
from tests.support.s3 import S3Server

expect.set_options(timeout=HAPPENED_WITHIN_S * 1_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium.CHROMIUM is None:
        (pytest.fail if chromium.must_be_there() else pytest.skip)(chromium.MISSING)
    with chromium.chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def shared(browser, tmp_path_factory) -> Iterator[Demo]:
    """One for all workers of a run. Not started where there is no browser to look at it."""
    mine = tmp_path_factory.getbasetemp()
    with shared_demo(mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine, browser) as demo:
        yield demo


@pytest.fixture(scope="session")
def s3(shared: Demo) -> S3Server:
    """Where delivery streams write to."""
    return shared.s3


@pytest.fixture(scope="session")
def running(shared: Demo) -> Up:
    return shared.running


@pytest.fixture(scope="session")
def demo(shared: Demo) -> dict[str, str]:
    """Addresses of what was put."""
    return shared.pages


@pytest.fixture(scope="session")
def cookies(shared: Demo) -> dict[str, dict]:
    """By person: what a signed-in browser keeps."""
    return shared.cookies


@pytest.fixture
def context(browser: Browser, cookies) -> Iterator[BrowserContext]:
    """A fresh window, signed in as the owner."""
    opened = browser.new_context(storage_state=cookies[demo_data.EMAIL], viewport={"width": 1440, "height": 900})
    yield opened
    opened.close()
