"""Create a data stream: the form, the live check of its name, and the same thing as code."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.streams.limits import RECORD_KIB_DEFAULT, RECORD_KIB_MAX, WRITE_RECORDS_PER_S
from apps.streams.models import Stream, StreamMode
from apps.streams.quotas import ON_DEMAND_SHARDS_AT_START, limit
from console import calls
from console.pages import samples
from console.pages.shell import TeamRequest, team_page
from console.pages.streams import counts_of
from console.pages.tag_field import TagField

NAME = re.compile(r"[a-zA-Z0-9_.-]+")
NAME_MAX = 128
RETENTIONS = {24: "24 hours", 48: "2 days", 72: "3 days", 168: "7 days", 720: "30 days", 8760: "365 days"}
RECORD_SIZES = {1024: "1 MiB", 2048: "2 MiB", 4096: "4 MiB", 10240: "10 MiB"}
ACTIVE_WITHIN_S = 10.0
"""How long the page waits for a new stream before it gives up setting a longer retention."""

FIELDS = {
    "StreamName": "name",
    "ResourceInUseException": "name",
    "ShardCount": "shards",
    "LimitExceededException": "shards",
    "MaxRecordSizeInKiB": "max_record_kib",
    "Tags": "tags",
}


class StreamForm(forms.Form):
    """What CreateStream takes, and a retention that is set when the stream is there."""

    name = forms.CharField(max_length=NAME_MAX)
    mode = forms.ChoiceField(choices=StreamMode.choices, initial=StreamMode.PROVISIONED)
    shards = forms.IntegerField(min_value=1, max_value=10_000, initial=1, required=False)
    retention = forms.TypedChoiceField(choices=list(RETENTIONS.items()), coerce=int, initial=24)
    max_record_kib = forms.TypedChoiceField(
        choices=list(RECORD_SIZES.items()), coerce=int, initial=RECORD_KIB_DEFAULT
    )  # fmt: skip
    tags = TagField(required=False)

    def clean(self) -> dict[str, Any]:
        """Provisioned needs a number of shards."""
        given = super().clean() or self.cleaned_data
        if given.get("mode") == StreamMode.PROVISIONED and not given.get("shards") and "shards" not in self.errors:
            self.add_error("shards", "A provisioned stream needs a number of shards.")
        return given

    def params(self) -> dict[str, Any]:
        """CreateStream's parameters."""
        given = self.cleaned_data
        params: dict[str, Any] = {"StreamName": given["name"], "StreamModeDetails": {"StreamMode": given["mode"]}}
        if given["mode"] == StreamMode.PROVISIONED:
            params["ShardCount"] = given["shards"]
        if given["tags"]:
            params["Tags"] = given["tags"]
        if given["max_record_kib"] != RECORD_KIB_DEFAULT:
            params["MaxRecordSizeInKiB"] = given["max_record_kib"]
        return params


assert max(RECORD_SIZES) == RECORD_KIB_MAX


@team_page("stream:create")
def create(request: TeamRequest) -> HttpResponse:
    """The form; POST creates the stream and goes to its page."""
    form = StreamForm(request.POST or None, initial={"name": request.GET.get("name", "")})
    if request.method == "POST" and form.is_valid():
        try:
            calls.call(request, "CreateStream", **form.params())
        except ServiceError as error:
            calls.put_error(form, error, FIELDS)
        else:
            name = form.cleaned_data["name"]
            messages.success(request, f"Data stream {name} is being created")
            _set_retention(request, name, form.cleaned_data["retention"])
            return redirect("stream", request.team.slug, name)
    context = {"form": form, **_beside(request, form.data or QueryDict())}
    return render(request, "streams/create.html", context, status=422 if request.method == "POST" else 200)


def _set_retention(request: TeamRequest, name: str, hours: int) -> None:
    """CreateStream knows no retention, so it follows when the stream is active; if it is not in time, we say so."""
    if hours == min(RETENTIONS):
        return
    try:
        calls.wait_until_active(request, name, ACTIVE_WITHIN_S)
        calls.call(request, "IncreaseStreamRetentionPeriod", StreamName=name, RetentionPeriodHours=hours)
    except (ServiceError, TimeoutError) as error:
        reason = getattr(error, "message", None) or "it is not active yet"
        messages.error(request, f"The retention is still 24 hours: {reason}. Set it under Configuration.")


@team_page("stream:create")
def beside(request: TeamRequest) -> HttpResponse:
    """The panels beside the form, for what is typed so far."""
    return render(request, "streams/create_beside.html", _beside(request, request.GET))


def _beside(request: TeamRequest, typed: Any) -> dict[str, Any]:
    """Limits of the stream, and the code that would make it. Takes half-typed values as they come."""
    provisioned = typed.get("mode", StreamMode.PROVISIONED) != StreamMode.ON_DEMAND
    text = typed.get("shards", "1")
    shards = min(int(text), 10_000) if text.isascii() and text.isdigit() and 0 < len(text) < 8 else 1
    shards = (max(1, shards)) if provisioned else ON_DEMAND_SHARDS_AT_START
    name = typed.get("name", "")[:NAME_MAX]
    try:
        tags = TagField(required=False).clean(typed.get("tags", ""))
    except forms.ValidationError:
        tags = {}
    counts = counts_of(request)
    return {
        "provisioned": provisioned,
        "shards": shards,
        "write_mib": shards,
        "write_records": shards * WRITE_RECORDS_PER_S,
        "read_mib": shards * 2,
        "counts": counts,
        "on_demand_shards_max": limit(request.team.id, calls.runtime().config.region, "on-demand-shards"),
        "codes": samples.create_stream(
            name if NAME.fullmatch(name) else "my-stream", shards if provisioned else None, tags
        ),
    }


@team_page("stream:create")
def check_name(request: TeamRequest) -> HttpResponse:
    """One line about the name typed so far."""
    name = request.GET.get("name", "")
    problem = ""
    if name and not NAME.fullmatch(name):
        problem = "Letters, digits, dots, hyphens and underscores only."
    elif len(name) > NAME_MAX:
        problem = f"{NAME_MAX} characters at most."
    elif name and Stream.objects.filter(team=request.team, name=name).exists():
        problem = f"{name} exists already."
    return render(request, "streams/name_check.html", {"name": name, "problem": problem})
