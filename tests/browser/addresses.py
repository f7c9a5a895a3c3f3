"""Every page of the console, as a person meets it: its name, its address, and what to do before looking."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

STREAM = "/t/first/streams/orders-events"


@dataclass(frozen=True)
class Address:
    """signed_in: as the owner; viewer: as somebody who may only look. then: what is done before the look."""

    name: str
    path: str
    signed_in: bool = True
    viewer: bool = False
    then: Callable[[Page], None] | None = None


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.fill("#palette-input", "ord")
    page.wait_for_selector("#palette [role=option][aria-selected=true]:has-text('orders-events')")


def _shortcuts(page: Page) -> None:
    page.keyboard.press("?")
    page.wait_for_selector("#shortcuts[open]")


def _wrong_name(page: Page) -> None:
    page.fill("#id_name", "orders-events")
    page.fill("#id_shards", "3")
    page.click("main button:has-text('Create data stream')")
    page.wait_for_selector(".err")


def _new_key(page: Page) -> None:
    if page.locator("#new-secret").count() == 0:
        page.fill("#id_name", "orders service")
        page.click("button:has-text('Create access key')")
        page.wait_for_selector("#new-secret")


def _menu(page: Page) -> None:
    """The sidebar on a phone, the team's menu elsewhere."""
    if page.viewport_size and page.viewport_size["width"] < 821:
        page.click("button[aria-label='Open menu']")
    else:
        page.click(".team-menu summary")


def _faults(page: Page) -> None:
    page.fill("#id_throttle", "12.5")
    page.fill("#id_latency", "200")
    page.click("button:has-text('Save faults')")
    page.wait_for_selector(".banner:has-text('Faults are on')")


def _records_loaded(page: Page) -> None:
    page.wait_for_selector("#latest tr.rec, #rows tr.rec")


ADDRESSES = (
    Address("sign-in", "/sign-in", signed_in=False),
    Address("password-reset", "/password/reset", signed_in=False),
    Address("password-reset-sent", "/password/reset/sent", signed_in=False),
    Address("setup", "SETUP", signed_in=False),
    Address("setup-closed", "/setup", signed_in=False),
    Address("overview", "/t/first"),
    Address("overview-start", "/t/empty"),
    Address("streams", "/t/first/streams"),
    Address("streams-none", "/t/first/streams?q=nothing"),
    Address("streams-empty", "/t/empty/streams"),
    Address("create", "/t/first/create-stream"),
    Address("create-refused", "/t/first/create-stream", then=_wrong_name),
    Address("stream", STREAM, then=_records_loaded),
    Address("monitoring", f"{STREAM}/monitoring"),
    Address("shards", f"{STREAM}/shards"),
    Address("split", f"{STREAM}/shards/split?shard=0006"),
    Address("merge", f"{STREAM}/shards/merge?shard=0006"),
    Address("count", f"{STREAM}/shards/count"),
    Address("records", f"{STREAM}/records", then=_records_loaded),
    Address("records-problem", f"{STREAM}/records?start=time&at=yesterday"),
    Address("record", "RECORD"),
    Address("record-hex", "RECORD?view=hex"),
    Address("put", f"{STREAM}/put"),
    Address("consumers", f"{STREAM}/consumers"),
    Address("connect", f"{STREAM}/connect"),
    Address("configuration", f"{STREAM}/configuration"),
    Address("faults", "/t/first/streams/inventory-cdc/configuration", then=_faults),
    Address("delete", f"{STREAM}/delete"),
    Address("ingestion", "/t/first/ingestion"),
    Address("import", "/t/first/ingestion/import"),
    Address("replay", "/t/first/ingestion/replay"),
    Address("job", "/t/first/ingestion/1"),
    Address("keys", "/t/first/keys"),
    Address("key-created", "/t/first/keys", then=_new_key),
    Address("profile", "/t/first/profile"),
    Address("not-found", "/t/first/nothing"),
    Address("forbidden", f"{STREAM}/records", viewer=True),
    Address("viewer", STREAM, viewer=True),
    Address("palette", "/t/first/streams", then=_palette),
    Address("shortcuts", "/t/first/streams", then=_shortcuts),
    Address("menu", "/t/first/streams", then=_menu),
)
