"""The command palette's answers: things by name, actions on the current one, pages. What a member may not do is shown with
the reason, and only when it was searched for by its name. With nothing typed: what was looked at lately, and suggestions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.accounts.models import Membership
from apps.accounts.permissions import allowed
from apps.cloudwatch.models import Alarm, Dashboard
from apps.delivery.models import DeliveryStream
from apps.streams.models import Stream
from console.pages.alarms.rules import STATES
from console.pages.shell import ANY_MEMBER, GO, SECTIONS, TeamRequest, team_page

SHOWN_OF_A_KIND = 6
RECENT_SHOWN = 5
SUGGESTED_SHOWN = 5
TEXT_MAX = 128


@dataclass(frozen=True, slots=True)
class Option:
    """One line. needs: the missing permission, if the member lacks it."""

    icon: str
    label: str
    address: str
    hint: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do with a thing, or a page. address: its URL name."""

    icon: str
    label: str
    address: str
    need: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """Things that have names and pages. part: of their addresses; rows: the team's, each with a name; says: its hint."""

    heading: str
    icon: str
    part: str
    address: str
    need: str
    rows: Callable[[TeamRequest], QuerySet[Any]]
    says: Callable[[Any], str]
    actions: tuple[Action, ...] = ()


_STREAM = (
    Action("search", "Data viewer", "stream-records", "record:read"),
    Action("play", "Send test records", "stream-put", "record:write"),
    Action("split", "Split shard", "stream-split", "stream:reshard"),
    Action("split", "Change the number of shards", "stream-count", "stream:reshard"),
    Action("activity", "Monitoring", "stream-monitoring", "stream:read"),
    Action("table-2", "Shards", "stream-shards", "stream:read"),
    Action("users", "Consumers", "stream-consumers", "stream:read"),
    Action("plug", "Connect", "stream-connect", "stream:read"),
    Action("settings", "Configuration", "stream-configuration", "stream:read"),
)
_DELIVERY = (
    Action("play", "Send demo data", "delivery-demo", "record:write"),
    Action("table-2", "Delivered objects", "delivery-objects", "record:read"),
    Action("triangle-alert", "Errors of deliveries", "delivery-errors", "delivery:read"),
    Action("split", "Lanes", "delivery-lanes", "delivery:read"),
    Action("repeat", "Redrive failed records", "delivery-redrive", "delivery:write"),
    Action("settings", "Configuration of the delivery", "delivery-configuration", "delivery:read"),
)
_ALARM = (Action("settings", "Edit the alarm", "alarm-edit", "alarm:write"),)
_DASHBOARD = (Action("settings", "Edit the dashboard", "dashboard-edit", "alarm:write"),)

KINDS: Final = (
    Kind("Streams", "waves", "streams", "stream", "stream:read",
         lambda request: Stream.objects.filter(team=request.team),
         lambda row: f"data stream, {row.status.lower()}", _STREAM),
    Kind("Delivery streams", "truck", "delivery", "delivery-stream", "delivery:read",
         lambda request: DeliveryStream.objects.filter(team=request.team, channel_id=""),
         lambda row: f"delivery stream, {row.status.lower()}", _DELIVERY),
    Kind("Alarms", "bell", "alarms/of", "alarm", "alarm:read",
         lambda request: Alarm.objects.filter(team=request.team),
         lambda row: f"alarm, {STATES[row.state][1].lower()}", _ALARM),
    Kind("Dashboards", "chart-line", "dashboards/of", "dashboard", "alarm:read",
         lambda request: Dashboard.objects.filter(team=request.team), lambda _row: "dashboard", _DASHBOARD),
)  # fmt: skip

FURTHER: Final = (
    Action("chart-line", "Dashboards", "dashboards", "alarm:read"),
    Action("chart-line", "Dashboard of your streams", "dashboard-streams", "alarm:read"),
    Action("receipt", "Statements", "billing-statements", "billing:read"),
    Action("receipt", "Budgets", "billing-budgets", "billing:read"),
    Action("user", "Profile", "profile", ANY_MEMBER),
    Action("plus", "Create data stream", "stream-create", "stream:create", "N"),
    Action("plus", "Create delivery stream", "delivery-create", "delivery:create"),
    Action("plus", "Create alarm", "alarm-create", "alarm:write"),
    Action("plus", "Create budget", "billing-budget-create", "billing:write"),
    Action("upload", "Import a file", "ingestion-import", "record:write"),
)
"""Pages beside those of the sidebar."""

SUGGESTED: Final = (
    "stream-create", "streams", "alarms", "dashboard-streams", "delivery-streams", "overview", "keys", "profile",
)  # fmt: skip

_AT: Final = re.compile(r"/t/[^/]+/(streams|delivery|alarms/of|dashboards/of)/([^/?#]{1,800})")


@team_page(ANY_MEMBER)
def palette(request: TeamRequest) -> HttpResponse:
    """The options for what is typed so far."""
    text = request.GET.get("q", "").strip()[:TEXT_MAX]
    groups = _searched(request, text) if text else _at_first(request)
    found = [(heading, options) for heading, options in groups if options]
    return render(request, "shell/palette_options.html", {"groups": found, "text": text})


def _searched(request: TeamRequest, text: str) -> list[tuple[str, list[Option]]]:
    groups: list[tuple[str, list[Option]]] = []
    first: tuple[Kind, str] | None = None
    for kind in _may_see(request):
        rows = list(kind.rows(request).filter(name__icontains=text).order_by("name")[:SHOWN_OF_A_KIND])
        groups.append((kind.heading, [_thing(request, kind, row) for row in rows]))
        first = first or ((kind, rows[0].name) if rows else None)
    groups.append(("Members", _members(request, text)))
    found = first or _here(request)
    if found is not None:
        groups.append((f"Actions on {found[1]}", _shown(_actions(request, *found), text, keep=first is not None)))
    groups.append(("Go to", _shown(_pages(request), text, keep=False)))
    return groups


def _at_first(request: TeamRequest) -> list[tuple[str, list[Option]]]:
    """Nothing is typed yet."""
    groups = [("Recent", _recent(request))]
    here = _here(request)
    if here is not None:
        groups.append((f"Actions on {here[1]}", [one for one in _actions(request, *here) if not one.needs]))
    by_address = {one.address: one for one in _all_pages()}
    offered = [_option(request, by_address[name], []) for name in SUGGESTED if name in by_address]
    groups.append(("Suggestions", [one for one in offered if not one.needs][:SUGGESTED_SHOWN]))
    return groups


def _may_see(request: TeamRequest) -> list[Kind]:
    return [kind for kind in KINDS if allowed(request.actions, kind.need)]


def _thing(request: TeamRequest, kind: Kind, row: Any) -> Option:
    return Option(kind.icon, row.name, reverse(kind.address, args=[request.team.slug, row.name]), kind.says(row))


def _named(request: TeamRequest, paths: Iterable[str]) -> list[tuple[Kind, Any]]:
    """The things of these addresses that there still are and that the member may see, in order; a query for each kind."""
    wanted = [(found[1], unquote(unquote(found[2]))) for path in paths if (found := _AT.match(path))]
    answer: dict[tuple[str, str], tuple[Kind, Any]] = {}
    for kind in _may_see(request):
        names = [name for part, name in wanted if part == kind.part]
        for row in kind.rows(request).filter(name__in=names) if names else ():
            answer[kind.part, row.name] = (kind, row)
    return [answer[key] for key in dict.fromkeys(wanted) if key in answer]


def _recent(request: TeamRequest) -> list[Option]:
    """What the browser remembers, without the page that is open."""
    at = request.GET.get("at", "")
    paths = [path for path in request.GET.getlist("recent")[: 2 * RECENT_SHOWN] if not at.startswith(path)]
    return [_thing(request, kind, row) for kind, row in _named(request, paths)][:RECENT_SHOWN]


def _here(request: TeamRequest) -> tuple[Kind, str] | None:
    """The thing whose page is open."""
    found = _named(request, [request.GET.get("at", "")])
    return (found[0][0], found[0][1].name) if found else None


def _actions(request: TeamRequest, kind: Kind, name: str) -> list[Option]:
    return [_option(request, one, [name]) for one in kind.actions]


def _members(request: TeamRequest, text: str) -> list[Option]:
    if not allowed(request.actions, "member:read"):
        return []
    wanted = Q(user__name__icontains=text) | Q(user__email__icontains=text)
    rows = (
        Membership.objects.filter(wanted, team=request.team).select_related("user", "own_role").order_by("user__email")
    )
    return [
        Option("user", row.user.name or row.user.email, reverse("member", args=[request.team.slug, row.pk]), row.role_label)
        for row in rows[:SHOWN_OF_A_KIND]
    ]  # fmt: skip


def _all_pages() -> list[Action]:
    of_sidebar = [
        Action(icon, label, name, need, f"G {GO[name].upper()}" if name in GO else "")
        for _, lines in SECTIONS
        for label, icon, name, need in lines
    ]
    return [*of_sidebar, *FURTHER]


def _pages(request: TeamRequest) -> list[Option]:
    return [_option(request, one, []) for one in _all_pages()]


def _option(request: TeamRequest, one: Action, arguments: Sequence[str]) -> Option:
    needs = "" if one.need == ANY_MEMBER or allowed(request.actions, one.need) else one.need
    return Option(one.icon, one.label, reverse(one.address, args=[request.team.slug, *arguments]), one.hint, needs)


def _shown(options: list[Option], text: str, *, keep: bool) -> list[Option]:
    """Those that match; keep: all, as what was typed names the thing. Locked ones only by their exact name."""
    wanted = text.lower()
    return [
        option
        for option in options
        if (option.label.lower() == wanted if option.needs else keep or wanted in option.label.lower())
    ]
