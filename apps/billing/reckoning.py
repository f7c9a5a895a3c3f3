"""What a month's usage costs, and what corrections of earlier months change: rows of the ledger in, lines of a bill out.

A correction costs the difference between its month with it and without it, at that month's prices and through its tiers. So
what came late costs what it would have cost in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from apps.base.units import DAY_MS, SECOND_MS
from apps.billing import commitment, usage
from apps.billing.dimensions import COMMITTED_IN, COMMITTED_OUT, DIMENSIONS, OF_METER
from apps.billing.models import Correction
from apps.billing.months import Month
from apps.billing.price_book import NoPrice
from apps.billing.rating import Line, PriceList, Row, lines_of, rate

PROBLEMS_MAX = 20
"""Of a statement; the rest is counted."""

Day = tuple[int, str]
"""(UTC midnight in ms, name of the dimension)."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """lines: of the month's own usage. corrections: by the month they belong to. problems: sentences for people."""

    lines: tuple[Line, ...]
    corrections: tuple[tuple[Month, Line], ...]
    problems: tuple[str, ...]


Used = Callable[[int, int, int], Iterable[Row]]
"""The usage of a team from a day until another."""


def of_month(team_id: int, month: Month, prices: PriceList, used: Used = usage.rows) -> Reckoned:
    """Everything that the bill of a month is made of, but credits. What has no price is left out, and a problem. used:
    usage.counted adds up the ledger's own rows."""
    problems: dict[str, None] = {}
    lines = priced_lines(used(team_id, month.start_ms, month.end_ms), month, prices, problems)
    corrections: list[tuple[Month, Line]] = []
    for of in _corrected(team_id, month):
        before = priced_lines(_rows(team_id, of, str(month.previous), used), of, prices, problems)
        after = priced_lines(_rows(team_id, of, str(month), used), of, prices, problems)
        corrections += [(of, line) for line in difference(before, after)]
    return Reckoned(tuple(lines), tuple(corrections), _few(list(problems)))


def difference(before: Iterable[Line], after: Iterable[Line]) -> list[Line]:
    """What has to be added to the lines before to have those after; the same price and stretch go together."""
    was = {_identity(line): line for line in before}
    found = []
    for line in after:
        old = was.pop(_identity(line), None)
        found.append(line if old is None else _less(line, old.quantity, old.amount))
    found += [line._replace(quantity=-line.quantity, amount=-line.amount) for line in was.values()]
    order = {name: n for n, name in enumerate(DIMENSIONS)}
    changed = (line for line in found if line.quantity)
    return sorted(changed, key=lambda line: (order[line.dimension.name], line.from_ms))


def _less(line: Line, quantity: Fraction, amount: Fraction) -> Line:
    return line._replace(quantity=line.quantity - quantity, amount=line.amount - amount)


def _identity(line: Line) -> tuple[str, Decimal, int, int]:
    return line.dimension.name, line.price, line.from_ms, line.to_ms


def _corrected(team_id: int, month: Month) -> list[Month]:
    """The months that corrections billed with this one belong to, oldest first."""
    hours = Correction.objects.filter(team_id=team_id, bill_month=str(month)).order_by("hour_ms")
    return sorted({Month.at(hour_ms) for hour_ms in hours.values_list("hour_ms", flat=True).distinct().iterator()})


def _rows(team_id: int, of: Month, billed_until: str, used: Used) -> Iterable[Row]:
    """The usage of a month with the corrections of it that bills until then have."""
    days: dict[Day, int] = {}
    for row in used(team_id, of.start_ms, of.end_ms):
        if row.dimension not in (COMMITTED_IN.name, COMMITTED_OUT.name):
            days[row.day_ms, row.dimension] = days.get((row.day_ms, row.dimension), 0) + row.metered
    by_hour = commitment.hours(team_id, of.start_ms, of.end_ms)
    found = Correction.objects.filter(
        team_id=team_id, hour_ms__gte=of.start_ms, hour_ms__lt=of.end_ms, bill_month__lte=billed_until
    )
    for meter, hour_ms, quantity in found.values_list("meter", "hour_ms", "quantity").iterator():
        if meter in OF_METER:
            day = hour_ms - hour_ms % DAY_MS, OF_METER[meter].name
            days[day] = days.get(day, 0) + quantity
        if meter in commitment.COUNTED:
            of_hour = by_hour.setdefault(hour_ms, {})
            of_hour[meter] = of_hour.get(meter, 0) + quantity
    yield from (Row(day_ms, name, "", metered) for (day_ms, name), metered in days.items())
    yield from commitment.rows_of(by_hour, "")


def priced_lines(rows: Iterable[Row], month: Month, prices: PriceList, problems: dict[str, None]) -> list[Line]:
    """The lines of these rows of a month. What has no price is left out, and said in problems."""
    priced = []
    for row in rows:
        try:
            prices.of(row.dimension, row.day_ms)
        except NoPrice:
            problems[_without(row)] = None
        else:
            priced.append(row)
    return lines_of(rate(priced, prices, month), month)


def _without(row: Row) -> str:
    day = datetime.fromtimestamp(row.day_ms / SECOND_MS, UTC).strftime("%-d %B %Y")
    return f"There is no price of {row.dimension} on {day}; its usage is not in the total."


def _few(problems: list[str]) -> tuple[str, ...]:
    if len(problems) <= PROBLEMS_MAX:
        return tuple(problems)
    return (*problems[: PROBLEMS_MAX - 1], f"… and {len(problems) - PROBLEMS_MAX + 1} more of the kind.")
