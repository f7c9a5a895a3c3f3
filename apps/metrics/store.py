"""Reads metrics back: Redis for what is recent, the database for what is older, as one series.

Every question names the team, and the team is part of every key: another team's stream id answers nothing. At most
POINTS_MAX points, STREAMS_MAX streams. A time when nobody counted is None, a served second without traffic is 0.
When Redis is away the answer has gaps and says so; nothing here raises for that. All functions are synchronous.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Max

from apps.base.clock import Clock, SystemClock
from apps.metrics import connection, layout
from apps.metrics.buckets import NOTHING, Points, decode
from apps.metrics.firehose import table_of
from apps.metrics.history import History, Uptimes, empty, merge_processes
from apps.metrics.layout import Store
from apps.metrics.models import Rollup, Uptime

STREAMS_MAX = 1_000

_CLOCK: Clock = SystemClock()


class Reading(NamedTuple):
    """A metric in a bucket: start in UTC seconds, sum, number of observations, lowest and highest of them."""

    t: int
    sum: float
    count: int  # type: ignore[assignment]  # hides tuple.count
    min: float
    max: float


def query(team_id: int, stream_id: int, metric: str, from_s: int, to_s: int, width_s: int) -> list[Reading | None]:
    """One metric of one stream in buckets [from_s, to_s). None: nobody counted then. Raises ValueError for an unknown
    metric, a width that is not one of widths(), or more than POINTS_MAX points."""
    table = table_of(stream_id)
    if metric not in table:
        raise ValueError(f"no metric {metric!r}")
    found = history(team_id, stream_id, from_s, to_s, width_s)
    number = table[metric].number
    return [
        None if points is None else Reading(t, *points.get(number, NOTHING)[:4])
        for t, points in zip(found.times, found.buckets, strict=True)
    ]


def widths() -> tuple[int, ...]:
    """Buckets that can be asked for, in seconds."""
    return (1, 10, 60, 300, 600, 1_800, 3_600)


def history(
    team_id: int, stream_id: int, from_s: int, to_s: int, width_s: int, *, clock: Clock = _CLOCK, classes: bool = False
) -> History:
    """All metrics of one stream in buckets [from_s, to_s). classes: with those of latencies, for latency.percentile.
    Raises ValueError as query does."""
    if width_s not in widths():
        raise ValueError(f"buckets of {width_s} s are not kept")
    found = empty(from_s, to_s, width_s, classes=classes)
    if not found.buckets:
        return found
    now_s = clock.now_ms() // 1_000
    store = layout.SECONDS if width_s < layout.TENS.width_s else layout.TENS
    recent_s = max(found.from_s, now_s - store.keep_s)
    if width_s >= min(layout.ROLLUP_KEEP_S):
        recent_s = max(recent_s, _fill_from_database(found, team_id, stream_id))
    _fill_from_redis(found, store, team_id, stream_id, recent_s - recent_s % store.width_s, min(to_s, now_s + 1))
    return found


def _fill_from_redis(found: History, store: Store, team_id: int, stream_id: int, from_s: int, to_s: int) -> None:
    if from_s >= to_s:
        return
    starts = range(from_s // store.block_s * store.block_s, to_s, store.block_s)
    hours = range(from_s // layout.HOUR_S, (to_s - 1) // layout.HOUR_S + 1)
    replies = ask(
        [("HGETALL", store.key(team_id, stream_id, start_s)) for start_s in starts]
        + [("GET", layout.uptime_key(hour * layout.HOUR_S)) for hour in hours]
    )
    if replies is None:
        found.away = True
        return
    uptimes = uptimes_of(hours, replies[len(starts) :])
    for start_s in range(from_s, to_s, store.width_s):
        if uptimes.seconds(start_s, store.width_s):
            found.served(start_s)
    fields = (
        pair for reply in replies[: len(starts)] for pair in fields_of(reply, from_s, to_s, classes=found.classes)
    )
    for start_s, points in sorted(merge_processes(fields).items()):
        found.put(start_s, points)


def _fill_from_database(found: History, team_id: int, stream_id: int) -> int:
    """Put what is rolled up; answers the second from which on only Redis knows."""
    rolled_s = rolled_up_to_s()
    to_s = found.from_s + len(found.buckets) * found.width_s
    from_s = found.from_s
    kept = [width_s for width_s in sorted(layout.ROLLUP_KEEP_S, reverse=True) if found.width_s % width_s == 0]
    for width_s in kept:
        until_s = min(rolled_s // width_s * width_s, to_s)
        if until_s <= from_s:
            continue
        span = {"width_s": width_s, "start_s__gte": from_s, "start_s__lt": until_s}
        for start_s in Uptime.objects.filter(**span).values_list("start_s", flat=True):
            found.served(start_s)
        rows = Rollup.objects.filter(team_id=team_id, stream_id=stream_id, **span).order_by("start_s")
        for start_s, samples in rows.values_list("start_s", "samples"):
            found.put(start_s, decode(bytes(samples), classes=found.classes))
        from_s = until_s
    return from_s


def rolled_up_to_s() -> int:
    """The second up to which the database has every minute; 0 if it has none."""
    newest = Uptime.objects.filter(width_s=60).aggregate(newest=Max("start_s"))["newest"]
    return 0 if newest is None else newest + 60


def epoch() -> str:
    """A random name of what Redis holds: another one means that live data began anew. Empty when Redis is away."""
    replies = ask([("SET", layout.EPOCH_KEY, secrets.token_hex(4), "NX"), ("GET", layout.EPOCH_KEY)])
    return replies[1].decode() if replies and replies[1] else ""


def ask(commands: Sequence[tuple[Any, ...]], client: Any = None) -> list[Any] | None:
    """Replies to all commands in one exchange, or None when Redis is away."""
    client = client or connection.shared(settings.CONFIG.redis)
    try:
        with client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            replies: list[Any] = pipe.execute()
            return replies
    except connection.AWAY:
        return None


def uptimes_of(hours: Iterable[int], bitmaps: Iterable[bytes | None]) -> Uptimes:
    """The seconds served in these hours."""
    uptimes = Uptimes()
    for hour, bitmap in zip(hours, bitmaps, strict=True):
        uptimes.add(hour, bitmap)
    return uptimes


def fields_of(
    reply: dict[bytes, bytes], from_s: int, to_s: int, *, classes: bool = True
) -> Iterable[tuple[int, Points]]:
    """(bucket start, points) of a hash, one per process; only the range is decoded."""
    for name, stored in reply.items():
        start_s = int(name.partition(b":")[0])
        if from_s <= start_s < to_s:
            yield start_s, decode(stored, classes=classes)
