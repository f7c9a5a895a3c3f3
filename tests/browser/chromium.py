"""The system's Chromium through Playwright. Nothing is downloaded."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.processes import HAPPENED_WITHIN_S, STARTED_WITHIN_S

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
MISSING = (
    "There is no Chromium on PATH (chromium, chromium-browser, google-chrome): install it to run the browser tests."
)

WIDTHS = (1440, 390)
THEMES = ("light", "dark")


def must_be_there() -> bool:
    """In continuous integration a missing Chromium is a failure, elsewhere a reason to skip."""
    return os.environ.get("CI") == "true"


@contextmanager
def chromium() -> Iterator[Browser]:
    """It and its pages are waited for as long as processes are: Playwright's half a minute may be short on a busy machine."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, timeout=STARTED_WITHIN_S * 1_000)
        launched.new_context = partial(_patient, launched.new_context)  # type: ignore[method-assign]
        try:
            yield launched
        finally:
            launched.close()


def _patient(new_context: Callable[..., BrowserContext], **options: Any) -> BrowserContext:
    made = new_context(**options)
    made.set_default_timeout(HAPPENED_WITHIN_S * 1_000)
    return made


def sign_in(page: Page, base: str, email: str, password: str) -> None:
    page.goto(f"{base}/sign-in")
    page.fill("#id_login", email)
    page.fill("#id_password", password)
    page.click("main button:has-text('Sign in')")
    page.wait_for_url("**/t/**")
