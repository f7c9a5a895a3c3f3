"""Values of any metric in any periods: AWS/Kinesis and AWS/Firehose from what the streams' metrics are kept in, the rest
from series.

A Reader answers one request: streams that several queries ask about are read once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.base.clock import Clock
from apps.base.errors import ServiceUnavailable
from apps.cloudwatch.named import CHANNELS, DELIVERY_STREAMS, STREAMS, Kind, keys_of
from apps.cloudwatch.periods import Span
from apps.metrics import firehose, layout, series, store
from apps.metrics.buckets import Point
from apps.metrics.history import History
from apps.metrics.names import (
    ALIASES,
    BY_NAME,
    CONSUMER,
    NAMESPACE,
    QUEUE,
    SHARD_LEVEL,
    STREAM,
    Metric,
    stored_under,
)
from apps.metrics.series import Identity, Value
from apps.queues.metrics import label
from apps.queues.models import Queue
from apps.streams.addressing import shard_id_text

STREAM_WIDTHS = (1, 10, 60, 300, layout.HOUR_S)

Buckets = dict[int, Value]
"""By the start of a span's bucket."""


@dataclass(frozen=True, slots=True)
class StreamMetric:
    """A metric that is kept with its stream, and the name it is stored under there."""

    stream_name: str
    metric: Metric
    stored: int | str
    kind: Kind = STREAMS


def stream_metric(identity: Identity) -> StreamMetric | None:
    """What of a stream or delivery stream an identity means; None: it is no metric of one."""
    if identity.namespace == firehose.NAMESPACE:
        return _delivery_metric(identity)
    if [key for key, _ in identity.dimensions] == [*firehose.CHANNEL]:
        return _channel_metric(identity)
    if identity.namespace != NAMESPACE:
        return None
    dimensions = dict(identity.dimensions)
    stream_name = dimensions.pop("StreamName", None)
    name = ALIASES.get(identity.name, identity.name)
    if stream_name is None or len(dimensions) > 1:
        return None
    if not dimensions:
        metric = BY_NAME.get(name)
        return StreamMetric(stream_name, metric, metric.number) if metric and metric.dimensions == STREAM else None
    [(kind, value)] = dimensions.items()
    if kind == "ConsumerName" and name in BY_NAME and BY_NAME[name].dimensions == CONSUMER:
        return StreamMetric(stream_name, BY_NAME[name], stored_under(name, value))
    digits = value.removeprefix("shardId-")
    if kind == "ShardId" and name in SHARD_LEVEL and len(digits) <= 12 and digits.isascii() and digits.isdecimal():
        index = int(digits)
        return (
            StreamMetric(stream_name, SHARD_LEVEL[name], stored_under(name, index))
            if shard_id_text(index) == value
            else None
        )
    return None


def _delivery_metric(identity: Identity) -> StreamMetric | None:
    metric = firehose.BY_NAME.get(identity.name)
    if metric is None or tuple(key for key, _ in identity.dimensions) != metric.dimensions:
        return None
    name = identity.dimensions[0][1] if metric.dimensions else ""
    return StreamMetric(name, metric, metric.number, DELIVERY_STREAMS)


def _channel_metric(identity: Identity) -> StreamMetric | None:
    metric = firehose.CHANNEL_NAMES.get(identity.name)
    if metric is None or identity.namespace != NAMESPACE:
        return None
    name = "/".join(value for _, value in identity.dimensions)
    return StreamMetric(name, metric, metric.number, CHANNELS)


@dataclass(slots=True)
class Reader:
    """For one request of one team."""

    team_id: int
    clock: Clock
    read: int = 0
    """Stored buckets that were looked at so far."""
    _ids: dict[tuple[Kind, str], list[int]] = field(default_factory=dict)
    _histories: dict[tuple[int, Span, int], list[History]] = field(default_factory=dict)

    @property
    def now_s(self) -> int:
        """UTC seconds."""
        return self.clock.now_ms() // 1_000

    def values(self, identity: Identity, unit: str | None, span: Span) -> dict[str, Buckets]:
        """Buckets with observations, by unit. unit None: any."""
        found = stream_metric(identity) or self._queue_metric(identity)
        if found is None:
            return self._of_series(identity, unit, span)
        if unit is not None and unit != found.metric.unit:
            return {}
        buckets: Buckets = {}
        for stream_id in self.stream_ids(found.kind, found.stream_name):
            for history in self._history(stream_id, span):
                for start_s, points in zip(history.times, history.buckets, strict=True):
                    point = (points or {}).get(found.stored)
                    if point is not None and point.count and span.start_s <= start_s < span.end_s:
                        _merge(buckets, span, start_s, _value(point))
        return {str(found.metric.unit): buckets} if buckets else {}

    def together(self, identity: Identity, unit: str | None, span: Span) -> Buckets:
        """As values(), whatever the units are."""
        buckets: Buckets = {}
        for found in self.values(identity, unit, span).values():
            for start_s, value in found.items():
                _merge(buckets, span, start_s, value)
        return buckets

    def _of_series(self, identity: Identity, unit: str | None, span: Span) -> dict[str, Buckets]:
        width_s = span.width_s(tuple(series.KEEP_S))
        rows = series.read(self.team_id, identity, unit, span.start_s, span.end_s, width_s)
        self.read += sum(map(len, rows.values()))
        found: dict[str, Buckets] = {}
        for kept_unit, values in rows.items():
            buckets = found.setdefault(kept_unit, {})
            for start_s, value in values.items():
                _merge(buckets, span, start_s, value)
        return found

    def _queue_metric(self, identity: Identity) -> StreamMetric | None:
        """What an identity means of a queue that there is; queues' metrics are kept with their streams."""
        metric, dimensions = BY_NAME.get(identity.name), dict(identity.dimensions)
        if metric is None or metric.dimensions != QUEUE:
            return None
        if identity.namespace != NAMESPACE or set(dimensions) != set(QUEUE):
            return None
        queue_id, name = (dimensions[key] for key in QUEUE)
        rows = Queue.objects.filter(team_id=self.team_id, queue_id=queue_id, name=name)
        stream_name = rows.values_list("stream__name", flat=True).first()
        if stream_name is None:
            return None
        return StreamMetric(stream_name, metric, stored_under(metric.name, label(queue_id, name)))

    def stream_ids(self, kind: Kind, name: str) -> list[int]:
        """Keys of the series of the team's stream of that name, and of those that had it before."""
        if (kind, name) not in self._ids:
            self._ids[kind, name] = keys_of(self.team_id, kind, name)
        return self._ids[kind, name]

    def _history(self, stream_id: int, span: Span) -> list[History]:
        """The span in parts of as many buckets as the store answers at once."""
        width_s = span.width_s(STREAM_WIDTHS)
        key = (stream_id, span, width_s)
        if key not in self._histories:
            step_s = layout.POINTS_MAX * width_s
            end_s = min(span.end_s, self.now_s + width_s)
            # Nothing older is kept, and somebody may ask from the year 1 on.
            oldest_s = self.now_s - max(layout.ROLLUP_KEEP_S.values())
            first_s = span.start_s + max(0, (oldest_s - span.start_s) // step_s) * step_s
            self.read += max(0, end_s - first_s) // width_s
            self._histories[key] = [
                store.history(self.team_id, stream_id, first, min(first + step_s, end_s), width_s, clock=self.clock)
                for first in range(first_s, end_s, step_s)
            ]
            if any(history.away for history in self._histories[key]):
                raise away()
        return self._histories[key]


def away() -> ServiceUnavailable:
    """Redis, which has the last minutes, does not answer: nobody is told silence for what is only unknown."""
    return ServiceUnavailable("The latest metrics cannot be read at the moment. Try again.")


def _merge(buckets: Buckets, span: Span, start_s: int, value: Value) -> None:
    start_s -= (start_s - span.start_s) % span.period_s
    if start_s in buckets:
        buckets[start_s].merge(value)
    else:
        buckets[start_s] = value.copy()


def _value(point: Point) -> Value:
    return Value(point.count, point.total, point.least, point.most)
