"""The tab Configuration: each part of a stream's settings saves alone, by the operation that AWS has for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.base.errors import ServiceError
from apps.capacity import commitment
from apps.metrics.names import SHARD_LEVEL
from apps.streams.limits import WRITE_RECORDS_PER_S
from apps.streams.models import RecordDistributionStrategy, Stream, StreamMode, Tag
from apps.streams.operations.policies import checked
from console import calls
from console.pages import configuration_costs, costs, words
from console.pages.configuration_forms import (
    EncryptionForm,
    ModeForm,
    MonitoringForm,
    OnDemandForm,
    PolicyForm,
    RecordSizeForm,
    RetentionForm,
    TagsForm,
    encryption_now,
    on_demand_now,
    retention_now,
    tags_now,
)
from console.pages.faults_form import FaultsForm, as_fields
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

MODE_TOLD = {StreamMode.PROVISIONED: "provisioned", StreamMode.ON_DEMAND: "on-demand"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the settings. now: what the form shows at first. save: does it and answers what to say; raises
    ServiceError, which is written at the field."""

    form: type[forms.Form]
    now: Callable[[Any], dict[str, Any]]
    save: Callable[[TeamRequest, Any, Any], str]
    field: str


@team_page("stream:read", post="stream:write")
def configuration(request: TeamRequest, name: str) -> HttpResponse:
    """The parts; POST saves one of them."""
    stream = find(request, name)
    key = request.POST.get("part", "")
    context = parts(request, stream, key)
    part = PARTS.get(key)
    if part is None:
        return render(request, "stream/configuration.html", context, status=422 if request.method == "POST" else 200)
    form = context["forms"][key]
    if "price" in request.POST:
        return render(request, "stream/configuration.html", context)
    if form.is_valid():
        try:
            if key == "policy" and "validate" in request.POST:
                checked(form.cleaned_data["policy"])
                return render(request, "stream/configuration.html", {**context, "policy_is_good": True})
            said = part.save(request, stream, form)
        except ServiceError as error:
            calls.put_error(form, error, {error.code: part.field})
        else:
            messages.success(request, said)
            return redirect("stream-configuration", request.team.slug, name)
    return render(request, "stream/configuration.html", context, status=422)


@team_page("stream:read")
def cost(request: TeamRequest, name: str) -> HttpResponse:
    """What a month costs more with what is typed into one of the parts, before it is saved."""
    stream = find(request, name)
    key = request.GET.get("part", configuration_costs.PRICED[0])
    if key not in configuration_costs.PRICED:
        raise Http404(key)
    form = PARTS[key].form(request.GET)
    found = configuration_costs.of_parts(request, stream, {key: form})
    return render(request, "costs/of_part.html", {"key": key, "cost": found.get(key)})


def parts(request: TeamRequest, stream: Any, sent: str) -> dict[str, Any]:
    """Context of the tab: a form for each part, the one that was sent with what was written into it."""
    stream.tags_now = {tag.key: tag.value for tag in Tag.objects.filter(stream=stream).order_by("key")}
    given = {key: request.POST if key == sent else None for key in [*PARTS, "faults"]}
    made = {key: part.form(given[key], initial=part.now(stream)) for key, part in PARTS.items()}
    return {
        **frame(request, stream, "stream-configuration"),
        "costs": configuration_costs.of_parts(request, stream, made) if "price" in request.POST else {},
        "priced": configuration_costs.PRICED if costs.may_see(request) else (),
        "forms": made,
        "faults_form": FaultsForm(given["faults"], initial=as_fields(stream)),
        "sent": sent or request.GET.get("part", ""),
        "tags": stream.tags_now,
        "locked": "stream:write",
        "shard_level": [(name, SHARD_LEVEL[name].meaning) for name in SHARD_LEVEL],
        "told": _told(stream),
        "write_records": stream.open_shards * WRITE_RECORDS_PER_S,
        "policy_example": json.dumps(example_policy(stream), indent=2),
        "commitment": commitment.is_enabled(request.team.id, calls.now_ms()),
    }


def _told(stream: Any) -> dict[str, str]:
    """What each part is now, in a few words."""
    names = words.plural(len(stream.tags_now), "tag")
    warm = f", {stream.warm_throughput_mibps} MiB/s kept warm" if stream.warm_throughput_mibps else ""
    is_auto = stream.distribution_strategy == RecordDistributionStrategy.AUTO
    return {
        "on_demand": ("records placed evenly" if is_auto else "records placed by partition key") + warm,
        "size": f"{stream.max_record_size_kib:,} KiB",
        "encryption": f"KMS, {stream.encryption_key_id}" if stream.encryption_key_arn else "off",
        "tags": names if stream.tags_now else "none",
        "policy": "set" if stream.resource_policy else "none",
        "monitoring": f"{len(stream.shard_level_metrics)} of {len(SHARD_LEVEL)} on",
    }


def example_policy(stream: Stream) -> dict[str, Any]:
    """A policy that lets another account read the stream, to write one's own from."""
    allowed = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
        "Action": ["kinesis:DescribeStreamSummary", "kinesis:GetShardIterator", "kinesis:GetRecords"],
        "Resource": str(stream.arn),
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}


def _set_retention(request: TeamRequest, stream: Stream, form: RetentionForm) -> str:
    hours = form.hours()
    operation = ("Increase" if hours >= stream.retention_hours else "Decrease") + "StreamRetentionPeriod"
    calls.call(request, operation, StreamName=stream.name, RetentionPeriodHours=hours)
    return f"Records are kept for {words.retention_words(hours)}"


def _set_tags(request: TeamRequest, stream: Any, form: TagsForm) -> str:
    """Add what is new or changed first, so that a refusal leaves the tags as they were."""
    now, wanted = stream.tags_now, form.cleaned_data["tags"]
    added = {key: value for key, value in wanted.items() if now.get(key) != value}
    removed = [key for key in now if key not in wanted]
    if added:
        calls.call(request, "AddTagsToStream", StreamName=stream.name, Tags=added)
    if removed:
        calls.call(request, "RemoveTagsFromStream", StreamName=stream.name, TagKeys=removed)
    return "Tags saved"


def _set_mode(request: TeamRequest, stream: Stream, form: ModeForm) -> str:
    mode = form.cleaned_data["mode"]
    calls.call(request, "UpdateStreamMode", StreamARN=str(stream.arn), StreamModeDetails={"StreamMode": mode})
    return f"Capacity is {MODE_TOLD[mode]}"


def _set_on_demand(request: TeamRequest, stream: Stream, form: OnDemandForm) -> str:
    """Each of the two only if it is another one: warm throughput makes the stream UPDATING."""
    arn, strategy, warm = str(stream.arn), form.cleaned_data["strategy"], form.cleaned_data["warm"] or 0
    if strategy != stream.distribution_strategy:
        calls.call(
            request, "UpdateStreamRecordDistributionStrategy", StreamARN=arn, RecordDistributionStrategy=strategy
        )
    if warm != (stream.warm_throughput_mibps or 0):
        calls.call(request, "UpdateStreamWarmThroughput", StreamARN=arn, WarmThroughputMiBps=warm)
    return "On-demand settings saved"


def _set_size(request: TeamRequest, stream: Stream, form: RecordSizeForm) -> str:
    size = form.cleaned_data["size"]
    calls.call(request, "UpdateMaxRecordSize", StreamARN=str(stream.arn), MaxRecordSizeInKiB=size)
    return f"Records may have up to {size:,} KiB"


def _set_encryption(request: TeamRequest, stream: Stream, form: EncryptionForm) -> str:
    key = form.cleaned_data["key"]
    if form.cleaned_data["encryption"] == "KMS":
        calls.call(request, "StartStreamEncryption", StreamName=stream.name, EncryptionType="KMS", KeyId=key)
        return f"New records are encrypted under {key}"
    if stream.encryption_key_arn:
        now = stream.encryption_key_id
        calls.call(request, "StopStreamEncryption", StreamName=stream.name, EncryptionType="KMS", KeyId=now)
    return "New records are not encrypted"


def _set_policy(request: TeamRequest, stream: Stream, form: PolicyForm) -> str:
    """An empty document takes the policy away."""
    document, arn = form.cleaned_data["policy"], str(stream.arn)
    if "remove" in request.POST or (not document and stream.resource_policy):
        calls.call(request, "DeleteResourcePolicy", ResourceARN=arn)
        return "The resource policy is deleted"
    calls.call(request, "PutResourcePolicy", ResourceARN=arn, Policy=document)
    return "Resource policy saved"


def _set_monitoring(request: TeamRequest, stream: Stream, form: MonitoringForm) -> str:
    """Switch on what is new, then off what is gone."""
    wanted, now = set(form.cleaned_data["metrics"]), set(stream.shard_level_metrics)
    if wanted - now:
        on = sorted(wanted - now)
        calls.call(request, "EnableEnhancedMonitoring", StreamName=stream.name, ShardLevelMetrics=on)
    if now - wanted:
        off = sorted(now - wanted)
        calls.call(request, "DisableEnhancedMonitoring", StreamName=stream.name, ShardLevelMetrics=off)
    return f"{words.plural(len(wanted), 'metric')} kept for each shard"


PARTS: dict[str, Part] = {
    "mode": Part(ModeForm, lambda stream: {"mode": stream.mode}, _set_mode, "mode"),
    "on_demand": Part(OnDemandForm, on_demand_now, _set_on_demand, "warm"),
    "retention": Part(RetentionForm, retention_now, _set_retention, "amount"),
    "size": Part(RecordSizeForm, lambda stream: {"size": stream.max_record_size_kib}, _set_size, "size"),
    "encryption": Part(EncryptionForm, encryption_now, _set_encryption, "key"),
    "tags": Part(TagsForm, lambda stream: tags_now(stream.tags_now), _set_tags, "tags"),
    "policy": Part(PolicyForm, lambda stream: {"policy": stream.resource_policy}, _set_policy, "policy"),
    "monitoring": Part(
        MonitoringForm, lambda stream: {"metrics": stream.shard_level_metrics}, _set_monitoring, "metrics"
    ),
}
"""By the name that the form sends."""
