"""Feeds: what several connections of this process look at, kept once, newest values only.

A feed is a dict of newest values, each with the version at which it changed. A connection remembers one number, the
version it has seen, and takes what is newer when it can: nobody's slowness makes anything grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import structlog

from apps.metrics.buckets import Points, decode, merge_beside

log = structlog.get_logger(__name__)

SECONDS_KEPT = 900
ITEMS_MAX = 2_000

Wake = Callable[[], None]


class Feed:
    """Newest values by key, and who wants to know of a change."""

    def __init__(self) -> None:
        self.version = 0
        self._items: dict[Any, tuple[int, Any]] = {}
        self._listeners: dict[Hashable, Wake] = {}

    def listen(self, who: Hashable, wake: Wake) -> None:
        """Call wake() at each change, until leave()."""
        self._listeners[who] = wake

    def leave(self, who: Hashable) -> bool:
        """The counterpart of listen; True if nobody is left."""
        self._listeners.pop(who, None)
        return not self._listeners

    def put(self, key: Any, value: Any) -> None:
        """Set the newest value. One that is the same is no change."""
        known = self._items.get(key)
        if known is not None and known[1] == value:
            return
        self.version += 1
        self._items[key] = (self.version, value)
        while len(self._items) > ITEMS_MAX:
            del self._items[next(iter(self._items))]

    def newer(self, seen: int) -> dict[Any, Any]:
        """What changed after that version."""
        if seen >= self.version:
            return {}
        return {key: value for key, (version, value) in self._items.items() if version > seen}

    def wake(self) -> None:
        """Tell everybody that something changed."""
        for wake in list(self._listeners.values()):
            wake()

    def close(self) -> None:
        """Nobody listens any more."""


class SecondsFeed(Feed):
    """One stream's seconds, as they come over the live channel. A value is the points of all processes together."""

    def __init__(self) -> None:
        super().__init__()
        self._processes: dict[int, dict[str, Points]] = {}

    def take(self, second: int, process: str, stored: bytes) -> None:
        """One process's points of one second; what it said of that second before is replaced."""
        processes = self._processes.setdefault(second, {})
        if stored:
            processes[process] = decode(stored)
        merged: Points = {}
        for points in processes.values():
            merge_beside(merged, points)
        self.put(second, merged)
        while len(self._processes) > SECONDS_KEPT:
            oldest = min(self._processes)
            del self._processes[oldest]
            self._items.pop(oldest, None)


class PolledFeed(Feed):
    """Values that are asked for every so often, once for all who look. fetch answers all keys that there are."""

    def __init__(self, every_s: float, fetch: Callable[[], Awaitable[dict[Any, Any] | None]]) -> None:
        super().__init__()
        self.every_s = every_s
        self._fetch = fetch
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                await self.poll()
            except Exception:
                log.exception("live_poll_failed")
            await asyncio.sleep(self.every_s)

    async def poll(self) -> None:
        """Ask now. A key that is gone becomes None; an answer of None (Redis is away) changes nothing."""
        found = await self._fetch()
        if found is None:
            return
        before = self.version
        for key, value in found.items():
            self.put(key, value)
        for key in [key for key in self._items if key not in found]:
            self.put(key, None)
        if self.version != before:
            self.wake()

    def close(self) -> None:
        """Ask no more."""
        self._task.cancel()
