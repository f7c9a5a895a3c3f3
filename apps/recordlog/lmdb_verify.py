"""Walks everything stored in the LMDB record log, in read transactions of a quarter second each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from msgspec import DecodeError

from apps.recordlog.interface import Keyring, KeyUnavailable, LogUnavailable, Offset, ShardKey, Verified
from apps.recordlog.lmdb_read import Reading
from apps.recordlog.shard_state import ShardState
from apps.recordlog.verification import ShardWalk

T = TypeVar("T")

STEP_S = 0.25
MAX_TRIES = 5
"""A shard that is trimmed while we walk is walked again, so often at most."""


class Read(Protocol):
    """Runs one step in a read transaction."""

    def __call__(self, step: Callable[[Reading], T], /) -> T:
        """Answers what the step answers."""
        ...


class Keys:
    """The keyring, for a thread that may wait: open(number) blocks. Raises KeyUnavailable."""

    def __init__(self, keyring: Keyring, open_key: Callable[[int], object]) -> None:
        self.keyring = keyring
        self.open = open_key


def verify(read: Read, keys: Keys) -> Verified:
    """RecordLog.verify."""
    walks = [_verify_shard(read, keys, shard) for shard in read(Reading.shards)]
    return Verified(
        len(walks),
        sum(walk.batches for walk in walks),
        sum(walk.sums[0] for walk in walks),
        tuple(problem for walk in walks for problem in walk.problems),
        sum(walk.unopened for walk in walks),
    )


def _verify_shard(read: Read, keys: Keys, shard: ShardKey) -> ShardWalk:
    for _ in range(MAX_TRIES):
        walk = ShardWalk(shard)
        before = read(lambda reading: reading.stored_state(shard))
        if before is None:
            return walk
        try:
            _walk(read, keys, walk, before)
        except (LogUnavailable, DecodeError) as error:
            walk.complain(f"a batch at or after {walk.next_offset} cannot be read: {error}")
            return walk
        after = read(lambda reading: reading.stored_state(shard))
        if after is not None and after.trimmed == before.trimmed:
            walk.end(before)
            return walk
    walk = ShardWalk(shard)
    walk.complain("it was trimmed while it was being checked, again and again; check it once more")
    return walk


def _walk(read: Read, keys: Keys, walk: ShardWalk, state: ShardState) -> None:
    """Up to the end as it was at first: what is appended meanwhile is not looked at."""
    start: Offset | None = state.trimmed[0] + 1
    while start is not None and start < state.next_offset:
        start = read(partial(_step, walk, start, state.next_offset, keys.keyring))
        if walk.needs_key is not None:
            try:
                keys.open(walk.needs_key)
            except KeyUnavailable:
                walk.closed_keys.add(walk.needs_key)
            walk.needs_key = None


def _step(walk: ShardWalk, start: Offset, end: Offset, keyring: Keyring, reading: Reading) -> Offset | None:
    return reading.walk(walk, start, end, keyring, time.perf_counter() + STEP_S)
