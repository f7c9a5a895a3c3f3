"""Usage and cost: a month's figures, its days, and what they are made of, down to the readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from apps.base.units import DAY_MS
from apps.billing import bills, budgets, flags, reports
from apps.billing.bills import Statement
from apps.billing.forecast import Forecast, NoForecast
from apps.billing.models import Budget
from apps.billing.months import Month
from apps.billing.reports import By, Period, Report
from console import calls
from console.pages.billing import breakdown, chips, daily, figures, hours
from console.pages.billing.asked import BY, WORDS, Asked, Group, read
from console.pages.billing.chart import draw
from console.pages.billing.days import day_text
from console.pages.billing.frame import frame
from console.pages.shell import TeamRequest, team_page

FLAGS_SHOWN = 5


@team_page("billing:read")
def usage_and_cost(request: TeamRequest) -> HttpResponse:
    """The page. Read again where usage was booked meanwhile: its figures are of one moment."""
    now_ms = calls.now_ms()
    for _ in range(reports.MOMENTS):
        context = _context(request, now_ms)
        report = context.get("report")
        if report is None or report.is_of_one_moment:
            break
    return render(request, "billing/cost.html", context)


def _context(request: TeamRequest, now_ms: int) -> dict[str, Any]:
    region = settings.CONFIG.region
    tag_keys = reports.tag_keys(request.team.pk)
    asked = read(request.GET, now_ms, tag_keys)
    months = bills.months(request.team)
    statement = bills.statement(request.team, region, asked.month, now_ms)
    outlook = _outlook(request, asked, region, now_ms)
    context = {
        **frame(request, "billing"),
        "asked": asked,
        "statement": statement,
        "currency": statement.currency,
        "months": sorted({*months, Month.at(now_ms), asked.month}, reverse=True),
        "is_empty": not months,
        "tag_keys": tag_keys,
        "groups": _groups(asked, tag_keys),
        "chips": chips.of(asked),
        "day_text": "" if asked.day_ms is None else day_text(asked.day_ms),
        "flags": flags.of_team(request.team.pk).filter(acknowledged_at_ms=None)[:FLAGS_SHOWN],
        "services": sorted({line.service for line in statement.lines if line.service}),
        "now_ms": now_ms,
    }
    if months:
        context |= _figures(request, asked, statement, months, outlook, now_ms)
        report = _report(request, asked, statement, now_ms) if asked.group != Group.HOUR else None
        context |= _chart(request, asked, months, outlook, statement.currency, now_ms, report)
        context |= _table(request, asked, report, months, context.get("series", ()), now_ms)
    return context


def _outlook(request: TeamRequest, asked: Asked, region: str, now_ms: int) -> Forecast | NoForecast | None:
    """Of the month that runs only."""
    return reports.outlook(request.team, region, now_ms) if asked.month == Month.at(now_ms) else None


def _groups(asked: Asked, tag_keys: list[str]) -> list[tuple[str, str, bool]]:
    """The ways to group: address, words, whether it is the present one."""
    return [
        (asked.link(group=str(group)), words, group == asked.group)
        for group, words in WORDS.items()
        if group != Group.TAG or tag_keys or asked.group == Group.TAG
    ]


def _figures(
    request: TeamRequest,
    asked: Asked,
    statement: Statement,
    months: list[Month],
    outlook: Forecast | NoForecast | None,
    now_ms: int,
) -> dict[str, Any]:
    region = settings.CONFIG.region
    days = reports.costs(request.team, region, _days(asked, now_ms), By.DAY, now_ms, statement=statement)
    previous = asked.month.previous
    before = bills.statement(request.team, region, previous, now_ms) if _comparable(previous, months) else None
    budget = Budget.objects.filter(team=request.team, resource="").order_by("name").first()
    foreseen = None if budget is None or outlook is None else budgets.foreseen(statement, outlook)[0]
    made = figures.make(statement, days, before, outlook, (budget, foreseen), now_ms)
    return {
        "figures": made,
        "change_words": None if made.change is None else figures.change_words(made.change),
        "range_words": figures.range_words(outlook, statement.currency) if isinstance(outlook, Forecast) else "",
        "no_forecast": outlook.reason if isinstance(outlook, NoForecast) else "",
        "before": previous.title.partition(" ")[0],
    }


def _days(asked: Asked, now_ms: int) -> Period:
    """What the figures look at day by day: today, or all of a month that is over."""
    today_ms = now_ms // DAY_MS * DAY_MS
    is_running = asked.month == Month.at(now_ms)
    return Period(today_ms, today_ms + DAY_MS) if is_running else Period.of(asked.month)


def _comparable(previous: Month, months: list[Month]) -> bool:
    """The month in which usage began was not a whole one."""
    return previous in months and previous != months[-1]


def _chart(
    request: TeamRequest,
    asked: Asked,
    months: list[Month],
    outlook: Forecast | NoForecast | None,
    currency: str,
    now_ms: int,
    report: Report | None,
) -> dict[str, Any]:
    region = settings.CONFIG.region
    if asked.day_ms is not None:
        return {}
    series: Sequence[str] = ()
    if asked.per_month:
        drawn = daily.of_months(request.team, region, months, now_ms, currency)
    else:
        by = By.SERVICE if asked.group in (Group.SERVICE, Group.DAY, Group.HOUR) else BY[asked.group]
        found = reports.daily(
            request.team, region, Period.of(asked.month), by, where=asked.where, tag_key=asked.tag_key,
            groups=report.groups if report is not None and report.by == by else None,
        )  # fmt: skip
        series, names = found.labels, _names(request, asked, by, found.labels)
        drawn = daily.of_days(asked, found, names, outlook if asked.where.is_all else None, now_ms, currency)
    return {
        "drawn": drawn, "picture": draw(drawn.chart), "has_forecast": bool(drawn.chart.expected), "series": series,
    }  # fmt: skip


def _names(request: TeamRequest, asked: Asked, by: By, labels: Sequence[str]) -> list[str]:
    """The chart's series as people read them."""
    groups = [reports.Group(label, Fraction(0)) for label in labels if label != reports.OTHERS]
    named = {} if by == By.SERVICE else breakdown.labels(asked, groups, request.team.pk)
    return [daily.label_of(label, named[label][0] if label in named else label) for label in labels]


def _report(request: TeamRequest, asked: Asked, statement: Statement, now_ms: int) -> Report:
    """What the table shows, and the chart shows by day."""
    return reports.costs(
        request.team, settings.CONFIG.region, asked.period, BY[asked.group], now_ms, where=asked.where,
        tag_key=asked.tag_key, statement=statement,
    )  # fmt: skip


def _table(
    request: TeamRequest,
    asked: Asked,
    report: Report | None,
    months: list[Month],
    series: Sequence[str],
    now_ms: int,
) -> dict[str, Any]:
    if report is None:
        return {"hours": hours.of_day(request.team, settings.CONFIG.region, asked, now_ms)}
    before = _before(request, asked, months, now_ms)
    table = breakdown.make(asked, report, before, now_ms, request.team.pk, series)
    named = {Group.SERVICE: 4, Group.RESOURCE: 2, Group.KEY: 2}.get(asked.group, 1)
    columns = named + 1 + (before is not None)
    group_words = asked.tag_key if asked.group == Group.TAG else WORDS[asked.group]
    return {
        "report": report, "breakdown": table, "has_change": before is not None, "columns": columns,
        "group_words": group_words,
    }  # fmt: skip


def _before(
    request: TeamRequest, asked: Asked, months: list[Month], now_ms: int
) -> Callable[[Sequence[str]], Mapping[str, Fraction]] | None:
    """What groups cost in the month before, where that can be compared; of resources those alone that are shown."""
    previous = asked.month.previous
    if asked.day_ms is not None or asked.group == Group.DAY or not _comparable(previous, months):
        return None

    def read(labels: Sequence[str]) -> Mapping[str, Fraction]:
        if not labels:
            return {}
        report = reports.costs(
            request.team, settings.CONFIG.region, Period.of(previous), BY[asked.group], now_ms, where=asked.where,
            tag_key=asked.tag_key, resources=labels if asked.group == Group.RESOURCE else (),
        )  # fmt: skip
        return {group.label: group.amount for group in report.groups}

    return read
