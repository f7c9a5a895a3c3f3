"""Every page in both themes, wide and narrow: no violation of axe-core's rules, no sideways scroll, no complaint."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import chromium, demo_data
from tests.browser.addresses import ADDRESSES
from tests.browser.budgets import NODES_MAX
from tests.browser.screenshots import open_page

pytestmark = [pytest.mark.browser, pytest.mark.system]

AXE = (Path(__file__).parent / "vendor/axe-core/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]
"""The rules that a theme can break; all others see the same page in both."""

RUN = "async (only) => (await axe.run(document, {runOnly: only, resultTypes: ['violations']})).violations"
SMALLEST_PX = 24


def violations(page: Page, theme: str) -> list[str]:
    every = {"type": "tag", "values": TAGS}
    found = page.evaluate(RUN, every if theme == chromium.THEMES[0] else {"type": "rule", "values": OF_COLOUR})
    return [f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes'][:3]]}" for rule in found]


EVERY = [
    pytest.param(address, id=address.name, marks=() if address.everyday else pytest.mark.torture)
    for address in ADDRESSES
]


@pytest.mark.parametrize("address", EVERY)
def test_page(browser, running, demo, cookies, address):
    person = demo_data.VIEWER_EMAIL if address.viewer else demo_data.EMAIL
    kept = cookies[person] if address.signed_in else None
    problems: list[str] = []
    context = browser.new_context(storage_state=kept)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if _bad(message) else None)
    for width in chromium.WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if width == chromium.WIDTHS[0] or address.then:
            open_page(page, running.endpoint, address, demo)
            _load_axe(page)
        for theme in chromium.THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            problems += [f"{width} {theme}: {text}" for text in violations(page, theme)]
        nodes = page.locator("*").count()
        problems += [f"{width}: {nodes} nodes"] if nodes > NODES_MAX else []
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        problems += [f"{width}: scrolls {sideways} px sideways"] if sideways > 0 else []
    context.close()
    assert problems == []


def _load_axe(page: Page) -> None:
    """As the debugger puts it in: the page's policy allows no script of others, and stays in force."""
    page.evaluate(AXE)


def _bad(message) -> bool:
    """Errors, but not the browser's own note of a 4xx that the page is about."""
    return message.type == "error" and "Failed to load resource" not in message.text


@pytest.mark.parametrize("name", ["streams", "stream", "records", "create"])
def test_targets_are_large_enough(browser, running, demo, cookies, name):
    """At least 24 x 24 px, or as much room around: WCAG 2.5.8 for buttons, selects and fields."""
    address = next(a for a in ADDRESSES if a.name == name)
    context = browser.new_context(storage_state=cookies[demo_data.EMAIL], viewport={"width": 390, "height": 900})
    page = context.new_page()
    open_page(page, running.endpoint, address, demo)
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, select, input:not([type=hidden]), summary")]
          .filter((e) => e.checkVisibility() && !e.closest("dialog:not([open])") && !e.closest("label") && !e.closest("[aria-hidden]"))
          .map((e) => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.width < least || box.height < least)).map(([text]) => text)""",
        SMALLEST_PX,
    )
    context.close()
    assert small == []
