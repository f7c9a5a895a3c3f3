"""What shards take, seen from their logs' totals about a minute apart: for those who scale streams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from apps.base.units import MINUTE_MS, SECOND_MS
from apps.recordlog.interface import Totals, UnknownShard
from apps.runtime import Runtime
from apps.streams.limits import WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Shard, Stream

WINDOW_MS = MINUTE_MS
"""Load is the average over at least so long."""

SHORT_MS = WINDOW_MS // 2
"""A shard that is younger counts in the sum, but nothing is decided about it alone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Load since the last look, in shards: 1 is all that a shard may take, of bytes or of records.

    shares: by shard's row id, of those looked at before. settled: of whom a whole window (or half of one) is known.
    """

    shares: dict[int, float]
    settled: frozenset[int]
    since_ms: int

    @property
    def total(self) -> float:
        """Of the stream."""
        return sum(self.shares.values())


def open_shards(stream: Stream) -> list[Shard]:
    """The stream's open shards, by range."""
    rows = stream.shards.filter(opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    return sorted(rows, key=lambda shard: int(shard.start_hash))


def look(runtime: Runtime, shards: Sequence[Shard], now_ms: int) -> Seen | None:
    """Read the totals of a stream's open shards if a window is over since the last look; else None.

    Shards never looked at are read at once, to have something to compare with. What was read is saved.
    """
    over = any(_window_is_over(shard, now_ms) for shard in shards)
    read = [shard for shard in shards if over or not shard.observed_at_ms]
    if not read:
        return None
    totals = runtime.wait_for(_totals(runtime, read))
    known = [(s, total) for s, total in zip(read, totals, strict=True) if 0 < s.observed_at_ms < now_ms]
    seen = Seen(
        {shard.pk: _share(shard, total, now_ms) for shard, total in known},
        frozenset(shard.pk for shard, _ in known if now_ms - shard.observed_at_ms >= SHORT_MS),
        min((shard.observed_at_ms for shard, _ in known), default=now_ms),
    )
    for shard, total in zip(read, totals, strict=True):
        shard.observed_at_ms, shard.observed_bytes, shard.observed_records = now_ms, total.size_bytes, total.records
    Shard.objects.bulk_update(read, ["observed_at_ms", "observed_bytes", "observed_records"], batch_size=200)
    return seen if over else None


async def _totals(runtime: Runtime, shards: Sequence[Shard]) -> list[Totals]:
    async def read(shard: Shard) -> Totals:
        try:
            return (await runtime.record_log.bounds(shard.pk)).totals
        except UnknownShard:
            return Totals(shard.observed_records, shard.observed_bytes)

    return await asyncio.gather(*(read(shard) for shard in shards))


def _window_is_over(shard: Shard, now_ms: int) -> bool:
    """True too if the clock was set back behind the last look."""
    return shard.observed_at_ms > 0 and not 0 <= now_ms - shard.observed_at_ms < WINDOW_MS


def _share(shard: Shard, total: Totals, now_ms: int) -> float:
    seconds = (now_ms - shard.observed_at_ms) / SECOND_MS
    bytes_per_s = (total.size_bytes - shard.observed_bytes) / seconds
    records_per_s = (total.records - shard.observed_records) / seconds
    return max(0.0, bytes_per_s / WRITE_BYTES_PER_S, records_per_s / WRITE_RECORDS_PER_S)
