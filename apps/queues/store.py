"""The store of all queues: positions and deliveries in one LMDB environment beside the record log.

One thread per process writes. It takes everything that was asked since it last looked and does it in one transaction,
so that receives and acknowledgements of many callers share one flush to the disk; an answer is given after the flush.
Reading takes a snapshot on the caller's thread and waits for nobody.

A process that dies leaves committed state only: what it had acknowledged stays acknowledged, and what it had handed
out comes back when its time is over. See README.md for why this is neither in the database nor in the record log.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

import lmdb
import structlog

from apps.base.clock import Clock
from apps.base.units import MIB
from apps.queues.changing import Changing, Looking, OldVersion, UnknownQueue
from apps.queues.deliveries import FORMAT
from apps.queues.waiting import ANY
from apps.recordlog.doorbell import Doorbell
from apps.runtime import Runtime

T = TypeVar("T")

MAP_BYTES = 1 << 35
"""Address space, not disk: 32 GiB hold some 200 million deliveries. Lowered where a process may not map as much."""

MAP_BYTES_MIN = 64 * MIB
MAX_READERS = 512
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CHORES_INTERVAL_S = 10.0
CHANGES_AT_ONCE = 500
"""Calls that share a transaction at most, so that none waits long for the others' work."""

log = structlog.get_logger(__name__)


class StoreUnavailable(Exception):
    """The store cannot be read or written now. The text says what to do."""


class StoreFull(StoreUnavailable):
    """The disk or the map is full; nothing was changed."""


class Databases(NamedTuple):
    """The named databases, see deliveries.py."""

    about: Any
    queues: Any
    positions: Any
    deliveries: Any
    places: Any


class _Asked:
    """A change that waits for the thread. outcome is what its future will be given, set only after the commit."""

    __slots__ = ("future", "loop", "outcome", "run")

    def __init__(self, run: Callable[[Changing], Any], future: asyncio.Future[Any]) -> None:
        self.run = run
        self.future = future
        self.loop = future.get_loop()
        self.outcome: Any = None


class QueueStore:
    """One per process, `runtime.part(QueueStore)`, first used on the runtime's loop, after a fork."""

    def __init__(self, runtime: Runtime) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        scheme, _, folder = runtime.config.record_log.partition(":")
        if scheme == "memory":
            self._temporary = tempfile.TemporaryDirectory(prefix="tidegate-queues-")
            folder = self._temporary.name
        self._store = Store(Path(folder).expanduser().absolute() / "queues", runtime.clock, lasts=not self._temporary)
        self.change = self._store.change
        self.look = self._store.look
        self.listen = self._store.listen

    def close(self) -> None:
        """The process ends."""
        self._store.close()
        if self._temporary is not None:
            self._temporary.cleanup()


class Store:
    """The same on a folder of one's own. lasts=False: nothing is flushed to the disk, for tests."""

    def __init__(self, folder: Path, clock: Clock, *, lasts: bool = True) -> None:
        self._clock = clock
        self._folder = folder
        self._env, self._databases = _opened(folder, lasts=lasts)
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._bell = Doorbell(folder)
        self._listener: tuple[asyncio.AbstractEventLoop, Callable[[int], None]] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="queue-store", daemon=True)
        self._thread.start()

    async def change(self, run: Callable[[Changing], T]) -> T:
        """Run a change in a write transaction; it is durable when this returns. A cancelled caller does not cancel it.

        Raises what run raises (then it must have changed nothing), StoreFull, StoreUnavailable.
        """
        if self._closed:
            raise StoreUnavailable("The store of queues is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.put(_Asked(run, future))
        return await future

    def look(self, read: Callable[[Looking], T]) -> T:
        """Read a snapshot. Raises what read raises, and StoreUnavailable."""
        try:
            with self._env.begin(buffers=True) as txn:
                return read(Looking(txn, self._databases, self._clock.now_ms()))
        except lmdb.Error as error:
            raise self._translated(error) from error

    def listen(self, rung: Callable[[int], None]) -> None:
        """From now on tell rung(queue), on this loop, when a queue's deliveries have changed so that a waiter may get
        some, in this process or another. Queue ANY: any."""
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = (loop, rung)
            self._bell.listen(loop, self._hear)

    def _hear(self, queues: Collection[int] | None) -> None:
        if self._listener is not None:
            for queue in queues if queues is not None else (ANY,):
                self._listener[1](queue)

    def close(self) -> None:
        """Finish what was asked, then close. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._asked.put(None)
        self._thread.join()
        # Whoever never listened has no loop, and no need of one.
        self._bell.close(self._listener[0] if self._listener is not None else None)  # type: ignore[arg-type]
        self._env.close()

    # The thread

    def _run(self) -> None:
        chores_at_s = time.monotonic() + CHORES_INTERVAL_S
        stopping = False
        while not stopping:
            asked, stopping = self._swap(max(0.0, chores_at_s - time.monotonic()))
            if asked:
                rung = self._do(asked)
                self._report(asked, rung)
            if time.monotonic() >= chores_at_s:
                chores_at_s = time.monotonic() + CHORES_INTERVAL_S
                self._check_readers()

    def _swap(self, timeout_s: float) -> tuple[list[_Asked], bool]:
        try:
            first = self._asked.get(timeout=timeout_s)
        except Empty:
            return [], False
        # qsize is exact here: only this thread takes.
        more = min(self._asked.qsize(), CHANGES_AT_ONCE)
        taken = [first, *(self._asked.get_nowait() for _ in range(more))]
        return [one for one in taken if one is not None], None in taken

    def _do(self, asked: list[_Asked]) -> set[int]:
        """All in one transaction; each apart if one of them breaks it. Whose waiters must look."""
        try:
            return self._do_together(asked)
        except lmdb.Error as error:
            for one in asked:
                one.outcome = self._translated(error)
            return set()
        except Exception as error:  # noqa: BLE001 - a bug must fail its caller, not the thread that serves all
            if len(asked) > 1:
                return set().union(*(self._do([one]) for one in asked))
            _log_bug("queue_change_failed")
            asked[0].outcome = StoreUnavailable(f"the change failed: {error!r}")
            return set()

    def _do_together(self, asked: list[_Asked]) -> set[int]:
        outcomes: list[Any] = []
        with self._env.begin(write=True) as txn:
            changing = Changing(txn, self._databases, self._clock.now_ms())
            for one in asked:
                try:
                    outcomes.append(one.run(changing))
                except (UnknownQueue, OldVersion) as error:
                    # Raised before anything was changed, so the others' work stands.
                    outcomes.append(error)
            changing.finish()
        # Only now is any of it true.
        for one, outcome in zip(asked, outcomes, strict=True):
            one.outcome = outcome
        return changing.rung

    def _report(self, asked: list[_Asked], rung: set[int]) -> None:
        for one in asked:
            self._on_loop(one.loop, _settle, one)
        if rung:
            self._bell.ring(rung)
            if self._listener is not None:
                self._on_loop(self._listener[0], self._hear, rung)

    @staticmethod
    def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(function, *arguments)

    def _check_readers(self) -> None:
        """Free what a process that was killed inside a transaction still holds."""
        try:
            self._env.reader_check()
        except lmdb.Error as error:
            log.warning("queue_store_chores_failed", error=str(error))

    def _translated(self, error: lmdb.Error) -> StoreUnavailable:
        if isinstance(error, lmdb.MapFullError) or getattr(error, "code", None) in NO_ROOM:
            return StoreFull(f"The store of queues in {self._folder} is full; free some space on its disk.")
        return StoreUnavailable(f"The store of queues in {self._folder} failed ({error}); look at the disk.")


def _log_bug(event: str) -> None:
    """As text, since a renderer might print the frames' variables."""
    log.error(event, trace=traceback.format_exc())


def _settle(asked: _Asked) -> None:
    if asked.future.done():
        return  # the caller was cancelled; the change stands all the same
    if isinstance(asked.outcome, Exception):
        asked.future.set_exception(asked.outcome)
    else:
        asked.future.set_result(asked.outcome)


def _opened(folder: Path, *, lasts: bool) -> tuple[lmdb.Environment, Databases]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = _mapped(folder, lasts=lasts)
        env.reader_check()
        databases = Databases(*(env.open_db(name.encode()) for name in Databases._fields))
        with env.begin(write=True) as txn:
            written = txn.get(b"format", db=databases.about)
            if written is None:
                txn.put(b"format", bytes([FORMAT]), db=databases.about)
            elif written[0] > FORMAT:
                raise StoreUnavailable(f"{folder} was written by a newer version of Tidegate; run that one.")
    except (OSError, lmdb.Error) as error:
        raise StoreUnavailable(
            f"The store of queues in {folder} cannot be used ({error}); make it a folder that this user may write."
        ) from error
    return env, databases


def _mapped(folder: Path, *, lasts: bool) -> lmdb.Environment:
    map_bytes = MAP_BYTES
    while True:
        try:
            return lmdb.open(
                str(folder), map_size=map_bytes, mode=0o600, max_dbs=8, max_readers=MAX_READERS, sync=lasts,
                metasync=lasts, lib_version=0,
            )  # fmt: skip
        except (lmdb.MemoryError, MemoryError):
            if map_bytes // 2 < MAP_BYTES_MIN:
                raise
            map_bytes //= 2
