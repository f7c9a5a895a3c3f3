"""Showback: what all teams are charged in a month, beside one another; and any team's statement, deleted teams' too."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.accounts.models import Team
from apps.billing import bills, showback
from apps.billing.dimensions import GB
from apps.billing.models import Bill
from apps.billing.months import BadMonth, Month
from apps.billing.rating import decimal_text
from apps.billing.showback import Showback, TeamMonth
from console import calls
from console.pages.audit.files import FORMULAS
from console.pages.billing.frame import frame
from console.pages.billing.operator import operator_page
from console.pages.page_rows import PLAIN_ROWS
from console.pages.shell import TeamRequest, refuse_nul

TEXT_CHARS_MAX = 80
FIRST_MONTH = Month(2000, 1)

SORTS: dict[str, Callable[[TeamMonth], Any]] = {
    "name": lambda one: one.name.lower(),
    "usage": lambda one: one.usage_cents,
    "credits": lambda one: one.credits_cents,
    "total": lambda one: one.total_cents,
    "change": lambda one: one.change,
    "in": lambda one: one.bytes_in,
    "out": lambda one: one.bytes_out,
    "per-gb": lambda one: one.per_gb,
    "margin": lambda one: one.margin_cents,
    "list": lambda one: one.above_list_cents,
}
"""By the address's word; what a team does not have stands last."""

DEFAULT_SORT = "-total"
COLUMNS = (
    "month", "team", "short_name", "account_id", "state", "statement", "currency", "usage_cost", "credits", "total",
    "share_percent", "full_days_cost", "same_days_of_last_month", "change_percent", "bytes_in", "bytes_out",
    "cost_per_gb_in", "at_everybodys_prices", "margin", "at_aws_list", "above_aws_list",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A team with its share of all that is charged, in percent."""

    team: TeamMonth
    share: Fraction | None


@dataclass(frozen=True, slots=True)
class Sum:
    """Of the rows that are shown. Margins are of the teams that have them."""

    usage_cents: int
    credits_cents: int
    total_cents: int
    margin_cents: int
    above_list_cents: int
    bytes_in: int
    bytes_out: int
    change: Fraction | None
    per_gb: Decimal | None


@operator_page
def listing(request: TeamRequest) -> HttpResponse:
    """The page: ?month=2026-11, ?q= of names, ?sort=."""
    month = _month(request)
    found = showback.of_month(settings.CONFIG.region, month, calls.now_ms())
    sort = request.GET.get("sort", DEFAULT_SORT)
    rows = _ordered(_matching(_shared(found), request.GET.get("q", "")), sort)
    now = Month.at(calls.now_ms())
    context = {
        **frame(request, "billing-showback"),
        "found": found,
        "page": Paginator(rows, PLAIN_ROWS).get_page(request.GET.get("page")),
        "sum": _sum([row.team for row in rows]),
        "sort": sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
        "text": request.GET.get("q", ""),
        "currency": found.currency,
        "problems": [(one.name, text) for one in found.teams for text in one.problems],
        "previous": month.previous if month > FIRST_MONTH else None,
        "following": month.next if month < now else None,
        "is_running": month == now,
    }
    return render(request, "billing/showback.html", context)


@operator_page
def export(request: TeamRequest) -> HttpResponse:
    """The same rows as a file."""
    month = _month(request)
    found = showback.of_month(settings.CONFIG.region, month, calls.now_ms())
    rows = _ordered(_matching(_shared(found), request.GET.get("q", "")), request.GET.get("sort", DEFAULT_SORT))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in _values(found, row)] for row in rows)
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="showback-{month}.csv"'
    return answer


@operator_page
def statement(request: TeamRequest, of: str) -> HttpResponse:
    """Any team's statement of a month."""
    team = get_object_or_404(Team, slug=of)
    drawn = bills.statement(team, settings.CONFIG.region, _month(request), calls.now_ms())
    context = {**frame(request, "billing-showback"), "statement": drawn, "statement_slug": team.slug}
    return render(request, "billing/showback_statement.html", context)


@operator_page
def bill(request: TeamRequest, number: str) -> HttpResponse:
    """A closed bill by its number: those of deleted teams have no other place."""
    drawn = bills.of_bill(get_object_or_404(Bill, number=number))
    return render(
        request, "billing/showback_statement.html", {**frame(request, "billing-showback"), "statement": drawn}
    )


def _month(request: TeamRequest) -> Month:
    refuse_nul(request)
    now = Month.at(calls.now_ms())
    try:
        month = Month.named(request.GET["month"]) if request.GET.get("month") else now
    except BadMonth as error:
        raise Http404(str(error)) from error
    if not FIRST_MONTH <= month <= now:
        raise Http404("no such month yet")
    return month


def _shared(found: Showback) -> list[Row]:
    total = sum(one.total_cents for one in found.teams)
    return [Row(one, Fraction(one.total_cents * 100, total) if total else None) for one in found.teams]


def _matching(rows: list[Row], text: str) -> list[Row]:
    wanted = text.strip().lower()[:TEXT_CHARS_MAX]
    return [row for row in rows if wanted in f"{row.team.name} {row.team.slug} {row.team.account_id}".lower()]


def _ordered(rows: list[Row], sort: str) -> list[Row]:
    name = sort.removeprefix("-")
    key = SORTS.get(name)
    if key is None:
        return _ordered(rows, DEFAULT_SORT)
    there = [row for row in rows if key(row.team) is not None]
    missing = [row for row in rows if key(row.team) is None]
    return sorted(there, key=lambda row: key(row.team), reverse=sort.startswith("-")) + missing


def _sum(teams: list[TeamMonth]) -> Sum:
    compared = [one for one in teams if one.same_cents is not None and one.before_cents is not None]
    before = sum(one.before_cents or 0 for one in compared)
    same = sum(one.same_cents or 0 for one in compared)
    bytes_in = _add(one.bytes_in for one in teams)
    usage = sum(one.usage_cents for one in teams if one.bytes_in is not None)
    return Sum(
        usage_cents=sum(one.usage_cents for one in teams),
        credits_cents=sum(one.credits_cents for one in teams),
        total_cents=sum(one.total_cents for one in teams),
        margin_cents=_add(one.margin_cents for one in teams),
        above_list_cents=_add(one.above_list_cents for one in teams),
        bytes_in=bytes_in,
        bytes_out=_add(one.bytes_out for one in teams),
        change=Fraction(same - before, before) if before else None,
        per_gb=Decimal(usage) / 100 * GB / bytes_in if bytes_in else None,
    )


def _add(values: Iterable[int | None]) -> int:
    return sum(value for value in values if value is not None)


def _values(found: Showback, row: Row) -> list[Any]:
    """By COLUMNS."""
    one = row.team
    change = None if one.change is None else decimal_text(round(one.change * 100, 2))
    share = None if row.share is None else decimal_text(round(row.share, 4))
    return [
        str(found.month), one.name, one.slug, one.account_id, str(one.state), one.number, found.currency,
        _money(one.usage_cents), _money(one.credits_cents), _money(one.total_cents), share, _money(one.same_cents),
        _money(one.before_cents), change, one.bytes_in, one.bytes_out,
        None if one.per_gb is None else f"{one.per_gb:.6f}",
        _money(one.standard_cents), _money(one.margin_cents), _money(one.list_cents), _money(one.above_list_cents),
    ]  # fmt: skip


def _money(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents).scaleb(-2)


def _cell(value: Any) -> Any:
    """What a spreadsheet would take for a formula is text; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()
