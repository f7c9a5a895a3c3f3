"""On-demand streams follow their load, in both directions.

About once a minute the totals in the log are compared with those of a minute before (load.py).

*Up*: a shard that took more than half of what a shard may take is split in two even halves; and a stream that has less
than twice its load gets more shards besides, the busiest first. So a stream can double within about a minute and a half,
AWS's takes up to fifteen.

*Down*: what the load needed is remembered by the day (demand.py), and capacity stays while its day is remembered: 30 days,
as AWS keeps twice the peak of 30 days; an administrator may shorten that per team (`on-demand-peak-days`). Beyond it,
neighbours that together take less than a quarter of a shard are merged, narrow ones first, never below four shards, the
warm throughput, or what is remembered.

What it does not do: it sees averages, so a burst of some seconds is throttled as on a provisioned stream; a shard whose
load is one partition key cannot be relieved by any split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import structlog
from django.db import transaction

from apps.base.units import SECOND_MS
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.runtime import Runtime
from apps.streams import demand, topology
from apps.streams.load import Seen, look, open_shards
from apps.streams.models import Shard, Stream, StreamMode, StreamStatus
from apps.streams.operations.reshard import begin
from apps.streams.quotas import limit
from apps.streams.topology import Kind, Step

log = structlog.get_logger(__name__)

EVERY_MS = 5 * SECOND_MS

HOT_SHARE = 0.5
"""Of what a shard may take; above it the shard is split."""

COLD_SHARE = 0.25
"""Two neighbours that together take no more are merged: the merged shard is far from being split again."""

HEADROOM = 2
"""An on-demand stream has room for so many times its load."""

MERGES_MAX = 100
"""In one plan: a later look goes on."""

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
    """Look at one stream; how many splits and merges begin now."""
    now_ms = runtime.clock.now_ms()
    shards = open_shards(stream)
    seen = look(runtime, shards, now_ms)
    if seen is None:
        return 0
    most = limit(stream.team_id, stream.region, "on-demand-shards")
    hot = [shard for shard in shards if shard.pk in seen.settled and seen.shares[shard.pk] > HOT_SHARE]
    with transaction.atomic():
        needed = max(math.ceil(HEADROOM * seen.total), len(shards) + len(hot) if hot else 0)
        if seen.total > 0:
            demand.needed(stream, now_ms, needed)
        floor = min(most, demand.floor(stream, now_ms))
        steps = _splits(shards, hot, seen, min(most, max(floor, needed)))
        if not steps and len(shards) > floor:
            steps = _merges(shards, seen, len(shards) - floor)
        if not steps or not begin(stream, topology.plan_of(steps)):
            return 0
        hold.ensure("lifecycle", str(stream.pk), now_ms)
        wake("lifecycle", str(stream.pk))
    log.info("stream_scaled", stream=stream.pk, shards=len(shards), steps=len(steps), kind=steps[0].kind.value)
    return len(steps)


def _splits(shards: Sequence[Shard], hot: Sequence[Shard], seen: Seen, wanted: int) -> list[Step]:
    """Halve the hot shards, then the busiest and widest others, each once, until there are so many as wanted."""
    others = [shard for shard in shards if shard not in hot]
    others.sort(key=lambda shard: (-seen.shares.get(shard.pk, 0.0), -_width(shard)))
    steps = [step for shard in (*hot, *others) if (step := _split(shard)) is not None]
    return steps[: max(0, wanted - len(shards))]


def _merges(shards: Sequence[Shard], seen: Seen, spare: int) -> list[Step]:
    """Merge cold neighbours, the narrowest pairs first, each shard once."""
    pairs = [
        (_width(lower) + _width(upper), lower, upper)
        for lower, upper in pairwise(shards)
        if {lower.pk, upper.pk} <= seen.settled and seen.shares[lower.pk] + seen.shares[upper.pk] <= COLD_SHARE
    ]
    steps: list[Step] = []
    taken: set[int] = set()
    for _, lower, upper in sorted(pairs, key=lambda pair: pair[0]):
        if len(steps) == min(spare, MERGES_MAX):
            break
        if not taken & {lower.pk, upper.pk}:
            taken |= {lower.pk, upper.pk}
            steps.append(Step(Kind.MERGE, int(upper.start_hash)))
    return steps


def _width(shard: Shard) -> int:
    return int(shard.end_hash) - int(shard.start_hash) + 1


def _split(shard: Shard) -> Step | None:
    """The step that halves the shard; None if its range is too narrow."""
    boundary = topology.middle((int(shard.start_hash), int(shard.end_hash)))
    return None if boundary is None else Step(Kind.SPLIT, boundary)
