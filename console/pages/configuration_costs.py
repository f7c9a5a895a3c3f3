"""What each edit of a stream's settings changes of its cost, before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from apps.billing.estimates import StreamPlan
from console.pages import costs
from console.pages.costs import ShownChange
from console.pages.shell import TeamRequest

PRICED = ("mode", "retention", "monitoring")
"""The parts that change what a stream costs."""


def of_parts(request: TeamRequest, stream: Any, made: Mapping[str, forms.Form]) -> dict[str, ShownChange]:
    """By part, of those that were sent and could be saved; empty for people who do not see money. stream: of stream.find."""
    sent = {key: made[key] for key in PRICED if key in made and made[key].is_bound and made[key].is_valid()}
    if not sent or not costs.may_see(request):
        return {}
    now = costs.plan_of(request, stream)
    return {key: costs.change(request, now, _changed(request, now, key, form)) for key, form in sent.items()}


def _changed(request: TeamRequest, now: StreamPlan, key: str, form: Any) -> StreamPlan:
    if key == "mode":
        return now.changed(plan=costs.plan_of_mode(request, form.cleaned_data["mode"]))
    if key == "retention":
        return now.changed(retention_hours=form.hours())
    return now.changed(shard_metrics=len(form.cleaned_data["metrics"]))
