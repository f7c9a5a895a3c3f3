"""How money and quantities of sale are written for people: cents always, thousands apart, a unit at every figure.

What is not exact is marked as such: an amount that is smaller than a cent is `<$0.01`, never `$0.00`; exact figures are in
the files (CSV, JSON, FOCUS) and in titles.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from apps.billing import rating

SIGN = {"USD": "$"}
"""Before the figure; other currencies stand after it by their code."""

PRICE_PLACES_MIN = 4
AVERAGE_PLACES = 6
QUANTITY_PLACES = 3
SMALL_FIGURES = 3

UNITS = {
    "1,000,000 units": "million units",
    "1,000,000 messages": "million messages",
    "1,000 objects": "thousand objects",
    "1,000 minutes": "thousand minutes",
}
"""Units of sale that are many of something, as words."""

INVARIANT = ("GB", "million units", "million messages", "thousand objects", "thousand minutes")


def money(cents: int | None, currency: str = "USD") -> str:
    """`$806.12`, `-$1.20`, `12.00 EUR`. None: a dash."""
    if cents is None:
        return "\N{EN DASH}"
    return _signed(f"{abs(cents) // 100:,}.{abs(cents) % 100:02}", cents < 0, currency)


def whole_money(cents: int, currency: str = "USD") -> str:
    """`$1,236`: of forecasts, which are not known to the cent; below $10 with cents."""
    if abs(cents) < 1_000:
        return money(cents, currency)
    return _signed(f"{(abs(cents) + 50) // 100:,}", cents < 0, currency)


def amount(value: Fraction, currency: str = "USD") -> str:
    """An unrounded amount as money: `$0.23`, `<$0.01`."""
    rounded = rating.cents(value)
    if not rounded and value:
        return f"<{money(1, currency)}" if value > 0 else f">{money(-1, currency)}"
    return money(rounded, currency)


def price(value: Decimal | Fraction, currency: str = "USD") -> str:
    """`$0.0150`, `$0.00325`: all digits of a price, four at least; an average of several prices is rounded to six."""
    number = value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)
    if isinstance(value, Fraction) and number != round(number, AVERAGE_PLACES):
        number = round(number, AVERAGE_PLACES)
    places = len(f"{number.normalize():f}".partition(".")[2])
    return _signed(f"{abs(number):,.{max(places, PRICE_PLACES_MIN)}f}", number < 0, currency)


def unit_words(unit: str) -> str:
    """`1,000,000 units` as `million units`; others as they are."""
    return UNITS.get(unit, unit)


def unit_plural(unit: str) -> str:
    """`shard-hours`; `GB`, `GB-months`."""
    words = unit_words(unit)
    return words if words in INVARIANT else f"{words}s"


def quantity(value: Fraction, unit: str) -> str:
    """`21,840 shard-hours`, `4,943.848 GB`, `0.00123 GB`."""
    number = number_words(value)
    return f"{number} {unit_words(unit) if number == '1' else unit_plural(unit)}"


def number_words(value: Fraction) -> str:
    """At most QUANTITY_PLACES decimal places; what is below one, with SMALL_FIGURES figures."""
    with localcontext(prec=60, rounding=ROUND_HALF_UP):
        number = Decimal(value.numerator) / Decimal(value.denominator)
        is_small = number and abs(number) < 1
        places = SMALL_FIGURES - number.adjusted() - 1 if is_small else QUANTITY_PLACES
        text = f"{number.quantize(Decimal(1).scaleb(-places)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _signed(figure: str, is_negative: bool, currency: str) -> str:
    sign = "-" if is_negative else ""
    return f"{sign}{SIGN[currency]}{figure}" if currency in SIGN else f"{sign}{figure} {currency}"
