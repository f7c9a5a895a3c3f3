"""No page has more than 1,500 elements, however many things a team has. What a browser makes of it, scripts included, is in
tests/browser/test_budgets.py."""

import re

import pytest
from django.urls import reverse

from apps.accounts.models import Membership, TeamRole, User
from apps.billing.models import Budget, PriceBook
from apps.delivery.models import DeliveredObject
from apps.metrics import store
from apps.metrics.buckets import Point
from apps.metrics.history import History
from apps.metrics.names import SHARD_LEVEL, stored_under
from apps.metrics.overview import Overview
from apps.metrics.shard_load import Load, ShardLoad
from apps.streams.models import Ingestion
from console.pages import shard_map, shards, streams
from console.pages.delivery import listing
from tests.console.conftest import signed_in, signed_in_as, text_of
from tests.console.test_permissions import PAGES
from tests.support import crowded

NODES_MAX = 1_500
LISTS = (
    "streams", "stream-shards", "stream", "stream-consumers", "stream-per-shard", "delivery-streams", "delivery-errors",
    "queues", "keys", "tokens", "members", "member-roles", "member-invitations", "audit", "billing-showback",
    "billing-corrections",
)  # fmt: skip
"""Where a team could have the most of something."""

NO_PAGES = {"live", "billing-csv", "stream-metrics-csv", "audit-export", "record", "record-download"}
"""No HTML, or about one record."""

START = re.compile(r"<[a-z]")
"""Of an element: whatever is text has its < escaped."""

LOAD = Load(900_000, 900, 1, 900_000, 900, 1.2)


def address(name, values):
    """Of a page of PAGES, about the things that there are many of."""
    given = {
        "member": Membership.objects.filter(role="own").first().pk,
        "role": TeamRole.objects.first().pk,
        "budget": Budget.objects.order_by("pk").first().pk,
        "book": PriceBook.objects.first().pk,
        "number": DeliveredObject.objects.first().pk,
        "job": Ingestion.objects.first().pk,
        "of": "first",
    }
    names = {"orders": crowded.STREAM, "ticker": crowded.DELIVERY, "late": crowded.ALARM}
    found = {key: given.get(key, names.get(value, value)) for key, value in values.items()}
    if name.startswith("dashboard") and "name" in found:
        found["name"] = crowded.DASHBOARD
    return reverse(name, kwargs={"team": "first", **found})


@pytest.fixture
def crowd(team, served, monkeypatch):
    """A team with many of everything, all of it busy: figures have more elements than the words that stand for none."""
    seen = Overview(1.0, 1.0, 1.0, 1.0, 1.0, 90_000.0, *([[1.0, 2.0, 3.0]] * 3))
    loads = {index: ShardLoad(LOAD, LOAD) for index in range(crowded.CLOSED + crowded.SHARDS)}
    for module in (shards, shard_map):
        monkeypatch.setattr(module, "shard_load", lambda *_, **__: loads)
    monkeypatch.setattr(streams, "overview", lambda _, keys, **__: dict.fromkeys(keys, seen))
    monkeypatch.setattr(listing, "figures", lambda _, rows, **__: {row.pk: seen for row in rows})
    busy = {stored_under(name, index): Point(9.0, 1, 9.0, 9.0, 9.0) for name in SHARD_LEVEL for index in loads}
    monkeypatch.setattr(
        store, "history", lambda _team, _stream, from_s, _to, width_s, **_: History(from_s, width_s, [busy])
    )
    User.objects.filter(pk=team.user.pk).update(is_staff=True)
    team.user.refresh_from_db()
    crowded.fill(Membership.objects.get(team=team.team, user=team.user), served.clock.now_ms())
    return team


def too_many(browser, names):
    """Elements of the pages that have more than a page may have."""
    found = {}
    for name in names:
        answer = browser.get(address(name, PAGES[name][1]))
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            found[name] = len(START.findall(text_of(answer)))
    return {name: count for name, count in found.items() if count > NODES_MAX}


def test_lists_of_a_crowded_team(crowd):
    assert too_many(signed_in(crowd), LISTS) == {}


@pytest.mark.torture
def test_all_pages_of_a_crowded_team(crowd):
    """Who may only look sees other elements: what is locked has its reason beside it."""
    everything = [name for name in PAGES if name not in NO_PAGES]
    for browser in (signed_in(crowd), signed_in_as(crowd, "viewer")):
        assert too_many(browser, everything) == {}
