"""Redis → database, once a minute: minutes from Redis's ten-second buckets, five minutes and hours from those.

Every step may be repeated, also by two workers at once: a bucket is written whole, and for each metric what holds
more observations stays, so that nothing is taken away by what Redis lost in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from apps.accounts.models import Team
from apps.base.clock import Clock
from apps.metrics import layout, store
from apps.metrics.buckets import Point, Points, decode, encode, merge_then
from apps.metrics.counters import Stream
from apps.metrics.history import merge_processes
from apps.metrics.models import Rollup, StreamName, Uptime

MINUTE_S = 60
CLOSED_AFTER_S = 5
"""A minute is taken this long after its end, when every process has flushed it."""

STREAMS_PER_READ = 200
LATE_MAX = 600
PRUNED_PER_RUN = 5_000

Minutes = dict[Stream, dict[int, Points]]
"""Points by stream and bucket start."""


def roll_up(clock: Clock, until_ms: int) -> int:
    """Take every closed minute that the database does not have, and those that came late; answers how many blocks of
    ten minutes were looked at. Stops at until_ms and goes on the next time. Does nothing while Redis is away."""
    now_s = clock.now_ms() // 1_000
    closed_s = (now_s - CLOSED_AFTER_S) // MINUTE_S * MINUTE_S
    from_s = max(store.rolled_up_to_s(), closed_s - layout.TENS.keep_s)
    minutes = set(range(from_s, closed_s, MINUTE_S))
    late = _late(closed_s)
    if late is None:
        return 0
    done = 0
    for block in sorted({minute // layout.TENS.block_s for minute in minutes | late}):
        if clock.now_ms() >= until_ms:
            break
        wanted = sorted(m for m in minutes | late if m // layout.TENS.block_s == block)
        came_late = late.intersection(wanted)
        if came_late:
            # Before reading, so that what is written meanwhile marks its minute again.
            store.ask([("SREM", layout.LATE_KEY, *came_late)])
        if not _roll_block(wanted, closed_s):
            store.ask([("SADD", layout.LATE_KEY, minute) for minute in came_late])
            break
        done += 1
    return done


def prune(clock: Clock) -> int:
    """Remove rows that are older than their width is kept, at most PRUNED_PER_RUN of each kind; answers how many."""
    now_s = clock.now_ms() // 1_000
    removed = 0
    for width_s, keep_s in layout.ROLLUP_KEEP_S.items():
        for model in (Rollup, Uptime):
            old = model.objects.filter(width_s=width_s, start_s__lt=now_s - keep_s).order_by("start_s")
            ids = list(old.values_list("id", flat=True)[:PRUNED_PER_RUN])
            removed += model.objects.filter(id__in=ids).delete()[0] if ids else 0
    forgotten_ms = (now_s - max(layout.ROLLUP_KEEP_S.values())) * 1_000
    return removed + StreamName.objects.filter(deleted_at_ms__lt=forgotten_ms).delete()[0]


def _late(closed_s: int) -> set[int] | None:
    replies = store.ask([("SRANDMEMBER", layout.LATE_KEY, LATE_MAX)])
    return None if replies is None else {int(minute) for minute in replies[0] if int(minute) < closed_s}


def _roll_block(minutes: Sequence[int], closed_s: int) -> bool:
    """Minutes of one block of Redis's ten-second buckets. False: Redis went away."""
    hours = range(minutes[0] // layout.HOUR_S, minutes[-1] // layout.HOUR_S + 1)
    keys = [hour * layout.HOUR_S for hour in hours]
    replies = store.ask(
        [("GET", layout.uptime_key(key)) for key in keys] + [("SMEMBERS", layout.active_key(key)) for key in keys]
    )
    if replies is None:
        return False
    uptimes = store.uptimes_of(hours, replies[: len(keys)])
    served = {minute: seconds for minute in minutes if (seconds := uptimes.seconds(minute, MINUTE_S))}
    streams = sorted({_stream(member) for members in replies[len(keys) :] for member in members})
    for first in range(0, len(streams), STREAMS_PER_READ):
        found = _read(streams[first : first + STREAMS_PER_READ], minutes)
        if found is None:
            return False
        _save(MINUTE_S, found)
    _save_wider(minutes, served, closed_s)
    return True


def _stream(member: bytes) -> Stream:
    team_id, _, stream_id = member.partition(b":")
    return int(team_id), int(stream_id)


def _read(streams: Sequence[Stream], minutes: Sequence[int]) -> Minutes | None:
    wanted = set(minutes)
    replies = store.ask([("HGETALL", layout.TENS.key(*stream, minutes[0])) for stream in streams])
    if replies is None:
        return None
    found: Minutes = {}
    for stream, reply in zip(streams, replies, strict=True):
        tens = merge_processes(store.fields_of(reply, minutes[0], minutes[-1] + MINUTE_S))
        for start_s, points in sorted(tens.items()):
            minute = start_s // MINUTE_S * MINUTE_S
            if minute in wanted:
                merge_then(found.setdefault(stream, {}).setdefault(minute, {}), points)
    return found


@transaction.atomic
def _save_wider(minutes: Sequence[int], served: Mapping[int, int], closed_s: int) -> None:
    """In one transaction: the newest row of Uptime says how far the database is, so nothing may be missing below it.
    The minute that closes a wider bucket need not have had traffic itself, so rows decide what is in it."""
    _save_uptimes(MINUTE_S, served)
    for narrow_s, width_s in ((MINUTE_S, 300), (300, layout.HOUR_S)):
        starts = sorted({minute // width_s * width_s for minute in minutes})
        starts = [start for start in starts if start + width_s <= closed_s]
        if starts:
            _widen(narrow_s, width_s, starts[0], starts[-1] + width_s)


def _widen(narrow_s: int, width_s: int, from_s: int, to_s: int) -> None:
    span = {"width_s": narrow_s, "start_s__gte": from_s, "start_s__lt": to_s}
    seconds: dict[int, int] = {}
    for start_s, count in Uptime.objects.filter(**span).values_list("start_s", "seconds"):
        seconds[start_s // width_s * width_s] = seconds.get(start_s // width_s * width_s, 0) + count
    _save_uptimes(width_s, seconds)
    rows = Rollup.objects.filter(**span).order_by("start_s")
    wide: Minutes = {}
    for team_id, stream_id, start_s, samples in rows.values_list("team_id", "stream_id", "start_s", "samples"):
        bucket = wide.setdefault((team_id, stream_id), {}).setdefault(start_s // width_s * width_s, {})
        merge_then(bucket, decode(bytes(samples)))
    _save(width_s, wide)


@transaction.atomic
def _save(width_s: int, found: Minutes) -> None:
    """Write what holds more than the rows that are there. A team that is gone meanwhile is left out."""
    starts = sorted({start for buckets in found.values() for start in buckets})
    if not starts:
        return
    teams = set(Team.objects.filter(id__in={team_id for team_id, _ in found}).values_list("id", flat=True))
    rows = Rollup.objects.filter(team_id__in=teams, width_s=width_s, start_s__gte=starts[0], start_s__lte=starts[-1])
    known = {
        (team_id, stream_id, start_s): decode(bytes(samples))
        for team_id, stream_id, start_s, samples in rows.values_list("team_id", "stream_id", "start_s", "samples")
    }
    changed = []
    for (team_id, stream_id), buckets in found.items():
        for start_s, points in buckets.items():
            before = known.get((team_id, stream_id, start_s), {})
            after = fuller(before, points)
            if after != before and team_id in teams:
                bucket = {"width_s": width_s, "start_s": start_s, "samples": encode(after)}
                changed.append(Rollup(team_id=team_id, stream_id=stream_id, **bucket))
    Rollup.objects.bulk_create(
        changed,
        batch_size=1_000,
        update_conflicts=True,
        unique_fields=["team", "stream_id", "width_s", "start_s"],
        update_fields=["samples"],
    )


def fuller(before: Mapping[int | str, Point], points: Mapping[int | str, Point]) -> Points:
    """For each metric the one of the two that holds more observations."""
    after = dict(before)
    for number, point in points.items():
        if number not in after or point.count > after[number].count:
            after[number] = point
    return after


def _save_uptimes(width_s: int, seconds: Mapping[int, int]) -> None:
    rows = Uptime.objects.filter(width_s=width_s, start_s__in=list(seconds))
    known = dict(rows.values_list("start_s", "seconds"))
    changed = [
        Uptime(width_s=width_s, start_s=start_s, seconds=count)
        for start_s, count in seconds.items()
        if count > known.get(start_s, 0)
    ]
    Uptime.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["width_s", "start_s"], update_fields=["seconds"]
    )
