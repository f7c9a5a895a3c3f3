"""axe-core in a page of the console: what it finds wrong in a theme."""

from pathlib import Path

from playwright.sync_api import Page

from tests.browser import chromium

SCRIPT = (Path(__file__).parent / "vendor/axe-core/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOUR = ["color-contrast", "link-in-text-block"]
"""The rules that a theme can break; all others see the same page in both."""

RUN = """async ([within, only]) => {
  const found = await axe.run(within ?? document, { runOnly: only, resultTypes: ["violations"] });
  return found.violations;
}"""


def load(page: Page) -> None:
    """As the debugger puts it in: the page's policy allows no script of others, and stays in force."""
    page.evaluate(SCRIPT)


def violations(page: Page, theme: str, within: str | None = None) -> list[str]:
    """By every rule in the first of THEMES, by those of colour in the others. within: a selector; None is the whole page."""
    every = {"type": "tag", "values": TAGS}
    only = every if theme == chromium.THEMES[0] else {"type": "rule", "values": OF_COLOUR}
    found = page.evaluate(RUN, [within, only])
    return [f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes'][:3]]}" for rule in found]
