"""Budgets: what is spent of them, which thresholds that crosses, and what a spent one asks for.

Spending is the statement's total of the month so far (with corrections, less credits), so a budget and the bill never differ;
a budget of one resource looks at what that resource's usage costs. A threshold is crossed when spending reaches its percent of
the amount, in whole numbers. Each is told once a month and amount: a changed amount begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from apps.accounts.models import Team
from apps.base.units import HOUR_MS
from apps.billing import bills, page_costs, reports
from apps.billing.forecast import Forecast, NoForecast
from apps.billing.models import Budget, BudgetAction, BudgetAlert
from apps.billing.months import Month
from apps.billing.price_book import price_list
from apps.billing.rating import cents

AMOUNT_CENTS_MAX = 10**12
"""Ten billion of the currency's units."""

NAME_CHARS_MAX = 100
THRESHOLDS_MAX = 10
PERCENT_MAX = 1_000
EMAILS_MAX = 20
BUDGETS_PER_TEAM_MAX = 50

TEMPLATE = (50, 80, 100)
"""Thresholds that a new budget is offered."""

ALL = 100
"""The percent at which a budget acts."""

LATE_MS = HOUR_MS
"""So long into a month the one before is looked at as well: its last readings have just come."""

STRICTER = {BudgetAction.THROTTLE: 1, BudgetAction.PAUSE: 2}


class BadBudget(ValueError):
    """field: what it is about."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Crossing(NamedTuple):
    """A threshold that is reached. figure: what was spent, or is foreseen."""

    percent: int
    forecast: bool
    figure_cents: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in a month. forecast_cents None: there is none, and no_forecast says why (empty: nobody asked).
    problems: sentences; what they speak of is not in the sum."""

    spent_cents: int
    forecast_cents: int | None = None
    no_forecast: str = ""
    problems: tuple[str, ...] = ()


def check_amount(amount_cents: int) -> None:
    """Raises BadBudget."""
    if amount_cents <= 0:
        raise BadBudget("amount", "A budget is more than zero. To stop all spending, delete what costs.")
    if amount_cents > AMOUNT_CENTS_MAX:
        raise BadBudget("amount", f"A budget is at most {AMOUNT_CENTS_MAX // 100:,}.")


def checked_thresholds(thresholds: Sequence[int]) -> list[int]:
    """The same, if they are good. Raises BadBudget."""
    if not thresholds or len(thresholds) > THRESHOLDS_MAX:
        raise BadBudget("thresholds", f"Give 1 to {THRESHOLDS_MAX} thresholds.")
    if any(not 1 <= percent <= PERCENT_MAX for percent in thresholds):
        raise BadBudget("thresholds", f"A threshold is from 1 to {PERCENT_MAX} percent.")
    if any(later <= earlier for earlier, later in pairwise(thresholds)):
        raise BadBudget("thresholds", "Thresholds rise: each is higher than the one before it.")
    return list(thresholds)


def acts(budget: Budget) -> bool:
    """Does it throttle or pause when it is spent? Only a budget of the whole team does."""
    return budget.action != BudgetAction.NOTHING and not budget.resource


def reached(percent: int, figure_cents: int, amount_cents: int) -> bool:
    """Is a figure at least so many percent of an amount? Exact."""
    return figure_cents * 100 >= percent * amount_cents


def percent_of(figure_cents: int, amount_cents: int) -> int:
    """Whole percent, rounded down: 99.9 % spent is not 100 %."""
    return figure_cents * 100 // amount_cents


def crossings(budget: Budget, standing: Standing, told: Collection[tuple[int, bool]]) -> list[Crossing]:
    """Thresholds that are reached and were not told: (percent, of the forecast). A forecast of what is spent already is no
    news. A budget that acts tells at 100 % whatever its thresholds are."""
    percents = sorted({*budget.thresholds, *([ALL] if acts(budget) else [])})
    spent = [one for one in percents if reached(one, standing.spent_cents, budget.amount_cents)]
    found = [Crossing(one, False, standing.spent_cents) for one in spent if (one, False) not in told]
    if budget.on_forecast and standing.forecast_cents is not None:
        found += [
            Crossing(one, True, standing.forecast_cents)
            for one in budget.thresholds
            if one not in spent
            and (one, True) not in told
            and reached(one, standing.forecast_cents, budget.amount_cents)
        ]
    return found


def loudest(found: Sequence[Crossing]) -> Crossing | None:
    """The one of several crossings of the same moment that people are told of: spending before forecasts, then the highest."""
    return max(found, key=lambda one: (not one.forecast, one.percent), default=None)


def holding(budgets: Iterable[Budget], spent_cents: int) -> Budget | None:
    """The budget that holds the team's writes: of those that act and are spent the strictest, then the oldest."""
    spent = [one for one in budgets if acts(one) and reached(ALL, spent_cents, one.amount_cents)]
    return min(spent, key=lambda one: (-STRICTER[BudgetAction(one.action)], one.pk), default=None)


def told_of(budget_ids: Collection[int], month: Month) -> dict[tuple[int, int], set[tuple[int, bool]]]:
    """What was told in a month, by (budget, amount); one query."""
    rows = BudgetAlert.objects.filter(budget_id__in=budget_ids, month=str(month))
    told: dict[tuple[int, int], set[tuple[int, bool]]] = {}
    for budget_id, amount, percent, forecast in rows.values_list("budget_id", "amount_cents", "threshold", "forecast"):
        told.setdefault((budget_id, amount), set()).add((percent, forecast))
    return told


def months_to_look_at(now_ms: int) -> list[Month]:
    """This month; within LATE_MS of its beginning the one before it first."""
    month = Month.at(now_ms)
    return [month.previous, month] if now_ms < month.start_ms + LATE_MS else [month]


class Spending:
    """What a team has spent in a month, read when it is asked for and once."""

    def __init__(self, team: Team, region: str, month: Month, now_ms: int) -> None:
        self._team, self._region, self._month, self._now_ms = team, region, month, now_ms
        self._statement: bills.Statement | None = None

    @property
    def statement(self) -> bills.Statement:
        """Of the whole team."""
        if self._statement is None:
            self._statement = bills.statement(self._team, self._region, self._month, self._now_ms)
        return self._statement

    def standings(self, rows: Sequence[Budget], *, with_forecast: bool) -> dict[int, Standing]:
        """How these budgets of the team stand, by their ids; a few queries however many there are. with_forecast: also of those
        that do not tell by it."""
        resources = {one.resource for one in rows if one.resource}
        prices = price_list(self._team.pk, self._region) if resources else None
        parts = page_costs.of_resources(self._team.pk, prices, self._month, resources) if prices else {}
        forecasts = self._forecasts(resources, whole=any(not one.resource for one in rows)) if with_forecast else {}
        answer = {}
        for row in rows:
            spent = cents(parts.get(row.resource, Fraction(0))) if row.resource else self.statement.total_cents
            forecast, why = forecasts.get(row.resource, (None, ""))
            problems = () if row.resource else self.statement.problems
            answer[row.pk] = Standing(spent, None if forecast is None else max(spent, forecast), why, problems)
        return answer

    def _forecasts(self, resources: Collection[str], *, whole: bool) -> dict[str, tuple[int | None, str]]:
        """By resource, "" for the whole team: what the month will have cost, or why nobody can tell. The whole team's is less the
        credits that are good for the month, as its statement is."""
        found = reports.outlooks(self._team, self._region, self._now_ms, resources)
        answer = {name: _told(one, 0) for name, one in found.items()}
        if whole:
            outlook = reports.outlook(self._team, self._region, self._now_ms)
            answer[""] = foreseen(self.statement, outlook)
        return answer


def foreseen(statement: bills.Statement, outlook: Forecast | NoForecast) -> tuple[int | None, str]:
    """What the statement of a running month will come to: the usage that is foreseen, with its corrections, less the credits that
    are good for the month; or why nobody can tell."""
    corrections = sum(line.cents for line in statement.lines if line.kind == bills.LineKind.CORRECTION)
    forecast, why = _told(outlook, corrections - statement.credits_usable_cents)
    return None if forecast is None else max(forecast, statement.total_cents), why


def _told(found: Forecast | NoForecast, more_cents: int) -> tuple[int | None, str]:
    return (None, found.reason) if isinstance(found, NoForecast) else (found.likely_cents + more_cents, "")
