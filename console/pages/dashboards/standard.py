"""The dashboard that every team has without making one: its own streams, the busiest first."""

from __future__ import annotations

from typing import Any

import msgspec

from apps.delivery.metrics import delivery_metric
from apps.delivery.models import DeliveryStream
from apps.metrics import firehose, names
from apps.metrics.overview import overview
from apps.metrics.store import STREAMS_MAX
from apps.streams.models import Stream
from console.pages.alarms.rules import label_of
from console.pages.shell import TeamRequest, list_counts

STREAMS_SHOWN = 6
"""Lines of a chart: more than six cannot be told apart."""

Json = dict[str, Any]


def shown_of(request: TeamRequest) -> str:
    """Whose charts those are, in a sentence, if the team has more streams than a chart can tell apart; else empty."""
    streams, deliveries = list_counts(request)
    parts = [
        f"the {STREAMS_SHOWN} busiest of {streams:,} data streams" if streams > STREAMS_SHOWN else "",
        f"the first {STREAMS_SHOWN} of {deliveries:,} delivery streams" if deliveries > STREAMS_SHOWN else "",
    ]
    said = " and ".join(filter(None, parts))
    return f"Charts show {said}." if said else ""


def body(request: TeamRequest) -> str:
    """PutDashboard's body of it."""
    found = list(Stream.objects.filter(team=request.team).order_by("name")[:STREAMS_MAX])
    live = overview(request.team.id, [stream.id for stream in found], sparks=False)
    busiest = sorted(found, key=lambda stream: (-(live[stream.id].in_bytes_per_s or 0), stream.name))[:STREAMS_SHOWN]
    streams = [stream.name for stream in busiest]
    rows = DeliveryStream.objects.filter(team=request.team, channel_id="").order_by("name")[:STREAMS_SHOWN]
    deliveries = [(row.name, row.destination_type) for row in rows]
    widgets: list[Json] = []
    if streams:
        widgets += [
            _of_streams(streams, "IncomingBytes", "Sum"),
            _of_streams(streams, "GetRecords.Bytes", "Sum"),
            _of_streams(streams, "WriteProvisionedThroughputExceeded", "Sum"),
            _of_streams(streams, "GetRecords.IteratorAgeMilliseconds", "Maximum"),
        ]
    if deliveries:
        widgets += [_of_deliveries(deliveries, "Bytes", "Sum"), _of_deliveries(deliveries, "DataFreshness", "Maximum")]
    for place, widget in enumerate(widgets):
        widget |= {"x": place % 2 * 12, "y": place // 2 * 6, "width": 12, "height": 6}
    return msgspec.json.encode({"widgets": widgets}).decode()


def _of_streams(streams: list[str], metric: str, stat: str) -> Json:
    metrics = [[names.NAMESPACE, metric, "StreamName", name, {"label": name}] for name in streams]
    return _chart(label_of(metric), stat, metrics)


def _of_deliveries(deliveries: list[tuple[str, str]], what: str, stat: str) -> Json:
    metrics = [
        [firehose.NAMESPACE, delivery_metric(kind, what), "DeliveryStreamName", name, {"label": name}]
        for name, kind in deliveries
    ]
    return _chart(label_of(f"DeliveryToS3.{what}"), stat, metrics)


def _chart(title: str, stat: str, metrics: list[Any]) -> Json:
    return {"type": "metric", "properties": {"title": title, "stat": stat, "metrics": metrics}}
