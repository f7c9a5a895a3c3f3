"""Usage times price, exactly. Pure: nothing is read, nothing is rounded but the cents of a line.

Amounts are fractions until a line is rounded half-up to the cent; a total is the sum of rounded lines. Tiers are filled in
the order of days, all resources of a team together; within a day what the tiers cost is shared by each one's part of the
quantity. So any grouping of the same usage costs the same, and two halves of a month cost what the month does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from math import lcm
from typing import NamedTuple, Protocol

from apps.billing.dimensions import DIMENSIONS, Dimension
from apps.billing.months import Month

PLACES = 12
"""Of quantities and unrounded amounts, where they are written down."""


class Tier(NamedTuple):
    """up_to: units of sale within a month; None: all others. price: for each unit."""

    up_to: Fraction | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """The tiers of a dimension from a day on, until another: UTC midnights (to_ms None: open)."""

    tiers: tuple[Tier, ...]
    from_ms: int
    to_ms: int | None


class PriceList(Protocol):
    """What a team pays (price_book.py)."""

    def of(self, dimension: str, day_ms: int) -> Priced:
        """The price valid on that day. Raises NoPrice if there is none: money is never left out in silence."""
        ...


class Row(NamedTuple):
    """What was used on a day. label: whatever the charges are to be told apart by (a resource, a key, a tag …)."""

    day_ms: int
    dimension: str
    label: str
    metered: int


class Part(NamedTuple):
    """What a quantity costs at one price."""

    price: Decimal
    quantity: Fraction
    amount: Fraction


class Charge(NamedTuple):
    """What a row costs; several parts where a day reaches into the next tier."""

    row: Row
    priced: Priced
    parts: tuple[Part, ...]

    @property
    def amount(self) -> Fraction:
        """Of all parts."""
        return sum((part.amount for part in self.parts), Fraction(0))

    @property
    def quantity(self) -> Fraction:
        """Of all parts, in units of sale."""
        return sum((part.quantity for part in self.parts), Fraction(0))


class Line(NamedTuple):
    """A dimension at one price within one stretch of the month."""

    dimension: Dimension
    price: Decimal
    from_ms: int
    to_ms: int
    quantity: Fraction
    amount: Fraction

    @property
    def cents(self) -> int:
        """Rounded half-up."""
        return cents(self.amount)


def rate(rows: Iterable[Row], prices: PriceList, month: Month, before: Mapping[str, int] | None = None) -> list[Charge]:
    """What the rows of a month cost. before: what was metered of each dimension earlier in the same month, where the rows
    are only its later part. Raises NoPrice."""
    used: dict[str, int] = dict(before or {})
    by_day: dict[tuple[int, str], list[Row]] = defaultdict(list)
    first_ms, end_ms, hours = month.start_ms, month.end_ms, month.hours
    for row in rows:
        assert first_ms <= row.day_ms < end_ms, row
        by_day[row.day_ms, row.dimension].append(row)
    charges: list[Charge] = []
    for (day_ms, name), those in sorted(by_day.items()):
        dimension, priced = DIMENSIONS[name], prices.of(name, day_ms)
        total = sum(row.metered for row in those)
        start = used.get(name, 0)
        used[name] = start + total
        if not total:
            continue
        parts = _through_tiers(dimension, priced.tiers, hours, start, start + total)
        if len(those) == 1:
            charges.append(Charge(those[0], priced, parts))
        else:
            units = tuple(Part(part.price, part.quantity / total, part.amount / total) for part in parts)
            charges += [Charge(row, priced, _times(units, row.metered)) for row in those if row.metered]
    return charges


def _through_tiers(dimension: Dimension, tiers: Sequence[Tier], hours: int, start: int, end: int) -> tuple[Part, ...]:
    first, last = dimension.quantity(start, hours), dimension.quantity(end, hours)
    parts, lower = [], Fraction(0)
    for tier in tiers:
        upper = last if tier.up_to is None else tier.up_to
        quantity = min(last, upper) - max(first, lower)
        if quantity > 0:
            parts.append(Part(tier.price, quantity, quantity * Fraction(tier.price)))
        lower = upper
    return tuple(parts)


def _times(units: tuple[Part, ...], metered: int) -> tuple[Part, ...]:
    """units: what each of the day's metered units has of every tier."""
    return tuple(Part(part.price, part.quantity * metered, part.amount * metered) for part in units)


def lines_of(charges: Iterable[Charge], month: Month) -> list[Line]:
    """The lines of a bill, in the order of the table of dimensions, then of time, then of tiers."""
    sums = LineSums(month)
    for charge in charges:
        sums.add(charge)
    return sums.lines()


class LineSums:
    """Charges of a month, added up to lines as they come."""

    def __init__(self, month: Month) -> None:
        self._month = month
        self._sums: dict[tuple[str, int, int, int, Decimal], list[Fraction]] = {}

    def add(self, charge: Charge) -> None:
        """One more."""
        month, priced = self._month, charge.priced
        from_ms = max(month.start_ms, priced.from_ms)
        to_ms = month.end_ms if priced.to_ms is None else min(month.end_ms, priced.to_ms)
        for part in charge.parts:
            tier = next(n for n, one in enumerate(priced.tiers) if one.price == part.price)
            key = (charge.row.dimension, from_ms, to_ms, tier, part.price)
            total = self._sums.setdefault(key, [Fraction(0), Fraction(0)])
            total[0] += part.quantity
            total[1] += part.amount

    def lines(self) -> list[Line]:
        """As lines_of has them."""
        order = {name: n for n, name in enumerate(DIMENSIONS)}
        return [
            Line(DIMENSIONS[name], price, from_ms, to_ms, quantity, amount)
            for (name, from_ms, to_ms, _, price), (quantity, amount) in sorted(
                self._sums.items(), key=lambda item: (order[item[0][0]], item[0][1:])
            )
        ]


def cents(amount: Fraction) -> int:
    """Rounded half-up, away from zero, to the cent."""
    above, below = amount.numerator, amount.denominator
    whole = (200 * abs(above) + below) // (2 * below)
    return whole if above >= 0 else -whole


def added(amounts: Iterable[Fraction]) -> Fraction:
    """Their sum. Thousands of fractions that come from the same prices have few denominators: they are added up as integers."""
    above, below = 0, 1
    for amount in amounts:
        if below % amount.denominator:
            common = lcm(below, amount.denominator)
            above, below = above * (common // below), common
        above += amount.numerator * (below // amount.denominator)
    return Fraction(above, below)


def decimal_text(value: Fraction) -> str:
    """Decimal text with at most PLACES places, for documents and exports: "4943.84765625"."""
    with localcontext(prec=60):
        number = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(
            Decimal(1).scaleb(-PLACES), ROUND_HALF_UP
        )
        text = f"{number:f}".rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"
