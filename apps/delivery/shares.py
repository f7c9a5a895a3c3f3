"""Who may have how many of the delivery worker's threads, so that an endpoint that answers nothing for minutes keeps its own
delivery stream waiting, and not everybody's.

A slice of work is over within its deadline of ten seconds, unless it waits for an endpoint or a transform. A delivery stream
of which one lasted longer than SLOW_S is slow for a while: it gets few threads, and all slow ones together get half.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from apps.runtime import Runtime

THREADS: Final = 16
"""Of one delivery worker."""

EACH: Final = 12
"""For one delivery stream that is not known to be slow."""

SLOW_EACH: Final = 4
SLOW_ALL: Final = 8

SLOW_S: Final = 30.0
SLOW_FOR_S: Final = 600.0
KNOWN_MAX: Final = 10_000
"""Slow delivery streams that are remembered; the one that was slow longest ago goes first."""

AGAIN_MS: Final = 2_000
"""When a lane that got no thread asks again."""


class Shares:
    """One per process (`runtime.part(Shares)`); used by all its threads. now_s: a clock that only goes forward."""

    def __init__(self, _runtime: Runtime | None = None, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._running: dict[int, list[float]] = defaultdict(list)
        self._slow_at_s: dict[int, float] = {}

    @contextmanager
    def of(self, delivery_stream_key: int) -> Iterator[bool]:
        """True if there is a thread for this delivery stream, for as long as `with` lasts."""
        began_s = self._now_s()
        with self._lock:
            free = self._is_free(delivery_stream_key, began_s)
            if free:
                self._running[delivery_stream_key].append(began_s)
        try:
            yield free
        finally:
            if free:
                self._ended(delivery_stream_key, began_s)

    def _is_free(self, key: int, now_s: float) -> bool:
        mine = len(self._running.get(key, ()))
        if not self._is_slow(key, now_s):
            return mine < EACH
        slow = sum(len(running) for other, running in self._running.items() if self._is_slow(other, now_s))
        return mine < SLOW_EACH and slow < SLOW_ALL

    def _is_slow(self, key: int, now_s: float) -> bool:
        running = self._running.get(key)
        if running and now_s - running[0] > SLOW_S:
            return True
        return now_s - self._slow_at_s.get(key, -SLOW_FOR_S) < SLOW_FOR_S

    def _ended(self, key: int, began_s: float) -> None:
        now_s = self._now_s()
        with self._lock:
            running = self._running[key]
            running.remove(began_s)
            if not running:
                del self._running[key]
            if now_s - began_s > SLOW_S:
                self._slow_at_s.pop(key, None)
                self._slow_at_s[key] = now_s
                while len(self._slow_at_s) > KNOWN_MAX:
                    del self._slow_at_s[next(iter(self._slow_at_s))]
