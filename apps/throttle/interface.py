"""Throttling: what a shard, consumer or account may take per second.

A *budget* is a token bucket with two dimensions (records, bytes). A taker either gets all it asks or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Budget:
    """Rates per second and the burst that may be saved up. A rate of 0 means the dimension is not limited."""

    records_per_s: float
    bytes_per_s: float
    burst_records: float
    burst_bytes: float


class Throttle(Protocol):
    """Synchronous on purpose: a take costs about a microsecond and never waits."""

    def take(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> bool:
        """True: granted and spent. False: refused and nothing spent."""
        ...

    def spend(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> None:
        """Spend what has been used already, into debt if need be: later takes wait until it is paid back.
        (A read knows its bytes only afterwards: 10 MiB at 2 MiB/s blocks the shard for 5 seconds.)"""
        ...

    def left(self, name: str, budget: Budget, now_ms: int) -> tuple[float, float]:
        """(records, bytes) that a take would be granted now; negative while in debt. Infinite where not limited.
        For a caller who takes what fits after the whole was refused."""
        ...

    def forget_before(self, idle_since_ms: int) -> int:
        """Drop buckets untouched since then; answers how many."""
        ...

    async def close(self) -> None:
        """Let go of what is open; the buckets are not used any more."""
        ...
