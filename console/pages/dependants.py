"""What depends on data streams: shown before they are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.permissions import allowed
from apps.billing.models import Budget
from apps.cloudwatch.models import Alarm
from apps.delivery.models import DeliveryStream
from apps.queues.models import Queue
from apps.streams.models import Consumer, Ingestion, IngestionStatus, Stream
from apps.streams.usage_names import resource_of
from console.pages.shell import TeamRequest

ALARMS_READ = 5_000
"""An account's quota of alarms."""


@dataclass(slots=True)
class Dependants:
    """Names of what reads one stream, or looks at it. blocking: what must be deleted before the stream can be."""

    consumers: list[str] = field(default_factory=list)
    delivery_streams: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    budgets: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(names for _, names, _ in self.kinds())

    def kinds(self) -> list[tuple[str, list[str], str]]:
        """(what, names, what becomes of them), for a list."""
        return [
            ("Enhanced fan-out consumers", self.consumers, "deregistered with the stream, if you say so"),
            ("Delivery streams", self.delivery_streams, "have nothing to read any more"),
            ("Channels", self.channels, "must be deleted first"),
            ("Queues", self.queues, "must be deleted first"),
            ("Alarms", self.alarms, "stay, without data"),
            ("Budgets", self.budgets, "stay, and nothing more is spent of them"),
            ("Imports and replays", self.jobs, "fail"),
        ]

    @property
    def blocking(self) -> bool:
        """AWS refuses to delete the stream while there are some."""
        return bool(self.channels or self.queues)


def dependants_of(request: TeamRequest, streams: Sequence[Stream]) -> dict[str, Dependants]:
    """By stream name; six queries, however many streams."""
    by_key = {stream.pk: stream.name for stream in streams}
    found = {stream.name: Dependants() for stream in streams}
    for key, name in Consumer.objects.filter(stream__in=by_key).order_by("name").values_list("stream_id", "name"):
        found[by_key[key]].consumers.append(name)
    readers = DeliveryStream.objects.filter(source_stream__in=by_key).order_by("name")
    for key, name, channel in readers.values_list("source_stream_id", "name", "channel_id"):
        assert key is not None
        (found[by_key[key]].channels if channel else found[by_key[key]].delivery_streams).append(name)
    for key, name in Queue.objects.filter(stream__in=by_key).order_by("name").values_list("stream_id", "name"):
        found[by_key[key]].queues.append(name)
    for name, alarm in _alarms(request, set(found)):
        found[name].alarms.append(alarm)
    for name, budget in _budgets(request, streams):
        found[name].budgets.append(budget)
    running = Ingestion.objects.filter(target__in=by_key, status__in=[IngestionStatus.WAITING, IngestionStatus.RUNNING])
    for key, pk, kind in running.values_list("target_id", "pk", "kind"):
        assert key is not None
        found[by_key[key]].jobs.append(f"{kind} {pk}")
    return found


def _budgets(request: TeamRequest, streams: Sequence[Stream]) -> Iterator[tuple[str, str]]:
    """(stream, budget) for each budget of one of the streams, for people who may see budgets."""
    if not allowed(request.actions, "billing:read"):
        return
    of = {resource_of(stream): stream.name for stream in streams}
    rows = Budget.objects.filter(team=request.team, resource__in=of).order_by("name")
    for resource, budget in rows.values_list("resource", "name"):
        yield of[resource], budget


def _alarms(request: TeamRequest, names: set[str]) -> Iterator[tuple[str, str]]:
    """(stream, alarm) for each alarm that looks at a metric of one of the streams."""
    rows = Alarm.objects.filter(team=request.team).order_by("name").values_list("name", "settings")[:ALARMS_READ]
    for alarm, settings in rows:
        yield from ((stream, alarm) for stream in names.intersection(_streams_in(settings)))


def _streams_in(settings: dict[str, Any]) -> Iterable[str]:
    dimensions = list(settings.get("Dimensions") or [])
    for query in settings.get("Metrics") or []:
        dimensions += ((query.get("MetricStat") or {}).get("Metric") or {}).get("Dimensions") or []
    return {one["Value"] for one in dimensions if one.get("Name") == "StreamName"}
