"""A team's month in money: draft while it runs, closed when it is over.

A draft is reckoned anew each time; a closed bill is rows that never change (closing.py). Both are the same statement.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.billing import price_book, usage
from apps.billing.months import Month
from apps.billing.rating import Line, lines_of, rate


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines and what they add up to, in cents."""

    month: Month
    currency: str
    lines: tuple[Line, ...]

    @property
    def usage_cents(self) -> int:
        """The sum of the rounded lines."""
        return sum(line.cents for line in self.lines)


def draw_up(team_id: int, region: str, month: Month) -> Statement:
    """The usage of a month as it is in the ledger now. Raises NoPrice."""
    charges = rate(usage.rows(team_id, month.start_ms, month.end_ms), price_book.price_list(team_id, region), month)
    return Statement(month, "USD", tuple(lines_of(charges, month)))
