"""The system's Chromium through Playwright. Nothing is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

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
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield launched
        finally:
            launched.close()


def sign_in(page: Page, base: str, email: str, password: str) -> None:
    page.goto(f"{base}/sign-in")
    page.fill("#id_login", email)
    page.fill("#id_password", password)
    page.click("main button:has-text('Sign in')")
    page.wait_for_url("**/t/**")
