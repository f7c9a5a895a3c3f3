"""Retention: what is too old to be shown, and the slices that remove it from the log."""

from __future__ import annotations

import structlog
from django.db import transaction
from django.db.models import F

from apps.base.units import HOUR_MS, MINUTE_MS
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import Bounds, UnknownShard
from apps.runtime import Runtime
from apps.streams import retirement, time_meters
from apps.streams.models import Shard, Stream, StreamStatus

log = structlog.get_logger(__name__)

RECORDS_PER_TRIM = 50_000
LOOK_AGAIN_MS = HOUR_MS
"""A shard is looked at this often at least, whatever its oldest record says."""

NOT_BEFORE_MS = MINUTE_MS
"""… and not more often than this."""

CLOCK_BEHIND_MS = MINUTE_MS
"""A clock this far behind the newest record is wrong: nothing is removed by it."""


def horizon_ms(stream: Stream, now_ms: int) -> int:
    """The time before which no record is shown. It never goes back when the retention is raised."""
    return max(now_ms - stream.retention_hours * HOUR_MS, stream.retention_floor_ms)


def expire(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice for one shard: trim what is past the horizon; a closed shard with nothing left becomes EXPIRED,
    leaves the catalogue, and is retired."""
    shard = Shard.objects.select_related("stream").filter(pk=int(held.key)).first()
    if shard is None:
        hold.remove(held.kind, held.key)
        return Progress.DONE
    if shard.stream.status == StreamStatus.DELETING:
        return Progress.DONE  # lifecycle.py removes it
    if shard.expired_at_ms is None:
        due_at_ms = _trim(runtime, shard, until_ms)
        if due_at_ms is not None:
            return due_at_ms
        _set_expired(runtime, shard)
    return Progress.DONE if retirement.retire(runtime, shard, until_ms) else Progress.MORE


def _trim(runtime: Runtime, shard: Shard, until_ms: int) -> Progress | int | None:
    """Remove what is too old; when to look again, or None if the shard is closed and empty for good."""
    now_ms = runtime.clock.now_ms()
    try:
        bounds = runtime.wait_for(runtime.record_log.bounds(shard.pk))
    except UnknownShard:
        log.exception("shard_not_in_log", shard=shard.pk)  # `manage.py fsck` says more
        return now_ms + LOOK_AGAIN_MS
    if bounds.newest_ms > now_ms + CLOCK_BEHIND_MS:
        log.warning("retention_paused", shard=shard.pk, clock_behind_ms=bounds.newest_ms - now_ms)
        return now_ms + NOT_BEFORE_MS
    horizon = horizon_ms(shard.stream, now_ms)
    while runtime.wait_for(runtime.record_log.trim(shard.pk, horizon, RECORDS_PER_TRIM)).more:
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
    bounds = runtime.wait_for(runtime.record_log.bounds(shard.pk))
    if shard.closed_at_ms is not None and shard.closed_at_ms < horizon and bounds.first_offset == bounds.next_offset:
        # Its row stays until its time is booked, which a clock that jumped ahead holds back.
        with transaction.atomic():
            time_meters.settle(shard.stream, now_ms)
        return None if shard.closed_at_ms <= shard.stream.metered_to_ms else now_ms + NOT_BEFORE_MS
    return _due(shard, bounds, now_ms)


def _due(shard: Shard, bounds: Bounds, now_ms: int) -> int:
    """When the oldest record, or else the closed shard itself, passes the horizon."""
    oldest_ms = bounds.oldest_ms or shard.closed_at_ms or now_ms
    passes_ms = oldest_ms + shard.stream.retention_hours * HOUR_MS + 1
    return min(max(passes_ms, now_ms + NOT_BEFORE_MS), now_ms + LOOK_AGAIN_MS)


def _set_expired(runtime: Runtime, shard: Shard) -> None:
    shard.expired_at_ms = runtime.clock.now_ms()
    with transaction.atomic():
        Shard.objects.filter(pk=shard.pk, expired_at_ms__isnull=True).update(expired_at_ms=shard.expired_at_ms)
        Stream.objects.filter(pk=shard.stream_id).update(version=F("version") + 1)
    log.info("shard_expired", stream=shard.stream_id, shard=shard.pk)
