"""What something will cost is what its bill says when it has run for a month like that."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.units import DAY_MS, HOUR_MS, KIB
from apps.billing import bills, estimates, ledger, price_book
from apps.billing.dimensions import GB
from apps.billing.estimates import DeliveryPlan, StreamPlan, Traffic
from apps.billing.ledger import Reading, Series
from apps.billing.models import UsageDay
from apps.billing.months import Month
from apps.billing.plans import Plan
from tests.support.teams import REGION, make_team

NOVEMBER = Month(2026, 11)
NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS
PRICES = price_book.list_prices(REGION)


def cents_of(estimate):
    return {line.dimension.name: line.cents for line in estimate.lines}


def stream(plan, shards, records_per_s=0, size=0, reads=0, **given):
    made = StreamPlan(plan, shards, Traffic.of(Fraction(records_per_s), Fraction(size), reads), **given)
    return cents_of(estimates.of_stream(made, PRICES, NOW_MS))


def test_worked_examples_of_streams():
    assert stream(Plan.PROVISIONED, 4, 100, 35 * KIB) == {"shard-hour": 4_320, "payload-unit": 726}
    assert stream(Plan.PROVISIONED, 1, 1_000, 512) == {"shard-hour": 1_080, "payload-unit": 3_629}
    assert stream(Plan.PROVISIONED, 4, retention_hours=168)["extended-retention"] == 5_760
    assert stream(Plan.PROVISIONED, 1, 1, 2**20, retention_hours=720)["long-term-retention"] == 4_463
    assert stream(Plan.PROVISIONED, 4, shard_metrics=7)["shard-metric"] == 840
    assert stream(Plan.ON_DEMAND, 4, 1_000, 1_536, reads=1, consumers=1, retention_hours=168) == {
        "on-demand-stream-hour": 2_880,
        "on-demand-data-in": 39_551,
        "on-demand-data-out": 14_832,
        "on-demand-fan-out": 18_539,
        "on-demand-extended-retention": 7_416,
    }
    assert stream(Plan.ADVANTAGE, 4, 1_000, 1_536, reads=1, consumers=1, retention_hours=168) == {
        "advantage-data-in": 15_820,
        "advantage-data-out": 11_865,
        "advantage-retention": 1_706,
    }


def test_worked_examples_of_delivery():
    simple = DeliveryPlan(Fraction(500), Fraction(3 * KIB))
    assert cents_of(estimates.of_delivery(simple, PRICES, NOW_MS)) == {"delivery-ingestion": 17_921}
    parquet = DeliveryPlan(Fraction(100), Fraction(12 * KIB), converts=True, partitions=True,
                           objects_per_hour=Fraction(10_800))  # fmt: skip
    assert cents_of(estimates.of_delivery(parquet, PRICES, NOW_MS)) == {
        "delivery-ingestion": 10_753,
        "delivery-conversion": 6_674,
        "delivery-partitioned-data": 5_933,
        "delivery-partitioned-objects": 3_888,
    }
    assert estimates.of_queue(PRICES, NOW_MS, GB).total_cents == 0


def test_a_change_is_what_is_different():
    now = StreamPlan(Plan.PROVISIONED, 2, Traffic.of(10, KIB))
    assert estimates.of_change(now, now.changed(shards=4), PRICES, NOW_MS).cents == 2_160
    assert estimates.of_change(now, now.changed(consumers=1), PRICES, NOW_MS).after.lines[-1].cents == 32
    assert estimates.of_change(now.changed(shards=4), now, PRICES, NOW_MS).cents == -2_160


def test_reading_costs_by_the_plan():
    assert estimates.read_price(Plan.PROVISIONED, PRICES, NOW_MS) == 0
    assert estimates.read_price(Plan.PROVISIONED, PRICES, NOW_MS, is_long_term=True) == Fraction("0.021")
    assert estimates.read_price(Plan.ON_DEMAND, PRICES, NOW_MS) == Fraction("0.04")
    assert estimates.read_price(Plan.ADVANTAGE, PRICES, NOW_MS) == Fraction("0.016")


def test_the_month_is_the_present_one():
    december = Month(2026, 12).start_ms
    plan = StreamPlan(Plan.PROVISIONED, 1)
    assert estimates.of_stream(plan, PRICES, december).total_cents == 1_116
    assert estimates.of_stream(plan, PRICES, december).basis == "a month of 31 days"


def test_traffic_is_the_average_of_the_last_days(team):
    since_ms = NOW_MS - 2 * DAY_MS + HOUR_MS
    for meter, quantity in (
        ("records-in", 8_460),
        ("bytes-in", 8_460 * 600),
        ("payload-units", 8_460),
        ("bytes-out", 8_460 * 1_200),
    ):
        UsageDay.objects.create(
            team=team.team, resource="stream/s", meter=meter, day_ms=NOW_MS - DAY_MS, meter_key="K", quantity=quantity
        )
    found = estimates.traffic_of(team.team.pk, "stream/s", NOW_MS, since_ms)
    assert found.records_per_s == Fraction(8_460, 47 * 3_600)
    assert (found.record_bytes, found.units, found.rounded_bytes) == (600, 1, KIB)
    assert found.reads == 2
    assert estimates.traffic_of(team.team.pk, "stream/none", NOW_MS) is None


plans = st.builds(
    StreamPlan,
    st.sampled_from(Plan),
    st.integers(1, 200),
    st.builds(Traffic.of, st.integers(0, 2_000), st.integers(1, 2**16), st.integers(0, 3)),
    retention_hours=st.sampled_from([24, 25, 168, 169, 8_760]),
    consumers=st.integers(0, 20),
    shard_metrics=st.integers(0, 7),
)


class EstimatesAreBills(TestCase):
    """With readings of what the plan says the meters will show, in pieces."""

    @settings(max_examples=20)
    @given(plan=plans, hours=st.lists(st.integers(0, 719), min_size=1, max_size=4, unique=True))
    def test_the_bill_of_that_usage(self, plan, hours):
        team = make_team()
        for n, hour in enumerate(hours):
            at_ms = NOVEMBER.start_ms + hour * HOUR_MS
            readings = []
            for meter, metered in estimates.stream_usage(plan, NOVEMBER).items():
                part = metered // len(hours) + (metered % len(hours) if n == 0 else 0)
                series = Series("stream/1", meter.name, at_ms, "", "rows")
                readings.append(Reading(team.team.id, "stream/s", series, part, at_ms))
            ledger.record(readings)
        estimate = estimates.of_stream(plan, price_book.price_list(team.team.pk, REGION), NOW_MS)
        statement = bills.statement(team.team, REGION, NOVEMBER, NOVEMBER.end_ms)
        used = [line for line in statement.lines if "shortfall" not in line.dimension]
        assert [(one.dimension.name, one.quantity, one.cents) for one in estimate.lines] == [
            (one.dimension, one.quantity, one.cents) for one in used
        ]


@pytest.mark.parametrize("size", [1, 25 * KIB, 25 * KIB + 1])
def test_sizes_are_rounded_as_they_are_sold(size):
    found = Traffic.of(1, size)
    assert found.units == (1 if size <= 25 * KIB else 2)
    assert found.rounded_bytes == -(-size // KIB) * KIB


def test_usage_of_a_stream_before_it_was_made_anew_counts_with_its_days(team):
    for days in (3, 2, 1, 0):
        UsageDay.objects.create(
            team=team.team, resource="stream/s", meter="records-in", day_ms=NOW_MS - days * DAY_MS, meter_key="K",
            quantity=86_400,
        )  # fmt: skip
    found = estimates.traffic_of(team.team.pk, "stream/s", NOW_MS, NOW_MS - HOUR_MS)
    assert found.records_per_s == Fraction(4, 3)
