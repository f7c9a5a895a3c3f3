"""Which partition keys a shard is busy with: a sample of what came within the last minute, and its heavy hitters.

Nothing is counted when records are put. When somebody looks, a few spots of the last minute are read from the log itself,
which costs no reader's budget, and what is found is kept for some seconds for all who look.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from apps.base.units import MINUTE_MS, SECOND_MS
from apps.metrics.shard_load import Load
from apps.recordlog.interface import RecordLogError, UnknownShard
from apps.runtime import Runtime
from apps.streams import hashkeys, topology
from apps.streams.limits import WRITE_BYTES_PER_S, WRITE_RECORDS_PER_S
from apps.streams.models import Shard
from console.pages import record_views

WINDOW_MS: Final = MINUTE_MS
SPOTS: Final = 8
SPOT_RECORDS: Final = 128
SPOT_BYTES: Final = 256 * 1024
"""Read at each of so many places of a shard's last minute."""

SHARDS_MAX: Final = 10
"""Sampled for one page: the busiest."""

BUSY_SHARE: Final = 0.1
"""Of the write limit: quieter shards are not looked at."""

HOT_SHARE: Final = 0.1
SHOWN_MAX: Final = 3
REASON_SHARE: Final = 0.3
KEPT_MS: Final = 10 * SECOND_MS
KEPT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class HotKey:
    """A key, and its part of what the shard took (of bytes or of records, whichever limit is nearer)."""

    key: str
    share: float

    @property
    def percent(self) -> int:
        """Rounded."""
        return round(100 * self.share)

    @property
    def text(self) -> str:
        """With what cannot be seen made visible."""
        return record_views.visible(self.key)


@dataclass(slots=True)
class Sample:
    """What was looked at of one shard."""

    records: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)
    at_ms: int = 0

    @property
    def weights(self) -> Counter[str]:
        """By key: bytes or records, whichever of the two is nearer to the shard's limit."""
        of_bytes = self.size_bytes.total() / WRITE_BYTES_PER_S
        of_records = self.records.total() / WRITE_RECORDS_PER_S
        return self.size_bytes if of_bytes > of_records else self.records

    @property
    def hot(self) -> list[HotKey]:
        """The heaviest keys; none if the load is spread."""
        whole = self.weights.total() or 1
        found = [HotKey(key, weight / whole) for key, weight in self.weights.most_common(SHOWN_MAX)]
        return [one for one in found if one.share >= HOT_SHARE]

    def middle(self, parent: topology.Range) -> int | None:
        """The hash key at which a split divides what came in two halves, as well as keys allow; None: it cannot."""
        placed = sorted((int.from_bytes(hashkeys.digest_of_key(key)), weight) for key, weight in self.weights.items())
        whole, below = self.weights.total(), 0
        best: tuple[float, int] | None = None
        for at, weight in placed:
            if below and topology.may_split(parent, at):
                apart = abs(whole - 2 * below)
                best = min(best, (apart, at)) if best else (apart, at)
            below += weight
        return best[1] if best else None


class Samples:
    """The samples of the last seconds, by shard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, Sample] = {}

    def of(self, runtime: Runtime, shard: Shard) -> Sample:
        """Look again if the last look is too long ago."""
        now_ms = runtime.clock.now_ms()
        with self._lock:
            known = self._kept.get(shard.pk)
        if known is not None and 0 <= now_ms - known.at_ms < KEPT_MS:
            return known
        made = _look(runtime, shard, now_ms)
        with self._lock:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[shard.pk] = made
        return made


samples = Samples()


def hot_keys(runtime: Runtime, shards: Iterable[Shard], loads: dict[int, Load]) -> dict[int, list[HotKey]]:
    """By number of the shard, for the busiest open ones."""
    busy = [shard for shard in shards if shard.index in loads and loads[shard.index].share >= BUSY_SHARE]
    busy.sort(key=lambda shard: -loads[shard.index].share)
    return {shard.index: samples.of(runtime, shard).hot for shard in busy[:SHARDS_MAX]}


def reason(runtime: Runtime, hot: Sequence[Shard]) -> HotKey | None:
    """The key that is most of what the first of the shards over their limit takes; None if its load is spread."""
    found = samples.of(runtime, hot[0]).hot[:1] if hot else []
    return found[0] if found and found[0].share >= REASON_SHARE else None


def _look(runtime: Runtime, shard: Shard, now_ms: int) -> Sample:
    """A few spots of the last minute, evenly apart."""
    sample, log = Sample(at_ms=now_ms), runtime.record_log
    try:
        first = runtime.wait_for(log.find(shard.pk, now_ms - WINDOW_MS))
        end = runtime.wait_for(log.bounds(shard.pk)).next_offset
        step = max(SPOT_RECORDS, (end - first) // SPOTS)
        for start in range(first, end, step)[:SPOTS]:
            batch = runtime.wait_for(log.read(shard.pk, start, min(SPOT_RECORDS, end - start), SPOT_BYTES))
            for part in batch.slices:
                _count(sample, part.records)
    except (UnknownShard, RecordLogError):
        pass  # what was seen so far is a sample, too
    return sample


def _count(sample: Sample, flat: list[str | bytes | None]) -> None:
    """flat: key, data, key, data …"""
    for key, data in zip(flat[::2], flat[1::2], strict=True):
        if isinstance(key, str) and isinstance(data, bytes):
            sample.records[key] += 1
            sample.size_bytes[key] += len(key.encode()) + len(data)
