"""Read transactions on the LMDB record log. Every one sees one snapshot and is kept short by its caller."""

from __future__ import annotations

import time

import lmdb

from apps.base.units import HOUR_MS
from apps.recordlog.batch_cache import BatchCache
from apps.recordlog.interface import (
    MAX_BATCH_RECORDS,
    Batch,
    Bounds,
    Keyring,
    MeterRow,
    Offset,
    ShardKey,
    UnknownShard,
)
from apps.recordlog.lmdb_format import (
    BATCH_HEADER,
    BATCH_KEY,
    HOUR_KEY,
    SHARD_KEY,
    Databases,
    batch_key,
    decode_meters,
    decode_records,
    decode_state,
    hour_key,
    key_number,
)
from apps.recordlog.shard_state import ShardState, meter_rows
from apps.recordlog.stored_batch import Gathering
from apps.recordlog.verification import ShardWalk

NEAR_TIP_RECORDS = 4 * MAX_BATCH_RECORDS
"""A decoded batch this near to the end is kept for other readers at the tip."""

WORTH_KEEPING = 32
"""Records; decoding a smaller batch again costs less than keeping it."""


class Reading:
    """One transaction, begun with buffers=True."""

    def __init__(self, txn: lmdb.Transaction[memoryview], databases: Databases) -> None:
        self._txn = txn
        self._db = databases

    def stored_state(self, shard: ShardKey) -> ShardState | None:
        """The shard's state, None if there is none."""
        value = self._txn.get(SHARD_KEY.pack(shard), db=self._db.shards)
        return None if value is None else decode_state(value)

    def state(self, shard: ShardKey) -> ShardState:
        """The shard's state. Raises UnknownShard, also for one that is being dropped."""
        state = self.stored_state(shard)
        if state is None or state.dropping:
            raise UnknownShard(shard)
        return state

    def read(self, shard: ShardKey, got: Gathering, cache: BatchCache, keyring: Keyring, until_s: float) -> Batch:
        """RecordLog.read, from where got has come to.

        Stops when time.perf_counter() passes until_s: then got is late, but has a batch more than before. Stops
        before a batch whose data key is not ready: then got needs it.
        """
        state = self.state(shard)
        end = state.next_offset
        if got.next_offset < end:
            self._gather(shard, end, got, cache, keyring, until_s)
        next_offset = got.next_offset if got.slices else max(got.next_offset, end)
        return Batch(got.slices, next_offset, end, state.sealed and next_offset >= end, state.floor_ms)

    def _gather(
        self, shard: ShardKey, end: Offset, got: Gathering, cache: BatchCache, keyring: Keyring, until_s: float
    ) -> None:
        cursor = self._txn.cursor(self._db.batches)
        if seek(cursor, shard, got.next_offset) is None:
            return
        near_tip = end - NEAR_TIP_RECORDS
        for key, value in cursor.iternext():
            key_shard, first = BATCH_KEY.unpack(key)
            if key_shard != shard:
                return
            version, arrival_ms, count, size_bytes, _, _, _, number = BATCH_HEADER.unpack_from(value)
            # A batch never changes once it is there, and its place is never used again.
            cached = cache.get(shard, first)
            # Also for a cached one: what is in memory is not shown either while its key is disabled.
            data_key = None
            if version == 1:
                number = 0
            if number and (data_key := keyring.ready(number)) is None:
                got.needs_key = number
                return
            records = cached or decode_records(value, count, key, data_key)
            more = got.take(first, arrival_ms, count, size_bytes, records, number > 0)
            if cached is None and count >= WORTH_KEEPING and (first >= near_tip or got.next_offset < first + count):
                cache.keep(shard, first, records, size_bytes)
            if not more or first + count >= end:
                return
            if time.perf_counter() >= until_s:
                got.late = True
                return

    def find(self, shard: ShardKey, at_ms: int) -> Offset:
        """RecordLog.find."""
        return find_offset(self._txn.cursor(self._db.batches), shard, self.state(shard), at_ms)

    def bounds(self, shard: ShardKey) -> Bounds:
        """RecordLog.bounds."""
        state = self.state(shard)
        first, oldest_ms = state.trimmed[0] + 1, 0
        if first < state.next_offset:
            value = self._txn.get(batch_key(shard, first), db=self._db.batches)
            assert value is not None
            oldest_ms = BATCH_HEADER.unpack_from(value)[1]
        return state.bounds(first, oldest_ms)

    def meters(self, shard: ShardKey, from_hour_ms: int) -> list[MeterRow]:
        """RecordLog.meters."""
        state = self.state(shard)
        rows: list[MeterRow] = []
        cursor = self._txn.cursor(self._db.meters)
        found = cursor.set_range(hour_key(shard, max(0, from_hour_ms)))
        while found:
            key_shard, hour = HOUR_KEY.unpack(cursor.key())
            if key_shard != shard:
                break
            hour_ms = hour * HOUR_MS
            if hour_ms >= from_hour_ms:
                rows += meter_rows(shard, hour_ms, decode_meters(cursor.value()))
            found = cursor.next()
        if state.hour_ms >= from_hour_ms:
            rows += meter_rows(shard, state.hour_ms, state.meters)
        return rows

    def shards(self) -> list[ShardKey]:
        """All shards, those being dropped included."""
        return [SHARD_KEY.unpack(key)[0] for key in self._txn.cursor(self._db.shards).iternext(values=False)]

    def walk(self, walk: ShardWalk, start: Offset, end: Offset, keyring: Keyring, until_s: float) -> Offset | None:
        """Show the walk the batches from start on and before end, at least one. Answers where to go on after
        time.perf_counter() has passed until_s, or where the walk needs a key; None if none is left."""
        cursor = self._txn.cursor(self._db.batches)
        found = cursor.set_range(batch_key(walk.shard, start))
        first = key_of(cursor, walk.shard) if found else None
        while first is not None and first < end:
            value = cursor.value()
            _, arrival_ms, count, size_bytes, units, bytes_before, units_before, number = BATCH_HEADER.unpack_from(
                value
            )
            sums = (count, size_bytes, units)
            number, data_key = key_number(value, number), None
            if number and number not in walk.closed_keys and (data_key := keyring.ready(number)) is None:
                walk.needs_key = number
                return first
            opens = number == 0 or data_key is not None
            records = decode_records(value, count, cursor.key(), data_key) if opens else None
            walk.see(first, arrival_ms, sums, (bytes_before, units_before), records)
            first = key_of(cursor, walk.shard) if cursor.next() else None
            if time.perf_counter() >= until_s:
                return first
        return None


def key_of(cursor: lmdb.Cursor[memoryview], shard: ShardKey) -> Offset | None:
    """First offset of the batch under the cursor; None if it stands outside the shard."""
    key = cursor.key()
    if not key:
        return None
    key_shard, first = BATCH_KEY.unpack(key)
    return int(first) if key_shard == shard else None


def seek(cursor: lmdb.Cursor[memoryview], shard: ShardKey, start: Offset) -> Offset | None:
    """Put the cursor on the batch that holds start, else on the next one of the shard; answers its first offset."""
    if cursor.set_range(batch_key(shard, start)):
        first = key_of(cursor, shard)
        if first == start or not cursor.prev():
            return first
    elif not cursor.last():
        return None
    earlier = key_of(cursor, shard)
    if earlier is not None and earlier + BATCH_HEADER.unpack_from(cursor.value())[2] > start:
        return earlier
    return key_of(cursor, shard) if cursor.next() else None


def find_offset(cursor: lmdb.Cursor[memoryview], shard: ShardKey, state: ShardState, at_ms: int) -> Offset:
    """First offset that arrived at or after at_ms: bisects over offsets, asking each for the next batch from it on."""
    low, high = state.trimmed[0] + 1, state.next_offset
    if at_ms > state.newest_ms:
        return high
    found = high
    while low < high:
        middle = (low + high) // 2
        cursor.set_range(batch_key(shard, middle))
        key, value = cursor.item()
        key_shard, first = BATCH_KEY.unpack(key) if key else (0, 0)
        if key_shard != shard:
            high = middle
            continue
        header = BATCH_HEADER.unpack_from(value)
        if header[1] >= at_ms:
            high, found = middle, first
        else:
            low = first + header[2]
    return int(found)
