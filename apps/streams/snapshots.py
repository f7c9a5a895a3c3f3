"""Snapshots of named things for the data plane, at most one second old: what catalogues are made of.

The hot path never waits for the database while a thing is in use: a snapshot older than half a second is read anew
behind the request's back. All reads of a process go through one loader: requests that come while it reads share the
next read. So a flood of unknown names costs one query after the other, not one each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from apps.accounts.bridge import in_thread
from apps.runtime import Runtime

logger = logging.getLogger(__name__)

V = TypeVar("V")

FRESH_MS = 500
"""Older than this: read anew in the background."""

STALE_MS = 1_000
"""Older than this: the request waits for the read …"""

PATIENCE_S = 0.25
LAST_RESORT_MS = 30_000
"""… for so long; a snapshot up to LAST_RESORT_MS old then still serves, so that a database that is slow or away for a
moment does not stop puts that need nothing of it."""

SNAPSHOTS_MAX = 10_000
"""Snapshots kept; the one read longest ago goes first."""

NAMES_PER_QUERY = 200

COMPLAIN_EVERY_MS = 10_000

Key = tuple[str, str]
"""(account id, name)."""

ReadRows = Callable[[Iterable[Key], Mapping[Key, V]], dict[Key, V]]
"""The views of those names that exist, from the database; called in a thread. Given with the names: what was read before,
to be answered again where nothing has changed."""


@dataclass(slots=True)
class Snapshot(Generic[V]):
    """A view and the clock's time before it was read."""

    view: V
    read_at_ms: int


@dataclass(slots=True)
class _Round:
    """The names that the next read is for."""

    names: set[Key] = field(default_factory=set)
    anew: set[Key] = field(default_factory=set)
    """Those to be read even if the version is the one we know."""
    done: asyncio.Future[None] | None = None


class Snapshots(Generic[V]):
    """See the module's docstring. One per process and kind, used on the loop only."""

    def __init__(self, runtime: Runtime, read_rows: ReadRows[V]) -> None:
        self._clock = runtime.clock
        self._read_rows = read_rows
        self._snapshots: dict[Key, Snapshot[V]] = {}
        self._next = _Round()
        self._reading: set[Key] = set()
        self._loader: asyncio.Task[None] | None = None
        self._complained_at_ms = 0

    def peek(self, account_id: str, name: str, now_ms: int) -> V | None:
        """The snapshot if it is fresh enough to be used as it is; else None, and find() must be asked."""
        snapshot = self._snapshots.get((account_id, name))
        if snapshot is None:
            return None
        # A request that began before the last read sees a snapshot from its future. Only a clock set back makes a
        # snapshot much younger than the request.
        age_ms = now_ms - snapshot.read_at_ms
        if -STALE_MS <= age_ms <= FRESH_MS:
            return snapshot.view
        if FRESH_MS < age_ms <= STALE_MS:
            if (account_id, name) not in self._reading:
                self._ask((account_id, name))
            return snapshot.view
        return None

    async def find(self, account_id: str, name: str, now_ms: int) -> V | None:
        """What has that name, or None if the database has none of that name now."""
        view = self.peek(account_id, name, now_ms)
        if view is not None:
            return view
        snapshot = self._snapshots.get((account_id, name))
        if snapshot is None or abs(now_ms - snapshot.read_at_ms) > LAST_RESORT_MS:
            return await self.read(account_id, name)
        try:
            async with asyncio.timeout(PATIENCE_S):  # wait_for of Python 3.11 may swallow the caller's own cancellation
                return await self.read(account_id, name)
        except Exception:  # noqa: BLE001 - whatever ails the database, the snapshot still serves; _load() has told
            return snapshot.view

    async def read(self, account_id: str, name: str) -> V | None:
        """It as the database has it now, whatever the snapshot says."""
        key = (account_id, name)
        await asyncio.shield(self._ask(key))
        snapshot = self._snapshots.get(key)
        return snapshot.view if snapshot else None

    async def read_anew(self, account_id: str, name: str) -> V | None:
        """The same, also where the version is the one we know."""
        self._next.anew.add((account_id, name))
        return await self.read(account_id, name)

    def forget(self, account_id: str, name: str) -> None:
        """Drop the snapshot: the next request reads."""
        self._snapshots.pop((account_id, name), None)

    def close(self) -> None:
        """Stop reading."""
        if self._loader is not None:
            self._loader.cancel()

    def _ask(self, key: Key) -> asyncio.Future[None]:
        """Put a name on the next read's list; the future is done when that read is."""
        loop = asyncio.get_running_loop()
        self._next.names.add(key)
        if self._next.done is None:
            self._next.done = loop.create_future()
        if self._loader is None or self._loader.done():
            self._loader = loop.create_task(self._load(), name="snapshots")
        return self._next.done

    async def _load(self) -> None:
        while self._next.names:
            this, self._next = self._next, _Round()
            assert this.done is not None
            read_at_ms = self._clock.now_ms()
            self._reading = this.names
            try:
                known = {key: s.view for key in this.names - this.anew if (s := self._snapshots.get(key))}
                views = await in_thread(self._read_rows, this.names, known)
            except Exception as error:  # noqa: BLE001 - handed to those who wait
                self._complain(error, read_at_ms)
                if not this.done.cancelled():
                    this.done.set_exception(error)
                    this.done.exception()  # nobody may be waiting: a background read
                continue
            finally:
                self._reading = set()
            self._keep(this.names, views, read_at_ms)
            if not this.done.cancelled():
                this.done.set_result(None)

    def _complain(self, error: Exception, now_ms: int) -> None:
        """Once in a while: under load every request would."""
        if not 0 <= now_ms - self._complained_at_ms < COMPLAIN_EVERY_MS:
            self._complained_at_ms = now_ms
            logger.warning("catalogue_read_failed error=%r snapshots=%s", error, len(self._snapshots))

    def _keep(self, names: Iterable[Key], views: Mapping[Key, V], read_at_ms: int) -> None:
        for key in names:
            self._snapshots.pop(key, None)
            if key in views:
                self._snapshots[key] = Snapshot(views[key], read_at_ms)
        while len(self._snapshots) > SNAPSHOTS_MAX:
            del self._snapshots[next(iter(self._snapshots))]
