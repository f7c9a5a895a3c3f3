"""On-demand streams grow: a shard that was busy over the last minute is split in two even halves.

What it does: about once a minute it compares each open shard's totals in the log with those of a minute before. A shard
that took more than half of what a shard may take (0.5 MiB/s, or 500 records/s), on average over that time, is split in
the middle by the same plan machinery as SplitShard. So a stream can double within about a minute and a half, AWS's
takes up to fifteen.

What it does not do: it sees averages, so a burst of some seconds is throttled as on a provisioned stream; a shard whose
load is one partition key cannot be relieved by any split; shards are never merged again when the load goes (AWS keeps
capacity for the peak of 30 days); a stream of four shards takes 4 MiB/s from its first second and no more until it was
split. There is no jump ahead to twice the highest peak seen before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from django.db import transaction

from apps.base.units import MINUTE_MS, SECOND_MS
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.recordlog.interface import Totals, UnknownShard
from apps.runtime import Runtime
from apps.streams import topology
from apps.streams.limits import WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Shard, Stream, StreamMode, StreamStatus
from apps.streams.operations.reshard import begin
from apps.streams.quotas import limit
from apps.streams.topology import Kind, Step

log = structlog.get_logger(__name__)

EVERY_MS = 5 * SECOND_MS
WINDOW_MS = MINUTE_MS
"""Load is the average over at least so long."""

HOT_SHARE = 0.5
"""Of what a shard may take; above it the shard is split."""

STREAMS_PER_ROUND = 20


def scale(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round over the on-demand streams. The checkpoint says how far the round is."""
    while True:
        rows = Stream.objects.filter(mode=StreamMode.ON_DEMAND, status=StreamStatus.ACTIVE)
        streams = list(rows.filter(pk__gt=held.checkpoint.get("stream", 0)).order_by("pk")[:STREAMS_PER_ROUND])
        if not streams:
            hold.save_checkpoint(held, {})
            return runtime.clock.now_ms() + EVERY_MS
        for stream in streams:
            scale_stream(runtime, stream)
        hold.save_checkpoint(held, {"stream": streams[-1].pk})
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE


def scale_stream(runtime: Runtime, stream: Stream) -> int:
    """Look at one stream; how many of its shards are split now."""
    now_ms = runtime.clock.now_ms()
    open_shards = list(stream.shards.filter(opened_at_ms__isnull=False, closed_at_ms__isnull=True).order_by("index"))
    due = [shard for shard in open_shards if _window_is_over(shard, now_ms)]
    if not due:
        return 0
    totals = runtime.wait_for(_totals(runtime, due))
    hot = [shard for shard, total in zip(due, totals, strict=True) if _is_hot(shard, total, now_ms)]
    for shard, total in zip(due, totals, strict=True):
        shard.observed_at_ms, shard.observed_bytes, shard.observed_records = now_ms, total.size_bytes, total.records
    room = limit(stream.team_id, stream.region, "on-demand-shards") - len(open_shards)
    steps = [step for shard in hot if (step := _split(shard)) is not None][: max(0, room)]
    with transaction.atomic():
        Shard.objects.bulk_update(due, ["observed_at_ms", "observed_bytes", "observed_records"], batch_size=200)
        if not steps or not begin(stream, topology.plan_of(steps)):
            return 0
        hold.ensure("lifecycle", str(stream.pk), now_ms)
        wake("lifecycle", str(stream.pk))
    log.info("stream_scaled", stream=stream.pk, shards=len(open_shards), splits=len(steps))
    return len(steps)


async def _totals(runtime: Runtime, shards: Sequence[Shard]) -> list[Totals]:
    async def read(shard: Shard) -> Totals:
        try:
            return (await runtime.record_log.bounds(shard.pk)).totals
        except UnknownShard:
            return Totals(shard.observed_records, shard.observed_bytes)

    return await asyncio.gather(*(read(shard) for shard in shards))


def _window_is_over(shard: Shard, now_ms: int) -> bool:
    """True too if the clock was set back behind the last observation."""
    return shard.observed_at_ms == 0 or not 0 <= now_ms - shard.observed_at_ms < WINDOW_MS


def _is_hot(shard: Shard, total: Totals, now_ms: int) -> bool:
    """True if the shard's average load since the last observation was above the share. The first one only counts."""
    if shard.observed_at_ms == 0 or now_ms <= shard.observed_at_ms:
        return False
    seconds = (now_ms - shard.observed_at_ms) / SECOND_MS
    bytes_per_s = (total.size_bytes - shard.observed_bytes) / seconds
    records_per_s = (total.records - shard.observed_records) / seconds
    return bytes_per_s > HOT_SHARE * WRITE_BYTES_PER_S or records_per_s > HOT_SHARE * WRITE_RECORDS_PER_S


def _split(shard: Shard) -> Step | None:
    """The step that halves the shard; None if its range is too narrow."""
    boundary = topology.middle((int(shard.start_hash), int(shard.end_hash)))
    return None if boundary is None else Step(Kind.SPLIT, boundary)
