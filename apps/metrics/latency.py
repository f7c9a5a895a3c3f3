"""How long calls took, counted by classes of duration, so that percentiles can be told of any span of time.

Each class of each metric of TIMED is a count of its own, under a stored number of its own. Counts add up over processes
and over time like every sum, so a percentile of a wide bucket comes from merged counts, never from other percentiles.
CloudWatch lists none of them and /metrics tells none: they are no metrics of AWS's, only how TIMED are distributed.

Calls are timed in whole milliseconds. Below EXACT_BELOW_MS a class is one of them, so a percentile is exact there; above
it four classes divide each doubling, so a percentile is less than a quarter away from the exact one. What took longer
than the last bound is one class, whose end is the longest that was seen.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.metrics.buckets import Point

EXACT_BELOW_MS = 8
_DOUBLINGS, _PARTS = 13, 4

LOWER_MS: tuple[int, ...] = (
    *range(EXACT_BELOW_MS),
    *((_PARTS + part) * (EXACT_BELOW_MS // _PARTS) << doubling for doubling in range(_DOUBLINGS) for part in range(_PARTS)),
    EXACT_BELOW_MS << _DOUBLINGS,
)  # fmt: skip
"""The lowest value of each class; it ends where the next begins. Other bounds need other numbers in _FIRST."""

_FIRST = {"PutRecord.Latency": 1_000, "PutRecords.Latency": 1_100, "GetRecords.Latency": 1_200}
"""The stored number of each metric's first class. As in names.py: never changed, never reused."""

TIMED: dict[str, range] = {name: range(first, first + len(LOWER_MS)) for name, first in _FIRST.items()}
"""By AWS's name: the stored numbers of a metric's classes."""

CLASS_NUMBERS: frozenset[int | str] = frozenset(number for numbers in TIMED.values() for number in numbers)

SERIES: dict[str, tuple[str, ...]] = {name: tuple(f"{name}/{lower_ms}" for lower_ms in LOWER_MS) for name in TIMED}
"""What the counters call a metric's classes, made beforehand for the hot path."""

NUMBER_OF: dict[str, int] = {
    series: number for name, numbers in TIMED.items() for series, number in zip(SERIES[name], numbers, strict=True)
}

ENDS_MS = LOWER_MS[1:]
"""bisect_right() of a duration in it is the place of its class."""


def series_of(metric: str, ms: float) -> str:
    """The class that a call of so many milliseconds counts in, by its name in the counters."""
    return SERIES[metric][bisect_right(ENDS_MS, ms)]


def percentile(points: Mapping[int | str, Point], metric: str, number: int, percent: float) -> float | None:
    """Milliseconds that so many percent of the calls did not exceed; number: under which `metric` itself is stored.

    None where no classes were counted: there was no call, or the bucket is older than the classes are.
    """
    counted = [(place, point.count) for place, key in enumerate(TIMED[metric]) if (point := points.get(key))]
    calls = sum(count for _, count in counted)
    if not calls or number not in points:
        return None
    return _at(counted, max(1, math.ceil(calls * percent / 100)), points[number].least, points[number].most)


def _at(counted: list[tuple[int, int]], rank: int, least_ms: float, most_ms: float) -> float:
    """The call of that rank; calls of one class are taken to lie evenly within it. Classes are given in order."""
    for place, count in counted:
        if rank <= count:
            first, last = LOWER_MS[place], _last_ms(place, most_ms)
            within = first + (last - first) * (rank - 0.5) / count
            return min(max(within, least_ms), most_ms)
        rank -= count
    return most_ms


def _last_ms(place: int, most_ms: float) -> float:
    """The highest whole value of a class."""
    return LOWER_MS[place + 1] - 1 if place + 1 < len(LOWER_MS) else max(most_ms, LOWER_MS[place])
