"""The dashboards of a team: the list, a dashboard's page, its numbers as CSV, its deletion."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.base.errors import ServiceError
from apps.cloudwatch import dashboards
from apps.cloudwatch.dashboards import Body, name_problem
from apps.cloudwatch.models import Dashboard
from console import calls
from console.pages.dashboards import standard
from console.pages.dashboards.tiles import DEFAULT, RANGES, Range, csv_rows, in_order, tile, tiles
from console.pages.name_form import NameForm
from console.pages.page_rows import PLAIN_ROWS
from console.pages.shell import TeamRequest, team_page

AT_ONCE = 12
"""Widgets that a page comes with; further ones are asked for when they come into sight."""

STANDARD = "Your streams"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A dashboard in the list."""

    name: str
    widgets: int
    modified_at_ms: int


class CreateForm(forms.Form):
    """A name, and what it begins with."""

    name = forms.CharField(max_length=255)
    begin = forms.ChoiceField(
        choices=[("streams", "Charts of your streams"), ("empty", "Nothing")], initial="streams", required=False
    )

    def clean_name(self) -> str:
        """Raises ValidationError."""
        given: str = self.cleaned_data["name"]
        problem = name_problem(given)
        if problem:
            raise forms.ValidationError(problem)
        return given


@team_page("alarm:read", post="alarm:write")
def listing(request: TeamRequest) -> HttpResponse:
    """The list; POST makes a dashboard and goes to its editor."""
    form = CreateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        if Dashboard.objects.filter(team=request.team, name=name).exists():
            form.add_error("name", f"There is a dashboard {name} already.")
        elif _create(request, form, name):
            return redirect("dashboard-edit", request.team.slug, name)
    found = Dashboard.objects.filter(team=request.team).order_by("name")
    page = Paginator(found, PLAIN_ROWS).get_page(request.GET.get("page"))
    region = calls.runtime().config.region
    rows = [Row(one.name, len(dashboards.read(one.body, region).widgets), one.modified_at_ms) for one in page]
    context = {"form": form, "rows": rows, "page": page, "now_ms": calls.now_ms(), "standard": STANDARD}
    return render(request, "dashboards/list.html", context, status=422 if request.method == "POST" else 200)


def _create(request: TeamRequest, form: CreateForm, name: str) -> bool:
    body = '{"widgets":[]}' if form.cleaned_data["begin"] == "empty" else standard.body(request)
    try:
        calls.cloudwatch(request, "PutDashboard", DashboardName=name, DashboardBody=body)
    except ServiceError as error:
        form.add_error("name", error.message or error.code)
        return False
    messages.success(request, f"Dashboard {name} is created")
    return True


def find(request: TeamRequest, name: str) -> Dashboard:
    """The team's dashboard. Raises Http404."""
    found = Dashboard.objects.filter(team=request.team, name=name).first()
    if found is None:
        raise Http404(name)
    return found


def read(body: str) -> Body:
    """A body that was kept, so it is valid."""
    return dashboards.read(body, calls.runtime().config.region)


def range_of(request: TeamRequest, body: Body) -> Range:
    """What the address asks for; else what the dashboard begins with; else six hours."""
    asked = RANGES.get(request.GET.get("range", ""))
    if asked is not None:
        return asked
    wanted_s = body.back_s or RANGES[DEFAULT].back_s
    return min(RANGES.values(), key=lambda one: (abs(one.back_s - wanted_s), one.back_s))


@team_page("alarm:read")
def dashboard(request: TeamRequest, name: str) -> HttpResponse:
    """A dashboard of the team's own."""
    return _show(request, name, find(request, name).body, reverse("dashboard", args=[request.team.slug, name]))


@team_page("alarm:read")
def streams(request: TeamRequest) -> HttpResponse:
    """The one that is made of the team's own streams."""
    return _show(request, "", standard.body(request), reverse("dashboard-streams", args=[request.team.slug]))


def _show(request: TeamRequest, name: str, text: str, address: str) -> HttpResponse:
    body = read(text)
    range_, widgets = range_of(request, body), in_order(body.widgets)
    if request.GET.get("format") == "csv":
        return _csv(request, name, range_, body)
    number = request.GET.get("widget", "")
    if number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(widgets):
        one = tile(request, widgets[int(number)], range_, int(number))
        return render(
            request, "dashboards/tile_part.html", {"tile": one, "range": range_, "as_table": _as_table(request)}
        )
    context = {
        "name": name,
        "title": name or STANDARD,
        "shown_of": "" if name else standard.shown_of(request),
        "address": address,
        "tiles": tiles(request, widgets[:AT_ONCE], range_),
        "later": [
            (n, f"x{min(w.place[0], 24 - w.place[2])} w{w.place[2]}") for n, w in enumerate(widgets) if n >= AT_ONCE
        ],
        "range": range_,
        "ranges": RANGES,
        "as_table": _as_table(request),
        "now_ms": calls.now_ms(),
    }
    return render(request, "dashboards/dashboard.html", context)


def _as_table(request: TeamRequest) -> bool:
    return request.GET.get("view") == "table"


def _csv(request: TeamRequest, name: str, range_: Range, body: Body) -> HttpResponse:
    """Every value of every chart."""
    text = io.StringIO()
    csv.writer(text).writerows(csv_rows(tiles(request, in_order(body.widgets), range_)))
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name or "your-streams"}-{range_.key}.csv"'
    return answer


@team_page("alarm:write")
def delete(request: TeamRequest, name: str) -> HttpResponse:
    """Delete it, for people who have typed its name."""
    found = find(request, name)
    form = NameForm(request.POST or None, wanted=name)
    if request.method == "POST" and form.is_valid():
        try:
            calls.cloudwatch(request, "DeleteDashboards", DashboardNames=[name])
        except ServiceError as error:
            form.add_error("name", error.message or error.code)
        else:
            messages.success(request, f"Dashboard {name} is deleted")
            return redirect("dashboards", request.team.slug)
    context = {"form": form, "name": name, "widgets": len(read(found.body).widgets)}
    return render(request, "dashboards/delete.html", context, status=422 if request.method == "POST" else 200)
