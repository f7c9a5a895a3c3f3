"""What happens inside one write transaction of the store. Several processes write to it, so all is decided in here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Any

from apps.base.units import SECOND_MS
from apps.queues.deliveries import (
    DELIVERY_KEY,
    IN_FLIGHT_MAX,
    NO_RECEIPT,
    PLACE_KEY,
    PLACE_PREFIX,
    POSITION_KEY,
    QUEUE_KEY,
    RECEIPT_BYTES,
    Claim,
    Delivery,
    Glimpse,
    Handle,
    Offer,
    Place,
    QueueState,
    Received,
    decode_delivery,
    decode_position,
    decode_queue,
    encode_delivery,
    encode_position,
    encode_queue,
)

SETTLED_AT_ONCE = 1_000
"""Deliveries whose time has come that one call moves to their next place, so that no call is long."""

VISIBILITY_MAX_MS = 43_200 * SECOND_MS
"""Twelve hours. A time further ahead than twice that was written by a clock gone wrong, and counts as past."""

_NEXT = {Place.IN_FLIGHT: Place.VISIBLE, Place.DEAD_IN_FLIGHT: Place.DEAD_VISIBLE}

PlaceEntry = tuple[int, int, int]
"""(at ms, shard, offset)."""


class UnknownQueue(Exception):
    """The store has no such queue: it is not made yet, or closed. Raised before anything is changed."""


class OldVersion(Exception):
    """The caller knows the queue's settings in an older version than the one in force: read them anew."""


class Outcome(Enum):
    """What became of one entry of a batch."""

    DONE = "done"
    GONE = "gone"
    """The record is not in the queue any more."""
    STALE = "stale"
    """The record was received again since, or restored."""
    DEAD = "dead"
    """The record is a dead letter, and the call is for others."""
    ALIVE = "alive"
    """The record is no dead letter, and the call is for those."""
    FULL = "full"
    """Nothing more may be in flight."""


class Looking:
    """One transaction that reads."""

    def __init__(self, txn: Any, databases: Any, now_ms: int) -> None:
        self._txn = txn
        self._db = databases
        self.now_ms = now_ms
        self._states: dict[int, QueueState] = {}

    def state(self, queue: int, version: int | None = None) -> QueueState:
        """An open queue's state. Raises UnknownQueue, and OldVersion if version is given and older than the one in force."""
        state = self._state(queue)
        if state is None or not state.is_open:
            raise UnknownQueue(queue)
        if version is not None and version < state.version:
            raise OldVersion(queue)
        return state

    def _state(self, queue: int) -> QueueState | None:
        state = self._states.get(queue)
        if state is None:
            value = self._txn.get(QUEUE_KEY.pack(queue), db=self._db.queues)
            if value is None:
                return None
            state = self._states[queue] = decode_queue(value)
        return state

    def position(self, queue: int, shard: int) -> int | None:
        """Below it every record was handed out at least once; None: the queue has not begun with the shard."""
        value = self._txn.get(POSITION_KEY.pack(queue, shard), db=self._db.positions)
        return None if value is None else decode_position(value)

    def shards(self, queue: int) -> list[int]:
        """Those that the queue has begun with."""
        prefix = QUEUE_KEY.pack(queue)
        cursor = self._txn.cursor(self._db.positions)
        found = []
        there = cursor.set_range(prefix)
        while there and bytes(cursor.key()).startswith(prefix):
            found.append(POSITION_KEY.unpack(cursor.key())[1])
            there = cursor.next()
        return found

    def glimpse(self, queue: int, *, dead: bool) -> Glimpse:
        """What a receive, of dead letters or of others, may find among the deliveries."""
        state = self.state(queue)
        due_ms = self._first_due(queue, Place.IN_FLIGHT)
        ready = state.counts[Place.DEAD_VISIBLE if dead else Place.VISIBLE] > 0 or 0 < due_ms <= self.now_ms
        if dead:
            dead_due_ms = self._first_due(queue, Place.DEAD_IN_FLIGHT)
            ready = ready or 0 < dead_due_ms <= self.now_ms
            due_ms = min(due_ms, dead_due_ms) or max(due_ms, dead_due_ms)
        return Glimpse(ready or state.in_flight >= IN_FLIGHT_MAX, due_ms)

    def _first_due(self, queue: int, place: Place) -> int:
        for at_ms, _, _ in self._entries(queue, place):
            return at_ms
        return 0

    def _entries(self, queue: int, place: Place, from_ms: int = 0) -> Iterator[PlaceEntry]:
        """The deliveries of a place by time. Changing the place while one iterates is not allowed."""
        prefix = PLACE_PREFIX.pack(queue, place)
        cursor = self._txn.cursor(self._db.places)
        found = cursor.set_range(PLACE_KEY.pack(queue, place, from_ms, 0, 0))
        while found:
            key = bytes(cursor.key())
            if not key.startswith(prefix):
                return
            _, _, at_ms, shard, offset = PLACE_KEY.unpack(key)
            yield at_ms, shard, offset
            found = cursor.next()


class Changing(Looking):
    """One write transaction. finish() writes the states that changed. rung: queues whose waiters must look."""

    def __init__(self, txn: Any, databases: Any, now_ms: int) -> None:
        super().__init__(txn, databases, now_ms)
        self._changed: set[int] = set()
        self.rung: set[int] = set()

    def finish(self) -> None:
        """Write what was counted."""
        for queue in self._changed:
            self._txn.put(QUEUE_KEY.pack(queue), encode_queue(self._states[queue]), db=self._db.queues)

    # One delivery

    def _delivery(self, queue: int, shard: int, offset: int) -> Delivery | None:
        value = self._txn.get(DELIVERY_KEY.pack(queue, shard, offset), db=self._db.deliveries)
        return None if value is None else decode_delivery(value)

    def _put(self, queue: int, shard: int, offset: int, delivery: Delivery) -> None:
        self._txn.put(DELIVERY_KEY.pack(queue, shard, offset), encode_delivery(delivery), db=self._db.deliveries)
        self._txn.put(PLACE_KEY.pack(queue, delivery.place, delivery.at_ms, shard, offset), b"", db=self._db.places)
        self._states[queue].counts[delivery.place] += 1
        self._changed.add(queue)

    def _take_out(self, queue: int, shard: int, offset: int, delivery: Delivery) -> None:
        """Out of its place; the delivery itself is to be put anew, or removed."""
        self._txn.delete(PLACE_KEY.pack(queue, delivery.place, delivery.at_ms, shard, offset), db=self._db.places)
        self._states[queue].counts[delivery.place] -= 1
        self._changed.add(queue)

    def _move(self, queue: int, shard: int, offset: int, before: Delivery, after: Delivery) -> None:
        self._take_out(queue, shard, offset, before)
        self._put(queue, shard, offset, after)

    def _remove(self, queue: int, shard: int, offset: int, delivery: Delivery) -> None:
        self._take_out(queue, shard, offset, delivery)
        self._txn.delete(DELIVERY_KEY.pack(queue, shard, offset), db=self._db.deliveries)

    # Time

    def settle(self, queue: int, max_receive_count: int | None, limit: int = SETTLED_AT_ONCE) -> bool:
        """Move what was in flight and is not any more to where it is now; True if there may be more of it.
        Raises UnknownQueue."""
        self.state(queue)
        left = limit
        for place in _NEXT:
            for at_ms, shard, offset in self._overdue(queue, place, left):
                self._settle_one(queue, shard, offset, min(at_ms, self.now_ms), max_receive_count)
                left -= 1
        return left <= 0

    def _overdue(self, queue: int, place: Place, limit: int) -> list[PlaceEntry]:
        found: list[PlaceEntry] = []
        if not self._states[queue].counts[place]:
            return found
        for entry in self._entries(queue, place):
            if entry[0] > self.now_ms or len(found) >= limit:
                break
            found.append(entry)
        for entry in self._entries(queue, place, self.now_ms + 2 * VISIBILITY_MAX_MS):
            if len(found) >= limit:
                break
            found.append(entry)
        return found

    def _settle_one(self, queue: int, shard: int, offset: int, since_ms: int, max_receive_count: int | None) -> None:
        before = self._delivery(queue, shard, offset)
        assert before is not None, (queue, shard, offset)
        place = _NEXT[before.place]
        if max_receive_count is not None and before.receive_count >= max_receive_count:
            place = Place.DEAD_VISIBLE
        self._move(queue, shard, offset, before, before._replace(place=place, at_ms=since_ms))

    def regroup(self, queue: int, max_receive_count: int | None, after: PlaceEntry | None) -> PlaceEntry | None:
        """MaxReceiveCount has become this: move those visible that were received as often to the dead letters. Some at
        a time; where to go on, None at the end."""
        state = self._state(queue)
        if state is None or max_receive_count is None:
            return None
        entries: list[PlaceEntry] = []
        for entry in self._entries(queue, Place.VISIBLE, after[0] if after else 0):
            if after is None or entry > after:
                entries.append(entry)
            if len(entries) >= SETTLED_AT_ONCE:
                break
        for at_ms, shard, offset in entries:
            before = self._delivery(queue, shard, offset)
            assert before is not None, (queue, shard, offset)
            if before.receive_count >= max_receive_count:
                self._move(queue, shard, offset, before, before._replace(place=Place.DEAD_VISIBLE, at_ms=at_ms))
        return entries[-1] if len(entries) >= SETTLED_AT_ONCE else None

    # Receiving

    def receive(
        self, queue: int, version: int, max_receive_count: int | None, limit: int, visibility_ms: int,
        offers: Sequence[Offer], *, dead: bool, new_first: bool,
    ) -> Received:  # fmt: skip
        """Hand out up to limit records: dead letters, or those visible again and those never handed out; new_first says
        which of the two come first. See Looking.state for the errors."""
        state = self.state(queue, version)
        more = self.settle(queue, max_receive_count)
        room = IN_FLIGHT_MAX - state.in_flight
        if room <= 0:
            return Received((), more, True, 0)
        limit, until_ms = min(limit, room), self.now_ms + visibility_ms
        claims: list[Claim] = []
        if dead:
            more |= self._receive_again(queue, Place.DEAD_VISIBLE, None, limit, until_ms, claims)
        elif new_first:
            self._receive_new(queue, offers, limit, until_ms, claims)
            more |= self._receive_again(queue, Place.VISIBLE, max_receive_count, limit, until_ms, claims)
        else:
            more |= self._receive_again(queue, Place.VISIBLE, max_receive_count, limit, until_ms, claims)
            self._receive_new(queue, offers, limit, until_ms, claims)
        if claims:
            self.rung.add(queue)
        return Received(claims, more, False, until_ms if claims else 0)

    def _receive_again(
        self, queue: int, place: Place, max_receive_count: int | None, limit: int, until_ms: int, claims: list[Claim]
    ) -> bool:
        """Those that are visible again; True if only dead ones were looked at and there may be others."""
        in_flight = Place.DEAD_IN_FLIGHT if place is Place.DEAD_VISIBLE else Place.IN_FLIGHT
        looked_at: list[PlaceEntry] = []
        if len(claims) >= limit or not self._states[queue].counts[place]:
            return False
        for entry in self._entries(queue, place):
            looked_at.append(entry)
            if len(looked_at) >= limit - len(claims):
                break
        found = 0
        for at_ms, shard, offset in looked_at:
            before = self._delivery(queue, shard, offset)
            assert before is not None, (queue, shard, offset)
            if max_receive_count is not None and before.receive_count >= max_receive_count:
                self._move(queue, shard, offset, before, before._replace(place=Place.DEAD_VISIBLE, at_ms=at_ms))
                continue
            after = Delivery(
                in_flight, until_ms, before.receive_count + 1,
                before.first_received_ms or self.now_ms, os.urandom(RECEIPT_BYTES),
            )  # fmt: skip
            self._move(queue, shard, offset, before, after)
            claims.append(Claim(shard, offset, after.receipt, after.receive_count, after.first_received_ms))
            found += 1
        return not found

    def _receive_new(self, queue: int, offers: Sequence[Offer], limit: int, until_ms: int, claims: list[Claim]) -> None:
        for offer in offers:
            count = min(limit - len(claims), IN_FLIGHT_MAX - self._states[queue].living)
            if count <= 0:
                return
            begin = max(self.position(queue, offer.shard) or 0, offer.start)
            end = min(begin + count, offer.end)
            for offset in range(begin, end):
                receipt = os.urandom(RECEIPT_BYTES)
                made = Delivery(Place.IN_FLIGHT, until_ms, 1, self.now_ms, receipt)
                self._put(queue, offer.shard, offset, made)
                claims.append(Claim(offer.shard, offset, receipt, 1, self.now_ms))
            if end > begin:
                key = POSITION_KEY.pack(queue, offer.shard)
                self._txn.put(key, encode_position(end), db=self._db.positions)

    def give_back(self, queue: int, claims: Iterable[Claim], *, dead: bool) -> None:
        """These could not be handed over after all: visible at once, as if they had not been received. dead: they were
        received as dead letters. (With a timeout of 0 they may have been settled meanwhile.)"""
        self._state(queue)
        place = Place.DEAD_VISIBLE if dead else Place.VISIBLE
        for claim in claims:
            before = self._delivery(queue, claim.shard, claim.offset)
            if before is not None and before.receipt == claim.receipt:
                count = before.receive_count - 1
                after = Delivery(place, self.now_ms, count, before.first_received_ms if count else 0, NO_RECEIPT)
                self._move(queue, claim.shard, claim.offset, before, after)
                self.rung.add(queue)

    def forget(self, queue: int, claims: Iterable[Claim]) -> None:
        """The records of these are past the stream's retention: they are no part of the queue any more."""
        self._state(queue)
        for claim in claims:
            before = self._delivery(queue, claim.shard, claim.offset)
            if before is not None:
                self._remove(queue, claim.shard, claim.offset, before)

    # What a receiver says of what it got

    def acknowledge(
        self, queue: int, version: int, max_receive_count: int | None, handles: Sequence[Handle], *, dead: bool
    ) -> list[Outcome]:
        """Remove these for good. See Looking.state for the errors."""
        self.state(queue, version)
        outcomes = []
        for handle in handles:
            before, outcome = self._meant(queue, max_receive_count, handle, dead=dead)
            if before is not None:
                self._remove(queue, handle.shard, handle.offset, before)
            outcomes.append(outcome)
        return outcomes

    def change_visibility(
        self, queue: int, version: int, max_receive_count: int | None, entries: Sequence[tuple[Handle, int]], *,
        dead: bool,
    ) -> list[Outcome]:  # fmt: skip
        """Each is in flight for so many milliseconds from now. See Looking.state for the errors."""
        state = self.state(queue, version)
        outcomes = []
        for handle, visibility_ms in entries:
            before, outcome = self._meant(queue, max_receive_count, handle, dead=dead)
            if before is not None and before.place not in _NEXT and state.in_flight >= IN_FLIGHT_MAX:
                before, outcome = None, Outcome.FULL
            if before is not None:
                place = Place.DEAD_IN_FLIGHT if dead else Place.IN_FLIGHT
                after = before._replace(place=place, at_ms=self.now_ms + visibility_ms)
                self._move(queue, handle.shard, handle.offset, before, after)
                self.rung.add(queue)
            outcomes.append(outcome)
        return outcomes

    def restore(
        self, queue: int, version: int, max_receive_count: int | None, handles: Sequence[Handle]
    ) -> list[Outcome]:
        """Back to the others, visible at once, as if never received. See Looking.state for the errors."""
        self.state(queue, version)
        outcomes = []
        for handle in handles:
            before, outcome = self._meant(queue, max_receive_count, handle, dead=True)
            if before is not None:
                after = before._replace(
                    place=Place.VISIBLE, at_ms=self.now_ms, receive_count=0, receipt=NO_RECEIPT
                )  # fmt: skip
                self._move(queue, handle.shard, handle.offset, before, after)
                self.rung.add(queue)
            outcomes.append(outcome)
        return outcomes

    def _meant(
        self, queue: int, max_receive_count: int | None, handle: Handle, *, dead: bool
    ) -> tuple[Delivery | None, Outcome]:
        """The delivery that a handle is of, if it is the record's last one and the call is for its kind."""
        found = self._delivery(queue, handle.shard, handle.offset)
        if found is None:
            return None, Outcome.GONE
        if found.receipt != handle.receipt or handle.receipt == NO_RECEIPT:
            return None, Outcome.STALE
        if found.is_dead_by(max_receive_count, self.now_ms) != dead:
            return None, Outcome.ALIVE if dead else Outcome.DEAD
        return found, Outcome.DONE

    # Life

    def make(self, queue: int, version: int) -> None:
        """Open a queue, or bring a new version of its settings into force. A closed one stays closed."""
        state = self._states.get(queue) or self._state(queue)
        if state is None:
            state = self._states[queue] = QueueState(True, version, [0] * len(Place))
        state.version = version
        self._changed.add(queue)

    def close(self, queue: int) -> None:
        """From now on the queue is unknown: receipt handles end, nothing is received. Idempotent."""
        state = self._state(queue)
        if state is not None:
            state.is_open = False
            self._changed.add(queue)
            self.rung.add(queue)

    def expire(self, queue: int, shard: int, before_offset: int, limit: int) -> bool:
        """Remove the deliveries of a shard's records before an offset (all of a shard that is gone: offset 2**64 - 1);
        True if there may be more."""
        if self._state(queue) is None:
            return False
        prefix = POSITION_KEY.pack(queue, shard)
        cursor = self._txn.cursor(self._db.deliveries)
        found: list[int] = []
        there = cursor.set_range(prefix)
        while there and len(found) < limit:
            key = bytes(cursor.key())
            if not key.startswith(prefix) or (offset := DELIVERY_KEY.unpack(key)[2]) >= before_offset:
                break
            found.append(offset)
            there = cursor.next()
        for offset in found:
            delivery = self._delivery(queue, shard, offset)
            assert delivery is not None
            self._remove(queue, shard, offset, delivery)
        return len(found) >= limit

    def forget_shard(self, queue: int, shard: int) -> None:
        """The shard is gone for good, and so is its position."""
        self._txn.delete(POSITION_KEY.pack(queue, shard), db=self._db.positions)

    def drop(self, queue: int, limit: int) -> bool:
        """Remove all of a closed queue, some at a time; True if there is more."""
        prefix = QUEUE_KEY.pack(queue)
        for database in (self._db.deliveries, self._db.places, self._db.positions):
            limit -= self._remove_some(database, prefix, limit)
            if limit <= 0:
                return True
        self._txn.delete(prefix, db=self._db.queues)
        self._states.pop(queue, None)
        self._changed.discard(queue)
        return False

    def _remove_some(self, database: Any, prefix: bytes, limit: int) -> int:
        cursor = self._txn.cursor(database)
        removed = 0
        there = cursor.set_range(prefix)
        while there and removed < limit and bytes(cursor.key()).startswith(prefix):
            there = cursor.delete()
            removed += 1
        return removed
