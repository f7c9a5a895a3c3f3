"""Create and change an alarm, with what it would have done beside the form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from apps.cloudwatch.models import Alarm
from console import calls
from console.pages.alarms import rules
from console.pages.alarms.detail import find
from console.pages.alarms.form import AlarmForm, form_for, initial_of, put_error
from console.pages.alarms.seen import look
from console.pages.shell import TeamRequest, team_page

Json = dict[str, Any]

NEW: Json = {
    "statistic": "Maximum", "comparison": "GreaterThanThreshold", "needed": 5, "periods": 5, "period": 60,
    "missing": "notBreaching", "enabled": True,
}  # fmt: skip


@team_page("alarm:write")
def create(request: TeamRequest) -> HttpResponse:
    """The form; POST makes the alarm. `?of=stream/orders&metric=…` chooses beforehand."""
    given = {name: request.GET[name] for name in ("of", "metric", "statistic", "threshold") if request.GET.get(name)}
    told = "\n".join(request.team.notify) or request.user.email
    form = form_for(request, request.POST or None, initial={**NEW, **given, "notify": told})
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        if Alarm.objects.filter(team=request.team, name=name).exists():
            form.add_error("name", f"There is an alarm {name} already.")
        elif _put(request, form, name):
            messages.success(request, f"Alarm {name} is created. It is looked at within a minute.")
            return redirect("alarm", request.team.slug, name)
    return _page(request, form, {})


@team_page("alarm:write")
def edit(request: TeamRequest, name: str) -> HttpResponse:
    """The same of an alarm that there is; its name stays."""
    alarm = find(request, name)
    start = initial_of(alarm.settings, enabled=alarm.actions_enabled)
    form = form_for(request, request.POST or None, alarm.settings, initial=start)
    if request.method == "POST" and form.is_valid() and _put(request, form, name):
        messages.success(request, f"Alarm {name} is saved")
        return redirect("alarm", request.team.slug, name)
    return _page(request, form, {"alarm": alarm, "about": rules.watched(alarm.settings)})


@require_POST
@team_page("alarm:write")
def beside(request: TeamRequest) -> HttpResponse:
    """What stands beside the form, and the metrics of what is chosen, for what is typed so far. By POST: addresses of
    webhooks are secrets to some."""
    name = request.POST.get("editing", "")
    before = find(request, name).settings if name else None
    form = form_for(request, request.POST, before)
    return render(request, "alarms/beside.html", {"form": form, **_beside(request, form), "is_part": True})


def _page(request: TeamRequest, form: AlarmForm, more: Json) -> HttpResponse:
    context = {"form": form, **_beside(request, form), **more}
    return render(request, "alarms/form.html", context, status=422 if request.method == "POST" else 200)


def _put(request: TeamRequest, form: AlarmForm, name: str) -> bool:
    try:
        calls.cloudwatch(request, "PutMetricAlarm", **form.params(name))
    except ServiceError as error:
        put_error(form, error)
        return False
    return True


def _beside(request: TeamRequest, form: AlarmForm) -> Json:
    """The preview, if the rule is whole."""
    typed = form if form.is_bound else form_for(request, _as_typed(form), form.before)
    rule = typed.rule()
    if rule is None:
        return {"seen": None}
    return {"seen": look(request, rule), "sentence": rules.sentence(rule), "rule_about": rules.watched(rule).about}


def _as_typed(form: AlarmForm) -> Json:
    return {name: form[name].value() for name in form.fields if form[name].value() is not None}
