"""The numbers on top of Usage and cost: what a month has cost, what it will, what today did, and the budget."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from apps.base.units import DAY_MS
from apps.billing import budgets
from apps.billing.bills import Statement
from apps.billing.forecast import Forecast, NoForecast
from apps.billing.models import Budget
from apps.billing.months import Month
from apps.billing.rating import cents
from apps.billing.reports import Report
from console.pages import money
from console.pages.billing.days import clock_words, day_words

BAR_WIDTH = 300


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """percent: of the amount, spent. spent_width, forecast_width: of BAR_WIDTH. forecast_percent None: there is none."""

    name: str
    amount_cents: int
    percent: int
    forecast_percent: int | None
    spent_width: int
    forecast_width: int


@dataclass(frozen=True, slots=True)
class Figures:
    """is_running: the month is not over. change: in percent, of the days so far against those of the month before; None: not
    comparable. dearest: (day, amount) of a month that is over."""

    is_running: bool
    span: str
    total_cents: int
    change: int | None
    forecast: Forecast | NoForecast | None
    today: Fraction
    as_of: str
    budget: BudgetBar | None
    average_cents: int
    dearest: tuple[str, Fraction] | None


def make(
    statement: Statement,
    days: Report,
    before: Statement | None,
    forecast: Forecast | NoForecast | None,
    budgeted: tuple[Budget | None, int | None],
    now_ms: int,
) -> Figures:
    """days: what each day of the month cost; of one that runs, today alone. before: the month before; None: it cannot be
    compared. budgeted: a budget, and what
    budgets.foreseen has for it."""
    budget, foreseen = budgeted
    month = statement.month
    is_running = month.start_ms <= now_ms < month.end_ms
    today_ms = now_ms // DAY_MS * DAY_MS
    amounts = {int(group.label): group.amount for group in days.groups}
    dearest = max(amounts.items(), key=lambda item: item[1], default=None)
    elapsed_ms = min(now_ms, month.end_ms) - month.start_ms
    span_days = -(-elapsed_ms // DAY_MS)
    return Figures(
        is_running=is_running,
        span=_span(month, span_days),
        total_cents=statement.total_cents,
        change=_change(statement, before, elapsed_ms),
        forecast=forecast if is_running else None,
        today=amounts.get(today_ms, Fraction(0)),
        as_of=clock_words(now_ms),
        budget=None if budget is None or not is_running else _bar(budget, statement.total_cents, foreseen),
        average_cents=cents(Fraction(statement.usage_cents, 100 * max(1, span_days))),
        dearest=(day_words(dearest[0]), dearest[1]) if dearest and dearest[1] else None,
    )


def _span(month: Month, days: int) -> str:
    name = month.title.partition(" ")[0][:3]
    return f"1 {name}" if days <= 1 else f"1 to {days} {name}"


def _change(statement: Statement, before: Statement | None, elapsed_ms: int) -> int | None:
    if before is None or before.usage_cents <= 0 or elapsed_ms <= 0:
        return None
    then = Fraction(before.usage_cents, before.month.end_ms - before.month.start_ms)
    return round((Fraction(statement.usage_cents, elapsed_ms) / then - 1) * 100)


def _bar(budget: Budget, spent_cents: int, likely: int | None) -> BudgetBar:
    spent = max(0, spent_cents)
    return BudgetBar(
        budget.name,
        budget.amount_cents,
        budgets.percent_of(spent, budget.amount_cents),
        None if likely is None else budgets.percent_of(likely, budget.amount_cents),
        min(BAR_WIDTH, spent * BAR_WIDTH // budget.amount_cents),
        min(BAR_WIDTH, (likely or 0) * BAR_WIDTH // budget.amount_cents),
    )


def change_words(percent: int) -> str:
    """`9% above`, `4% below`, `the same as`."""
    return "the same as" if not percent else f"{abs(percent)}% {'above' if percent > 0 else 'below'}"


def range_words(forecast: Forecast, currency: str) -> str:
    """`80% likely between $1,190 and $1,285`."""
    low, high = (money.whole_money(one, currency) for one in (forecast.low_cents, forecast.high_cents))
    return f"80% likely between {low} and {high}" if low != high else f"80% likely {low}"
