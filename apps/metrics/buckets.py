"""A metric in one bucket of time: merging over processes and over time, and the bytes it is stored as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgpack

from apps.metrics import latency
from apps.metrics.counters import Sample, ShardSample


class Point(NamedTuple):
    """A metric in a bucket. peak: the highest total of any one second in it, so that a wide bucket hides no spike."""

    total: float
    count: int  # type: ignore[assignment]  # hides tuple.count
    least: float
    most: float
    peak: float

    def beside(self, other: Point) -> Point:
        """Both together, counted at the same time by two processes. Their peaks may not have met: an upper bound."""
        return Point(
            self.total + other.total,
            self.count + other.count,
            min(self.least, other.least),
            max(self.most, other.most),
            self.peak + other.peak,
        )

    def then(self, other: Point) -> Point:
        """Both together, counted one after the other."""
        return Point(
            self.total + other.total,
            self.count + other.count,
            min(self.least, other.least),
            max(self.most, other.most),
            max(self.peak, other.peak),
        )


Points = dict[int | str, Point]
"""By metric number; metrics of consumers and shards by names.stored_under()."""

NOTHING = Point(0, 0, 0, 0, 0)
"""Somebody counted, and there was nothing to count."""


def point_of(sample: Sample) -> Point:
    """One second of one process."""
    return Point(sample.total, sample.count, sample.least, sample.most, sample.total)


def counted(count: int) -> Point:
    """Of a class of a latency: how many calls were in it, and nothing else."""
    return Point(count, count, 1, 1, count)


def share(sample: Sample, seconds: int) -> list[Sample]:
    """sample spread over so many seconds, for a flush that came late. A second without an observation stays empty.

    Whole numbers stay whole, and the parts' totals come to exactly the sample's."""
    counts = [sample.count // seconds + (n < sample.count % seconds) for n in range(seconds)]
    parts, counted, booked = [], 0, type(sample.total)(0)
    for count in counts:
        counted += count
        total = sample.total * counted
        upto = total // sample.count if isinstance(total, int) else total / sample.count
        parts.append(Sample(upto - booked, count, sample.least, sample.most))
        booked = upto
    return parts


def merge_beside(into: Points, points: Mapping[int | str, Point]) -> None:
    """Add another process's points of the same time."""
    for number, point in points.items():
        known = into.get(number)
        into[number] = point if known is None else _both(number, known, point, Point.beside)


def merge_then(into: Points, points: Mapping[int | str, Point]) -> None:
    """Add the points of another time."""
    for number, point in points.items():
        known = into.get(number)
        into[number] = point if known is None else _both(number, known, point, Point.then)


def _both(number: int | str, one: Point, other: Point, merge: Callable[[Point, Point], Point]) -> Point:
    return counted(one.count + other.count) if number in latency.CLASS_NUMBERS else merge(one, other)


def encode(points: Mapping[int | str, Point]) -> bytes:
    """msgpack {number: value}; one observation is the bare value, more are [total, count, least, most, peak]. A class of
    a latency is its count alone."""
    return _packed(
        {number: point.count if number in latency.CLASS_NUMBERS else _shape(point) for number, point in points.items()}
    )


def decode(stored: bytes, *, classes: bool = True) -> Points:
    """The counterpart of encode. classes: those of latencies, too, which are many and few readers want."""
    shapes = msgpack.unpackb(stored, strict_map_key=False)
    return {
        number: Point(*shape) if isinstance(shape, list) else _bare(number, shape)
        for number, shape in shapes.items()
        if classes or number not in latency.CLASS_NUMBERS
    }


def _bare(number: int | str, value: float) -> Point:
    return counted(int(value)) if number in latency.CLASS_NUMBERS else Point(value, 1, value, value, value)


def encode_shards(shards: Mapping[int, ShardSample]) -> bytes:
    """msgpack {shard index: [in_bytes, in_records, throttled_bytes, throttled_records, out_bytes, out_records]}."""
    return _packed(
        {
            index: (s.in_bytes, s.in_records, s.throttled_bytes, s.throttled_records, s.out_bytes, s.out_records)
            for index, s in shards.items()
        }
    )


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, use_single_float=True)
    return packed


def decode_shards(stored: bytes) -> dict[int, ShardSample]:
    """The counterpart of encode_shards."""
    return {index: ShardSample(*shape) for index, shape in msgpack.unpackb(stored, strict_map_key=False).items()}


def _shape(point: Point) -> float | tuple[float, ...]:
    return point.total if point.count == 1 and point.peak == point.total else tuple(point)
