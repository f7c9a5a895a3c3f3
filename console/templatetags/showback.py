"""Template tags of the pages about prices and all teams."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from django import template

from apps.billing.dimensions import GB
from console.pages import money

register = template.Library()

PRICE_PLACES = Decimal("0.0001")
SMALLEST_PERCENT = Fraction(1, 10)


@register.filter
def gb(size_bytes: int) -> str:
    """`1,234.568`, `0.00123`: GB of 2^30 bytes, without the unit."""
    return money.number_words(Fraction(size_bytes, GB))


@register.filter
def price_of_gb(value: Decimal, currency: str) -> str:
    """`$0.0842`: of a GB that came in, rounded to four places; what is less is `<$0.0001`."""
    rounded = value.quantize(PRICE_PLACES)
    return money.price(rounded, currency) if rounded or not value else f"<{money.price(PRICE_PLACES, currency)}"


@register.filter
def change_words(ratio: Fraction) -> str:
    """`+9%`, `-0.4%`, `0%`: of a fraction of one; below 10 % with one place."""
    percent = ratio * 100
    if abs(percent) < SMALLEST_PERCENT / 2:
        return "0%"
    places = 1 if abs(percent) < 10 else 0
    return f"{'+' if percent > 0 else '-'}{abs(float(percent)):,.{places}f}%"
