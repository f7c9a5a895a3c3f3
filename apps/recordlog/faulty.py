"""A record log that breaks on demand, around any other engine: for tests of everything that stands on the log.

    log = FaultyLog(MemoryLog(clock))
    log.fail_before("append", LogUnavailable("no"))        # nothing is stored
    log.fail_after("append", LogUnavailable("lost"))       # stored, but the caller does not learn it
    log.delay("append", until=event)                       # goes on when the asyncio.Event is set
    log.repeat("append")                                   # done twice, as by a sender who heard no answer

Faults of one operation are used up in the order they were asked for, one per call; then it works again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from apps.recordlog.interface import (
    Appended,
    Batch,
    Bounds,
    Entry,
    MeterRow,
    Offset,
    RecordLog,
    ShardClosed,
    ShardKey,
    Successor,
    Trimmed,
    Verified,
)

T = TypeVar("T")


class Fault:
    """What happens to one call: an error before or after the work, a gate before it, the work done so many times."""

    def __init__(
        self,
        before: Exception | None = None,
        after: Exception | None = None,
        gate: asyncio.Event | None = None,
        times: int = 1,
    ) -> None:
        self.before = before
        self.after = after
        self.gate = gate
        self.times = times


class FaultyLog:
    """See interface.py; calls says how often each operation reached the engine."""

    def __init__(self, engine: RecordLog) -> None:
        self.engine = engine
        self.calls: dict[str, int] = defaultdict(int)
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)

    def fail_before(self, operation: str, error: Exception, times: int = 1) -> None:
        """The next calls raise error, and do nothing."""
        self._faults[operation].extend(Fault(before=error) for _ in range(times))

    def fail_after(self, operation: str, error: Exception, times: int = 1) -> None:
        """The next calls do their work, and then raise error: the outcome is unknown to the caller."""
        self._faults[operation].extend(Fault(after=error) for _ in range(times))

    def delay(self, operation: str, until: asyncio.Event) -> None:
        """The next call waits for the event before it does its work."""
        self._faults[operation].append(Fault(gate=until))

    def repeat(self, operation: str, times: int = 2) -> None:
        """The next call does its work so many times, and answers the last result."""
        self._faults[operation].append(Fault(times=times))

    async def _call(self, operation: str, work: Callable[[], Awaitable[T]]) -> T:
        fault = self._faults[operation].popleft() if self._faults[operation] else Fault()
        if fault.gate is not None:
            await fault.gate.wait()
        if fault.before is not None:
            raise fault.before
        for _ in range(fault.times):
            self.calls[operation] += 1
            result = await work()
        if fault.after is not None:
            raise fault.after
        return result

    async def open(self) -> None:
        """See RecordLog.open."""
        await self._call("open", self.engine.open)

    async def close(self) -> None:
        """See RecordLog.close."""
        await self._call("close", self.engine.close)

    def incarnation(self) -> str:
        """See RecordLog.incarnation. Never fails on demand."""
        return self.engine.incarnation()

    async def create(self, shard: ShardKey) -> None:
        """See RecordLog.create."""
        await self._call("create", lambda: self.engine.create(shard))

    async def append(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """See RecordLog.append."""
        return await self._call("append", lambda: self.engine.append(entries))

    async def read(self, shard: ShardKey, start: Offset, max_records: int, max_bytes: int) -> Batch:
        """See RecordLog.read."""
        return await self._call("read", lambda: self.engine.read(shard, start, max_records, max_bytes))

    async def find(self, shard: ShardKey, at_ms: int) -> Offset:
        """See RecordLog.find."""
        return await self._call("find", lambda: self.engine.find(shard, at_ms))

    async def bounds(self, shard: ShardKey) -> Bounds:
        """See RecordLog.bounds."""
        return await self._call("bounds", lambda: self.engine.bounds(shard))

    async def seal(self, shards: Sequence[ShardKey], successors: Sequence[Successor]) -> list[tuple[Offset, int]]:
        """See RecordLog.seal."""
        return await self._call("seal", lambda: self.engine.seal(shards, successors))

    async def trim(self, shard: ShardKey, before_ms: int, max_records: int) -> Trimmed:
        """See RecordLog.trim."""
        return await self._call("trim", lambda: self.engine.trim(shard, before_ms, max_records))

    async def wait(self, shard: ShardKey, past: Offset, timeout_ms: int) -> bool:
        """See RecordLog.wait."""
        return await self._call("wait", lambda: self.engine.wait(shard, past, timeout_ms))

    async def meters(self, shard: ShardKey, from_hour_ms: int) -> list[MeterRow]:
        """See RecordLog.meters."""
        return await self._call("meters", lambda: self.engine.meters(shard, from_hour_ms))

    async def drop(self, shard: ShardKey, max_records: int) -> Trimmed:
        """See RecordLog.drop."""
        return await self._call("drop", lambda: self.engine.drop(shard, max_records))

    async def verify(self) -> Verified:
        """See RecordLog.verify."""
        return await self._call("verify", self.engine.verify)
