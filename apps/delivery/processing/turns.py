"""Turns: how many slices of a worker may wait for transforms and queries at the same time.

A function may take five minutes, four times over, and a worker has sixteen threads for everything. So one team's functions
hold a few of them, and all teams' never all: what only needs to be delivered goes on. Who has no turn comes again soon.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from apps.delivery.processing.configuration import DEAGGREGATION, DECOMPRESSION, LAMBDA, METADATA, by_type

if TYPE_CHECKING:
    from apps.delivery.destinations.interface import Target
    from apps.runtime import Runtime

OF_A_TEAM: Final = 5
"""What AWS keeps under way for one shard."""
OF_ALL: Final = 11
"""Of a worker's sixteen threads."""
UNPACKING: Final = 3
"""Of a worker's threads, two of them one team's: that make much of little in memory (a piece of gzip a hundredfold). A
transform waits too long for that; its pieces are held by the turns above."""
AGAIN_MS: Final = 500
"""When to come again without a turn."""


class Turns:
    """Those that are taken; one per runtime (`runtime.part(Turns)`). Thread-safe."""

    def __init__(self, _runtime: Runtime | None = None) -> None:
        self._taken: Counter[int] = Counter()
        self._unpacking: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, team_id: int, *, waits: bool = True, unpacks: bool = False) -> bool:
        """True: there was one, which must be given back. waits: for a transform or a query. unpacks: see UNPACKING."""
        with self._lock:
            if waits and (self._taken[team_id] >= OF_A_TEAM or self._taken.total() >= OF_ALL):
                return False
            if unpacks and (self._unpacking[team_id] >= UNPACKING - 1 or self._unpacking.total() >= UNPACKING):
                return False
            self._taken[team_id] += waits
            self._unpacking[team_id] += unpacks
            return True

    def give(self, team_id: int, *, waits: bool = True, unpacks: bool = False) -> None:
        """It is free again."""
        with self._lock:
            self._taken[team_id] -= waits
            self._unpacking[team_id] -= unpacks
            for counted in (self._taken, self._unpacking):
                if not counted[team_id]:
                    del counted[team_id]


@contextmanager
def turn(runtime: Runtime, target: Target) -> Iterator[bool]:
    """True while the processors of a delivery stream may run: at once, where none of them waits for anything."""
    kinds = by_type(target.description).keys()
    waits = bool({LAMBDA, METADATA} & kinds)
    unpacks = LAMBDA not in kinds and bool({DECOMPRESSION, DEAGGREGATION} & kinds)
    if not (waits or unpacks):
        yield True
        return
    turns = runtime.part(Turns)
    taken = turns.take(target.team_id, waits=waits, unpacks=unpacks)
    try:
        yield taken
    finally:
        if taken:
            turns.give(target.team_id, waits=waits, unpacks=unpacks)
