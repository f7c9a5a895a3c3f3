"""Who reads a stream: pollers seen within a day, fan-out consumers with their figures, delivery streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from apps.accounts.models import AccessKey
from apps.delivery.models import DeliveryStream
from apps.metrics import store
from apps.metrics.buckets import NOTHING
from apps.metrics.layout import TENS
from apps.metrics.names import stored_under
from apps.metrics.readers import Reader, readers
from apps.streams.models import Consumer, Stream
from console import calls
from console.pages.delivery.figures import with_figures
from console.pages.shell import TeamRequest

WINDOW_S = 60
LATE_MS = 30_000
SHOWN_MAX = 200
INTERNAL = {"import": "Import", "replay": "Replay"}
"""What usage of Tidegate's own jobs is booked under."""


@dataclass(frozen=True, slots=True)
class Poller:
    """Somebody who polls, or a delivery stream. behind_ms None: not known."""

    name: str
    detail: str
    seen_ms: int | None
    behind_ms: int | None
    address: str = ""

    @property
    def is_late(self) -> bool:
        """So far behind that somebody should look. Delivery streams wait on purpose, until their buffers are full."""
        return not self.address and (self.behind_ms or 0) >= LATE_MS


@dataclass(frozen=True, slots=True)
class FanOut:
    """A registered consumer. Rates are over the last minute; None: nothing was pushed, or Redis is away."""

    consumer: Consumer
    bytes_per_s: float | None
    records_per_s: float | None
    behind_ms: float | None

    @property
    def is_late(self) -> bool:
        """As of a poller."""
        return (self.behind_ms or 0) >= LATE_MS


def pollers(request: TeamRequest, stream: Stream) -> list[Poller] | None:
    """Those of the last 24 hours, delivery streams first. None: Redis is away."""
    found = readers(request.team.id, stream.pk, clock=calls.runtime().clock)
    if found is None:
        return None
    return [*_delivery_streams(request, stream), *_polling(request, found[:SHOWN_MAX])]


def _polling(request: TeamRequest, found: Sequence[Reader]) -> list[Poller]:
    rows = AccessKey.objects.filter(team=request.team, key_id__in=[one.key for one in found])
    names = dict(rows.values_list("key_id", "name"))
    return [
        Poller(names.get(one.key) or INTERNAL.get(one.key, "Temporary key" if one.key not in names else "Unnamed key"),
               one.key, one.seen_ms, one.behind_ms)
        for one in found
    ]  # fmt: skip


def _delivery_streams(request: TeamRequest, stream: Stream) -> list[Poller]:
    rows: Any = with_figures(DeliveryStream.objects.filter(source_stream=stream, channel_id="").order_by("name"))
    now_ms = calls.now_ms()
    return [
        Poller(
            row.name,
            "delivery stream",
            row.delivered_ms,
            0 if row.waiting_ms is None else max(0, now_ms - row.waiting_ms),
            reverse("delivery-stream", args=[request.team.slug, row.name]),
        )
        for row in rows[:SHOWN_MAX]
    ]


def fan_out(request: TeamRequest, stream: Stream, rows: Sequence[Consumer]) -> list[FanOut]:
    """These of the stream's registered consumers, with the figures of the last whole minute."""
    to_s = calls.now_ms() // 1_000 // TENS.width_s * TENS.width_s
    clock = calls.runtime().clock
    history = store.history(request.team.id, stream.pk, to_s - WINDOW_S, to_s, TENS.width_s, clock=clock)
    answer = []
    for row in rows:
        row.stream = stream
        answer.append(_figures(row, [points for points in history.buckets if points]))
    return answer


def _figures(consumer: Consumer, buckets: Sequence[Any]) -> FanOut:
    def of(metric: str) -> list[Any]:
        key = stored_under(f"SubscribeToShardEvent.{metric}", consumer.name)
        return [points[key] for points in buckets if points.get(key, NOTHING).count]

    size, records, behind = of("Bytes"), of("Records"), of("MillisBehindLatest")
    return FanOut(
        consumer,
        sum(point.total for point in size) / WINDOW_S if size else None,
        sum(point.total for point in records) / WINDOW_S if records else None,
        max(point.most for point in behind) if behind else None,
    )
