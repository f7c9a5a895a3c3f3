"""Headline figures of many streams at once, for lists: the last minute, and the last hour minute by minute.

Two exchanges with Redis, however many streams: which had traffic at all, then their minutes. Only of the last hour,
so the database is never asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from apps.base.clock import Clock, SystemClock
from apps.base.units import SECOND_MS
from apps.metrics import firehose, layout, store
from apps.metrics.buckets import NOTHING, Points
from apps.metrics.history import Uptimes, merge_processes
from apps.metrics.names import BY_NAME

MINUTES_SHOWN = 60
_MINUTE_S = 60
_CLOCK: Clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers of the metrics that each headline figure is the sum (for ages the highest) of."""

    in_bytes: tuple[int, ...]
    in_records: tuple[int, ...]
    out_bytes: tuple[int, ...]
    throttled: tuple[int, ...]
    ages: tuple[int, ...] = ()
    age_unit_ms: int = 1


OF_STREAMS = Counted(
    in_bytes=(BY_NAME["IncomingBytes"].number,),
    in_records=(BY_NAME["IncomingRecords"].number,),
    out_bytes=(BY_NAME["GetRecords.Bytes"].number, BY_NAME["SubscribeToShardEvent.Bytes"].number),
    throttled=(BY_NAME["WriteProvisionedThroughputExceeded"].number,),
    ages=(
        BY_NAME["GetRecords.IteratorAgeMilliseconds"].number,
        BY_NAME["SubscribeToShardEvent.MillisBehindLatest"].number,
    ),
)
OF_DELIVERY_STREAMS = Counted(
    in_bytes=tuple(firehose.BY_NAME[n].number for n in ("IncomingBytes", "DataReadFromKinesisStream.Bytes")),
    in_records=tuple(firehose.BY_NAME[n].number for n in ("IncomingRecords", "DataReadFromKinesisStream.Records")),
    out_bytes=tuple(firehose.BY_NAME[f"DeliveryTo{name}.Bytes"].number for name in firehose.DESTINATIONS),
    throttled=(firehose.BY_NAME["ThrottledRecords"].number,),
    ages=tuple(firehose.BY_NAME[f"DeliveryTo{name}.DataFreshness"].number for name in firehose.DESTINATIONS),
    age_unit_ms=SECOND_MS,
)

Spark = list[float | None]
"""A value per minute, oldest first; None where nobody counted."""


@dataclass(slots=True)
class Overview:
    """Of one stream, or the sum of several. Rates are over the last 60 seconds. None: Redis is away."""

    in_bytes_per_s: float | None = None
    in_records_per_s: float | None = None
    out_bytes_per_s: float | None = None
    throttled_last_minute: float | None = None
    throttled_last_hour: float | None = None
    age_ms: float | None = None
    """The highest age that a reader saw in the last one to two minutes; None: no reads."""
    in_spark: Spark = field(default_factory=list)
    out_spark: Spark = field(default_factory=list)
    throttled_spark: Spark = field(default_factory=list)


def overview(
    team_id: int,
    stream_ids: Sequence[int],
    *,
    sparks: bool = True,
    clock: Clock = _CLOCK,
    of: Counted = OF_STREAMS,
) -> dict[int, Overview]:
    """By stream id; delivery streams by their series' key, with `of` for their metrics. sparks: also the last hour (five
    times the reading). At most STREAMS_MAX streams."""
    if len(stream_ids) > store.STREAMS_MAX:
        raise ValueError(f"{len(stream_ids)} streams asked for, at most {store.STREAMS_MAX} are answered")
    now_s = clock.now_ms() // 1_000
    from_s = (now_s // _MINUTE_S - (MINUTES_SHOWN if sparks else 1)) * _MINUTE_S
    hours = range(from_s // layout.HOUR_S, now_s // layout.HOUR_S + 1)
    busy = _busy(team_id, stream_ids, hours)
    if busy is None:
        return {stream: Overview() for stream in stream_ids}
    active, uptimes = busy
    blocks = range(from_s // layout.MINUTES.block_s * layout.MINUTES.block_s, now_s + 1, layout.MINUTES.block_s)
    hashes = store.ask([("HGETALL", layout.MINUTES.key(team_id, id_, start_s)) for id_ in active for start_s in blocks])
    if hashes is None:
        return {stream: Overview() for stream in stream_ids}
    shown = range(from_s, now_s - now_s % _MINUTE_S, _MINUTE_S)
    served = [bool(uptimes.seconds(start_s, _MINUTE_S)) for start_s in shown]
    found = {stream: _overview({}, shown, served, now_s, of) for stream in stream_ids}
    for n, stream in enumerate(active):
        replies = hashes[n * len(blocks) : (n + 1) * len(blocks)]
        fields = [pair for reply in replies for pair in store.fields_of(reply, from_s, now_s + 1)]
        found[stream] = _overview(merge_processes(fields), shown, served, now_s, of)
    return found


def _busy(team_id: int, stream_ids: Sequence[int], hours: range) -> tuple[list[int], Uptimes] | None:
    """Those streams that had traffic in these hours, and when somebody served. None: Redis is away."""
    keys = [hour * layout.HOUR_S for hour in hours]
    members = [layout.member(team_id, stream) for stream in stream_ids]
    replies = store.ask(
        [("GET", layout.uptime_key(key)) for key in keys]
        + [("SMISMEMBER", layout.active_key(key), *members) for key in keys if members]
    )
    if replies is None:
        return None
    uptimes = store.uptimes_of(hours, replies[: len(keys)])
    flags = zip(stream_ids, *replies[len(keys) :], strict=False) if members else ()
    return [stream for stream, *had in flags if any(had)], uptimes


def _overview(minutes: dict[int, Points], shown: range, served: Sequence[bool], now_s: int, of: Counted) -> Overview:
    running_s = now_s - now_s % _MINUTE_S
    now, before = minutes.get(running_s, {}), minutes.get(running_s - _MINUTE_S, {})
    # Of the minute before, that part counts which lies within the last 60 seconds.
    left = 1 - (now_s - running_s) / _MINUTE_S

    def last_minute(numbers: Iterable[int]) -> float:
        return _total(now, numbers) + _total(before, numbers) * left

    def spark(numbers: Iterable[int]) -> Spark:
        if not minutes:
            return [0 if up else None for up in served]
        return [
            _total(minutes[start_s], numbers) / _MINUTE_S if start_s in minutes else 0 if up else None
            for start_s, up in zip(shown, served, strict=True)
        ]

    ages = [points[n].most * of.age_unit_ms for points in (now, before) for n in of.ages if n in points]
    return Overview(
        in_bytes_per_s=last_minute(of.in_bytes) / _MINUTE_S,
        in_records_per_s=last_minute(of.in_records) / _MINUTE_S,
        out_bytes_per_s=last_minute(of.out_bytes) / _MINUTE_S,
        throttled_last_minute=last_minute(of.throttled),
        throttled_last_hour=sum(_total(points, of.throttled) for points in minutes.values()),
        age_ms=max(ages) if ages else None,
        in_spark=spark(of.in_bytes),
        out_spark=spark(of.out_bytes),
        throttled_spark=spark(of.throttled),
    )


def _total(points: Points, numbers: Iterable[int]) -> float:
    return sum(points.get(number, NOTHING).total for number in numbers)


def together(overviews: Iterable[Overview]) -> Overview:
    """The sum of several streams, for the strip above a list; the age is the highest."""
    known = [o for o in overviews if o.in_bytes_per_s is not None]
    ages = [o.age_ms for o in known if o.age_ms is not None]
    return Overview(
        in_bytes_per_s=sum(o.in_bytes_per_s or 0 for o in known),
        in_records_per_s=sum(o.in_records_per_s or 0 for o in known),
        out_bytes_per_s=sum(o.out_bytes_per_s or 0 for o in known),
        throttled_last_minute=sum(o.throttled_last_minute or 0 for o in known),
        throttled_last_hour=sum(o.throttled_last_hour or 0 for o in known),
        age_ms=max(ages) if ages else None,
        in_spark=_sum([o.in_spark for o in known]),
        out_spark=_sum([o.out_spark for o in known]),
        throttled_spark=_sum([o.throttled_spark for o in known]),
    )


def _sum(sparks: list[Spark]) -> Spark:
    return [
        None if all(value is None for value in column) else sum(value or 0 for value in column)
        for column in zip(*sparks, strict=True)
    ]
