"""A running Tidegate, a Chromium that is signed in, and a boto3 client. `browser` is the one of the folder above."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from playwright.sync_api import Browser, Page

from tests.support.processes import HAPPENED_WITHIN_S, SOON, Up, up

EMAIL, PASSWORD = "live@example.test", "correct-horse-battery"


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Up]:
    """With a short folder, because of the socket in it."""
    folder: Path = tmp_path_factory.mktemp("live")
    with up(
        folder / "data",
        TIDEGATE_ADMIN_EMAIL=EMAIL,
        TIDEGATE_ADMIN_PASSWORD=PASSWORD,
        TIDEGATE_ACCESS_KEY_ID="test",
        TIDEGATE_SECRET_ACCESS_KEY="test",
    ) as started:
        yield started


@pytest.fixture(scope="session")
def kinesis(running: Up):
    client = boto3.client(
        "kinesis",
        endpoint_url=running.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 10, "mode": "standard"}, read_timeout=60),
    )
    yield client
    client.close()


def sign_in(page: Page, running: Up) -> None:
    page.goto(f"{running.endpoint}/sign-in")
    page.fill("input[name=login]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("button:has-text('Sign in')")
    page.wait_for_url("**/t/**")


@pytest.fixture(scope="session")
def signed_in(browser: Browser, running: Up):
    """The cookies of a signed-in person, and the team's name in addresses."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, running)
    yield SimpleNamespace(state=context.storage_state(), team=page.evaluate("document.body.dataset.team"))
    context.close()


@pytest.fixture(scope="session")
def make_stream(kinesis):
    """An active stream of that name."""

    def make(name: str, shards: int = 1) -> str:
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=SOON)
        return name

    return make


REMEMBER = """() => {
  const figure = document.querySelector("[data-figure=Incoming]");
  if (!figure) return;
  const note = () => window.shown.add(figure.textContent.replace(/\\s+/g, " ").trim());
  window.shown = new Set();
  if (!window.noting) window.noting = new MutationObserver(note);
  window.noting.observe(figure, { childList: true, characterData: true, subtree: true });
  note();
}"""


class Tab:
    """A page, with what it complained about."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)

    def go(self, path: str) -> "Tab":
        self.page.goto(self.base + path)
        self.forget()
        return self

    def forget(self) -> None:
        """Remember from now on what the figure Incoming shows, if only for a moment."""
        self.page.evaluate(REMEMBER)

    def until_incoming(self, words: str, timeout_s: float = HAPPENED_WITHIN_S) -> None:
        """Wait until the figure shows this, or has shown it since forget()."""
        self.until(f"window.shown.has({words!r})", timeout_s)

    @property
    def state(self) -> str:
        return self.page.inner_text("[data-state]")

    def figure(self, label: str) -> str:
        """`1.7 MiB/s`"""
        return re.sub(r"\s+", " ", self.page.inner_text(f"[data-figure='{label}']")).strip()

    def until(self, script: str, timeout_s: float = HAPPENED_WITHIN_S) -> None:
        """Wait for an expression to be true in the page. (wait_for_function evaluates, which the policy forbids.)"""
        deadline = time.monotonic() + timeout_s
        while not self.page.evaluate(f"() => {script}"):
            assert time.monotonic() < deadline, (
                f"not within {timeout_s} s: {script}; {self.page.inner_text('main')[:600]}"
            )
            self.page.wait_for_timeout(30)

    def until_state(self, beginning: str, timeout_s: float = HAPPENED_WITHIN_S) -> None:
        self.until(f"document.querySelector('[data-state]').textContent.startsWith({beginning!r})", timeout_s)


@pytest.fixture
def open_tab(browser: Browser, signed_in, running: Up):
    """Opens tabs of the signed-in person; options are those of a browser context."""
    contexts = []

    def open_(script: str = "", **options) -> Tab:
        context = browser.new_context(storage_state=signed_in.state, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        return Tab(context.new_page(), f"{running.endpoint}/t/{signed_in.team}")

    yield open_
    for context in contexts:
        context.close()
