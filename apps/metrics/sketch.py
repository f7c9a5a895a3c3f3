"""A distribution in bounded room, for percentiles: counts in bins that widen with the value, so that every percentile is
within ACCURACY of a value that was really seen. Sketches merge by adding; nothing is lost by merging.

The construction is that of DDSketch (Masson, Rim, Lee: VLDB 2019).
"""

from __future__ import annotations

import math

import msgpack

ACCURACY = 0.01
"""Relative: a p99 told as 200 ms was between 198 and 202."""

BINS_MAX = 2_048
"""From a nanosecond to thirty years of them. Beyond it the bins of the smallest values become one."""

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
TINY = 1e-9
"""Smaller than this, either way, counts as 0."""


class Sketch:
    """Counts by bin. The bin of a value is that of its logarithm; negative values have bins of their own."""

    __slots__ = ("above", "below", "zeros")

    def __init__(self) -> None:
        self.above: dict[int, float] = {}
        self.below: dict[int, float] = {}
        self.zeros = 0.0

    def add(self, value: float, count: float = 1.0) -> None:
        """Count a value, so many times."""
        if abs(value) < TINY:
            self.zeros += count
            return
        bins = self.above if value > 0 else self.below
        index = math.ceil(math.log(abs(value)) / _LOG_GAMMA)
        bins[index] = bins.get(index, 0.0) + count
        self._bound(bins)

    def merge(self, other: Sketch) -> None:
        """Add what other counted."""
        self.zeros += other.zeros
        for mine, theirs in ((self.above, other.above), (self.below, other.below)):
            for index, count in theirs.items():
                mine[index] = mine.get(index, 0.0) + count
            self._bound(mine)

    @staticmethod
    def _bound(bins: dict[int, float]) -> None:
        while len(bins) > BINS_MAX:
            smallest, second = sorted(bins)[:2]
            bins[second] += bins.pop(smallest)

    @property
    def count(self) -> float:
        """How many values were counted."""
        return self.zeros + sum(self.above.values()) + sum(self.below.values())

    def percentile(self, percent: float, least: float, most: float) -> float:
        """The value that so many percent of the values do not exceed; least and most: the extremes that were seen."""
        wanted = self.count * percent / 100
        found = most
        seen = 0.0
        for value, count in self._in_order():
            seen += count
            if seen >= wanted:
                found = value
                break
        return min(max(found, least), most)

    def _in_order(self) -> list[tuple[float, float]]:
        """Middles of bins and their counts, the lowest value first."""
        down = [(-_middle(index), self.below[index]) for index in sorted(self.below, reverse=True)]
        up = [(_middle(index), self.above[index]) for index in sorted(self.above)]
        return [*down, (0.0, self.zeros), *up]

    def encode(self) -> bytes:
        """msgpack [zeros, {bin: count}, {bin: count}]."""
        packed: bytes = msgpack.packb((self.zeros, self.above, self.below))
        return packed

    @staticmethod
    def decode(stored: bytes) -> Sketch:
        """The counterpart of encode."""
        made = Sketch()
        made.zeros, made.above, made.below = msgpack.unpackb(stored, strict_map_key=False)
        return made


def _middle(index: int) -> float:
    """The value whose relative distance to both ends of a bin is equal."""
    return float(2 * _GAMMA**index / (_GAMMA + 1))
