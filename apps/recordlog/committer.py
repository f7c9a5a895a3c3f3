"""Group commit: one thread that takes everything queued, does it in one go, and reports back to the loop.

The *open set* is what callers have queued since the thread last looked. The thread swaps the whole set, so while
one commit waits for the disk the next set grows; under load a commit is shared by many callers, and a lone
caller does not wait for others. Each caller awaits a future of his own: nobody's cancellation reaches another.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from apps.recordlog.interface import Entry, LogUnavailable
from apps.recordlog.lmdb_write import Changed, Writing

GATHER_SHARE = 1.0
"""Of the last commit's time: how long to gather before a commit that is likely to be shared."""

GATHER_MAX_S = 0.002
GATHER_LOOKS = 4
"""How often meanwhile to look whether all have come."""

CHORES_INTERVAL_S = 10.0

UNDONE = object()
"""The outcome of what was not committed (None is what create answers)."""

log = structlog.get_logger(__name__)


class Append:
    """A queued append; outcome is what its future will be given, and is set only after the commit."""

    __slots__ = ("entries", "future", "outcome", "size_bytes")

    def __init__(self, entries: Sequence[Entry], size_bytes: int, future: asyncio.Future[Any]) -> None:
        self.entries = entries
        self.size_bytes = size_bytes
        self.future = future
        self.outcome: Any = UNDONE


class Job:
    """A queued step of another kind (create, seal, trim, drop)."""

    __slots__ = ("future", "outcome", "run")

    def __init__(self, run: Callable[[Writing], Any], future: asyncio.Future[Any]) -> None:
        self.run = run
        self.future = future
        self.outcome: Any = UNDONE


class Committer:
    """work(appends, jobs) sets every outcome and answers whom to wake; report(items, changed) hands them back to the
    loop; chores runs every 10 seconds. All three run on the one thread."""

    def __init__(
        self,
        work: Callable[[list[Append], list[Job]], Changed],
        report: Callable[[list[Append | Job], Changed], None],
        chores: Callable[[], object],
    ) -> None:
        self._work = work
        self._report = report
        self._chores = chores
        self._queue: SimpleQueue[Append | Job | None] = SimpleQueue()
        self._stopping = False
        self._callers = 0
        """How many seem to append at once: those of the last commit, and those who came while it ran."""
        self._last_s = 0.0
        self._thread = threading.Thread(target=self._run, name="record-log-committer", daemon=True)
        self._thread.start()

    def submit(self, item: Append | Job) -> None:
        """Queue a step. Its future is settled on the loop."""
        self._queue.put(item)

    def stop(self) -> None:
        """Finish what is queued, then end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        chores_at_s = time.monotonic() + CHORES_INTERVAL_S
        while not self._stopping:
            items = self._swap(max(0.0, chores_at_s - time.monotonic()))
            if items:
                self._do(items)
            if time.monotonic() >= chores_at_s:
                chores_at_s = time.monotonic() + CHORES_INTERVAL_S
                self._guarded_chores()

    def _swap(self, timeout_s: float) -> list[Append | Job]:
        try:
            first = self._queue.get(timeout=timeout_s)
        except Empty:
            return []
        for _ in range(GATHER_LOOKS):
            if self._queue.qsize() + 1 >= self._callers:
                break
            time.sleep(min(GATHER_MAX_S, GATHER_SHARE * self._last_s) / GATHER_LOOKS)
        # qsize is exact here: only this thread takes.
        queued = [first, *(self._queue.get_nowait() for _ in range(self._queue.qsize()))]
        self._stopping = None in queued
        return [item for item in queued if item is not None]

    def _do(self, items: list[Append | Job]) -> None:
        began_s = time.perf_counter()
        appends = [item for item in items if isinstance(item, Append)]
        jobs = [item for item in items if isinstance(item, Job)]
        try:
            changed = self._work(appends, jobs)
        except Exception as error:  # noqa: BLE001 - a bug must fail its callers, not the thread that serves all
            _log_bug("commit_failed")
            changed = {}
            for item in items:
                if item.outcome is UNDONE:
                    item.outcome = LogUnavailable(f"the commit failed: {error!r}")
        self._callers = len(appends) + self._queue.qsize()
        self._last_s = time.perf_counter() - began_s
        try:
            self._report(items, changed)
        except RuntimeError:
            # The loop is closed: nobody is left to be told.
            self._stopping = True

    def _guarded_chores(self) -> None:
        try:
            self._chores()
        except Exception:  # noqa: BLE001 - chores are repeated; the thread must go on
            _log_bug("chores_failed")


def _log_bug(event: str) -> None:
    """As text, since a renderer might print the frames' variables, and those are record data."""
    log.error(event, trace=traceback.format_exc())
