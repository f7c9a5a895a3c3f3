"""The lines of a month, from quantities alone: tiers, months, rounding."""

from fractions import Fraction

from apps.billing import price_book
from apps.billing.dimensions import DIMENSIONS
from apps.billing.months import Month
from apps.billing.rating import Row, lines_of, rate

NOVEMBER = Month(2026, 11)


def bill(**quantities: str) -> dict[str, list[int]]:
    """Cents by dimension, of units of sale used on the first day."""
    rows = []
    for name, quantity in quantities.items():
        dimension = DIMENSIONS[name.replace("_", "-")]
        metered = dimension.metered(Fraction(quantity), NOVEMBER.hours)
        assert metered.denominator == 1
        rows.append(Row(NOVEMBER.start_ms, dimension.name, "", metered.numerator))
    cents: dict[str, list[int]] = {}
    for line in lines_of(rate(rows, price_book.list_prices("us-east-1"), NOVEMBER), NOVEMBER):
        cents.setdefault(line.dimension.name, []).append(line.cents)
    return cents


def test_tiers_of_firehose():
    assert bill(delivery_ingestion="614400") == {"delivery-ingestion": [1_484_800, 256_000]}


def test_a_month_of_stored_data():
    assert bill(long_term_retention="1940.625") == {"long-term-retention": [4_463]}


def test_half_a_cent_is_rounded_up():
    assert bill(fan_out_hour="15") == {"fan-out-hour": [23]}
