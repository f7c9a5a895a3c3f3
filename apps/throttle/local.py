"""Token buckets in this process's memory. A take costs about a microsecond."""

from __future__ import annotations

from math import inf

from apps.throttle.interface import Budget

BUCKETS_MAX = 100_000
"""Buckets are named after shards and consumers that exist; 20,000 shards of three buckets each fit."""

IDLE_MS = 60_000
"""A bucket untouched for so long is full again, unless it was deep in debt: the longest is 5 s."""

LATE_MS = 1_000
"""A taker that began so much before the last one is merely late; what flowed in since was given already. An earlier
time than that means a clock set back."""


class _Bucket:
    """What is left of each dimension, as of at_ms."""

    __slots__ = ("at_ms", "records", "size_bytes")

    def __init__(self, records: float, size_bytes: float, at_ms: int) -> None:
        self.records = records
        self.size_bytes = size_bytes
        self.at_ms = at_ms


class LocalThrottle:
    """See Throttle. One per process, used on one thread."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> bool:
        """See Throttle.take."""
        bucket = self._refilled(name, budget, now_ms)
        if records > bucket.records and budget.records_per_s:
            return False
        if size_bytes > bucket.size_bytes and budget.bytes_per_s:
            return False
        bucket.records -= records
        bucket.size_bytes -= size_bytes
        return True

    def spend(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> None:
        """See Throttle.spend."""
        bucket = self._refilled(name, budget, now_ms)
        bucket.records -= records
        bucket.size_bytes -= size_bytes

    def left(self, name: str, budget: Budget, now_ms: int) -> tuple[float, float]:
        """See Throttle.left."""
        bucket = self._refilled(name, budget, now_ms)
        return (
            bucket.records if budget.records_per_s else inf,
            bucket.size_bytes if budget.bytes_per_s else inf,
        )

    def forget_before(self, idle_since_ms: int) -> int:
        """See Throttle.forget_before."""
        idle = [name for name, bucket in self._buckets.items() if bucket.at_ms < idle_since_ms]
        for name in idle:
            del self._buckets[name]
        return len(idle)

    async def close(self) -> None:
        """See Throttle.close."""

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, name: str) -> bool:
        return name in self._buckets

    def _refilled(self, name: str, budget: Budget, now_ms: int) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            return self._made(name, budget, now_ms)
        elapsed_ms = now_ms - bucket.at_ms
        if elapsed_ms > 0:
            seconds = elapsed_ms / 1000
            records = bucket.records + budget.records_per_s * seconds
            size_bytes = bucket.size_bytes + budget.bytes_per_s * seconds
            bucket.records = min(records, budget.burst_records)
            bucket.size_bytes = min(size_bytes, budget.burst_bytes)
            bucket.at_ms = now_ms
        elif elapsed_ms < -LATE_MS:
            # A clock that was set back restarts the count from where it stands now: nothing is given, and nobody
            # waits until the old time comes again.
            bucket.at_ms = now_ms
        return bucket

    def _made(self, name: str, budget: Budget, now_ms: int) -> _Bucket:
        if len(self._buckets) >= BUCKETS_MAX:
            self.forget_before(now_ms - IDLE_MS)
        while len(self._buckets) >= BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[name] = _Bucket(budget.burst_records, budget.burst_bytes, now_ms)
        return bucket


class NoThrottle:
    """Grants everything: TIDEGATE_THROTTLE=off, for load tests."""

    def take(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> bool:  # noqa: ARG002
        """See Throttle.take."""
        return True

    def spend(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> None:
        """See Throttle.spend."""

    def left(self, name: str, budget: Budget, now_ms: int) -> tuple[float, float]:  # noqa: ARG002
        """See Throttle.left."""
        return inf, inf

    def forget_before(self, idle_since_ms: int) -> int:  # noqa: ARG002
        """See Throttle.forget_before."""
        return 0

    async def close(self) -> None:
        """See Throttle.close."""

    def __contains__(self, name: str) -> bool:
        return True
