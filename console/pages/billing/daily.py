"""The data of the cost chart: each day of a month, or each of the last months, with a table and a sentence that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from django.db.models import Sum

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import bills
from apps.billing.forecast import Forecast, NoForecast
from apps.billing.models import Bill, BillLine
from apps.billing.months import Month
from apps.billing.rating import cents
from apps.billing.reports import OTHERS, Daily
from console.pages import money
from console.pages.billing.asked import Asked
from console.pages.billing.chart import Bar, CostChart, Expected
from console.pages.billing.days import day_text, day_words

MONTHS_MAX = 12


@dataclass(frozen=True, slots=True)
class TableRow:
    """A bar as text. href: what it is made of."""

    href: str
    label: str
    amounts: tuple[Fraction, ...]
    total: Fraction
    is_partial: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """The chart with what is said beside it."""

    chart: CostChart
    rows: tuple[TableRow, ...]
    summary: str


def of_days(
    asked: Asked,
    daily: Daily,
    names: Sequence[str],
    forecast: Forecast | NoForecast | None,
    now_ms: int,
    currency: str,
) -> Drawn:
    """names: of daily.labels, as people read them. Days that have not come are left to the forecast."""
    over = [n for n, day_ms in enumerate(daily.days) if day_ms <= now_ms]
    amounts = [daily.amounts[label] for label in daily.labels]
    rows = []
    for n in over:
        day_ms, parts = daily.days[n], tuple(one[n] for one in amounts)
        href = asked.link(day=day_text(day_ms), group=None)
        rows.append(TableRow(href, day_words(day_ms), parts, daily.total(n), day_ms + DAY_MS > now_ms))
    expected: tuple[Expected, ...] = ()
    if isinstance(forecast, Forecast):
        expected = tuple(
            Expected(day_words(day.day_ms), day.likely_cents / 100, day.low_cents / 100, day.high_cents / 100)
            for day in forecast.days
            if not day.is_today and day.day_ms > now_ms
        )
    summary = _summary(rows, asked.month.title, "day", currency)
    return _drawn(tuple(names), rows, expected, currency, summary)


def of_months(team: Team, region: str, months: Sequence[Month], now_ms: int, currency: str) -> Drawn:
    """What the statements say, before credits; oldest first."""
    shown = sorted(months)[-MONTHS_MAX:]
    sums: dict[str, dict[str, int]] = {str(month): {} for month in shown}
    closed = Bill.objects.filter(team=team, month__in=list(sums))
    found = BillLine.objects.filter(bill__in=closed).exclude(kind=bills.LineKind.CREDIT)
    for month, service, total in found.values_list("bill__month", "service").annotate(n=Sum("amount_cents")).order_by():
        sums[month][service] = total
    is_closed = set(closed.values_list("month", flat=True))
    for month_ in shown:
        if str(month_) not in is_closed:
            for line in bills.statement(team, region, month_, now_ms).lines:
                if line.kind != bills.LineKind.CREDIT:
                    sums[str(month_)][line.service] = sums[str(month_)].get(line.service, 0) + line.cents
    names = sorted({name for one in sums.values() for name in one})
    rows = []
    for month_ in shown:
        parts = tuple(Fraction(sums[str(month_)].get(name, 0), 100) for name in names)
        label = month_.title.partition(" ")[0][:3]
        rows.append(
            TableRow(
                f"?month={month_}", f"{label} {month_.year}", parts, sum(parts, Fraction(0)), month_.end_ms > now_ms
            )
        )
    span = f"{rows[0].label} to {rows[-1].label}" if rows else ""
    return _drawn(
        tuple(names),
        rows,
        (),
        currency,
        _summary(rows[1:] if shown[0] == min(months) else rows, span, "month", currency),
    )


def _drawn(
    names: tuple[str, ...], rows: Sequence[TableRow], expected: tuple[Expected, ...], currency: str, summary: str
) -> Drawn:
    bars = tuple(Bar(row.label, tuple(max(0.0, float(a)) for a in row.amounts), row.is_partial) for row in rows)
    return Drawn(CostChart(names, bars, expected, currency, summary), tuple(rows), summary)


def _summary(rows: Sequence[TableRow], span: str, unit: str, currency: str) -> str:
    full = [row for row in rows if not row.is_partial]
    if not full:
        return f"Cost by {unit}, {span}: no {unit} is over yet."
    dearest = max(full, key=lambda row: row.total)
    mean = sum((row.total for row in full), Fraction(0)) / len(full)
    if not dearest.total:
        return f"Cost by {unit}, {span}: nothing in {len(full)} full {unit}s."
    return (
        f"Cost by {unit}, {span}: {money.money(cents(mean), currency)} on average in {len(full)} full "
        f"{unit}{'s' if len(full) > 1 else ''}, most in {dearest.label} with {money.money(cents(dearest.total), currency)}."
    ).replace("most in", "most on" if unit == "day" else "most in")


def label_of(label: str, name: str) -> str:
    """A series as people read it."""
    return "Others" if label == OTHERS else name
