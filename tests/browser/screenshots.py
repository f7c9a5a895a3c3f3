"""`make screenshots`: a picture of every page, both themes, wide and narrow, in screenshots/.

`python -m tests.browser.screenshots stream records` takes those alone; `own-account`: those about second steps.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import chromium, demo_data, demo_deliveries, own_account
from tests.browser.addresses import ADDRESSES, Address
from tests.support.processes import ROOT, Up, eventually, up

FOLDER = ROOT / "screenshots"
SETTLE_MS = 1_800


def main(names: list[str]) -> None:
    if chromium.CHROMIUM is None:
        sys.exit(chromium.MISSING)
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-shots-") as folder,
        demo_deliveries.s3_server() as s3,
        up(Path(folder) / "data", **demo_data.SETTINGS, **demo_deliveries.settings_for(s3)) as running,
    ):
        metrics = demo_data.seed(running)
        make_job(running)
        eventually(metrics.caught_up, 120, "an hour of metrics")
        with chromium.chromium() as browser:
            known = demo_data.pages(running)
            for theme in chromium.THEMES:
                for width in chromium.WIDTHS:
                    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
                    take_all(context, running, known, names, f"{theme}-{width}")
                    context.close()
                    take_own_account(browser, running, names, theme, width)
        metrics.stop()


def make_job(running: Up) -> None:
    """An import that has run."""
    with chromium.chromium() as browser:
        page = browser.new_page()
        chromium.sign_in(page, running.endpoint, demo_data.EMAIL, demo_data.PASSWORD)
        start_import(page, running.endpoint)


def start_import(page: Page, base: str) -> None:
    """A thousand lines into a stream; answers when they are there."""
    page.goto(f"{base}/t/first/ingestion/import?target=inventory-cdc")
    lines = "".join(f"2026-11-20 14:31:{n % 60:02} stock sku-{n:05} changed\n" for n in range(1000))
    page.set_input_files("#id_file", {"name": "stock-changes.log", "mimeType": "text/plain", "buffer": lines.encode()})
    page.click("main button:has-text('Import file')")
    page.wait_for_selector(".st-ok:has-text('Complete')", timeout=120_000)


def take_all(context: BrowserContext, running: Up, known: dict[str, str], names: list[str], suffix: str) -> None:
    page, who = context.new_page(), None
    for address in ADDRESSES:
        if names and address.name not in names:
            continue
        wanted = None if not address.signed_in else demo_data.VIEWER_EMAIL if address.viewer else demo_data.EMAIL
        if wanted != who:
            context.clear_cookies()
            if wanted:
                chromium.sign_in(page, running.endpoint, wanted, demo_data.PASSWORD)
            who = wanted
        open_page(page, running.endpoint, address, known)
        page.wait_for_timeout(SETTLE_MS)
        path = FOLDER / f"{address.name}-{suffix}.png"
        modal = address.name in {"palette", "shortcuts", "menu"}
        page.screenshot(path=path, full_page=not modal)
        print(path.relative_to(ROOT))


def take_own_account(browser: Browser, running: Up, names: list[str], theme: str, width: int) -> None:
    """The pages about second steps, which change with what their person has done."""
    if names and "own-account" not in names:
        return
    email = f"{theme}-{width}@acme.example"
    own_account.make(running, email)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    for name in own_account.walk(page, running.endpoint, email):
        page.wait_for_timeout(SETTLE_MS)
        path = FOLDER / f"{name}-{theme}-{width}.png"
        page.screenshot(path=path, full_page=True)
        print(path.relative_to(ROOT))
    context.close()
    own_account.end(running, email)


def open_page(page: Page, base: str, address: Address, known: dict[str, str]) -> None:
    name, mark, query = address.path.partition("?")
    page.goto(base + known.get(name, name) + mark + query)
    if address.then:
        address.then(page)


if __name__ == "__main__":
    main(sys.argv[1:])
