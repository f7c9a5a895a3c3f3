"""How shards divide the hash space [0, 2^128): pure functions, no database.

A *range* is a pair (start, end), both inclusive. The open shards of a stream partition the space, always. A *boundary*
is the start of a range other than the first. Resharding only ever adds or removes one boundary at a time:

* a split at b makes b a boundary: the range that holds b becomes [start, b - 1] and [b, end];
* a merge at b takes the boundary b away: the two ranges that meet there become one.

A *plan* is a short list of intentions, kept in the stream's row: ["split", boundary], ["merge", boundary], or
["uniform", count]. The next step follows from the intention and the ranges open now. Because a step is named by its
boundary and not by a shard, it can be written down before the shards exist that it will work on, and one that has been
done can be told from one that has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

HASH_SPACE = 2**128
LAST_HASH = HASH_SPACE - 1

Range = tuple[int, int]


class Kind(StrEnum):
    """What a step does to a boundary."""

    SPLIT = "split"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Step:
    """One boundary to add or to remove."""

    kind: Kind
    boundary: int


Plan = list[list[str]]
"""Intentions still to be carried out; in JSON, where a hash would be too large for a number."""

UNIFORM = "uniform"


def plan_of(steps: Iterable[Step]) -> Plan:
    """A plan of just these steps."""
    return [[step.kind.value, str(step.boundary)] for step in steps]


def plan_uniform(count: int) -> Plan:
    """A plan that ends at count even ranges."""
    return [[UNIFORM, str(count)]]


def next_step(plan: Plan, open_ranges: Sequence[Range]) -> tuple[Step | None, Plan]:
    """The first step of a plan, and the plan without the intentions that have nothing left to do."""
    for done, (word, number) in enumerate(plan):
        todo = uniform_steps(open_ranges, int(number)) if word == UNIFORM else [Step(Kind(word), int(number))]
        if todo and parents_of(todo[0], open_ranges):
            return todo[0], plan[done:]
    return None, []


def even_ranges(count: int) -> list[Range]:
    """The space in count ranges of floor(2^128 / count) each; the last one takes the rest."""
    assert count >= 1, count
    width = HASH_SPACE // count
    return [(i * width, LAST_HASH if i == count - 1 else (i + 1) * width - 1) for i in range(count)]


def partitions(ranges: Iterable[Range]) -> bool:
    """True if the ranges, sorted, cover the space without gap or overlap."""
    expected = 0
    for start, end in sorted(ranges):
        if start != expected or end < start:
            return False
        expected = end + 1
    return expected == HASH_SPACE


def boundaries(ranges: Iterable[Range]) -> set[int]:
    """Every start but the first."""
    return {start for start, _ in ranges} - {0}


def uniform_steps(open_ranges: Sequence[Range], count: int) -> list[Step]:
    """Steps from the open ranges to count even ones: split at every missing boundary, then merge away the others.

    In between there are short-lived shards, at most one for every boundary old and new. Nothing is ever merged across
    a boundary that the result needs, so keys move between neighbours only.
    """
    assert partitions(open_ranges), open_ranges
    have, want = boundaries(open_ranges), boundaries(even_ranges(count))
    splits = [Step(Kind.SPLIT, at) for at in sorted(want - have)]
    merges = [Step(Kind.MERGE, at) for at in sorted(have - want)]
    return splits + merges


def parents_of(step: Step, open_ranges: Iterable[Range]) -> list[Range]:
    """The ranges that a step closes, lower first; empty if the step has been done already."""
    if step.kind is Kind.SPLIT:
        return [(start, end) for start, end in open_ranges if start < step.boundary <= end]
    met = sorted((start, end) for start, end in open_ranges if step.boundary in (start, end + 1))
    return met if len(met) == 2 else []


def children_of(step: Step, parents: Sequence[Range]) -> list[Range]:
    """The ranges that a step opens in the parents' place, lower first."""
    start, end = parents[0][0], parents[-1][1]
    if step.kind is Kind.SPLIT:
        return [(start, step.boundary - 1), (step.boundary, end)]
    return [(start, end)]


def apply(step: Step, open_ranges: Sequence[Range]) -> list[Range]:
    """The open ranges after a step, sorted."""
    parents = parents_of(step, open_ranges)
    kept = [r for r in open_ranges if r not in parents]
    return sorted(kept + (children_of(step, parents) if parents else []))


def adjacent(lower: Range, upper: Range) -> bool:
    """True if the two may be merged, named in this order."""
    return lower[1] + 1 == upper[0]


def may_split(parent: Range, boundary: int) -> bool:
    """AWS's rule for NewStartingHashKey: greater than start + 1 and less than end."""
    return parent[0] + 1 < boundary < parent[1]


def middle(parent: Range) -> int | None:
    """Where to split a range evenly; None if it is too narrow to be split."""
    boundary = (parent[0] + parent[1] + 1) // 2
    return boundary if may_split(parent, boundary) else None


class State(StrEnum):
    """A shard's life, as AWS names it."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    EXPIRED = "EXPIRED"


class Life(Protocol):
    """What the functions below want to know of a shard (a Shard row has it)."""

    index: int
    parent_index: int | None
    adjacent_parent_index: int | None
    opened_at_ms: int | None
    closed_at_ms: int | None
    expired_at_ms: int | None


def state(shard: Life) -> State | None:
    """The shard's state; None while it is only prepared: nobody sees it then."""
    if shard.opened_at_ms is None:
        return None
    if shard.expired_at_ms is not None:
        return State.EXPIRED
    return State.OPEN if shard.closed_at_ms is None else State.CLOSED


def lineage(shards: Iterable[Life]) -> Mapping[int, list[int]]:
    """Parent's index to its children's, sorted. A parent that is gone already has its entry too."""
    children: dict[int, list[int]] = {}
    for shard in sorted(shards, key=lambda s: s.index):
        for parent in (shard.parent_index, shard.adjacent_parent_index):
            if parent is not None:
                children.setdefault(parent, []).append(shard.index)
    return children


def created_second(now_ms: int, parents_created_s: Iterable[int]) -> int:
    """The creation second of children: the one after their parents' end, and later than any parent's own.

    Two steps may follow each other within one second; the second's children then lie a second further ahead, so that
    a child's first sequence number is above its parents' last.
    """
    return max([now_ms // 1000, *parents_created_s]) + 1


def closing_time(sealed_at_ms: int, children_created_s: int) -> int:
    """When a parent closed, in ms: the log's own time, but not before the second that precedes its children's."""
    return max(sealed_at_ms, (children_created_s - 1) * 1000)
