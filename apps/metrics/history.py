"""A stream's metrics over a range of time: buckets side by side, gaps apart from zeros. Pure; store.py fills it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from apps.metrics import layout
from apps.metrics.buckets import Points, merge_beside, merge_then


@dataclass(slots=True)
class History:
    """Buckets [from_s, to_s) of one stream. A bucket is None where nobody counted, empty where there was no traffic."""

    from_s: int
    width_s: int
    buckets: list[Points | None]
    away: bool = False
    """Redis did not answer: what it alone knows is missing."""
    classes: bool = False
    """The classes of latencies are in it (latency.py)."""

    @property
    def times(self) -> list[int]:
        """Start of each bucket, UTC seconds."""
        return [self.from_s + n * self.width_s for n in range(len(self.buckets))]

    def served(self, start_s: int) -> None:
        """Somebody counted at this time."""
        n = self._at(start_s)
        if n is not None and self.buckets[n] is None:
            self.buckets[n] = {}

    def put(self, start_s: int, points: Points) -> None:
        """Add what was counted in a narrower bucket (or one as wide) that starts then."""
        n = self._at(start_s)
        if n is not None:
            bucket = self.buckets[n]
            if bucket is None:
                bucket = self.buckets[n] = {}
            merge_then(bucket, points)

    def _at(self, start_s: int) -> int | None:
        n = (start_s - self.from_s) // self.width_s
        return n if 0 <= n < len(self.buckets) else None


def empty(from_s: int, to_s: int, width_s: int, *, classes: bool = False) -> History:
    """A history of gaps. from_s is moved down to a bucket's start. Raises ValueError over POINTS_MAX buckets."""
    start_s = from_s - from_s % width_s
    length = max(0, -((start_s - to_s) // width_s))
    if length > layout.POINTS_MAX:
        raise ValueError(f"{length} points asked for, at most {layout.POINTS_MAX} are given")
    return History(start_s, width_s, [None] * length, classes=classes)


def merge_processes(fields: Iterable[tuple[int, Points]]) -> dict[int, Points]:
    """Points by bucket start, processes added up."""
    merged: dict[int, Points] = {}
    for start_s, points in fields:
        merge_beside(merged.setdefault(start_s, {}), points)
    return merged


@dataclass(slots=True)
class Uptimes:
    """In which seconds somebody served, from the hours' bitmaps."""

    hours: dict[int, int] = field(default_factory=dict)

    def add(self, hour: int, bitmap: bytes | None) -> None:
        """bitmap: as SETBIT makes it, bit 0 first; its end may be missing."""
        padded = (bitmap or b"").ljust(layout.HOUR_S // 8, b"\0")
        self.hours[hour] = int.from_bytes(padded[: layout.HOUR_S // 8], "big")

    def seconds(self, start_s: int, width_s: int) -> int:
        """Seconds served in the bucket. Buckets up to an hour lie within one hour."""
        hour, first = divmod(start_s, layout.HOUR_S)
        bits = self.hours.get(hour, 0) >> max(0, layout.HOUR_S - first - width_s)
        return (bits & ((1 << width_s) - 1)).bit_count()
