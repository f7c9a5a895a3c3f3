"""The list of alarms, and those that are suggested."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When, Window
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import allowed
from apps.base.errors import ServiceError
from apps.cloudwatch import suggestions
from apps.cloudwatch.actions import MAILTO
from apps.cloudwatch.models import Alarm, State
from apps.cloudwatch.testing import targets_of
from console import calls
from console.pages.alarms import rules
from console.pages.shell import TeamRequest, is_fragment, team_page

PAGE_ROWS = 50
FILTER_MAX = 255
STATES = {"alarm": State.ALARM, "ok": State.OK, "unknown": State.INSUFFICIENT_DATA}
STATE_WORDS = {"alarm": "In alarm", "ok": "OK", "unknown": "Not enough data"}
SORTS = {"name": "name", "changed": "changed_at_ms", "state": "place"}
FIRST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Row:
    """An alarm in the list."""

    alarm: Alarm
    now_ms: int

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return rules.STATES[self.alarm.state]

    @property
    def about(self) -> str:
        """Whose metric it is."""
        return rules.watched(self.alarm.settings).about

    @property
    def rule(self) -> str:
        """The rule in words."""
        return rules.sentence(self.alarm.settings)

    @property
    def muted(self) -> bool:
        """It is quiet at the moment."""
        return (self.alarm.muted_until_ms or 0) > self.now_ms

    @property
    def targets(self) -> int:
        """How many are told."""
        return len(targets_of(self.alarm))


@team_page("alarm:read", post="alarm:write")
def alarms(request: TeamRequest) -> HttpResponse:
    """The page, or for htmx the table alone; POST makes a suggested alarm."""
    if request.method == "POST":
        return _take(request)
    text, state = request.GET.get("q", "")[:FILTER_MAX].strip(), request.GET.get("state", "")
    sort, page = request.GET.get("sort", "state"), _number(request.GET.get("page"))
    found = list(_rows(request, text, state, sort)[(page - 1) * PAGE_ROWS : page * PAGE_ROWS])
    now_ms = calls.now_ms()
    total = found[0].total if found else 0
    context: dict[str, Any] = {
        "rows": [Row(alarm, now_ms) for alarm in found],
        "text": text,
        "state": state,
        "states": STATE_WORDS,
        "sort": sort,
        "total": total,
        "page": page,
        "pages": max(1, math.ceil(total / PAGE_ROWS)),
        "now_ms": now_ms,
    }
    if is_fragment(request):
        return render(request, "alarms/table.html", context)
    if allowed(request.actions, "alarm:write"):
        offered = [(one, rules.sentence(one.params)) for one in suggestions.suggested(request.team.id)]
        context |= {"suggested": offered[:FIRST_SHOWN], "more_suggested": offered[FIRST_SHOWN:]}
    context["none_at_all"] = not total and not text and not state
    return render(request, "alarms/list.html", context)


def _rows(request: TeamRequest, text: str, state: str, sort: str) -> QuerySet[Any]:
    """One query; those in alarm come first unless another order is asked for."""
    places = [When(state=one, then=Value(place)) for place, one in enumerate((State.ALARM, State.INSUFFICIENT_DATA))]
    rows = Alarm.objects.filter(team=request.team).annotate(
        place=Case(*places, default=Value(2), output_field=IntegerField()), total=Window(Count("*"))
    )
    if text:
        rows = rows.filter(name__icontains=text)
    if state in STATES:
        rows = rows.filter(state=STATES[state])
    column = SORTS.get(sort.lstrip("-"), "place")
    return rows.order_by(f"-{column}" if sort.startswith("-") else column, "name")


def _take(request: TeamRequest) -> HttpResponse:
    """Make a suggested alarm, by its name: what it is, is worked out anew."""
    wanted = request.POST.get("suggestion", "")
    everything = suggestions.suggested(request.team.id, shown=suggestions.STREAMS_LOOKED_AT * 4)
    one = next((one for one in everything if one.name == wanted), None)
    if one is None:
        raise Http404("no such suggestion")
    params = dict(one.params)
    if request.POST.get("mail"):
        params["AlarmActions"] = [MAILTO + request.user.email]
    try:
        calls.cloudwatch(request, "PutMetricAlarm", **params)
    except ServiceError as error:
        messages.error(request, f"{one.name} was not created: {error.message or error.code}")
    else:
        messages.success(request, f"Alarm {one.name} is created")
    return redirect("alarms", request.team.slug)


def _number(text: str | None) -> int:
    return max(1, int(text)) if text and text.isascii() and text.isdigit() and len(text) < 7 else 1
