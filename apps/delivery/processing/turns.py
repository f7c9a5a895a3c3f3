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

from apps.delivery.processing.configuration import LAMBDA, METADATA, by_type

if TYPE_CHECKING:
    from apps.delivery.destinations.interface import Target
    from apps.runtime import Runtime

OF_A_TEAM: Final = 5
"""What AWS keeps under way for one shard."""
OF_ALL: Final = 11
"""Of a worker's sixteen threads."""
AGAIN_MS: Final = 500
"""When to come again without a turn."""


class Turns:
    """Those that are taken; one per runtime (`runtime.part(Turns)`). Thread-safe."""

    def __init__(self, _runtime: Runtime | None = None) -> None:
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, team_id: int) -> bool:
        """True: there was one, which must be given back."""
        with self._lock:
            if self._taken[team_id] >= OF_A_TEAM or self._taken.total() >= OF_ALL:
                return False
            self._taken[team_id] += 1
            return True

    def give(self, team_id: int) -> None:
        """It is free again."""
        with self._lock:
            self._taken[team_id] -= 1
            if not self._taken[team_id]:
                del self._taken[team_id]


@contextmanager
def turn(runtime: Runtime, target: Target) -> Iterator[bool]:
    """True while the processors of a delivery stream may run: at once, where none of them waits for anything."""
    if not {LAMBDA, METADATA}.intersection(by_type(target.description)):
        yield True
        return
    turns = runtime.part(Turns)
    taken = turns.take(target.team_id)
    try:
        yield taken
    finally:
        if taken:
            turns.give(target.team_id)
