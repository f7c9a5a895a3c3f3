"""Statements: the months of a team, each with what it is made of, its files, and a check that anyone can ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render

from apps.base.units import DAY_MS
from apps.billing import bills, checking
from apps.billing.bills import LineKind, Statement, StatementLine
from apps.billing.dimensions import SERVICES
from apps.billing.exports import csv, focus, json
from apps.billing.models import Bill, Correction
from apps.billing.months import BadMonth, Month
from console import calls, downloads
from console.pages.billing.frame import frame
from console.pages.shell import TeamRequest, team_page

MONTHS_SHOWN = 60
"""Five years; older ones have their addresses."""


@dataclass(frozen=True, slots=True)
class Row:
    """A month of the list. is_corrected: usage of it came late or was put right, and is on a later bill."""

    month: Month
    number: str
    is_closed: bool
    is_corrected: bool
    is_running: bool
    currency: str
    credits_cents: int
    total_cents: int
    closed_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of a service with their sum."""

    title: str
    lines: tuple[StatementLine, ...]

    @property
    def cents(self) -> int:
        """Of all lines."""
        return sum(line.cents for line in self.lines)


@team_page("billing:read")
def listing(request: TeamRequest) -> HttpResponse:
    """The months, newest first."""
    now_ms = calls.now_ms()
    rows = _rows(request, now_ms)
    context = {**frame(request, "billing-statements"), "rows": rows, "now_ms": now_ms}
    return render(request, "billing/statements.html", context)


@team_page("billing:read")
def statement(request: TeamRequest, month: str) -> HttpResponse:
    """One month; `?check=1` reckons a closed one anew."""
    now_ms, found = calls.now_ms(), _month(month)
    made = bills.statement(request.team, settings.CONFIG.region, found, now_ms)
    checked = None
    if request.GET.get("check") and made.closed_at_ms is not None:
        bill = Bill.objects.get(team=request.team, month=str(found))
        checked = checking.check(bill, settings.CONFIG.region)
    later = _later(request, found)
    context = {
        **frame(request, "billing-statements"),
        "statement": made,
        "currency": made.currency,
        "parts": list(parts(made)),
        "credits": [line for line in made.lines if line.kind == LineKind.CREDIT],
        "checked": checked,
        "later": later,
        "is_running": found.end_ms > now_ms,
        "last_day": found.end_ms - DAY_MS,
        "address": f"{settings.CONFIG.public_address.rstrip('/')}{request.path}",
    }
    return render(request, "billing/statement.html", context)


@team_page("billing:read")
def file(request: TeamRequest, month: str, form: str) -> HttpResponse:
    """The statement as csv, json or focus."""
    made = bills.statement(request.team, settings.CONFIG.region, _month(month), calls.now_ms())
    if form == "json":
        return downloads.download(request, iter([json.text(made)]), f"{made.number}.json", downloads.JSON)
    if form == "csv":
        return downloads.download(request, csv.statement(made), f"{made.number}.csv", downloads.CSV)
    if form == "focus":
        pieces = focus.file(made, settings.CONFIG.region)
        return downloads.download(request, pieces, f"{made.number}-focus.csv", downloads.CSV)
    raise Http404("no such form")


def parts(made: Statement) -> Iterator[Part]:
    """Services in order, then corrections."""
    usage = [line for line in made.lines if line.kind == LineKind.USAGE]
    for service in SERVICES:
        lines = tuple(line for line in usage if line.service == service)
        if lines:
            yield Part(service, lines)
    corrections = tuple(line for line in made.lines if line.kind == LineKind.CORRECTION)
    if corrections:
        yield Part("Corrections", corrections)


def _rows(request: TeamRequest, now_ms: int) -> list[Row]:
    closed = {row.month: row for row in Bill.objects.filter(team=request.team)}
    corrected = _corrected(request)
    rows = []
    for month in bills.months(request.team)[:MONTHS_SHOWN]:
        bill = closed.get(str(month))
        made = None if bill else bills.statement(request.team, settings.CONFIG.region, month, now_ms)
        rows.append(_row(month, bill, made, is_corrected=str(month) in corrected, is_running=month.end_ms > now_ms))
    return rows


def _row(month: Month, bill: Bill | None, made: Statement | None, *, is_corrected: bool, is_running: bool) -> Row:
    if bill is not None:
        return Row(month, bill.number, True, is_corrected, False, bill.currency, bill.credits_cents, bill.total_cents,
                   bill.closed_at_ms)  # fmt: skip
    assert made is not None
    return Row(
        month, made.number, False, is_corrected, is_running, made.currency, made.credits_cents, made.total_cents, None
    )


def _corrected(request: TeamRequest) -> set[str]:
    """The months of which something is on a later bill."""
    found = Correction.objects.filter(team=request.team).values_list("hour_ms", "bill_month").distinct()
    pairs = ((str(Month.at(hour_ms)), bill_month) for hour_ms, bill_month in found.iterator())
    return {month for month, bill_month in pairs if bill_month > month}


def _later(request: TeamRequest, month: Month) -> list[Month]:
    """The later bills that have corrections of this month."""
    found = Correction.objects.filter(
        team=request.team, hour_ms__gte=month.start_ms, hour_ms__lt=month.end_ms, bill_month__gt=str(month)
    )
    names = found.order_by("bill_month").values_list("bill_month", flat=True).distinct()
    return [Month.named(name) for name in names]


def _month(name: str) -> Month:
    try:
        month = Month.named(name)
    except BadMonth:
        raise Http404("no such month") from None
    if month.start_ms > calls.now_ms():
        raise Http404("a month that has not begun")
    return month
