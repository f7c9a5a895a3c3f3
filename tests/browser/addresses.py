"""Every page of the console, as a person meets it: its name, its address, and what to do before looking."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.browser import demo_billing, demo_budgets, demo_people, demo_prices

STREAM = "/t/first/streams/orders-events"
DELIVERY = "/t/first/delivery/stock-ticker"


@dataclass(frozen=True)
class Address:
    """signed_in: as the owner; viewer: as somebody who may only look. then: what is done before the look.
    everyday: False where another page has the same parts, so that the long tests alone look at it."""

    name: str
    path: str
    signed_in: bool = True
    viewer: bool = False
    then: Callable[[Page], None] | None = None
    everyday: bool = True


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


def _rotate(page: Page) -> None:
    page.click("main a:has-text('Rotate') >> nth=0")
    page.wait_for_selector("main button:has-text('Rotate access key')")


def _delete_key(page: Page) -> None:
    """Of a key made for it: the newest stands first."""
    if page.locator("main a:has-text('Delete')").count() == 0:
        _new_key(page)
        page.click("text=I have saved it")
        page.click("main button:has-text('Disable') >> nth=0")
        page.wait_for_selector("main a:has-text('Delete')")
    page.click("main a:has-text('Delete') >> nth=0")
    page.wait_for_selector("main button:has-text('Delete access key')")


def _choose_scopes(page: Page) -> None:
    page.check("[name=preset][value=chosen]")
    page.wait_for_selector("[name=scopes] >> nth=0")


def _new_token(page: Page) -> None:
    if page.locator("#new-token").count() == 0:
        page.fill("#id_name", "deploy pipeline")
        page.click("main button:has-text('Create token')")
        page.wait_for_selector("#new-token")


def _revoke(page: Page) -> None:
    if page.locator("main a:has-text('Revoke')").count() == 0:
        page.click("main a:has-text('Create token')")
        _new_token(page)
        page.click("text=I have saved it")
    page.click("main a:has-text('Revoke') >> nth=0")
    page.wait_for_selector("main button:has-text('Revoke token')")


def _open_entry(page: Page) -> None:
    page.click(".audit-tbl tbody a >> nth=0")
    page.wait_for_selector("#entry dl")


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


def _test_call(page: Page) -> None:
    page.click("button[name=call][value=describe]")
    page.wait_for_selector("#test-call .st-ok")
    page.evaluate("scrollTo(0, 0)")  # nothing is half under the bar at the top


def _all_parts(page: Page) -> None:
    """Every setting open."""
    for part in page.locator("details.part > summary").all():
        part.click()
    page.evaluate("scrollTo(0, 0)")


def _paste(page: Page) -> None:
    page.check("[name=how][value=paste]")
    page.fill("#id_definition", '{"type": "recrod"}')
    page.click("main button:has-text('Show records')")
    page.wait_for_selector(".err")


def _dry_run(page: Page) -> None:
    page.fill("#id_name", "trades")
    page.fill("#id_bucket", "market-data")
    page.click("#dry-run-go")
    page.wait_for_selector(".rehearsal .runs")
    page.evaluate("scrollTo(0, 0)")  # nothing is half under the bar at the top


def _all_of_the_wizard(page: Page) -> None:
    """Every part open, and refused."""
    page.fill("#id_name", "trades")
    page.fill("#id_bucket", "market-data")
    page.fill("#id_prefix", "!{nonsense}/")
    page.check("[name=backup]")
    page.fill("#id_backup_bucket", "copies")
    page.check("[name=transform][value=lambda]")
    page.fill("#id_transform_arn", "arn:aws:lambda:us-east-1:123456789012:function:clean")
    page.check("[name=partition]")
    page.check("[name=convert][value=parquet]")
    page.fill("#id_columns", "ticker_symbol string")
    page.click("details.more summary >> nth=0")
    page.click("main button:has-text('Create delivery stream')")
    page.wait_for_selector(".err")


def _rule(page: Page) -> None:
    page.select_option("#id_of", "stream/orders-events")
    page.fill("#id_name", "orders-late")
    page.fill("#id_threshold", "30 s")
    page.wait_for_selector("#seen .plot")


def _wrong_rule(page: Page) -> None:
    page.fill("#id_name", "orders-late")
    page.fill("#id_threshold", "5 MB")
    page.fill("#id_needed", "9")
    page.fill("#id_notify", "somebody")
    page.click("main button:has-text('Create alarm')")
    page.wait_for_selector(".err")


def _kind(value: str) -> Callable[[Page], None]:
    def choose(page: Page) -> None:
        page.check(f"[name=kind][value={value}]")

    return choose


def _unnamed_role(page: Page) -> None:
    page.fill("#id_name", "Admin")
    page.click("main button:has-text('Create role')")
    page.wait_for_selector(".err")


def _invite_again(page: Page) -> None:
    page.fill("#id_email", "noor@acme.example")
    page.click("main form button:has-text('Invite')")
    page.wait_for_selector(".err")


def _prove(page: Page) -> None:
    """That it is the owner, as every five minutes."""
    if "/confirm" in page.url:
        page.fill("#id_password", "correct-horse-battery")
        page.click("main button:has-text('Continue')")
        page.wait_for_url("**/profile/**")


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
    Address("streams-tag", "/t/first/streams-tag?n=orders-events&n=clickstream-web", everyday=False),
    Address("streams-delete", "/t/first/streams-delete?n=orders-events&n=clickstream-web"),
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
    Address("decode", f"{STREAM}/records/decode", then=_paste),
    Address("record", "RECORD"),
    Address("record-hex", "RECORD?view=hex"),
    Address("put", f"{STREAM}/put"),
    Address("consumers", f"{STREAM}/consumers"),
    Address("deregister", f"{STREAM}/consumers/deregister?consumer=billing-service", everyday=False),
    Address("connect", f"{STREAM}/connect", then=_test_call),
    Address("configuration", f"{STREAM}/configuration", then=_all_parts),
    Address("faults", "/t/first/streams/inventory-cdc/configuration", then=_faults),
    Address("delete", f"{STREAM}/delete"),
    Address("ingestion", "/t/first/ingestion"),
    Address("import", "/t/first/ingestion/import"),
    Address("replay", "/t/first/ingestion/replay"),
    Address("job", "/t/first/ingestion/1"),
    Address("keys", "/t/first/keys"),
    Address("key-created", "/t/first/keys", then=_new_key),
    Address("key-rotate", "/t/first/keys", then=_rotate, everyday=False),
    Address("key-delete", "/t/first/keys", then=_delete_key, everyday=False),
    Address("tokens", "/t/first/tokens"),
    Address("token-create", "/t/first/tokens/create", then=_choose_scopes),
    Address("token-created", "/t/first/tokens/create", then=_new_token),
    Address("token-revoke", "/t/first/tokens", then=_revoke, everyday=False),
    Address("audit", "/t/first/audit"),
    Address("audit-entry", "/t/first/audit?kind=changes", then=_open_entry),
    Address("audit-none", "/t/first/audit?q=who:nobody", everyday=False),
    Address("audit-follow", "/t/first/audit?follow=1", everyday=False),
    Address("activity", f"{STREAM}/activity"),
    Address("activity-none", "/t/first/streams/inventory-cdc/activity?q=op:none", everyday=False),
    Address("delivery-activity", f"{DELIVERY}/activity", everyday=False),
    Address("delivery-streams", "/t/first/delivery"),
    Address("docs-tested", "/t/first/docs/tested"),
    Address("reference", "/t/first/reference"),
    Address("reference-found", "/t/first/reference?q=stream+delete", everyday=False),
    Address("reference-resource", "/t/first/reference/streams?op=createStream"),
    Address("reference-operator", "/t/first/reference/operator?op=changePriceBook", everyday=False),
    Address("reference-viewer", "/t/first/reference/records?op=putRecords", viewer=True, everyday=False),
    Address("delivery-empty", "/t/empty/delivery"),
    Address("delivery-create", "/t/first/create-delivery", then=_dry_run),
    Address("delivery-create-refused", "/t/first/create-delivery", then=_all_of_the_wizard),
    Address("delivery-create-http", "/t/first/create-delivery", then=_kind("http"), everyday=False),
    Address("delivery-create-redshift", "/t/first/create-delivery", then=_kind("redshift"), everyday=False),
    Address("delivery-stream", DELIVERY),
    Address("delivery-failing", "/t/first/delivery/alerts-collector"),
    Address("delivery-objects", f"{DELIVERY}/objects"),
    Address("delivery-object", "OBJECT"),
    Address("delivery-errors", "/t/first/delivery/alerts-collector/errors"),
    Address("delivery-lanes", "/t/first/delivery/ticker-by-symbol/lanes"),
    Address("delivery-configuration", "/t/first/delivery/ticker-by-symbol/configuration"),
    Address("delivery-configuration-http", "/t/first/delivery/alerts-collector/configuration", everyday=False),
    Address("delivery-jobs", f"{DELIVERY}/jobs", everyday=False),
    Address("delivery-redrive", f"{DELIVERY}/redrive", everyday=False),
    Address("delivery-demo", f"{DELIVERY}/demo", everyday=False),
    Address("delivery-delete", f"{DELIVERY}/delete", everyday=False),
    Address("delivery-viewer", DELIVERY, viewer=True, everyday=False),
    Address("queues", "/t/first/queues", everyday=False),
    Address("alarms", "/t/first/alarms"),
    Address("alarms-empty", "/t/empty/alarms", everyday=False),
    Address("alarm", "/t/first/alarms/of/orders-events-iterator-age"),
    Address("alarm-create", "/t/first/alarms/create", then=_rule),
    Address("alarm-refused", "/t/first/alarms/create", then=_wrong_rule, everyday=False),
    Address("alarm-delete", "/t/first/alarms/of/orders-events-silent/delete", everyday=False),
    Address("alarms-viewer", "/t/first/alarms", viewer=True, everyday=False),
    Address("dashboards", "/t/first/dashboards", everyday=False),
    Address("dashboard-streams", "/t/first/dashboards/streams?range=1h"),
    Address("dashboard", "/t/first/dashboards/of/checkout?range=1h"),
    Address("dashboard-table", "/t/first/dashboards/streams?range=1h&view=table", everyday=False),
    Address("dashboard-edit", "/t/first/dashboards/of/checkout/edit"),
    Address("profile", "/t/first/profile"),
    Address("profile-viewer", "/t/first/profile", viewer=True, everyday=False),
    Address("profile-address", "/t/first/profile/address", then=_prove, everyday=False),
    Address("account-off", "/account-off", signed_in=False, everyday=False),
    Address("members", "/t/first/members"),
    Address("members-viewer", "/t/first/members", viewer=True),
    Address("member", demo_people.MEMBER),
    Address("member-remove", f"{demo_people.MEMBER}/remove"),
    Address("team-leave", "/t/first/leave", viewer=True, everyday=False),
    Address("roles", "/t/first/roles"),
    Address("role", demo_people.ROLE),
    Address("role-new", "/t/first/roles/new?copy=analyst", then=_unnamed_role),
    Address("role-delete", f"{demo_people.ROLE}/delete", everyday=False),
    Address("invitations", "/t/first/invitations"),
    Address("invitation-refused", "/t/first/invitations", then=_invite_again, everyday=False),
    Address("invite", demo_people.INVITE, signed_in=False),
    Address("invite-wrong", demo_people.INVITE, everyday=False),
    Address("invite-closed", demo_people.INVITE_CLOSED, signed_in=False, everyday=False),
    Address("ask", "/t/first/ask?for=record:read", viewer=True),
    Address("billing", demo_billing.PAGE),
    Address("billing-streams", demo_billing.BY_STREAM, everyday=False),
    Address("billing-tags", f"{demo_billing.PAGE}?group=tag&tag=env", everyday=False),
    Address("billing-months", f"{demo_billing.PAGE}?per=month", everyday=False),
    Address("billing-last-month", f"{demo_billing.PAGE}?month={demo_billing.LAST_MONTH}", everyday=False),
    Address("billing-wrong", f"{demo_billing.PAGE}?month=2026-13", everyday=False),
    Address("billing-hours", demo_billing.HOURS),
    Address("billing-readings", demo_billing.READINGS),
    Address("billing-empty", "/t/empty/billing", everyday=False),
    Address("billing-statements", f"{demo_billing.PAGE}/statements"),
    Address("billing-statement", f"{demo_billing.STATEMENT}?check=1"),
    Address("billing-budgets", "/t/first/billing/budgets"),
    Address("billing-budget", demo_budgets.BUDGET),
    Address("billing-budget-create", "/t/first/billing/budgets/create", everyday=False),
    Address("billing-budget-edit", f"{demo_budgets.BUDGET}/edit", everyday=False),
    Address("billing-budget-delete", f"{demo_budgets.BUDGET}/delete", everyday=False),
    Address("billing-rates", "/t/first/billing/rates"),
    Address("billing-rates-wrong", "/t/first/billing/rates?on=2026-13-01", everyday=False),
    Address("billing-books", "/t/first/billing/books", everyday=False),
    Address("billing-book", demo_prices.DRAFT, everyday=False),
    Address("billing-book-own", demo_prices.OWN_DRAFT, everyday=False),
    Address("billing-book-read", demo_prices.PUBLISHED, everyday=False),
    Address("billing-book-price", f"{demo_prices.DRAFT}/prices/delivery-ingestion", everyday=False),
    Address("billing-book-publish", f"{demo_prices.DRAFT}/publish", everyday=False),
    Address("billing-book-delete", f"{demo_prices.DRAFT}/delete", everyday=False),
    Address("billing-showback", "/t/first/billing/showback"),
    Address("billing-showback-team", "/t/first/billing/showback/teams/delta", everyday=False),
    Address("billing-credits", "/t/first/billing/credits", everyday=False),
    Address("billing-corrections", "/t/first/billing/corrections", everyday=False),
    Address("settings", "/t/first/settings"),
    Address("settings-viewer", "/t/first/settings", viewer=True, everyday=False),
    Address("quotas", "/t/first/settings/quotas", everyday=False),
    Address("transfer", "/t/first/settings/transfer", everyday=False),
    Address("team-delete", "/t/empty/settings/delete"),
    Address("teams", "/teams"),
    Address("team-new", "/new-team", everyday=False),
    Address("not-found", "/t/first/nothing"),
    Address("forbidden", f"{STREAM}/records", viewer=True),
    Address("viewer", STREAM, viewer=True),
    Address("palette", "/t/first/streams", then=_palette),
    Address("shortcuts", "/t/first/streams", then=_shortcuts),
    Address("menu", "/t/first/streams", then=_menu),
)
