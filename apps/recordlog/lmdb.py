"""The record log on LMDB: the embedded default. One folder, any number of processes, durable when append returns.

The format on disk
==================
One LMDB environment (`data.mdb`, `lock.mdb`; LMDB 0.9's own format) with five named databases. Numbers in keys
are big-endian, so that LMDB's order is ours. Every value begins with one byte, the format's version (now 3).

database   key                                     value, after the version byte where it has one
about      name                                    "format": version byte alone; "incarnation", "turned over at":
                                                   text, no version byte
shards     shard (4)                               msgpack array: shard_state.ShardState, field by field
batches    shard (4), ordinal of first record (8)  arrival in ms (8), count (4), bytes (4), payload units (4), the
                                                   shard's bytes (8) and units (8) before this batch, number of
                                                   the data key (4; since format 2); then msgpack of the flat list
                                                   [key, data, key, data, …]; encrypted, if there is a data key:
                                                   nonce (12), ciphertext, tag (16), AES-256-GCM, with this database
                                                   key and all that stands before the nonce authenticated
meters     shard (4), UTC hour since 1970 (4)      msgpack map: meter key -> [records, bytes, units of 25 KiB,
                                                   units of 1 KiB (since format 3)]; finished hours only, the
                                                   running one is in the shard's value
producers  shard (4), name (UTF-8)                 msgpack array: sequence, first offset, arrival of its last entry

Rules that hold in every committed state, and that verify() checks: a shard's batches follow each other without a
gap from trimmed.records + 1 to next_offset - 1; arrivals never go back; what a batch says came before it is what
came before it; totals = stored + trimmed. Nothing outside the folder belongs to the log, so a copy made by LMDB's
own means (`mdb_copy`, also compacting, also while it is written) is a whole backup; `bells/` is not part of it.

Changing the format: raise lmdb_format.FORMAT; write N, read N and older ones, each entry by its own version byte;
what must be rewritten is rewritten as it is touched. New fields of ShardState go to its end with a default and
need no new version. A newer version's entries are refused with a sentence, never guessed at.

Who does what: committer.py is the one writing thread of a process and groups commits; lmdb_write.py is what
happens inside a write transaction, where alone anything is decided, since other processes write too (the web
appends, a worker seals and trims); lmdb_read.py reads snapshots; doorbell.py wakes waiters in other processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from apps.base.clock import Clock
from apps.recordlog.batch_cache import BatchCache
from apps.recordlog.committer import Append, Committer, Job
from apps.recordlog.doorbell import Doorbell
from apps.recordlog.interface import (
    MARKS_SHARD,
    MAX_QUEUED_BYTES,
    MAX_READ_BYTES,
    MAX_READ_RECORDS,
    Appended,
    Batch,
    Bounds,
    Entry,
    Keyring,
    KeyUnavailable,
    LogBusy,
    LogUnavailable,
    MeterRow,
    NoKeys,
    Offset,
    RecordLogError,
    ShardClosed,
    ShardKey,
    Successor,
    Trimmed,
    UnknownShard,
    Verified,
)
from apps.recordlog.lmdb_environment import MAP_BYTES, open_environment, translated
from apps.recordlog.lmdb_format import MAX_PRODUCER_BYTES, Databases
from apps.recordlog.lmdb_read import NEAR_TIP_RECORDS, Reading
from apps.recordlog.lmdb_verify import Keys, verify
from apps.recordlog.lmdb_write import Changed, Writing
from apps.recordlog.room import FreeBytes, Room, free_disk_bytes
from apps.recordlog.stored_batch import Gathering
from apps.recordlog.waiters import Waiters

T = TypeVar("T")

ENTRY_OVERHEAD_BYTES = 1_024
"""What an entry costs in pages and memory beside its records, about."""

READ_INLINE_S = 0.005
"""A read on the loop stops after this and goes on in a thread; for a while others then go there at once."""

READ_IN_THREAD_S = 0.5
SLOW_FOR_S = 1.0
READER_THREADS = 2

LOOK_INTERVAL_S = 0.25
"""Backstop of the doorbell: how often waiters look by themselves whether another process has committed."""

SILENT_AFTER_S = 10.0

KEYS_PER_READ = 16
"""Data keys that one read opens at most; it then answers with what it has."""

KEY_PATIENCE_S = 60.0

_opened: weakref.WeakSet[LmdbLog] = weakref.WeakSet()


class LmdbLog:
    """See interface.py. Opened once in a process, after fork."""

    def __init__(
        self,
        path: str,
        clock: Clock,
        keyring: Keyring | None = None,
        *,
        map_bytes: int = MAP_BYTES,
        free_bytes: FreeBytes = free_disk_bytes,
    ) -> None:
        """map_bytes and free_bytes are there for tests of a full map and a full disk."""
        self._keyring = keyring or NoKeys()
        self._folder = Path(path).expanduser().absolute()
        self._clock = clock
        self._map_bytes = map_bytes
        self._free_bytes = free_bytes
        self._why_not = "The record log is not open."
        self._committer: Committer | None = None
        self._waiters = Waiters()
        self._cache = BatchCache()
        self._queued_bytes = 0
        self._slow_until_s = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._env: lmdb.Environment
        self._databases: Databases
        self._incarnation: str
        self._room: Room
        self._loop: asyncio.AbstractEventLoop
        self._readers: ThreadPoolExecutor
        self._bell: Doorbell

    # Life

    async def open(self) -> None:
        """See RecordLog.open."""
        if self._committer is not None:
            return
        self._env, self._databases, self._incarnation = await asyncio.to_thread(
            open_environment, self._folder, self._map_bytes
        )
        self._loop = asyncio.get_running_loop()
        self._room = Room(self._folder, self._env, self._databases, self._free_bytes)
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="record-log-reader")
        self._bell = Doorbell(self._folder)
        self._committer = Committer(self._commit, self._report, self._env.reader_check)
        _opened.add(self)

    async def close(self) -> None:
        """See RecordLog.close."""
        committer = self._committer
        if committer is None:
            return
        self._committer = None
        self._why_not = "The record log is closed."
        await asyncio.to_thread(committer.stop)
        self._waiters.fail_all(LogUnavailable(self._why_not))
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._bell.close(self._loop)
        await asyncio.to_thread(self._readers.shutdown)
        self._cache.clear()
        self._env.close()

    def _forget_after_fork(self) -> None:
        """LMDB must not be used, nor even closed, in a child of the process that opened it."""
        self._committer = None
        self._why_not = "The record log was opened before this process was forked; open it after."
        _kept_from_closing.append(self._env)

    def _open_committer(self) -> Committer:
        if self._committer is None:
            raise LogUnavailable(self._why_not)
        return self._committer

    def incarnation(self) -> str:
        """See RecordLog.incarnation."""
        self._open_committer()
        return self._incarnation

    # Writing

    async def append(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """See RecordLog.append. Raises LogBusy when too much is queued."""
        committer = self._open_committer()
        size_bytes = 0
        for entry in entries:
            assert entry.count * 2 == len(entry.records) > 0, "count must be the number of records, at least 1"
            assert entry.producer is None or len(entry.producer[0].encode()) <= MAX_PRODUCER_BYTES
            size_bytes += entry.size_bytes + ENTRY_OVERHEAD_BYTES
        if len(entries) == 1 and entries[0].shard == MARKS_SHARD:
            return await self._do(lambda writing: writing.store_now(entries))
        if self._queued_bytes + size_bytes > MAX_QUEUED_BYTES:
            raise LogBusy("Too much waits to be written to the record log; try again.")
        self._queued_bytes += size_bytes
        future: asyncio.Future[list[Appended | ShardClosed]] = self._loop.create_future()
        committer.submit(Append(entries, size_bytes, future))
        return await future

    async def create(self, shard: ShardKey) -> None:
        """See RecordLog.create."""
        await self._do(lambda writing: writing.create(shard))

    async def seal(self, shards: Sequence[ShardKey], successors: Sequence[Successor]) -> list[tuple[Offset, int]]:
        """See RecordLog.seal."""
        return await self._do(lambda writing: writing.seal(shards, successors))

    async def trim(self, shard: ShardKey, before_ms: int, max_records: int) -> Trimmed:
        """See RecordLog.trim."""
        return await self._do(lambda writing: writing.trim(shard, before_ms, max_records))

    async def drop(self, shard: ShardKey, max_records: int) -> Trimmed:
        """See RecordLog.drop."""
        return await self._do(lambda writing: writing.drop(shard, max_records))

    async def _do(self, run: Callable[[Writing], T]) -> T:
        committer = self._open_committer()
        future: asyncio.Future[T] = self._loop.create_future()
        committer.submit(Job(run, future))
        return await future

    # The committer's thread

    def _commit(self, appends: list[Append], jobs: list[Job]) -> Changed:
        changed = self._store(appends) if appends else {}
        if jobs:
            changed |= self._run(jobs)
        return changed

    def _store(self, appends: list[Append]) -> Changed:
        try:
            return self._store_in_one(appends)
        except lmdb.Error as error:
            _fail(appends, translated(error, self._folder))
        except RecordLogError as error:
            if len(appends) == 1 or not isinstance(error, LogUnavailable):
                _fail(appends, error)
            else:
                return self._store_apart(appends)
        except (TypeError, ValueError) as error:
            if len(appends) == 1:
                appends[0].outcome = error
            else:
                return self._store_apart(appends)
        return {}

    def _store_in_one(self, appends: list[Append]) -> Changed:
        need_bytes = sum(append.size_bytes for append in appends)
        outcomes: list[list[Appended | ShardClosed] | UnknownShard] = []
        with self._env.begin(write=True, buffers=True) as txn:
            self._room.check(txn, need_bytes)
            writing = Writing(txn, self._databases, self._clock.now_ms())
            for append in appends:
                try:
                    outcomes.append(writing.store(append.entries))
                except UnknownShard as error:
                    outcomes.append(error)
            writing.finish()
        # Only now is any of it true.
        for append, outcome in zip(appends, outcomes, strict=True):
            append.outcome = outcome
        return writing.changed

    def _store_apart(self, appends: list[Append]) -> Changed:
        """One of them cannot be stored (a record that cannot be encoded, a damaged shard); the others must not suffer."""
        changed: Changed = {}
        for append in appends:
            changed |= self._store([append])
        return changed

    def _run(self, jobs: list[Job]) -> Changed:
        outcomes: list[Any] = []
        try:
            with self._env.begin(write=True, buffers=True) as txn:
                writing = Writing(txn, self._databases, self._clock.now_ms())
                for job in jobs:
                    try:
                        outcomes.append(job.run(writing))
                    except RecordLogError as error:
                        # Raised before the job wrote anything, so the others' work stands.
                        outcomes.append(error)
        except lmdb.Error as error:
            for job in jobs:
                job.outcome = translated(error, self._folder)
            return {}
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.outcome = outcome
        if writing.removed:
            self._turn_over()
        return writing.changed

    def _turn_over(self) -> None:
        """Commit a trifle. LMDB lets what a commit has freed be used from the next but one on: on a full disk there
        would be no next one, and so never room again."""
        with contextlib.suppress(lmdb.Error), self._env.begin(write=True) as txn:
            txn.put(b"turned over at", str(self._clock.now_ms()).encode(), db=self._databases.about)

    def _report(self, items: list[Append | Job], changed: Changed) -> None:
        self._loop.call_soon_threadsafe(self._settle, items, changed)
        if changed:
            self._bell.ring(changed)

    # Back on the loop

    def _settle(self, items: list[Append | Job], changed: Changed) -> None:
        for item in items:
            if isinstance(item, Append):
                self._queued_bytes -= item.size_bytes
            future = item.future
            if future.done():
                continue  # the caller was cancelled; the append stands all the same
            if isinstance(item.outcome, Exception):
                future.set_exception(item.outcome)
            else:
                future.set_result(item.outcome)
        if self._waiters:
            for shard, change in changed.items():
                self._wake(shard, change)

    def _wake(self, shard: ShardKey, change: tuple[Offset, bool] | None) -> None:
        if change is None:
            self._waiters.fail(shard, UnknownShard(shard))
        else:
            self._waiters.wake(shard, *change)

    # Reading

    def _reading(self, step: Callable[[Reading], T]) -> T:
        self._open_committer()
        try:
            with self._env.begin(buffers=True) as txn:
                return step(Reading(txn, self._databases))
        except lmdb.Error as error:
            raise translated(error, self._folder) from error

    async def read(self, shard: ShardKey, start: Offset, max_records: int, max_bytes: int) -> Batch:
        """See RecordLog.read. On the loop while that is quick; in a thread while the disk makes it slow."""
        got = Gathering(max(1, start), min(max_records, MAX_READ_RECORDS), min(max_bytes, MAX_READ_BYTES))
        batch = await self._read_on(shard, start, got)
        for _ in range(KEYS_PER_READ):
            if got.needs_key is None:
                return batch
            try:
                await self._keyring.open(got.needs_key)
            except KeyUnavailable:
                if got.slices:
                    return batch
                raise
            got.needs_key = None
            batch = await self._read_on(shard, start, got)
        if got.slices:
            return batch
        raise LogUnavailable("The data keys are not found in time; try again.")

    async def _read_on(self, shard: ShardKey, start: Offset, got: Gathering) -> Batch:
        if time.perf_counter() >= self._slow_until_s or self._near_tip(shard, start):
            batch = self._read(shard, got, READ_INLINE_S)
            if not got.late:
                return batch
            self._slow_until_s = time.perf_counter() + SLOW_FOR_S
        return await self._loop.run_in_executor(self._readers, self._read, shard, got, READ_IN_THREAD_S)

    def _near_tip(self, shard: ShardKey, start: Offset) -> bool:
        """What was written last needs no disk to be read."""
        return start + NEAR_TIP_RECORDS >= self._reading(lambda reading: reading.state(shard)).next_offset

    def _read(self, shard: ShardKey, got: Gathering, for_s: float) -> Batch:
        got.late = False
        until_s = time.perf_counter() + for_s
        return self._reading(lambda reading: reading.read(shard, got, self._cache, self._keyring, until_s))

    async def find(self, shard: ShardKey, at_ms: int) -> Offset:
        """See RecordLog.find."""
        return self._reading(lambda reading: reading.find(shard, at_ms))

    async def bounds(self, shard: ShardKey) -> Bounds:
        """See RecordLog.bounds."""
        return self._reading(lambda reading: reading.bounds(shard))

    async def meters(self, shard: ShardKey, from_hour_ms: int) -> list[MeterRow]:
        """See RecordLog.meters."""
        self._open_committer()
        return await self._loop.run_in_executor(
            self._readers, self._reading, lambda reading: reading.meters(shard, from_hour_ms)
        )

    async def verify(self) -> Verified:
        """See RecordLog.verify. Runs in a thread, in short read transactions."""
        self._open_committer()
        return await self._loop.run_in_executor(
            self._readers, verify, self._reading, Keys(self._keyring, self._open_key)
        )

    def _open_key(self, number: int) -> object:
        """From a reader's thread. Raises KeyUnavailable."""
        return asyncio.run_coroutine_threadsafe(self._keyring.open(number), self._loop).result(KEY_PATIENCE_S)

    # Waiting

    async def wait(self, shard: ShardKey, past: Offset, timeout_ms: int) -> bool:
        """See RecordLog.wait."""
        self._open_committer()
        if self._looking is None and timeout_ms > 0:
            self._bell.listen(self._loop, self._look)
            self._looking = self._loop.create_task(self._keep_looking(), name="record-log-looking")
        return await self._waiters.wait(shard, past, timeout_ms, self._passed)

    def _passed(self, shard: ShardKey, past: Offset) -> bool:
        state = self._reading(lambda reading: reading.state(shard))
        return state.sealed or state.next_offset > past

    def _look(self, shards: Collection[ShardKey] | None) -> None:
        """Wake the waiters of these shards, or of all, whose shard has grown."""
        if self._committer is None:
            return
        waited_for = self._waiters.shards()
        wanted = waited_for if shards is None else [shard for shard in waited_for if shard in shards]
        if wanted:
            states = self._reading(lambda reading: [(shard, reading.stored_state(shard)) for shard in wanted])
            for shard, state in states:
                gone = state is None or state.dropping
                self._wake(shard, None if state is None or gone else (state.next_offset, state.sealed))

    async def _keep_looking(self) -> None:
        """Look whenever the log's transaction number has changed; end, and hear no more, when nobody has waited long."""
        seen = -1
        idle_since_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            if self._waiters:
                idle_since_s = time.monotonic()
                # Waiters find out about a broken log when they read; this goes on looking.
                with contextlib.suppress(lmdb.Error, RecordLogError):
                    now = self._env.info()["last_txnid"]
                    if now != seen:
                        self._look(None)
                        seen = now
            elif time.monotonic() - idle_since_s > SILENT_AFTER_S:
                self._bell.silence(self._loop)
                self._looking = None
                return


def _fail(appends: list[Append], error: RecordLogError) -> None:
    """Give everybody an error of his own."""
    for append in appends:
        append.outcome = type(error)(*error.args)


_kept_from_closing: list[lmdb.Environment] = []


def _forget_all_after_fork() -> None:
    for opened in list(_opened):
        opened._forget_after_fork()  # noqa: SLF001


os.register_at_fork(after_in_child=_forget_all_after_fork)
