"""Which shard a record goes to when the stream distributes records itself (AUTO): evenly, whatever their keys are.

The shards take turns, call by call. Within a call each record goes to the shard that has got least of it so far,
measured as a shard's budget is: bytes, and a share of them for each record.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace

from apps.base.units import MIB
from apps.recordlog.interface import Successor
from apps.streams.catalog import ShardView, StreamView
from apps.streams.placement import Group, Placeable, record_bytes, record_too_large

RECORD_WEIGHT_BYTES = MIB // 1_000
"""A shard takes 1 MiB or 1,000 records a second: a record weighs as much as so many bytes."""

STREAMS_MAX = 10_000
"""Turns remembered; the stream whose turn was set first is forgotten first, and begins anew."""

_turns: dict[int, int] = {}
"""By the stream's key: which of its open shards comes next in this process."""


def shard_in_turn(stream: StreamView) -> ShardView:
    """The shard of a single record."""
    return stream.open_shards[_take_turns(stream, 1)]


def spread(stream: StreamView, records: Sequence[Placeable]) -> tuple[list[Group], int]:
    """The groups of a call that get at least one record, and the size of the largest record.

    Raises InvalidArgumentException if a record is too large for the stream: the whole call fails, as with AWS.
    """
    count = min(len(stream.open_shards), len(records))
    first = _take_turns(stream, count)
    shards = stream.open_shards
    groups = [Group(shards[(first + turn) % len(shards)]) for turn in range(count)]
    largest = _fill(groups, range(len(records)), records)
    if largest > stream.max_record_bytes:
        raise record_too_large(stream, largest)
    return [group for group in groups if group.positions], largest


def spread_anew(
    stream: StreamView, group: Group, successors: Sequence[Successor], records: Sequence[Placeable]
) -> list[Group]:
    """A group whose shard refused, divided evenly among the shards that took over; see placement.place_anew."""
    groups = [Group(stream.by_key[heir.shard]) for heir in successors]
    _fill(groups, group.positions, records)
    return [part for part in groups if part.positions]


def _take_turns(stream: StreamView, count: int) -> int:
    """Which shard begins; the next call begins count shards further on."""
    shards = len(stream.open_shards)
    turn = _turns.get(stream.key)
    if turn is None:
        while len(_turns) >= STREAMS_MAX:
            del _turns[next(iter(_turns))]
        turn = 0
    _turns[stream.key] = (turn + count) % shards
    return turn % shards


def _fill(groups: Sequence[Group], positions: Sequence[int], records: Sequence[Placeable]) -> int:
    """Each record to the group with least so far, the first of them; the size of the largest record."""
    least = [(0, turn) for turn in range(len(groups))]
    heapify(least)
    largest = 0
    for position in positions:
        record = records[position]
        size = record_bytes(record.partition_key, record.data)
        largest = max(largest, size)
        weight, turn = least[0]
        groups[turn].add(position, record.partition_key, record.data, size)
        heapreplace(least, (weight + size + RECORD_WEIGHT_BYTES, turn))
    return largest
