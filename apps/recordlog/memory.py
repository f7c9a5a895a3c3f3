"""The record log in memory: the plainest engine that keeps every promise of interface.py. For tests and trials."""

from __future__ import annotations

import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from apps.base.clock import Clock
from apps.base.units import HOUR_MS
from apps.recordlog.interface import (
    MAX_READ_BYTES,
    MAX_READ_RECORDS,
    METER_HOURS_KEPT,
    Appended,
    Batch,
    Bounds,
    Entry,
    Keyring,
    KeyUnavailable,
    LogUnavailable,
    MeterRow,
    NoKeys,
    Offset,
    ShardClosed,
    ShardKey,
    Successor,
    Trimmed,
    UnknownShard,
    Verified,
)
from apps.recordlog.shard_state import ShardState, Sums, add_to, meter_rows
from apps.recordlog.stored_batch import Gathering, GrowingShard, StoredBatch
from apps.recordlog.verification import ShardWalk
from apps.recordlog.waiters import Waiters


class MemoryShard:
    """Everything of one shard."""

    def __init__(self) -> None:
        self.state = ShardState()
        self.batches: list[StoredBatch] = []
        self.hours: dict[int, dict[str, Sums]] = {}
        self.producers: dict[str, tuple[int, Appended]] = {}

    def remove_oldest(self, before_ms: float, max_records: int) -> Trimmed:
        """Remove whole batches older than before_ms until max_records are gone."""
        removed = batches = 0
        for batch in self.batches:
            if batch.arrival_ms >= before_ms or removed >= max_records:
                break
            add_to(self.state.trimmed, batch.count, batch.size_bytes, batch.payload_units)
            removed += batch.count
            batches += 1
        del self.batches[:batches]
        return Trimmed(removed, bool(self.batches) and self.batches[0].arrival_ms < before_ms)


class MemoryLog:
    """See interface.py. Everything is gone with the object; its incarnation says so to the meters."""

    def __init__(self, clock: Clock, keyring: Keyring | None = None) -> None:
        self._clock = clock
        self._keyring = keyring or NoKeys()
        self._shards: dict[ShardKey, MemoryShard] = {}
        self._waiters = Waiters()
        self._incarnation = secrets.token_hex(8)
        self._open = False

    async def open(self) -> None:
        """See RecordLog.open."""
        self._open = True

    async def close(self) -> None:
        """See RecordLog.close."""
        self._open = False
        self._waiters.fail_all(LogUnavailable("the record log is closed"))

    def incarnation(self) -> str:
        """See RecordLog.incarnation."""
        return self._incarnation

    def _shard(self, shard: ShardKey) -> MemoryShard:
        self._check_open()
        found = self._shards.get(shard)
        if found is None or found.state.dropping:
            raise UnknownShard(shard)
        return found

    def _check_open(self) -> None:
        if not self._open:
            raise LogUnavailable("the record log is not open")

    async def create(self, shard: ShardKey) -> None:
        """See RecordLog.create."""
        self._check_open()
        self._shards.setdefault(shard, MemoryShard())

    async def append(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """See RecordLog.append."""
        for entry in entries:
            self._shard(entry.shard)
        now_ms = self._clock.now_ms()
        repeated = {entry.producer for entry in entries if self._stored_before(entry) is not None}
        return [self._append_entry(entry, now_ms, entry.producer in repeated) for entry in entries]

    def _stored_before(self, entry: Entry) -> Appended | None:
        if entry.producer is None:
            return None
        name, sequence = entry.producer
        last = self._shard(entry.shard).producers.get(name)
        return last[1] if last is not None and sequence <= last[0] else None

    def _append_entry(self, entry: Entry, now_ms: int, repeated: bool) -> Appended | ShardClosed:
        assert entry.count * 2 == len(entry.records) > 0
        shard = self._shard(entry.shard)
        before = self._stored_before(entry)
        if before is not None or repeated:
            return before or Appended(0, 0)
        successors = shard.state.sealed_to()
        if successors is not None:
            return ShardClosed(successors)
        growing = GrowingShard(shard.state, now_ms)
        finished = shard.state.roll_hour(growing.arrival_ms)
        if finished is not None:
            shard.hours[finished[0]] = finished[1]
        appended = growing.take(entry)
        growing.book()
        shard.batches += growing.batches
        if entry.producer is not None:
            shard.producers[entry.producer[0]] = (entry.producer[1], appended)
        self._waiters.wake(entry.shard, shard.state.next_offset, sealed=False)
        return appended

    async def read(self, shard: ShardKey, start: Offset, max_records: int, max_bytes: int) -> Batch:
        """See RecordLog.read."""
        found = self._shard(shard)
        state, batches = found.state, found.batches
        got = Gathering(max(1, start), min(max_records, MAX_READ_RECORDS), min(max_bytes, MAX_READ_BYTES))
        at = max(0, bisect_right(batches, start, key=lambda b: b.first) - 1)
        for batch in batches[at:]:  # a copy: keys may have to be waited for
            if batch.first + batch.count <= start:
                continue
            if batch.key is not None and not await self._may_read(batch.key.number, bool(got.slices)):
                break
            encrypted = batch.key is not None
            if not got.take(batch.first, batch.arrival_ms, batch.count, batch.size_bytes, batch.records, encrypted):
                break
        end = state.next_offset
        next_offset = got.next_offset if got.slices else max(got.next_offset, end)
        return Batch(got.slices, next_offset, end, state.sealed and next_offset >= end, state.floor_ms)

    async def _may_read(self, number: int, has_some: bool) -> bool:
        """Nothing here leaves the memory, so nothing is encrypted; but a key that cannot be had closes its records."""
        try:
            self._keyring.ready(number) or await self._keyring.open(number)
        except KeyUnavailable:
            if not has_some:
                raise
            return False
        return True

    async def find(self, shard: ShardKey, at_ms: int) -> Offset:
        """See RecordLog.find."""
        found = self._shard(shard)
        at = bisect_left(found.batches, at_ms, key=lambda b: b.arrival_ms)
        return found.batches[at].first if at < len(found.batches) else found.state.next_offset

    async def bounds(self, shard: ShardKey) -> Bounds:
        """See RecordLog.bounds."""
        found = self._shard(shard)
        state = found.state
        first, oldest_ms = state.next_offset, 0
        if found.batches:
            first, oldest_ms = found.batches[0].first, found.batches[0].arrival_ms
        return state.bounds(first, oldest_ms)

    async def seal(self, shards: Sequence[ShardKey], successors: Sequence[Successor]) -> list[tuple[Offset, int]]:
        """See RecordLog.seal."""
        states = {shard: self._shard(shard).state for shard in shards}
        heirs = [self._shard(s.shard).state for s in successors]
        sealed_at_ms = max([self._clock.now_ms(), *(state.floor_ms for state in states.values())])
        for shard, state in states.items():
            if not state.sealed:
                state.seal(sealed_at_ms, successors)
                self._waiters.wake(shard, state.next_offset, sealed=True)
                for heir in heirs:
                    heir.floor_ms = max(heir.floor_ms, sealed_at_ms)
        return [(states[shard].next_offset, states[shard].sealed_at_ms) for shard in shards]

    async def trim(self, shard: ShardKey, before_ms: int, max_records: int) -> Trimmed:
        """See RecordLog.trim."""
        found = self._shard(shard)
        oldest_ms = self._clock.now_ms() - METER_HOURS_KEPT * HOUR_MS
        found.hours = {hour: rows for hour, rows in found.hours.items() if hour + HOUR_MS > oldest_ms}
        found.producers = {n: last for n, last in found.producers.items() if last[1].arrival_ms >= before_ms}
        return found.remove_oldest(before_ms, max_records)

    async def wait(self, shard: ShardKey, past: Offset, timeout_ms: int) -> bool:
        """See RecordLog.wait."""
        return await self._waiters.wait(shard, past, timeout_ms, self._passed)

    def _passed(self, shard: ShardKey, past: Offset) -> bool:
        state = self._shard(shard).state
        return state.sealed or state.next_offset > past

    async def meters(self, shard: ShardKey, from_hour_ms: int) -> list[MeterRow]:
        """See RecordLog.meters."""
        found = self._shard(shard)
        hours = {**found.hours, found.state.hour_ms: found.state.meters}
        return [row for hour in sorted(hours) if hour >= from_hour_ms for row in meter_rows(shard, hour, hours[hour])]

    async def drop(self, shard: ShardKey, max_records: int) -> Trimmed:
        """See RecordLog.drop."""
        self._check_open()
        found = self._shards.get(shard)
        if found is None:
            return Trimmed(0, more=False)
        found.state.dropping = True
        trimmed = found.remove_oldest(float("inf"), max_records)
        if not trimmed.more:
            del self._shards[shard]
        self._waiters.fail(shard, UnknownShard(shard))
        return trimmed

    async def verify(self) -> Verified:
        """See RecordLog.verify."""
        self._check_open()
        walks = []
        for shard, found in self._shards.items():
            walk = ShardWalk(shard)
            for batch in found.batches:
                sums = (batch.count, batch.size_bytes, batch.payload_units)
                before = (batch.bytes_before, batch.units_before)
                walk.see(batch.first, batch.arrival_ms, sums, before, batch.records)
            walk.end(found.state)
            walks.append(walk)
        return Verified(
            len(walks),
            sum(w.batches for w in walks),
            sum(w.sums[0] for w in walks),
            tuple(problem for w in walks for problem in w.problems),
        )
