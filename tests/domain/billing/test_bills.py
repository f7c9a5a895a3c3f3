"""A month in money: drafts, corrections at old prices, credits, and what has no price."""

from fractions import Fraction

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import bills, crediting, reckoning
from apps.billing.dimensions import GB
from apps.billing.models import CommittedHour, Correction, Credit, UsageDay
from apps.billing.months import Month
from apps.billing.price_book import NoPrice
from tests.support.teams import REGION

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS


def used(team, meter, quantity, day_ms=NOVEMBER.start_ms, resource="stream/s", key=""):
    UsageDay.objects.create(
        team=team.team, resource=resource, meter=meter, day_ms=day_ms, meter_key=key, quantity=quantity
    )


def corrected(team, meter, quantity, hour_ms=OCTOBER.start_ms, bill=NOVEMBER):
    Correction.objects.create(
        team=team.team,
        resource="stream/s",
        meter=meter,
        hour_ms=hour_ms,
        meter_key="",
        quantity=quantity,
        reason="late",
        booked_at_ms=NOW_MS,
        bill_month=str(bill),
    )


def credit(team, cents, from_month=NOVEMBER, to_month="", at_ms=0):
    return Credit.objects.create(
        team=team.team,
        amount_cents=cents,
        reason="goodwill",
        from_month=str(from_month),
        to_month=str(to_month),
        created_at_ms=at_ms,
    )


def draft(team, month=NOVEMBER):
    return bills.statement(team.team, REGION, month, NOW_MS)


def test_a_month_without_usage_is_a_statement_of_zero(team):
    found = draft(team)
    assert (found.state, found.lines, found.total_cents, found.problems) == ("draft", (), 0, ())
    assert found.number == "TG-2026-11-123456789012"
    assert bills.months(team.team) == []


def test_lines_add_up_and_say_what_was_metered(team):
    used(team, "shard-time", 15 * HOUR_MS)
    used(team, "shard-time", 5 * HOUR_MS, NOVEMBER.start_ms + DAY_MS, resource="stream/t")
    used(team, "fan-out-bytes", GB)
    found = draft(team)
    assert [(one.dimension, one.metered, one.quantity, one.cents) for one in found.lines] == [
        ("shard-hour", 20 * HOUR_MS, 20, 30),
        ("fan-out-data", GB, 1, 1),
    ]
    assert found.usage_cents == found.total_cents == 31
    assert {one.kind for one in found.lines} == {"usage"}


def test_months_are_those_with_usage_or_corrections_newest_first(team):
    used(team, "shard-time", 1, Month(2025, 12).end_ms - DAY_MS)
    used(team, "shard-time", 1, NOVEMBER.start_ms)
    used(team, "shard-time", 1, NOVEMBER.start_ms + DAY_MS)
    corrected(team, "shard-time", 1, Month(2025, 12).start_ms, Month(2026, 3))
    assert bills.months(team.team) == [NOVEMBER, Month(2026, 3), Month(2025, 12)]


def test_late_usage_is_a_line_of_its_own_at_the_tier_it_would_have_had(team):
    used(team, "shard-time", HOUR_MS, OCTOBER.start_ms)
    tier = 512_000 * GB // 5_120
    used(team, "delivery-units", tier - GB // 5_120, OCTOBER.start_ms)
    used(team, "delivery-units", 10, NOVEMBER.start_ms)
    corrected(team, "delivery-units", 3 * GB // 5_120 + 1)
    found = draft(team)
    lines = [one for one in found.lines if one.kind == "correction"]
    assert [(one.title, str(one.price), one.from_ms) for one in lines] == [
        ("Correction of October 2026: Delivery stream ingestion", "0.029", OCTOBER.start_ms),
        ("Correction of October 2026: Delivery stream ingestion", "0.025", OCTOBER.start_ms),
    ]
    assert sum(one.metered for one in lines) == 3 * GB // 5_120 + 1
    assert [one.cents for one in lines] == [3, 5]


def test_corrections_of_one_month_in_two_bills_cost_what_they_do_together(team):
    used(team, "shard-time", 10 * HOUR_MS, OCTOBER.start_ms)
    corrected(team, "shard-time", -4 * HOUR_MS, bill=NOVEMBER)
    corrected(team, "shard-time", -6 * HOUR_MS, bill=NOVEMBER.next)
    first, second = draft(team), draft(team, NOVEMBER.next)
    assert [line.amount for line in first.lines + second.lines] == [Fraction("-0.06"), Fraction("-0.09")]
    assert first.total_cents == -6


def test_late_traffic_under_the_commitment_takes_off_the_shortfall_it_fills(team):
    for meter, quantity in (("advantage-time", HOUR_MS), ("advantage-bytes-in", 50 * GB)):
        used(team, meter, quantity, OCTOBER.start_ms, "account")
        CommittedHour.objects.create(team=team.team, hour_ms=OCTOBER.start_ms, meter=meter, quantity=quantity)
    corrected(team, "advantage-bytes-in", 10 * GB)
    lines = {one.dimension: one.quantity for one in draft(team).lines}
    assert lines == {"advantage-data-in": 10, "advantage-shortfall-in": -10}


def test_credits_go_oldest_first_within_their_months_and_never_below_zero(team):
    used(team, "shard-time", 100 * HOUR_MS)
    credit(team, 100, at_ms=2)
    credit(team, 30, at_ms=1)
    credit(team, 999, from_month=NOVEMBER.next, at_ms=0)
    credit(team, 999, from_month=OCTOBER, to_month=OCTOBER, at_ms=0)
    found = draft(team)
    assert [one.cents for one in found.lines if one.kind == "credit"] == [-30, -100]
    assert (found.usage_cents, found.credits_cents, found.total_cents) == (150, 130, 20)
    credit(team, 100, at_ms=3)
    assert draft(team).total_cents == 0
    assert [one.cents for one in draft(team).lines if one.kind == "credit"] == [-30, -100, -20]


def test_a_credit_is_on_one_draft_only_while_the_month_before_is_not_closed(team):
    for month in (OCTOBER, NOVEMBER):
        used(team, "shard-time", 100 * HOUR_MS, month.start_ms)
    credit(team, 200, from_month=OCTOBER)
    found = [draft(team, month) for month in (OCTOBER, NOVEMBER)]
    assert [one.credits_cents for one in found] == [150, 50]
    assert [one.total_cents for one in found] == [0, 100]
    assert [one.credits_usable_cents for one in found] == [200, 50]


def test_a_bill_below_zero_takes_no_credit(team):
    corrected(team, "shard-time", -4 * HOUR_MS)
    used(team, "shard-time", 10 * HOUR_MS, OCTOBER.start_ms)
    credit(team, 100)
    assert draft(team).credits_cents == 0
    assert crediting.left(team.team.pk)[0].cents == 100


def test_what_has_no_price_is_a_problem_and_the_rest_is_reckoned(team):
    class Some:
        def of(self, dimension, day_ms):
            if dimension == "fan-out-data":
                raise NoPrice
            from apps.billing import price_book

            return price_book.list_prices(REGION).of(dimension, day_ms)

    used(team, "shard-time", HOUR_MS)
    used(team, "fan-out-bytes", GB)
    found = reckoning.of_month(team.team.pk, NOVEMBER, Some())
    assert [line.dimension.name for line in found.lines] == ["shard-hour"]
    assert found.problems == ("There is no price of fan-out-data on 1 November 2026; its usage is not in the total.",)


@pytest.mark.parametrize("split", [1, 15, 29])
def test_two_parts_of_a_month_cost_what_the_month_does(team, split):
    from apps.billing import price_book, usage
    from apps.billing.rating import rate

    for day in range(30):
        used(team, "delivery-units", 7_000_000_003 + day, NOVEMBER.start_ms + day * DAY_MS)
        used(team, "long-term-storage", 123_456_789 * day + 1, NOVEMBER.start_ms + day * DAY_MS)
    prices = price_book.price_list(team.team.pk, REGION)
    middle_ms = NOVEMBER.start_ms + split * DAY_MS
    first = list(usage.rows(team.team.pk, NOVEMBER.start_ms, middle_ms))
    second = list(usage.rows(team.team.pk, middle_ms, NOVEMBER.end_ms))
    before: dict[str, int] = {}
    for row in first:
        before[row.dimension] = before.get(row.dimension, 0) + row.metered
    parts = rate(first, prices, NOVEMBER) + rate(second, prices, NOVEMBER, before)
    whole = rate(first + second, prices, NOVEMBER)
    assert sum(one.amount for one in parts) == sum(one.amount for one in whole)
