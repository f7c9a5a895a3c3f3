"""Whatever was booked in whatever order, everything that reads sums says what the ledger's hours add up to.

The other way is written here: every hour by itself is rated as bills rate, with its resource and key, and then told apart.
"""

import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import (
    bills,
    booking,
    budgets,
    checking,
    closing,
    commitment,
    page_costs,
    price_book,
    reports,
    showback,
)
from apps.billing.dimensions import DIMENSIONS, GB, OF_METER
from apps.billing.exports import focus
from apps.billing.grouping import BOOKED_BY_CONSUMER
from apps.billing.meters import BYTES_IN, METERS
from apps.billing.models import BilledResource, Budget, Correction, Price, PriceBook, UsageDay, UsageHour
from apps.billing.months import Month
from apps.billing.rating import Row, cents, lines_of, rate
from apps.billing.reports import By, Period, Where
from tests.domain.billing.test_usage_sums import TABLES, added_up, kept
from tests.support.teams import REGION, make_team

NOVEMBER = Month(2026, 11)
OCTOBER = NOVEMBER.previous
NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS
STREAMS = ("stream/a", "stream/b", "stream/gone", "deliverystream/a", "queue/a")
KEYS = ("", "AKIA1", "AKIA2", "other")
TAGS = {"stream/a": {"env": "prod"}, "stream/b": {"env": "dev"}, "deliverystream/a": {"env": "prod"}}
BOOKS = (
    (False, OCTOBER, "0", {"shard-hour": [["300", "0.02"], [None, "0.01"]], "payload-unit": [["3", "1"], [None, "2"]]}),
    (False, NOVEMBER, "0", {"shard-hour": [[None, "0.017"]], "advantage-data-out": [["9", "0"], [None, "2"]]}),
    (True, NOVEMBER, "-12.5", {"payload-unit": [["0.5", "0"], ["2", "0.03"], [None, "0.02"]],
                               "advantage-shortfall-in": [["90", "0.1"], [None, "0.05"]]}),
)  # fmt: skip
"""Of the team alone or of everybody, of which month, percent, prices."""


class Lived:
    """A team with two months behind it."""

    def __init__(self, team, seed):
        self.team, self.chance = team, random.Random(seed)

    def publish(self):
        """From the month's first day, or from within it: then it is told apart in two."""
        for is_own, month, percent, prices in BOOKS:
            from_ms = month.start_ms + self.chance.choice([0, 0, 12]) * DAY_MS
            book = PriceBook.objects.create(
                region=REGION, team=self.team if is_own else None, valid_from_ms=from_ms, percent=percent,
                published_at_ms=1, created_at_ms=1,
            )  # fmt: skip
            Price.objects.bulk_create(Price(book=book, dimension=name, tiers=tiers) for name, tiers in prices.items())

    def use(self, months, rows):
        """Book some usage of any meter, in calls of any size."""
        while rows:
            some = self.chance.randint(1, rows)
            booking.book(dict(self.usage(months) for _ in range(some)), NOW_MS)
            rows -= some

    def usage(self, months):
        hour_ms = self.chance.choice(months).start_ms + self.chance.randrange(20 * 24) * HOUR_MS
        meter = self.chance.choice([*OF_METER, BYTES_IN.name, "advantage-time", "advantage-bytes-in"])
        resource = commitment.ACCOUNT if meter == "advantage-time" else self.chance.choice(STREAMS)
        meter_key = "" if resource == commitment.ACCOUNT else self.chance.choice(KEYS)
        key = (self.team.pk, resource, meter, hour_ms, meter_key)
        return key, self.chance.randrange(1, HOUR_MS if METERS[meter].unit == "ms" else 90 * GB)

    def correct(self, months):
        """As the operator does: more, or as much less as there is."""
        there = UsageHour.objects.filter(team=self.team, hour_ms__gte=months[0].start_ms)
        for row in self.chance.sample(list(there.order_by("hour_ms", "meter", "resource", "meter_key")), 5):
            less = self.chance.choice([True, False])
            quantity = -self.chance.randint(1, row.quantity) if less else self.chance.randrange(1, 10**9)
            Correction.objects.create(
                team=self.team, resource=row.resource, meter=row.meter, hour_ms=row.hour_ms, meter_key=row.meter_key,
                quantity=quantity, reason="manual", booked_at_ms=NOW_MS, bill_month=str(booking.open_month(self.team.pk, NOW_MS)),
            )  # fmt: skip


def live(seed):
    """A team with a closed month, corrections and what came late; beside it another one with everybody's prices."""
    one = Lived(make_team().team, seed)
    other = Lived(make_team("333333333333", "third", "AKIDTHIRD").team, seed)
    for resource, tags in TAGS.items():
        BilledResource.objects.create(team=one.team, resource=resource, tags=tags, seen_at_ms=1)
    one.publish()
    for each in (one, other):
        each.use([OCTOBER, NOVEMBER], 150)
    closing.close(one.team, REGION, OCTOBER, NOW_MS)
    one.correct([OCTOBER, NOVEMBER])
    one.use([OCTOBER, NOVEMBER], 60)
    return one


@pytest.fixture(params=range(3))
def lived(request, db):
    return live(request.param)


def charges(team, month):
    """Every hour of the ledger, rated; labels are (resource, key)."""
    rows, by_hour = defaultdict(int), defaultdict(lambda: defaultdict(int))
    for row in UsageHour.objects.filter(team=team, hour_ms__gte=month.start_ms, hour_ms__lt=month.end_ms):
        if row.meter in OF_METER:
            key = "" if row.meter in BOOKED_BY_CONSUMER else row.meter_key
            rows[row.hour_ms // DAY_MS * DAY_MS, OF_METER[row.meter].name, (row.resource, key)] += row.quantity
        if row.meter in commitment.COUNTED:
            by_hour[row.hour_ms][row.meter] += row.quantity
    all_rows = [Row(*key, metered) for key, metered in rows.items()]
    all_rows += commitment.rows_of(by_hour, (commitment.ACCOUNT, ""))
    return rate(all_rows, price_book.price_list(team.pk, REGION), month)


def label_of(charge, by):
    resource, key = charge.row.label
    return {
        By.SERVICE: DIMENSIONS[charge.row.dimension].service,
        By.DIMENSION: charge.row.dimension,
        By.RESOURCE: resource,
        By.TAG: TAGS.get(resource, {}).get("env", ""),
        By.KEY: key,
        By.DAY: str(charge.row.day_ms),
    }[by]


def is_in(charge, where):
    resource, key = charge.row.label
    return (
        where.resource in ("", resource)
        and where.service in ("", DIMENSIONS[charge.row.dimension].service)
        and where.dimension in ("", charge.row.dimension)
        and where.key in (None, key)
        and (where.tag is None or where.tag[1] == label_of(charge, By.TAG))
    )


def told_apart(known, period, by, where):
    """What labels cost, and what they cost by day. known: charges by month."""
    found, days = defaultdict(Fraction), defaultdict(Fraction)
    for month, from_ms, to_ms in period.months():
        for charge in known[month]:
            if from_ms <= charge.row.day_ms < to_ms and is_in(charge, where):
                found[label_of(charge, by)] += charge.amount
                days[label_of(charge, by), charge.row.day_ms] += charge.amount
    return found, days


def some(amounts):
    """Without those of nothing."""
    return {label: amount for label, amount in amounts.items() if amount}


@pytest.mark.parametrize(("model", "names"), TABLES)
def test_the_sums_are_the_days_and_the_days_the_hours(lived, model, names):
    assert kept(model, names) == added_up(names)
    of_hours = defaultdict(int)
    for row in UsageHour.objects.all():
        of_hours[row.team_id, row.resource, row.meter, row.hour_ms // DAY_MS * DAY_MS, row.meter_key] += row.quantity
    assert of_hours == kept(UsageDay, ("team_id", "resource", "meter", "day_ms", "meter_key"))


WHERES = (
    Where(), Where(resource="stream/a"), Where(resource=commitment.ACCOUNT), Where(service="Data Streams"),
    Where(dimension="shard-hour"), Where(dimension="advantage-data-out"), Where(key="AKIA1"), Where(key=""),
    Where(tag=("env", "prod")), Where(tag=("env", "")), Where(resource="stream/b", key="AKIA2", tag=("env", "dev")),
    Where(service="Data Streams", key="", tag=("env", "")),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(len(WHERES)))
def test_reports_are_the_hours_told_apart(db, seed):
    lived, where = live(seed), WHERES[seed]
    known = {month: charges(lived.team, month) for month in (OCTOBER, NOVEMBER)}
    first, end = sorted(lived.chance.sample(range(50), 2))
    for period in (
        Period.of(lived.chance.choice([OCTOBER, NOVEMBER])),
        Period(OCTOBER.start_ms + first * DAY_MS, OCTOBER.start_ms + end * DAY_MS),
    ):
        for by in By:
            told = {"where": where, "tag_key": "env"}
            whole, by_day = told_apart(known, period, by, where)
            found = reports.costs(lived.team, REGION, period, by, NOW_MS, **told)
            assert some({group.label: group.amount for group in found.groups}) == some(whole), (by, period)
            drawn = reports.daily(lived.team, REGION, period, by, top=99, **told)
            cells = {(name, day): each[n] for name, each in drawn.amounts.items() for n, day in enumerate(drawn.days)}
            assert some(cells) == some(by_day), (by, period)


@pytest.mark.parametrize("month", [OCTOBER, NOVEMBER])
def test_statements_pages_budgets_and_exports_agree(lived, month):
    team, known = lived.team, charges(lived.team, month)
    statement = bills.statement(team, REGION, month, NOW_MS)
    assert [(one.dimension, one.price, one.cents) for one in statement.lines if one.kind == "usage"] == [
        (one.dimension.name, one.price, one.cents) for one in lines_of(known, month)
    ]
    prices = price_book.price_list(team.pk, REGION)
    parts = page_costs.of_resources(team.pk, prices, month, [*STREAMS, commitment.ACCOUNT])
    assert some(parts) == some(told_apart({month: known}, Period.of(month), By.RESOURCE, Where())[0])
    rows = [Budget(pk=n, team=team, name=one, amount_cents=1, resource=one) for n, one in enumerate(("", *STREAMS))]
    standings = budgets.Spending(team, REGION, month, NOW_MS).standings(rows, with_forecast=False)
    spent = [statement.total_cents, *(cents(parts.get(one, Fraction(0))) for one in STREAMS)]
    assert [standings[n].spent_cents for n in range(len(rows))] == spent
    exported = sum(Decimal(row["BilledCost"]) for row in focus.rows(statement, REGION))
    assert exported == Decimal(statement.total_cents) / 100


@pytest.mark.parametrize("month", [OCTOBER, NOVEMBER])
def test_all_teams_side_by_side_agree(lived, month):
    shown = {one.slug: one for one in showback.of_month(REGION, month, NOW_MS).teams}
    statement = bills.statement(lived.team, REGION, month, NOW_MS)
    assert shown[lived.team.slug].usage_cents == statement.usage_cents
    third = Team.objects.get(slug="third")
    assert shown["third"].usage_cents == sum(one.cents for one in lines_of(charges(third, month), month))


def test_a_bill_is_its_last_draft_and_is_found_right(lived):
    draft = bills.statement(lived.team, REGION, NOVEMBER, NOW_MS)
    assert any(line.kind == "correction" for line in draft.lines)
    bill = closing.close(lived.team, REGION, NOVEMBER, NOW_MS)
    closed = bills.statement(lived.team, REGION, NOVEMBER, NOW_MS)
    told = [[(one.title, one.price, one.from_ms, one.cents) for one in each.lines] for each in (draft, closed)]
    assert told[0] == told[1]
    assert checking.check(bill, REGION).findings == ()
    assert checking.check(lived.team.bills.get(month=str(OCTOBER)), REGION).findings == ()
