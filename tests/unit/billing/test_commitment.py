"""The shortfall of the commitment, hour by hour; worked example 9 to the cent."""

from fractions import Fraction

from apps.base.units import HOUR_MS
from apps.billing import commitment, price_book
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.months import Month
from apps.billing.rating import Row, lines_of, rate

NOVEMBER = Month(2026, 11)
HOUR_BYTES = 25 * 2**20 * 3_600


def test_an_hour_lacks_what_is_missing_of_both_minimums():
    assert commitment.shortfall({"advantage-time": HOUR_MS}) == (HOUR_BYTES, HOUR_BYTES)
    used = {"advantage-time": HOUR_MS, "advantage-bytes-in": 7, "advantage-bytes-out": 20, "advantage-fan-out-bytes": 3}
    assert commitment.shortfall(used) == (HOUR_BYTES - 7, HOUR_BYTES - 23)


def test_it_counts_the_milliseconds_of_the_hour_and_is_never_negative():
    assert commitment.shortfall({"advantage-time": 1}) == (26_214, 26_214)
    assert commitment.shortfall({"advantage-time": 0, "advantage-bytes-in": 5}) == (0, 0)
    assert commitment.shortfall({"advantage-time": 9 * HOUR_MS}) == (HOUR_BYTES, HOUR_BYTES)
    much = {"advantage-time": HOUR_MS, "advantage-bytes-in": HOUR_BYTES + 1, "advantage-bytes-out": HOUR_BYTES}
    assert commitment.shortfall(much) == (0, 0)


def test_what_an_hour_has_above_the_minimum_helps_no_other_hour():
    two = {
        0: {"advantage-time": HOUR_MS, "advantage-bytes-in": 2 * HOUR_BYTES},
        HOUR_MS: {"advantage-time": HOUR_MS},
    }
    assert [row for row in commitment.rows_of(two, "") if row.dimension.endswith("in")] == [
        Row(0, "advantage-shortfall-in", "", HOUR_BYTES)
    ]


def test_worked_example_9():
    """1,000 records of 1.5 KiB a second in 2 KiB steps, one poller, one fan-out consumer, 7 days kept."""
    hour = {
        "advantage-time": HOUR_MS,
        "advantage-bytes-in": 1_000 * 2_048 * 3_600,
        "advantage-bytes-out": 1_000 * 1_536 * 3_600,
        "advantage-fan-out-bytes": 1_000 * 1_536 * 3_600,
    }
    hours = {NOVEMBER.start_ms + n * HOUR_MS: hour for n in range(NOVEMBER.hours)}
    rows = [*commitment.rows_of(hours, "")]
    for meter, quantity in hour.items():
        if meter in OF_METER:
            rows.append(Row(NOVEMBER.start_ms, OF_METER[meter].name, "", quantity * NOVEMBER.hours))
    stored = DIMENSIONS["advantage-retention"].metered(Fraction("741.5771484375"), NOVEMBER.hours)
    rows.append(Row(NOVEMBER.start_ms, "advantage-retention", "", int(stored)))
    lines = lines_of(rate(rows, price_book.list_prices("us-east-1"), NOVEMBER), NOVEMBER)
    assert {line.dimension.name: line.cents for line in lines} == {
        "advantage-data-in": 158_20,
        "advantage-data-out": 118_65,
        "advantage-shortfall-in": 1_866_80,
        "advantage-shortfall-out": 893_85,
        "advantage-retention": 17_06,
    }
