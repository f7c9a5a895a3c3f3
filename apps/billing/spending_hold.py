"""What a spent budget does to a team's writes, as streams and delivery streams look at it. Who sets it: apps/teams/spending.py.

The row is read with the team, so that it costs no query of its own. It acts in the month in which it began: a month that is
over lifts it at its last millisecond, whatever the workers do. A clock that steps back lifts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.billing.months import Month

if TYPE_CHECKING:
    from apps.accounts.models import Team
    from apps.billing.models import SpendingHold

OF_TEAM = "team__spending_hold"
"""For select_related of rows that have a team."""

THROTTLE, PAUSE = "throttle", "pause"
"""As models.BudgetAction has them."""

TENTH = 10
"""A throttled team's writes get one part in so many of their throughput."""

THROTTLED_TEXT = "The team's budget for this month is spent, so its writes are throttled to a tenth."
PAUSED_TEXT = "The team's budget for this month is spent, so its writes are paused until the month is over or the budget is raised."


def on(team: Team, now_ms: int) -> str:
    """THROTTLE, PAUSE, or empty for nothing."""
    hold = of(team, now_ms)
    return "" if hold is None else str(hold.action)


def of(team: Team, now_ms: int) -> SpendingHold | None:
    """The hold that acts now."""
    hold: SpendingHold | None = getattr(team, "spending_hold", None)
    return None if hold is None or is_over(hold, now_ms) else hold


def is_over(hold: SpendingHold, now_ms: int) -> bool:
    """Is its month over?"""
    return Month.at(hold.since_ms) < Month.at(now_ms)
