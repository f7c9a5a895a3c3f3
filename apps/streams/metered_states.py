"""What a stream was like, and since when: the states that its time and storage are metered by. Pure functions.

They are kept in the stream's row, oldest first, each until the next one begins. The first begins when the first shard is
open, the last has no mode once the stream is deleted. Whoever changes the mode, the retention or the shard-level metrics
adds one in the same transaction (time_meters.py); those that nobody will read any more are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from apps.base.units import HOUR_MS

STATES_MAX = 1_000
"""Kept at once: a stream that is changed more often within the hours that are not metered yet is changed no more until
they are (changes_refused)."""

INCLUDED_HOURS = 24
"""Retention up to here is part of a shard's or a stream's price; more is metered."""

Span = tuple[int, int]
"""[from, to) in ms."""


class State(NamedTuple):
    """mode: as Stream.mode; empty from the deletion on. floor_ms: Stream.retention_floor_ms. metrics: how many shard-level
    metrics were switched on."""

    from_ms: int
    mode: str
    retention_hours: int
    floor_ms: int
    metrics: int

    @property
    def is_extended(self) -> bool:
        """Is anything kept for longer than is part of the price?"""
        return bool(self.mode) and self.retention_hours > INCLUDED_HOURS


def states_of(kept: Iterable[Sequence[Any]]) -> list[State]:
    """From the row."""
    return [State(*one) for one in kept]


def ended(at_ms: int) -> State:
    """The state of a deleted stream."""
    return State(at_ms, "", 0, 0, 0)


def with_state(states: Sequence[State], new: State) -> list[State]:
    """The states once a new one begins, which is not before what is booked. Those that begin no sooner are gone: they lasted
    no time, or were to begin at a time that a clock gone wrong showed."""
    return [*(one for one in states if one.from_ms < new.from_ms), new]


def without_old(states: Sequence[State], before_ms: int) -> list[State]:
    """Without those that ended by then; the present one always stays."""
    ends = [one.from_ms for one in states[1:]]
    return [one for one, end_ms in zip(states, ends, strict=False) if end_ms > before_ms] + list(states[-1:])


def pieces(states: Sequence[State], within: Span) -> list[tuple[Span, State]]:
    """The parts of a span in which there was a stream, each with the state it had then."""
    ends = [*(one.from_ms for one in states[1:]), within[1]]
    found = []
    for state, end_ms in zip(states, ends, strict=False):
        span = both((state.from_ms, end_ms), within)
        if state.mode and span[0] < span[1]:
            found.append((span, state))
    return found


def both(a: Span, b: Span) -> Span:
    """What two spans share; it ends before it begins if that is nothing."""
    return max(a[0], b[0]), min(a[1], b[1])


def length(span: Span) -> int:
    """Milliseconds, not negative."""
    return max(0, span[1] - span[0])


def covered(within: Span, spans: Iterable[tuple[Span, int]]) -> int:
    """Milliseconds of `within` that each span covers, times how many there are of it, added up."""
    return sum(length(both(within, span)) * count for span, count in spans)


def cut(span: Span, by: Iterable[Span]) -> tuple[list[Span], list[Span]]:
    """The parts of a span inside and outside the others, which do not overlap."""
    inside = sorted(shared for one in by if length(shared := both(span, one)))
    outside, at_ms = [], span[0]
    for from_ms, to_ms in inside:
        outside.append((at_ms, from_ms))
        at_ms = to_ms
    outside.append((at_ms, span[1]))
    return inside, [one for one in outside if length(one)]


def hour_of(at_ms: int) -> int:
    """The UTC hour that a moment lies in."""
    return at_ms - at_ms % HOUR_MS
