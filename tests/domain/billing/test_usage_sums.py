"""What is added up beforehand is what the ledger's rows add up to, and bills do not depend on it."""

from collections import defaultdict
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, booking, checking, closing, reports
from apps.billing.models import BilledResource, KeyDay, ResourceMonth, TeamDay, UsageDay
from apps.billing.months import Month
from apps.billing.reports import By, Period, Where
from tests.support import lived_months
from tests.support.operators import NOVEMBER, REGION

NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS + 3 * HOUR_MS
OCTOBER = NOVEMBER.previous
TABLES = (
    (TeamDay, ("team_id", "day_ms", "meter")),
    (KeyDay, ("team_id", "day_ms", "meter", "meter_key")),
    (ResourceMonth, ("team_id", "month_ms", "resource", "meter", "meter_key")),
)


@pytest.fixture
def lived(team):
    lived_months.live(team.team.pk, NOW_MS, 60, step_hours=24)
    return team


def added_up(names):
    """By hand, from the rows of days."""
    found = defaultdict(int)
    for row in UsageDay.objects.all():
        row.month_ms = Month.at(row.day_ms).start_ms
        found[tuple(getattr(row, name) for name in names)] += row.quantity
    return dict(found)


def kept(model, names):
    return {row[:-1]: row[-1] for row in model.objects.values_list(*names, "quantity")}


@pytest.mark.parametrize(("model", "names"), TABLES)
def test_booking_keeps_them(lived, model, names):
    booking.book({(lived.team.pk, "stream/late", "bytes-in", OCTOBER.start_ms + 5 * HOUR_MS, "AK"): 7}, NOW_MS)
    assert kept(model, names) == added_up(names) != {}


def test_an_upgrade_makes_them_of_the_rows_that_are_there(lived):
    before = [kept(model, names) for model, names in TABLES]
    for model, _ in TABLES:
        model.objects.all().delete()
    add_up = import_module("apps.billing.migrations.0009_usage_sums").add_up
    add_up(apps, SimpleNamespace(connection=connection))
    assert [kept(model, names) for model, names in TABLES] == before


def test_an_upgrade_asks_nothing_of_months_without_usage(team, django_assert_max_num_queries):
    for day_ms in (0, NOVEMBER.start_ms, Month(2199, 1).start_ms):
        UsageDay.objects.create(team=team.team, resource="stream/s", meter="bytes-in", day_ms=day_ms, quantity=5)
    for model, _ in TABLES:
        model.objects.all().delete()
    with django_assert_max_num_queries(6):
        import_module("apps.billing.migrations.0009_usage_sums").add_up(apps, SimpleNamespace(connection=connection))
    assert list(ResourceMonth.objects.order_by("month_ms").values_list("month_ms", "quantity")) == [
        (0, 5), (NOVEMBER.start_ms, 5), (Month(2199, 1).start_ms, 5),
    ]  # fmt: skip


def test_an_upgrade_of_an_empty_ledger_makes_none(db):
    import_module("apps.billing.migrations.0009_usage_sums").add_up(apps, SimpleNamespace(connection=connection))
    assert not TeamDay.objects.exists()


def test_a_bill_is_of_the_ledgers_rows_and_its_check_names_a_sum_that_is_wrong(lived):
    right = bills.statement(lived.team, REGION, OCTOBER, NOW_MS).total_cents
    TeamDay.objects.filter(meter="shard-time").update(quantity=0)
    assert bills.statement(lived.team, REGION, OCTOBER, NOW_MS).total_cents < right
    bill = closing.close(lived.team, REGION, OCTOBER, NOW_MS)
    assert bill.total_cents == right
    assert checking.check(bill, REGION).agrees  # made anew before the bill was written (sums_check.py)
    TeamDay.objects.filter(meter="shard-time").update(quantity=0)
    assert checking.check(bill, REGION).findings == (
        "The sums that drafts and reports read are not what the ledger adds up to.",
    )


@pytest.mark.parametrize("by", [By.RESOURCE, By.TAG, By.KEY, By.SERVICE])
@pytest.mark.parametrize(
    "where", [Where(), Where(service="Data Streams"), Where(key=lived_months.KEY), Where(tag=("env", "prod"))]
)
def test_a_chart_of_few_groups_adds_up_to_the_days(lived, by, where):
    """Most of its groups are what the whole team used less the others."""
    for n, name in enumerate(("stream/orders-events", "stream/payments-ledger", "stream/clickstream-web")):
        tags = {"env": "prod" if n < 2 else "dev"}
        BilledResource.objects.create(team=lived.team, resource=name, tags=tags, seen_at_ms=NOW_MS)
    period = Period.of(NOVEMBER)
    whole = reports.costs(lived.team, REGION, period, By.DAY, NOW_MS, where=where)
    groups = reports.costs(lived.team, REGION, period, by, NOW_MS, where=where, tag_key="env")
    assert sum(group.amount for group in groups.groups) == sum(day.amount for day in whole.groups) > 0
    for top in (1, 2, 50):
        drawn = reports.daily(lived.team, REGION, period, by, where=where, tag_key="env", top=top)
        assert [drawn.total(n) for n in range(NOVEMBER.days)] == [day.amount for day in whole.groups], top
        amounts = {group.label: group.amount for group in groups.groups[:top]}
        assert {label: sum(drawn.amounts[label]) for label in amounts} == amounts, top
