"""Write transactions on the LMDB record log.

Several processes write to one environment. So whatever decides (is there such a shard, is it sealed, which
offset comes next, what time was the newest arrival) is read inside the write transaction, by which LMDB keeps
all other writers out; and batches are put without overwriting, so that a mistake would fail instead of destroy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lmdb

from apps.base.units import HOUR_MS
from apps.recordlog.interface import (
    METER_HOURS_KEPT,
    Appended,
    Entry,
    LogUnavailable,
    Offset,
    ShardClosed,
    ShardKey,
    Successor,
    Trimmed,
)
from apps.recordlog.lmdb_format import (
    BATCH_HEADER,
    SHARD_KEY,
    Databases,
    batch_key,
    decode_producer,
    encode_batch,
    encode_meters,
    encode_producer,
    encode_state,
    hour_key,
    producer_key,
)
from apps.recordlog.lmdb_read import Reading, find_offset, key_of
from apps.recordlog.shard_state import ShardState
from apps.recordlog.stored_batch import GrowingShard

MAX_BATCHES_PER_TRIM = 2_048
"""Batches removed in one transaction (a few milliseconds), so that appends never wait long behind a trim."""

MAX_ROWS_PER_TRIM = 1_000
"""Meter rows and producers looked at in one transaction."""

Changed = dict[ShardKey, tuple[Offset, bool] | None]
"""Shards whose waiters must look: (next offset, sealed), or None for a dropped one."""


class Damaged(LogUnavailable):
    """A shard's batches and its state disagree."""

    @classmethod
    def at(cls, shard: ShardKey, offset: Offset) -> Damaged:
        """The error with its sentence."""
        return cls(f"Shard {shard} is damaged at offset {offset}; run `manage.py fsck` and restore a backup.")


class Writing(Reading):
    """One write transaction, begun with buffers=True. changed: whom to wake after the commit. removed: batches gone."""

    def __init__(self, txn: lmdb.Transaction[memoryview], databases: Databases, now_ms: int) -> None:
        super().__init__(txn, databases)
        self._now_ms = now_ms
        self._growing: dict[ShardKey, GrowingShard] = {}
        self._producers: dict[bytes, tuple[int, Appended]] = {}
        self.changed: Changed = {}
        self.removed = 0

    def _put_state(self, shard: ShardKey, state: ShardState) -> None:
        self._txn.put(SHARD_KEY.pack(shard), encode_state(state), db=self._db.shards)
        self.changed[shard] = (state.next_offset, state.sealed)

    def create(self, shard: ShardKey) -> None:
        """RecordLog.create."""
        if self.stored_state(shard) is None:
            self._put_state(shard, ShardState())

    def store(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """Take the entries of one append into the open batches, all or none. Raises UnknownShard before the first.

        finish() puts the batches.
        """
        growing = self._growing
        named = False
        for entry in entries:
            if entry.shard not in growing:
                growing[entry.shard] = GrowingShard(self.state(entry.shard), self._now_ms)
            if entry.producer is not None:
                named = True
        repeated = self._repeated(entries) if named else frozenset()
        return [
            growing[entry.shard].take(entry)
            if entry.producer is None and growing[entry.shard].open
            else self._take_with_care(growing[entry.shard], entry, entry.producer in repeated)
            for entry in entries
        ]

    def _repeated(self, entries: Sequence[Entry]) -> frozenset[tuple[str, int] | None]:
        """The producers of which an entry of this call was stored before."""
        return frozenset(entry.producer for entry in entries if self._stored_before(entry) is not None)

    def _stored_before(self, entry: Entry) -> Appended | None:
        """What the producer was answered, if the entry is a repeat."""
        if entry.producer is None:
            return None
        name, sequence = entry.producer
        key = producer_key(entry.shard, name)
        last = self._producers.get(key)
        if last is None:
            value = self._txn.get(key, db=self._db.producers)
            last = None if value is None else decode_producer(value)
        return last[1] if last is not None and sequence <= last[0] else None

    def _take_with_care(self, growing: GrowingShard, entry: Entry, repeated: bool) -> Appended | ShardClosed:
        """Into a shard that may be sealed, or from a producer whose entry may be there already."""
        before = self._stored_before(entry)
        if before is not None:
            return before
        if repeated:
            return Appended(0, 0)
        if not growing.open:
            return ShardClosed(growing.state.sealed_to() or ())
        appended = growing.take(entry)
        if entry.producer is not None:
            name, sequence = entry.producer
            self._producers[producer_key(entry.shard, name)] = (sequence, appended)
        return appended

    def _keep_finished_hour(self, growing: GrowingShard, shard: ShardKey) -> None:
        finished = growing.state.roll_hour(growing.arrival_ms)
        if finished is not None:
            hour_ms, rows = finished
            self._txn.put(hour_key(shard, hour_ms), encode_meters(rows), db=self._db.meters)

    def finish(self) -> None:
        """Put what store() took: one value per open batch, one state per shard.

        Raises TypeError or ValueError if a record cannot be encoded; the transaction must then be given up.
        """
        for shard, growing in self._growing.items():
            if not growing.batches:
                continue
            for batch in growing.batches:
                key = batch_key(shard, batch.first)
                if not self._txn.put(key, encode_batch(batch, key), overwrite=False, db=self._db.batches):
                    raise Damaged.at(shard, batch.first)
            self._keep_finished_hour(growing, shard)
            growing.book()
            self._put_state(shard, growing.state)
        for key, (sequence, appended) in self._producers.items():
            self._txn.put(key, encode_producer(sequence, appended), db=self._db.producers)

    def store_now(self, entries: Sequence[Entry]) -> list[Appended | ShardClosed]:
        """The same at once, as a job: without a look at the room that is left. Raises UnknownShard before the first."""
        outcomes = self.store(entries)
        self.finish()
        self._growing.clear()  # another job of this transaction begins with what is stored now
        self._producers.clear()
        return outcomes

    def seal(self, shards: Sequence[ShardKey], successors: Sequence[Successor]) -> list[tuple[Offset, int]]:
        """RecordLog.seal."""
        states = {shard: self.state(shard) for shard in shards}
        heirs = {successor.shard: self.state(successor.shard) for successor in successors}
        sealed_at_ms = max([self._now_ms, *(state.floor_ms for state in states.values())])
        still_open = {shard: state for shard, state in states.items() if not state.sealed}
        for shard, state in still_open.items():
            state.seal(sealed_at_ms, successors)
            self._put_state(shard, state)
        for shard, state in heirs.items() if still_open else ():
            # A key's records must not seem older in the child than in its parent.
            if state.floor_ms < sealed_at_ms:
                state.floor_ms = sealed_at_ms
                self._put_state(shard, state)
        return [(states[shard].next_offset, states[shard].sealed_at_ms) for shard in shards]

    def trim(self, shard: ShardKey, before_ms: int, max_records: int) -> Trimmed:
        """RecordLog.trim."""
        state = self.state(shard)
        horizon = find_offset(self._txn.cursor(self._db.batches), shard, state, before_ms)
        trimmed = self._remove_oldest(shard, state, horizon, max_records)
        if trimmed.records:
            self._put_state(shard, state)
        self._forget_hours(shard)
        self._forget_producers(shard, before_ms)
        return trimmed

    def drop(self, shard: ShardKey, max_records: int) -> Trimmed:
        """RecordLog.drop. From the first call on the shard is unknown to everybody else."""
        state = self.stored_state(shard)
        if state is None:
            return Trimmed(0, more=False)
        state.dropping = True
        trimmed = self._remove_oldest(shard, state, state.next_offset, max_records)
        more = trimmed.more or not all(
            [
                self._remove_rows(self._db.meters, shard),
                self._remove_rows(self._db.producers, shard),
            ]
        )
        if more:
            self._put_state(shard, state)
        else:
            self._txn.delete(SHARD_KEY.pack(shard), db=self._db.shards)
        self.changed[shard] = None
        return Trimmed(trimmed.records, more)

    def _remove_oldest(self, shard: ShardKey, state: ShardState, horizon: Offset, max_records: int) -> Trimmed:
        """Remove batches before horizon, reading none: what was removed is told by the sums before the first kept."""
        oldest = first = state.trimmed[0] + 1
        stop = min(horizon, oldest + max_records)
        cursor = self._txn.cursor(self._db.batches)
        cursor.set_range(batch_key(shard, oldest))
        if first < stop and key_of(cursor, shard) != oldest:
            raise Damaged.at(shard, oldest)
        for _ in range(MAX_BATCHES_PER_TRIM):
            if first >= stop:
                break
            cursor.delete()
            self.removed += 1
            next_first = key_of(cursor, shard)
            first = state.next_offset if next_first is None else next_first
        if first == state.next_offset:
            state.trimmed = state.totals[:3]
        elif first > oldest:
            _, _, _, _, _, bytes_before, units_before, _ = BATCH_HEADER.unpack_from(cursor.value())
            state.trimmed = [first - 1, bytes_before, units_before]
        return Trimmed(first - oldest, more=first < horizon)

    def _forget_hours(self, shard: ShardKey) -> None:
        oldest_ms = self._now_ms - METER_HOURS_KEPT * HOUR_MS
        cursor = self._txn.cursor(self._db.meters)
        found = cursor.set_range(SHARD_KEY.pack(shard))
        for _ in range(MAX_ROWS_PER_TRIM):
            if not found or not SHARD_KEY.pack(shard) <= bytes(cursor.key()) < hour_key(shard, oldest_ms):
                break
            cursor.delete()
            found = bool(cursor.key())

    def _forget_producers(self, shard: ShardKey, before_ms: int) -> None:
        prefix = SHARD_KEY.pack(shard)
        cursor = self._txn.cursor(self._db.producers)
        found = cursor.set_range(prefix)
        for _ in range(MAX_ROWS_PER_TRIM):
            if not found or bytes(cursor.key())[:4] != prefix:
                break
            if decode_producer(cursor.value())[1].arrival_ms < before_ms:
                cursor.delete()
                found = bool(cursor.key())
            else:
                found = cursor.next()

    def _remove_rows(self, database: Any, shard: ShardKey) -> bool:
        """Remove a shard's rows of a database, some at a time; True when none are left."""
        prefix = SHARD_KEY.pack(shard)
        cursor = self._txn.cursor(database)
        found = cursor.set_range(prefix)
        for _ in range(MAX_ROWS_PER_TRIM):
            if not found or bytes(cursor.key())[:4] != prefix:
                return True
            cursor.delete()
            found = bool(cursor.key())
        return not found or bytes(cursor.key())[:4] != prefix
