"""A budget as a page shows it: a bar with thresholds, how it stands in a word, what it does, whom it told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.billing import budgets
from apps.billing.budgets import Standing
from apps.billing.models import Budget, BudgetAction, BudgetAlert, SpendingHold
from apps.teams.budget_alerts import WEBHOOK

BAR_WIDTH, BAR_HEIGHT = 300, 12
PERCENT_DRAWN_MAX = 300
"""A bar reaches at most so far: beyond it, thresholds would lie on top of one another."""

PERCENT_SHOWN_MAX = 999

DOES = {
    BudgetAction.NOTHING: "Only tells",
    BudgetAction.THROTTLE: "Throttles writes",
    BudgetAction.PAUSE: "Pauses writes",
}
HELD = {BudgetAction.THROTTLE: "Writes are throttled", BudgetAction.PAUSE: "Writes are paused"}


@dataclass(frozen=True, slots=True)
class Row:
    """One budget. hold: of the team's writes, if this budget causes it."""

    budget: Budget
    standing: Standing
    hold: SpendingHold | None = None

    @property
    def percent(self) -> int:
        """Spent, rounded down; not below zero."""
        return max(0, budgets.percent_of(self.standing.spent_cents, self.budget.amount_cents))

    @property
    def percent_words(self) -> str:
        """`63%`; beyond what says anything, `over 999%`."""
        return f"{self.percent}%" if self.percent <= PERCENT_SHOWN_MAX else f"over {PERCENT_SHOWN_MAX}%"

    @property
    def forecast_percent(self) -> int | None:
        """None: no forecast."""
        foreseen = self.standing.forecast_cents
        return None if foreseen is None else max(0, budgets.percent_of(foreseen, self.budget.amount_cents))

    @property
    def left_cents(self) -> int:
        """Of the amount; negative when it is overspent."""
        return self.budget.amount_cents - self.standing.spent_cents

    @property
    def overspent_cents(self) -> int:
        """Zero while something is left."""
        return max(0, -self.left_cents)

    @property
    def tone(self) -> str:
        """Of state_words."""
        if self.hold or self.percent >= budgets.ALL:
            return "bad"
        return "warn" if self._reached or self._is_foreseen else "ok"

    @property
    def state_words(self) -> str:
        """How it stands."""
        if self.hold:
            return HELD[BudgetAction(self.hold.action)]
        if self.percent >= budgets.ALL:
            return "Spent"
        if self._is_foreseen:
            return "Will be spent"
        return f"{self._reached[-1]}% reached" if self._reached else "On track"

    @property
    def does(self) -> str:
        """What happens at 100 %."""
        return DOES[BudgetAction(self.budget.action)]

    @property
    def of(self) -> str:
        """What it is of."""
        return self.budget.resource or "The whole team"

    @property
    def bar(self) -> SafeString:
        """Spent, forecast, thresholds; the numbers stand beside it."""
        return _bar(self)

    @property
    def _reached(self) -> list[int]:
        spent, amount = self.standing.spent_cents, self.budget.amount_cents
        return [one for one in self.budget.thresholds if budgets.reached(one, spent, amount)]

    @property
    def _is_foreseen(self) -> bool:
        return (self.forecast_percent or 0) >= budgets.ALL


@dataclass(frozen=True, slots=True)
class Alert:
    """A line of a budget's history. by: the alert that told for this one."""

    row: BudgetAlert
    by: BudgetAlert | None

    @property
    def title(self) -> str:
        """`80% spent`, `100% foreseen`."""
        return f"{self.row.threshold}% {'foreseen' if self.row.forecast else 'spent'}"

    @property
    def told(self) -> list[tuple[str, bool, str]]:
        """(who, did it go well, what came of it)."""
        return [
            ("Webhook" if who == WEBHOOK else who, bool(one.get("ok")), _outcome(one, self.row))
            for who, one in self.row.told.items()
        ]


def alerts(rows: Sequence[BudgetAlert]) -> list[Alert]:
    """In the same order; those of one moment tell together."""
    speakers = {(row.month, row.at_ms): row for row in rows if row.told or row.due_at_ms is not None}
    found = []
    for row in rows:
        speaker = speakers.get((row.month, row.at_ms))
        found.append(Alert(row, None if speaker is None or speaker.pk == row.pk else speaker))
    return found


def _outcome(one: dict[str, object], row: BudgetAlert) -> str:
    if one.get("ok"):
        return str(one["text"])
    more = "It is tried again." if row.due_at_ms is not None else f"Given up after {row.attempts} tries."
    return f"Failed: {str(one['text']).removesuffix('.')}. {more}"


def _bar(row: Row) -> SafeString:
    top = max(budgets.ALL, *row.budget.thresholds, row.percent, row.forecast_percent or 0)
    top = min(top, PERCENT_DRAWN_MAX)

    def x(percent: int) -> str:
        return f"{BAR_WIDTH * min(percent, top) / top:.1f}"

    ticks = [one for one in row.budget.thresholds if one < top]
    foreseen = row.forecast_percent
    label = f"{row.percent} percent spent" + ("" if foreseen is None else f", forecast {foreseen} percent")
    return format_html(
        '<svg class="budget-bar" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="b0" y="3" width="{}" height="6"/><rect class="b1" y="3" width="{}" height="6"/>'
        '<rect class="b2 {}" y="3" width="{}" height="6"/>{}</svg>',
        BAR_WIDTH, BAR_HEIGHT, label, BAR_WIDTH, x(foreseen or 0), "over" if row.percent >= budgets.ALL else "",
        x(row.percent),
        format_html_join(
            "", '<rect class="tick{}" x="{}" width="1.5" height="12"/>',
            ((" limit" if one == budgets.ALL else "", x(one)) for one in ticks),
        ),
    )  # fmt: skip
