"""An alarm's page, and what one does there: mute, try, switch its actions, delete."""

from __future__ import annotations

from typing import Any

import msgspec
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.base.units import HOUR_MS
from apps.cloudwatch import muting, testing
from apps.cloudwatch.alarms import arn_of
from apps.cloudwatch.models import Alarm, Delivery, History, HistoryKind, State
from console import calls
from console.pages.alarms import rules
from console.pages.alarms.seen import look
from console.pages.name_form import NameForm
from console.pages.shell import TeamRequest, team_page

HISTORY_SHOWN = 50
MUTES = {"1": "1 hour", "8": "8 hours", "24": "1 day", "72": "3 days", "168": "7 days"}
KINDS = {HistoryKind.STATE: "State", HistoryKind.ACTION: "Notification", HistoryKind.CONFIGURATION: "Change"}

Json = dict[str, Any]


def find(request: TeamRequest, name: str) -> Alarm:
    """The team's alarm. Raises Http404."""
    alarm = Alarm.objects.filter(team=request.team, name=name).first()
    if alarm is None:
        raise Http404(name)
    alarm.team = request.team
    return alarm


@team_page("alarm:read")
def alarm(request: TeamRequest, name: str) -> HttpResponse:
    """State, rule, what it looked at, history."""
    found, now_ms = find(request, name), calls.now_ms()
    kind = request.GET.get("kind", "")
    lines = History.objects.filter(team=request.team, alarm_name=name).order_by("-at_ms", "-id")
    if kind in HistoryKind.values:
        lines = lines.filter(kind=kind)
    shown = list(lines[: HISTORY_SHOWN + 1])
    context = {
        "alarm": found,
        "state_mark": rules.STATES[found.state],
        "about": rules.watched(found.settings),
        "sentence": rules.sentence(found.settings),
        "missing": rules.MISSING[found.settings.get("TreatMissingData", "missing")],
        "seen": look(request, found.settings),
        "muted": (found.muted_until_ms or 0) > now_ms,
        "mutes": MUTES,
        "targets": _targets(found),
        "waiting": Delivery.objects.filter(team=request.team, alarm_name=name).count(),
        "history": [(KINDS[HistoryKind(line.kind)], line, _detail(line)) for line in shown[:HISTORY_SHOWN]],
        "more_history": len(shown) > HISTORY_SHOWN,
        "kinds": {one.value: words for one, words in KINDS.items()},
        "kind": kind,
        "arn": arn_of(calls.runtime().config, request.team.account_id, name),
        "now_ms": now_ms,
    }
    return render(request, "alarms/alarm.html", context)


def _targets(alarm: Alarm) -> list[tuple[str, list[str]]]:
    """Who is told when it enters which state."""
    members = (("In alarm", "AlarmActions"), ("OK", "OKActions"), ("Not enough data", "InsufficientDataActions"))
    return [(words, alarm.settings[member]) for words, member in members if alarm.settings.get(member)]


def _detail(line: History) -> str:
    """Why the state changed, or what went wrong with a notification."""
    data = msgspec.json.decode(line.data)
    return str(data.get("newState", {}).get("stateReason") or data.get("error") or "")


@require_POST
@team_page("alarm:write")
def mute(request: TeamRequest, name: str) -> HttpResponse:
    """Be quiet for so many hours; `off`: no longer."""
    hours, now_ms = request.POST.get("hours", ""), calls.now_ms()
    if hours != "off" and hours not in MUTES:
        raise Http404("no such time")
    until_ms = None if hours == "off" else now_ms + int(hours) * HOUR_MS
    config = calls.runtime().config
    try:
        muting.mute(config, request.team.id, name, until_ms, by=calls.actor(request), now_ms=now_ms)
    except ServiceError as error:
        raise Http404(error.message) from error
    words = (
        f"{name} is quiet for {MUTES[hours]}. Its state still changes." if until_ms else f"{name} is no longer muted"
    )
    messages.success(request, words)
    return redirect("alarm", request.team.slug, name)


@require_POST
@team_page("alarm:write")
def test(request: TeamRequest, name: str) -> HttpResponse:
    """Send a test notification to everybody whom the alarm tells, and say how each went."""
    found = find(request, name)
    if not testing.targets_of(found):
        messages.error(request, f"{name} tells nobody yet. Give it a webhook or a mail address first.")
        return redirect("alarm", request.team.slug, name)
    for one in testing.notify(calls.runtime(), found, by=calls.actor(request)):
        if one.problem:
            messages.error(request, f"{one.target}: {one.problem}")
        else:
            messages.success(request, f"Sent to {one.target}")
    return redirect("alarm", request.team.slug, name)


@require_POST
@team_page("alarm:write")
def actions(request: TeamRequest, name: str) -> HttpResponse:
    """Switch the alarm's notifications on or off."""
    on = request.POST.get("on") == "1"
    find(request, name)
    calls.cloudwatch(request, "EnableAlarmActions" if on else "DisableAlarmActions", AlarmNames=[name])
    messages.success(request, f"Notifications of {name} are {'on' if on else 'off'}")
    return redirect("alarm", request.team.slug, name)


@require_POST
@team_page("alarm:write")
def state(request: TeamRequest, name: str) -> HttpResponse:
    """Set the state by hand, with all that follows; the next look sets it right."""
    wanted = request.POST.get("state", "")
    find(request, name)
    if wanted not in State.values:
        raise Http404("no such state")
    reason = f"Set by hand by {request.user.email}"
    calls.cloudwatch(request, "SetAlarmState", AlarmName=name, StateValue=wanted, StateReason=reason)
    messages.success(request, f"{name} is set to {rules.STATES[wanted][1].lower()} until it is looked at again")
    return redirect("alarm", request.team.slug, name)


@team_page("alarm:write")
def delete(request: TeamRequest, name: str) -> HttpResponse:
    """Delete the alarm, for people who have typed its name."""
    found = find(request, name)
    form = NameForm(request.POST or None, wanted=name)
    if request.method == "POST" and form.is_valid():
        try:
            calls.cloudwatch(request, "DeleteAlarms", AlarmNames=[name])
        except ServiceError as error:
            form.add_error("name", error.message or error.code)
        else:
            messages.success(request, f"Alarm {name} is deleted")
            return redirect("alarms", request.team.slug)
    context = {
        "form": form,
        "alarm": found,
        "sentence": rules.sentence(found.settings),
        "about": rules.watched(found.settings),
        "targets": testing.targets_of(found),
        "waiting": Delivery.objects.filter(team=request.team, alarm_name=name).count(),
    }
    return render(request, "alarms/delete.html", context, status=422 if request.method == "POST" else 200)
