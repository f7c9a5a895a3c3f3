"""Create a data stream: the form, the live check of its name, and the same thing as code."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.base.units import KIB
from apps.billing.estimates import StreamPlan, Traffic
from apps.billing.plans import Plan
from apps.streams.limits import RECORD_KIB_DEFAULT, RECORD_KIB_MAX, WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Stream, StreamMode
from apps.streams.quotas import ON_DEMAND_SHARDS_AT_START, limit
from console import calls
from console.pages import costs, samples
from console.pages.configuration_forms import KEY_MAX, OWN_KEY
from console.pages.shell import TeamRequest, team_page
from console.pages.streams import counts_of
from console.pages.tag_field import TagField

NAME = re.compile(r"[a-zA-Z0-9_.-]+")
NAME_MAX = 128
RETENTIONS = {24: "24 hours", 48: "2 days", 72: "3 days", 168: "7 days", 720: "30 days", 8760: "365 days"}
RECORD_SIZES = {1024: "1 MiB", 2048: "2 MiB", 4096: "4 MiB", 10240: "10 MiB"}
SHARDS_MAX = 10_000
RATE_MAX = 1e12
NO_TRAFFIC = "At today's prices, without traffic. Fill in records per second and their size to have it included."
ACTIVE_WITHIN_S = 10.0
"""How long the page waits for a new stream before it gives up setting what can only follow."""

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
    shards = forms.IntegerField(min_value=1, max_value=SHARDS_MAX, initial=1, required=False)
    retention = forms.TypedChoiceField(choices=list(RETENTIONS.items()), coerce=int, initial=24)
    max_record_kib = forms.TypedChoiceField(
        choices=list(RECORD_SIZES.items()), coerce=int, initial=RECORD_KIB_DEFAULT
    )  # fmt: skip
    encryption = forms.ChoiceField(choices=[("NONE", "Off"), ("KMS", "KMS")], initial="NONE", required=False)
    key = forms.CharField(max_length=KEY_MAX, required=False, initial=OWN_KEY)
    tags = TagField(required=False)
    rate = forms.FloatField(min_value=0, required=False)
    size = forms.FloatField(min_value=0, required=False)

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


def shards_for(rate: Any, size_kib: Any) -> int | None:
    """How many shards take so many records per second of so many KiB each; None for what is no number."""
    try:
        records, size_bytes = float(rate), float(size_kib) * KIB
    except (TypeError, ValueError):
        return None
    if not (0 < records < RATE_MAX and 0 < size_bytes < RATE_MAX):
        return None
    return max(1, math.ceil(max(records * size_bytes / WRITE_BYTES_PER_S, records / WRITE_RECORDS_PER_S)))


assert max(RECORD_SIZES) == RECORD_KIB_MAX


@team_page("stream:create")
def create(request: TeamRequest) -> HttpResponse:
    """The form; POST creates the stream and goes to its page."""
    calculating = "calculate" in request.POST
    if calculating:
        return _calculated(request)
    form = StreamForm(request.POST or None, initial={"name": request.GET.get("name", "")})
    if request.method == "POST" and form.is_valid():
        try:
            calls.call(request, "CreateStream", **form.params())
        except ServiceError as error:
            calls.put_error(form, error, FIELDS)
        else:
            name = form.cleaned_data["name"]
            messages.success(request, f"Data stream {name} is being created")
            _follow_up(request, name, form.cleaned_data)
            return redirect("stream", request.team.slug, name)
    context = {"form": form, **_beside(request, form.data or QueryDict())}
    return render(request, "streams/create.html", context, status=422 if request.method == "POST" else 200)


def _calculated(request: TeamRequest) -> HttpResponse:
    """The same form with the number of shards that the calculator says: for browsers without script."""
    typed = request.POST.copy()
    needed = shards_for(typed.get("rate"), typed.get("size"))
    if needed is not None:
        typed["shards"] = str(min(needed, SHARDS_MAX))
    context = {"form": StreamForm(initial=typed.dict()), "needed": needed, **_beside(request, typed)}
    return render(request, "streams/create.html", context)


def _follow_up(request: TeamRequest, name: str, given: dict[str, Any]) -> None:
    """CreateStream knows neither retention nor encryption, so they follow when the stream is active; if one is not in
    time, or refused, we say so."""
    steps: list[tuple[str, str, dict[str, Any]]] = []
    if given["retention"] != min(RETENTIONS):
        hours = {"RetentionPeriodHours": given["retention"]}
        steps.append(("The retention is still 24 hours", "IncreaseStreamRetentionPeriod", hours))
    if given["encryption"] == "KMS":
        key = {"EncryptionType": "KMS", "KeyId": given["key"] or OWN_KEY}
        steps.append(("Records are not encrypted yet", "StartStreamEncryption", key))
    for told, operation, params in steps:
        try:
            calls.wait_until_active(request, name, ACTIVE_WITHIN_S)
            calls.call(request, operation, StreamName=name, **params)
        except (ServiceError, TimeoutError) as error:
            reason = getattr(error, "message", None) or "the stream is not active yet"
            messages.error(request, f"{told}: {reason}. Set it under Configuration.")


@team_page("stream:create")
def beside(request: TeamRequest) -> HttpResponse:
    """The panels beside the form, for what is typed so far."""
    return render(request, "streams/create_beside.html", _beside(request, request.GET))


def _beside(request: TeamRequest, typed: Any) -> dict[str, Any]:
    """Limits of the stream, and the code that would make it. Takes half-typed values as they come."""
    provisioned = typed.get("mode", StreamMode.PROVISIONED) != StreamMode.ON_DEMAND
    text = typed.get("shards", "1")
    shards = min(int(text), SHARDS_MAX) if text.isascii() and text.isdigit() and 0 < len(text) < 8 else 1
    shards = (max(1, shards)) if provisioned else ON_DEMAND_SHARDS_AT_START
    name = typed.get("name", "")[:NAME_MAX]
    try:
        tags = TagField(required=False).clean(typed.get("tags", ""))
    except forms.ValidationError:
        tags = {}
    counts = counts_of(request)
    return {
        **_estimate(request, typed, shards),
        "provisioned": provisioned,
        "shards": shards,
        "write_mib": shards,
        "write_records": shards * WRITE_RECORDS_PER_S,
        "read_mib": shards * 2,
        "counts": counts,
        "on_demand_shards_max": limit(request.team.id, calls.runtime().config.region, "on-demand-shards"),
        "codes": samples.create_stream(
            samples.NewStream(
                name if NAME.fullmatch(name) else "my-stream",
                shards if provisioned else None,
                tags,
                _of(typed, "max_record_kib", RECORD_SIZES),
                _of(typed, "retention", RETENTIONS) or samples.RETENTION_DEFAULT,
                (typed.get("key") or OWN_KEY) if typed.get("encryption") == "KMS" else "",
            )
        ),
    }


def _estimate(request: TeamRequest, typed: Any, shards: int) -> dict[str, Any]:
    """What a month would cost, as far as it is typed."""
    traffic = traffic_of(typed.get("rate"), typed.get("size"))
    mode = StreamMode.ON_DEMAND if typed.get("mode") == StreamMode.ON_DEMAND else StreamMode.PROVISIONED
    plan = costs.plan_of_mode(request, mode)
    retention = _of(typed, "retention", RETENTIONS) or min(RETENTIONS)
    estimate = costs.of_stream_plan(request, StreamPlan(plan, shards, traffic or Traffic(), retention))
    notes = ["At today's prices." if traffic else NO_TRAFFIC]
    if traffic and plan != Plan.PROVISIONED:
        notes.append("All of it is read once.")
    if plan == Plan.ADVANTAGE:
        notes.append("The account's minimum of 25 MiB/s is not in it.")
    return {"estimate": estimate, "estimate_note": " ".join(notes)}


def traffic_of(rate: Any, size_kib: Any) -> Traffic | None:
    """So many records a second of so many KiB, all read once; None for what is no number."""
    if shards_for(rate, size_kib) is None:
        return None
    return Traffic.of(Fraction(rate), Fraction(size_kib) * KIB, reads=1)


def _of(typed: Any, name: str, choices: dict[int, str]) -> int | None:
    """A choice that is not the first; None for that, and for what is none."""
    found = next((value for value in choices if str(value) == typed.get(name)), None)
    return None if found == min(choices) else found


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
