"""Costs told apart: however they are grouped, they add up to the statement, and what is left out is what was asked for."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, reports
from apps.billing.dimensions import GB, OF_METER, SERVICES
from apps.billing.grouping import Usage
from apps.billing.models import BilledResource, CommittedHour, Price, PriceBook, UsageDay
from apps.billing.months import Month
from apps.billing.price_book import price_list
from apps.billing.rating import cents
from apps.billing.reports import OTHERS, By, Period, Where
from tests.support.teams import REGION, make_team

NOVEMBER = Month(2026, 11)
PERIOD = Period.of(NOVEMBER)
NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS
SHARD_HOUR = HOUR_MS
TAG_KEYS = ("team", "2024", "a.b", "größe", "a b/c:d=e+f-g@h%")


def used(team, meter, quantity, day=1, resource="stream/s", key=""):
    day_ms = NOVEMBER.start_ms + (day - 1) * DAY_MS
    row = {"team": team.team, "resource": resource, "meter": meter, "day_ms": day_ms, "meter_key": key}
    UsageDay.objects.create(**row, quantity=quantity)


def costs(team, by, **given):
    return reports.costs(team.team, REGION, given.pop("period", PERIOD), by, NOW_MS, **given)


def amounts(team, by, **given):
    return {group.label: group.amount for group in costs(team, by, **given).groups}


@pytest.fixture
def busy(team):
    """Usage of all meters that are sold, on several days, of several resources and keys, through a tier of Firehose and over
    a change of prices."""
    rng = random.Random(6)
    for meter in OF_METER:
        of = "deliverystream" if meter.startswith("delivery") else "stream"
        for day in rng.sample(range(1, 21), 4):
            for name in ("a", "b", "gone"):
                used(team, meter, rng.randrange(10**11), day, f"{of}/{name}", rng.choice(["AKIA1", "AKIA2", ""]))
    for day in (3, 4, 5):
        used(team, "delivery-units", 250_000 * GB // 5_120, day, "deliverystream/large")
    CommittedHour.objects.create(
        team=team.team, hour_ms=NOVEMBER.start_ms, meter="advantage-time", quantity=30 * 60_000
    )
    book = PriceBook.objects.create(
        region=REGION, valid_from_ms=NOVEMBER.start_ms + 9 * DAY_MS, published_at_ms=1, created_at_ms=1
    )
    Price.objects.create(book=book, dimension="shard-hour", tiers=[[None, "0.017"]])
    BilledResource.objects.create(team=team.team, resource="stream/a", tags={"team": "core", "2024": "x"}, seen_at_ms=1)
    BilledResource.objects.create(team=team.team, resource="stream/gone", tags={"team": "web"}, seen_at_ms=1)
    return team


@pytest.mark.parametrize("by", list(By))
def test_a_shortfall_through_tiers_adds_up_too(busy, by):
    book = PriceBook.objects.get()
    for name in ("advantage-shortfall-in", "advantage-shortfall-out"):
        Price.objects.create(book=book, dimension=name, tiers=[["50", "0.05"], [None, "0.01"]])
    for day in (10, 11, 12):
        hour_ms = NOVEMBER.start_ms + day * DAY_MS
        CommittedHour.objects.create(team=busy.team, hour_ms=hour_ms, meter="advantage-time", quantity=HOUR_MS)
    statement = bills.statement(busy.team, REGION, NOVEMBER, NOW_MS)
    assert {line.price for line in statement.lines if line.dimension == "advantage-shortfall-in"} > {Decimal("0.01")}
    found = costs(busy, by, tag_key="team")
    assert sum(group.amount for group in found.groups) == sum(line.amount for line in statement.lines)


def test_the_first_usage_of_a_day_may_be_booked_between_two_queries(team):
    usage = Usage(team.team.pk, price_list(team.team.pk, REGION), Where())
    for day in (1, 2):
        used(team, "delivery-units", GB // 5_120, day, "deliverystream/d")
        assert len(list(usage.by_group(PERIOD, By.DAY))) == day


@pytest.mark.parametrize("by", list(By))
def test_every_grouping_adds_up_to_the_statement(busy, by):
    statement = bills.statement(busy.team, REGION, NOVEMBER, NOW_MS)
    found = costs(busy, by, tag_key="team")
    assert found.usage_cents == statement.usage_cents
    assert found.total_cents == statement.total_cents
    assert sum(group.cents for group in found.groups) + found.rounding_cents == statement.usage_cents
    assert sum(group.amount for group in found.groups) == sum(line.amount for line in statement.lines)
    assert abs(found.rounding_cents) <= len(found.groups) + len(statement.lines)


@pytest.mark.parametrize("by", list(By))
def test_days_and_groups_are_the_same_money(busy, by):
    groups = {g.label: g.amount for g in costs(busy, by, tag_key="team").groups if g.amount}
    found = reports.daily(busy.team, REGION, PERIOD, by, tag_key="team", top=100)
    assert {label: sum(each) for label, each in found.amounts.items() if sum(each)} == groups
    short = reports.daily(busy.team, REGION, PERIOD, by, tag_key="team", top=2)
    assert list(short.labels) == ([*found.labels[:2], OTHERS] if len(found.labels) > 2 else list(found.labels))
    assert [short.total(n) for n in range(30)] == [found.total(n) for n in range(30)]


def test_dimensions_say_how_much_and_at_what_price(busy):
    statement = bills.statement(busy.team, REGION, NOVEMBER, NOW_MS)
    for group in costs(busy, By.DIMENSION).groups:
        lines = [line for line in statement.lines if line.dimension == group.label]
        assert group.quantity == sum(line.quantity for line in lines)
        assert group.price == group.amount / group.quantity
    assert set(amounts(busy, By.SERVICE)) <= set(SERVICES)


def test_filters_leave_the_rest_out(busy):
    of_resource = amounts(busy, By.RESOURCE)
    for resource, amount in of_resource.items():
        assert sum(amounts(busy, By.DIMENSION, where=Where(resource=resource)).values()) == amount
    for service, amount in amounts(busy, By.SERVICE).items():
        assert sum(amounts(busy, By.KEY, where=Where(service=service)).values()) == amount
    for key, amount in amounts(busy, By.KEY).items():
        assert sum(amounts(busy, By.SERVICE, where=Where(key=key)).values()) == amount
    for value, amount in amounts(busy, By.TAG, tag_key="team").items():
        assert sum(amounts(busy, By.DAY, where=Where(tag=("team", value))).values()) == amount
    one = amounts(busy, By.RESOURCE, where=Where(dimension="shard-hour", resource="stream/gone"))
    assert set(one) == {"stream/gone"}


def test_few_queries_however_many_resources(busy, django_assert_max_num_queries):
    for n in range(60):
        used(busy, "shard-time", SHARD_HOUR, 2, f"stream/more-{n}")
    with django_assert_max_num_queries(17):
        costs(busy, By.RESOURCE, top=10)


def test_first_groups_and_the_others(team):
    for n in range(6):
        used(team, "shard-time", (n + 1) * 100 * SHARD_HOUR, resource=f"stream/{n}")
    found = costs(team, By.RESOURCE, top=2)
    assert [(group.label, group.cents) for group in found.groups] == [
        ("stream/5", 900),
        ("stream/4", 750),
        (OTHERS, 1500),
    ]


def test_what_rounds_down_alone_is_told_apart(team):
    for n in range(10):
        used(team, "shard-time", SHARD_HOUR * 3 // 10, resource=f"stream/{n}")
    found = costs(team, By.RESOURCE)
    assert [group.cents for group in found.groups] == [0] * 10
    assert (found.usage_cents, found.rounding_cents) == (5, 5)


def test_what_a_consumer_costs_is_of_no_key_but_is_found_by_its_name(team):
    used(team, "consumer-time", 100 * SHARD_HOUR, key="reader")
    used(team, "fan-out-bytes", 100 * GB, key="reader")
    used(team, "payload-units", 10**8, key="AKIA1")
    assert amounts(team, By.KEY) == {"": Fraction("2.8"), "AKIA1": Fraction("1.4")}
    assert reports.of_keys(team.team.pk, REGION, NOVEMBER, "stream/s") == {
        ("fan-out-hour", "reader"): Fraction("1.5"),
        ("fan-out-data", "reader"): Fraction("1.3"),
        ("payload-unit", "AKIA1"): Fraction("1.4"),
    }


@pytest.mark.parametrize("key", TAG_KEYS)
def test_any_tag_key_tells_apart(team, key):
    used(team, "shard-time", 100 * SHARD_HOUR)
    used(team, "shard-time", 200 * SHARD_HOUR, resource="stream/t")
    BilledResource.objects.create(team=team.team, resource="stream/s", tags={key: "würde'"}, seen_at_ms=1)
    assert amounts(team, By.TAG, tag_key=key) == {"würde'": Fraction("1.5"), "": 3}
    assert reports.tag_keys(team.team.pk) == [key]


def test_a_key_that_no_tag_can_have_is_no_error(team):
    used(team, "shard-time", 100 * SHARD_HOUR)
    assert amounts(team, By.TAG, tag_key='a"b\\') == {"": Fraction("1.5")}


def test_part_of_two_months_is_rated_by_each_month(team):
    used(team, "shard-metric-time", 720 * SHARD_HOUR, day=30)
    used(team, "shard-metric-time", 744 * SHARD_HOUR, day=31)
    period = Period(NOVEMBER.start_ms + 28 * DAY_MS, NOVEMBER.start_ms + 32 * DAY_MS)
    assert list(amounts(team, By.DAY, period=period).values()) == [0, Fraction("0.3"), Fraction("0.3"), 0]
    found = costs(team, By.SERVICE, period=period)
    assert (found.usage_cents, found.rounding_cents, found.credits_cents) == (60, 0, 0)


def test_nothing_of_other_teams(team, busy):
    other = make_team("210987654321", "other", "AKIAOTHER00000000001")
    used(other, "shard-time", 100 * SHARD_HOUR)
    assert amounts(other, By.RESOURCE) == {"stream/s": Fraction("1.5")}


def test_the_outlook_is_of_the_same_days(team):
    for day in range(1, 21):
        used(team, "shard-time", 100 * SHARD_HOUR, day)
        used(team, "shard-time", 300 * SHARD_HOUR, day, "stream/t")
    now_ms = NOVEMBER.start_ms + 20 * DAY_MS + HOUR_MS
    found = reports.outlook(team.team, REGION, now_ms)
    assert (found.spent_cents, found.likely_cents) == (12_000, 18_000)
    assert reports.outlook(team.team, REGION, now_ms, "stream/s").likely_cents == 4_500
    assert found.spent_cents == bills.statement(team.team, REGION, NOVEMBER, now_ms).usage_cents
    assert cents(sum(amounts(team, By.DAY).values())) == found.spent_cents
