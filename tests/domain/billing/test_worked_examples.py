"""The worked examples at full volume: a source that only counts, the ledger, the price book, and the bill.

What each must come to stands here as the table of the product's facts has it; nothing is reckoned by the product's own
formulas. The same traffic at a ten-thousandth through real calls: tests/torture/test_worked_traffic.py.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import bills, price_book
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.models import UsageDay, UsageHour
from apps.billing.months import Month
from apps.capacity import commitment
from tests.support.counted_month import GIB, KIB, CountedMonth
from tests.support.teams import TestTeam

pytestmark = pytest.mark.django_db

REGION = "us-east-1"
NOVEMBER = Month(2026, 11)
"""720 hours, as the examples have."""

Traffic = Callable[[CountedMonth], None]
Lines = list[tuple[str, str, int]]
"""Dimension, quantity, cents."""


def provisioned(shards: int, *records: int) -> Traffic:
    def count(month: CountedMonth) -> None:
        month.steady("shard-time", shards * HOUR_MS)
        month.records(*records)

    return count


def retention_of_7_days(month: CountedMonth) -> None:
    month.steady("extended-retention-time", 4 * HOUR_MS)


def retention_of_30_days(month: CountedMonth) -> None:
    month.steady("long-term-storage", 1_048_576 * 86_400 * 23)
    month.spread("long-term-bytes-out", 100 * GIB)


def two_consumers(month: CountedMonth) -> None:
    for name in ("one", "two"):
        month.steady("consumer-time", 4 * HOUR_MS, name)
        month.spread("fan-out-bytes", 500 * GIB, name)


def consumer_of_90_minutes(month: CountedMonth) -> None:
    from_ms = month.month.start_ms + 9 * DAY_MS + 40 * MINUTE_MS + 123
    month.within("consumer-time", from_ms, from_ms + 90 * MINUTE_MS, 10)


def on_demand(month: CountedMonth, plan: str = "on-demand") -> None:
    an_hour = 1_000 * 3_600
    month.steady(f"{plan}-bytes-in", an_hour * 2 * KIB, "AK")
    month.steady(f"{plan}-bytes-out", an_hour * 1_536, "AK")
    month.steady(f"{plan}-fan-out-bytes", an_hour * 1_536, "c")


def standard(month: CountedMonth) -> None:
    month.steady("on-demand-time", HOUR_MS)
    on_demand(month)
    month.steady("on-demand-extended-storage", 1_000 * 1_536 * 86_400 * 6)


def advantage(month: CountedMonth) -> None:
    commitment.enable(month.team_id, NOVEMBER.start_ms - 3 * DAY_MS)
    month.steady("advantage-time", HOUR_MS)
    on_demand(month, "advantage")
    month.steady("advantage-storage", 1_000 * 1_536 * 86_400 * 6)


def channel(meter: str) -> Traffic:
    return lambda month: month.spread(meter, 1_000 * GIB)


def converted_and_partitioned(month: CountedMonth) -> None:
    month.deliveries(100, 12 * KIB)
    month.steady("delivery-converted-units", 100 * 3_600 * 3)
    month.steady("delivery-partitioned-bytes", 100 * 3_600 * 12 * KIB)
    month.spread("delivery-objects", 7_776_000)
    month.spread("delivery-jq-time", 70 * HOUR_MS)


def tiers_of_firehose(month: CountedMonth) -> None:
    month.spread("delivery-units", 600 * 1_024 * GIB // (5 * KIB))


EXAMPLES: dict[str, tuple[Traffic, Lines, int]] = {
    "1 records of 35 KB": (
        provisioned(4, 100, 35 * KIB),
        [("shard-hour", "2880", 43_20), ("payload-unit", "518.4", 7_26)],
        50_46,
    ),
    "2 small records": (
        provisioned(1, 1_000, 512),
        [("shard-hour", "720", 10_80), ("payload-unit", "2592", 36_29)],
        47_09,
    ),
    "3 the same bytes with KPL": (
        provisioned(1, 10, 50 * KIB),
        [("shard-hour", "720", 10_80), ("payload-unit", "51.84", 73)],
        11_53,
    ),
    "4 retention of 7 days": (retention_of_7_days, [("extended-retention", "2880", 57_60)], 57_60),
    "5 retention of 30 days": (
        retention_of_30_days,
        [("long-term-retention", "1940.625", 44_63), ("long-term-retrieval", "100", 2_10)],
        46_73,
    ),
    "6 two consumers": (two_consumers, [("fan-out-hour", "5760", 86_40), ("fan-out-data", "1000", 13_00)], 99_40),
    "7 a consumer of 90 minutes": (consumer_of_90_minutes, [("fan-out-hour", "15", 23)], 23),
    "8 on-demand": (
        standard,
        [
            ("on-demand-stream-hour", "720", 28_80),
            ("on-demand-data-in", "4943.84765625", 395_51),
            ("on-demand-data-out", "3707.8857421875", 148_32),
            ("on-demand-fan-out", "3707.8857421875", 185_39),
            ("on-demand-extended-retention", "741.5771484375", 74_16),
        ],
        832_18,
    ),
    "9 the commitment": (
        advantage,
        [
            ("advantage-data-in", "4943.84765625", 158_20),
            ("advantage-data-out", "7415.771484375", 118_65),
            ("advantage-shortfall-in", "58337.40234375", 1_866_80),
            ("advantage-shortfall-out", "55865.478515625", 893_85),
            ("advantage-retention", "741.5771484375", 17_06),
        ],
        3_054_56,
    ),
    "10 a channel to S3": (channel("channel-bytes"), [("channel-data", "1000", 27_50)], 27_50),
    "10 to S3 Tables": (channel("channel-table-bytes"), [("channel-table-data", "1000", 35_00)], 35_00),
    "10 to S3, Advantage": (channel("advantage-channel-bytes"), [("advantage-channel-data", "1000", 11_00)], 11_00),
    "10 to S3 Tables, Advantage": (
        channel("advantage-channel-table-bytes"),
        [("advantage-channel-table-data", "1000", 14_00)],
        14_00,
    ),
    "11 Direct PUT": (
        lambda month: month.deliveries(500, 3 * KIB),
        [("delivery-ingestion", "6179.8095703125", 179_21)],
        179_21,
    ),
    "12 without VPC": (
        converted_and_partitioned,
        [
            ("delivery-ingestion", "3707.8857421875", 107_53),
            ("delivery-conversion", "3707.8857421875", 66_74),
            ("delivery-partitioned-data", "2966.30859375", 59_33),
            ("delivery-partitioned-objects", "7776", 38_88),
            ("delivery-jq-hour", "70", 4_90),
        ],
        277_38,
    ),
    "13 tiers": (
        tiers_of_firehose,
        [("delivery-ingestion", "512000", 14_848_00), ("delivery-ingestion", "102400", 2_560_00)],
        17_408_00,
    ),
    "20 shard-level metrics": (
        lambda month: month.steady("shard-metric-time", 4 * 7 * HOUR_MS),
        [("shard-metric", "28", 8_40)],
        8_40,
    ),
}


def bill_of(team: TestTeam, count: Traffic, seed: int) -> bills.Statement:
    """What the month costs, by way of readings alone."""
    month = CountedMonth(team.team.pk, NOVEMBER)
    count(month)
    month.book(seed)
    for meter in {name for name, _ in month.counts}:
        for model in (UsageHour, UsageDay):
            booked = sum(model.objects.filter(meter=meter).values_list("quantity", flat=True))
            assert booked == month.total(meter), f"{meter} in {model.__name__}"
    return bills.statement(team.team, REGION, NOVEMBER, NOVEMBER.end_ms)


ALIKE = {"10 to S3 Tables", "10 to S3, Advantage", "10 to S3 Tables, Advantage", "11 Direct PUT"}
"""Another meter and price, and nothing else: not for every day (make worked-examples)."""


@pytest.mark.parametrize(
    "example", [pytest.param(name, marks=pytest.mark.torture if name in ALIKE else ()) for name in EXAMPLES]
)
def test_the_bill_is_the_examples(team: TestTeam, example: str) -> None:
    count, lines, total = EXAMPLES[example]
    statement = bill_of(team, count, seed=len(example))
    assert [(line.dimension, line.quantity, line.cents) for line in statement.lines] == [
        (name, Fraction(quantity), cents) for name, quantity, cents in lines
    ]
    assert (statement.total_cents, statement.problems) == (total, ())


RATES_ALONE = {
    "delivery-msk": "0.055",
    "delivery-vended-logs": "0.13",
    "delivery-snowflake": "0.071",
    "delivery-vpc-data": "0.01",
    "delivery-vpc-hour": "0.01",
    "flink-kpu-hour": "0.11",
    "flink-storage": "0.10",
    "flink-backup": "0.023",
    "sql-kpu-hour": "0.11",
    "video-in": "0.0085",
    "video-out": "0.0085",
    "video-hls-out": "0.0119",
    "video-storage": "0.023",
    "signaling-channel": "0.03",
    "signaling-message": "2.25",
    "turn-minute": "0.12",
}
"""What has no engine yet: example 14, the rest of 12, and analytics and video."""


def test_what_has_no_engine_has_a_rate_and_no_meter() -> None:
    prices = price_book.list_prices(REGION)
    for name, price in RATES_ALONE.items():
        assert [str(tier.price) for tier in prices.of(name, NOVEMBER.start_ms).tiers] == [price], name
        assert DIMENSIONS[name].meters == (), name
    assert not RATES_ALONE.keys() & {one.name for one in OF_METER.values()}


def test_every_other_dimension_has_a_meter_or_is_the_commitments() -> None:
    metered = {one.name for one in OF_METER.values()}
    assert DIMENSIONS.keys() - metered - RATES_ALONE.keys() == {"advantage-shortfall-in", "advantage-shortfall-out"}
