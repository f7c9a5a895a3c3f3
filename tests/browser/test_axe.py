"""Every page in both themes, wide and narrow: no violation of axe-core's rules, no sideways scroll, no complaint; and on a
phone nothing that is too small to touch."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser import axe, chromium, demo_data
from tests.browser.addresses import ADDRESSES, Address
from tests.browser.budgets import NODES_MAX
from tests.browser.screenshots import open_page

pytestmark = [pytest.mark.browser, pytest.mark.system]

SMALLEST_PX = 24
SMALL = """(least) => [...document.querySelectorAll("button, select, input:not([type=hidden]), summary")]
  .filter((e) => e.checkVisibility() && !e.closest("dialog:not([open])") && !e.closest("label") && !e.closest("[aria-hidden]"))
  .map((e) => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < least || box.height < least)).map(([text]) => text)"""
"""Buttons, selects and fields that are smaller, whatever room is around them: more than WCAG 2.5.8 asks."""
HAS_ROOM = {"alarm", "alarm-create", "palette"}
"""What is smaller there has so much room around it that axe's target-size is content."""


EVERY = [
    pytest.param(address, id=address.name, marks=() if address.everyday else pytest.mark.torture)
    for address in ADDRESSES
]


@pytest.fixture(scope="module")
def windows(browser, cookies) -> Iterator[Callable[[Address], Page]]:
    """One page for each person who looks, and one for nobody. A page that goes on to the next address keeps its process and
    what was compiled in it, the console's scripts and axe's; a new one costs nearly as much as axe's rules."""
    opened: dict[str | None, Page] = {}

    def of(address: Address) -> Page:
        person = (demo_data.VIEWER_EMAIL if address.viewer else demo_data.EMAIL) if address.signed_in else None
        if person not in opened:
            kept = cookies[person] if person else None
            opened[person] = browser.new_context(storage_state=kept, reduced_motion="reduce").new_page()
        return opened[person]

    yield of
    for page in opened.values():
        page.context.close()


@pytest.fixture
def complaints(windows, running, address) -> Iterator[list[str]]:
    """What scripts and the browser say of the page, once it has left the one before.

    It is left for an address of the same server that has nothing to show: about:blank is another site, for which, and then for
    the page, Chromium would each time begin a process."""
    page, said = windows(address), []

    def note(message) -> None:
        said.append(message.text if hasattr(message, "text") else str(message))

    page.goto(f"{running.endpoint}/healthz")
    page.on("pageerror", note)
    page.on("console", listens := lambda message: note(message) if _bad(message) else None)
    yield said
    page.remove_listener("pageerror", note)
    page.remove_listener("console", listens)


@pytest.mark.parametrize("address", EVERY)
def test_page(windows, running, demo, address, complaints):
    page, problems = windows(address), []
    for width in chromium.WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if width == chromium.WIDTHS[0] or address.then:
            page.emulate_media(color_scheme=chromium.THEMES[0])
            open_page(page, running.endpoint, address, demo)
            axe.load(page)
        for theme in chromium.THEMES:
            page.emulate_media(color_scheme=theme)
            problems += [f"{width} {theme}: {text}" for text in axe.violations(page, theme)]
        nodes = page.locator("*").count()
        problems += [f"{width}: {nodes} nodes"] if nodes > NODES_MAX else []
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        problems += [f"{width}: scrolls {sideways} px sideways"] if sideways > 0 else []
    if address.everyday and address.name not in HAS_ROOM:
        problems += [f"smaller than {SMALLEST_PX} px: {html}" for html in page.evaluate(SMALL, SMALLEST_PX)]
    assert problems + complaints == []


def _bad(message) -> bool:
    """Errors, but not the browser's own note of a 4xx that the page is about."""
    return message.type == "error" and "Failed to load resource" not in message.text
