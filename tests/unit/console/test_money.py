"""How money and quantities are written."""

from decimal import Decimal
from fractions import Fraction

import pytest

from console.pages import money


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (80_612, "$806.12"),
        (-120, "-$1.20"),
        (0, "$0.00"),
        (5, "$0.05"),
        (123_456_789, "$1,234,567.89"),
        (None, "\N{EN DASH}"),
    ],
)
def test_cents(cents, text):
    assert money.money(cents) == text


def test_other_currencies_stand_after_the_figure():
    assert money.money(1_200, "EUR") == "12.00 EUR"


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.225", "$0.23"), ("0.0049", "<$0.01"), ("0", "$0.00"), ("-0.001", ">-$0.01"), ("-0.225", "-$0.23")],
)
def test_what_is_less_than_a_cent_is_not_nothing(value, text):
    assert money.amount(Fraction(value)) == text


@pytest.mark.parametrize(
    ("value", "text"), [("0.015", "$0.0150"), ("0.00325", "$0.00325"), ("0.3", "$0.3000"), ("12", "$12.0000")]
)
def test_prices_have_all_their_digits(value, text):
    assert money.price(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("21840", "shard-hour", "21,840 shard-hours"),
        ("1", "shard-hour", "1 shard-hour"),
        ("4943.84765625", "GB", "4,943.848 GB"),
        ("0.00012345", "GB", "0.000123 GB"),
        ("518.4", "1,000,000 units", "518.4 million units"),
        ("741.5771484375", "GB-month", "741.577 GB-months"),
    ],
)
def test_quantities(value, unit, text):
    assert money.quantity(Fraction(value), unit) == text


def test_forecasts_are_not_known_to_the_cent():
    assert money.whole_money(123_650) == "$1,237"
    assert money.whole_money(999) == "$9.99"
