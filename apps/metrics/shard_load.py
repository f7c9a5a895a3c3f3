"""How busy each shard is: what was offered to it and taken from it over the last 10 and 60 seconds."""

from __future__ import annotations

from dataclasses import dataclass

from apps.base.clock import Clock, SystemClock
from apps.base.units import MIB
from apps.metrics import layout, store
from apps.metrics.buckets import decode_shards
from apps.metrics.counters import ShardSample

WRITE_BYTES_PER_S = MIB
WRITE_RECORDS_PER_S = 1_000
"""What a shard takes per second (Kinesis Data Streams quotas)."""

WINDOWS_S = (10, 60)
_CLOCK: Clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Load:
    """Rates of one shard over one window. share: what was offered, refused included, against the limit that is
    nearer, 1.0 being full; so it can pass 1."""

    in_bytes_per_s: float
    in_records_per_s: float
    throttled_records_per_s: float
    out_bytes_per_s: float
    out_records_per_s: float
    share: float


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """One shard."""

    last_10_s: Load
    last_60_s: Load


def shard_load(team_id: int, stream_id: int, *, clock: Clock = _CLOCK) -> dict[int, ShardLoad] | None:
    """By shard index; shards without traffic in the last minute are not in it. None: Redis is away."""
    # The newest second may not have been flushed by every process yet.
    end_s = clock.now_ms() // 1_000 - 1
    from_s = end_s - max(WINDOWS_S)
    step = layout.SHARD_BLOCK_S
    replies = store.ask(
        [
            ("HGETALL", layout.shard_key(team_id, stream_id, start))
            for start in range(from_s // step * step, end_s, step)
        ]
    )
    if replies is None:
        return None
    sums: dict[int, tuple[ShardSample, ShardSample]] = {}
    for reply in replies:
        for name, stored in reply.items():
            second = int(name.partition(b":")[0])
            if from_s <= second < end_s:
                _add(sums, stored, recent=second >= end_s - WINDOWS_S[0])
    return {index: ShardLoad(_load(short, 10), _load(whole, 60)) for index, (short, whole) in sorted(sums.items())}


def _add(sums: dict[int, tuple[ShardSample, ShardSample]], stored: bytes, *, recent: bool) -> None:
    for index, sample in decode_shards(stored).items():
        short, whole = sums.setdefault(index, (ShardSample(), ShardSample()))
        whole.merge(sample)
        if recent:
            short.merge(sample)


def _load(sample: ShardSample, window_s: int) -> Load:
    offered_bytes = (sample.in_bytes + sample.throttled_bytes) / window_s
    offered_records = (sample.in_records + sample.throttled_records) / window_s
    return Load(
        in_bytes_per_s=sample.in_bytes / window_s,
        in_records_per_s=sample.in_records / window_s,
        throttled_records_per_s=sample.throttled_records / window_s,
        out_bytes_per_s=sample.out_bytes / window_s,
        out_records_per_s=sample.out_records / window_s,
        share=max(offered_bytes / WRITE_BYTES_PER_S, offered_records / WRITE_RECORDS_PER_S),
    )
