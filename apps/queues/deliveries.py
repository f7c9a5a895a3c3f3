"""What the store keeps of a queue: how far it has handed records out, and the records handed out but not acknowledged.

A *position*, one per queue and shard, is the offset below which every record was handed out at least once. A *delivery*
is the exception to it: a record below the position that is not acknowledged. So a record is

    at or above the position           never received: visible
    below it, with a delivery          in flight, visible again, or a dead letter
    below it, without a delivery       acknowledged, or past the stream's retention

and nothing is copied: the record itself stays in the record log and is read from there by its offset.

Keys are big-endian numbers, so that LMDB's order is ours. Values begin with one byte, the format's version.

    database    key                                                 value after the version byte
    about       "format"                                            nothing
    queues      queue (4)                                           open (1), version (4), deliveries by place (4 x 4)
    positions   queue (4), shard (4)                                offset (8)
    deliveries  queue (4), shard (4), offset (8)                    place (1), at ms (8), receive count (4),
                                                                    first received ms (8), receipt (8)
    places      queue (4), place (1), at ms (8), shard (4), offset (8)   empty: the deliveries of a place, by time
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

FORMAT = 1

RECEIPT_BYTES = 8
NO_RECEIPT = bytes(RECEIPT_BYTES)
"""Of a record that was restored: no handle fits it until it is received again."""

IN_FLIGHT_MAX = 120_000
"""Records of a queue in flight at one time, dead letters among them (AWS's quota). Records that became visible again
count beside those in flight before new ones are handed out, so this bounds the deliveries that are no dead letters."""

QUEUE_KEY = Struct(">I")
POSITION_KEY = Struct(">II")
DELIVERY_KEY = Struct(">IIQ")
PLACE_PREFIX = Struct(">IB")
PLACE_KEY = Struct(">IBQIQ")

_QUEUE = Struct(">B?I4I")
_POSITION = Struct(">BQ")
_DELIVERY = Struct(f">BBQIQ{RECEIPT_BYTES}s")


class Place(IntEnum):
    """Where a delivery is. Its time says: in flight until; visible since."""

    IN_FLIGHT = 0
    VISIBLE = 1
    DEAD_IN_FLIGHT = 2
    DEAD_VISIBLE = 3


class Delivery(NamedTuple):
    """A record that was handed out and not acknowledged."""

    place: Place
    at_ms: int
    receive_count: int
    first_received_ms: int
    receipt: bytes

    @property
    def is_dead(self) -> bool:
        """True in either place of the dead letters."""
        return self.place >= Place.DEAD_IN_FLIGHT

    def is_dead_by(self, max_receive_count: int | None, now_ms: int) -> bool:
        """True if it is a dead letter, also one that nobody has moved to its place yet."""
        if self.is_dead or max_receive_count is None:
            return self.is_dead
        return self.at_ms <= now_ms and self.receive_count >= max_receive_count


class Claim(NamedTuple):
    """A delivery just made: which record, and what its receiver is told."""

    shard: int
    offset: int
    receipt: bytes
    receive_count: int
    first_received_ms: int


class Handle(NamedTuple):
    """What a receipt handle says: a record, and which of its deliveries."""

    shard: int
    offset: int
    receipt: bytes


class Offer(NamedTuple):
    """Records of a shard that may be new to the queue: offsets from start (its first, or the queue's beginning in it,
    or the first that the retention still shows) to before end."""

    shard: int
    start: int
    end: int


class Received(NamedTuple):
    """What a receive got. more: something is left to settle, ask again. full: nothing more may be in flight.
    due_ms: when the first of these becomes visible again, 0 if there are none."""

    claims: Sequence[Claim]
    more: bool
    full: bool
    due_ms: int


class Glimpse(NamedTuple):
    """What a receive can expect without new records: ready at once, and when the next delivery is due (0: never)."""

    ready: bool
    due_ms: int


class QueueState:
    """The value of a queue: is it open, which version of its settings is in force, how many deliveries per place."""

    __slots__ = ("counts", "is_open", "version")

    def __init__(self, is_open: bool, version: int, counts: list[int]) -> None:
        self.is_open = is_open
        self.version = version
        self.counts = counts

    @property
    def in_flight(self) -> int:
        """Of both kinds; those that nobody has settled yet are counted still."""
        return self.counts[Place.IN_FLIGHT] + self.counts[Place.DEAD_IN_FLIGHT]

    @property
    def living(self) -> int:
        """Deliveries that are no dead letters."""
        return self.counts[Place.IN_FLIGHT] + self.counts[Place.VISIBLE]


def encode_queue(state: QueueState) -> bytes:
    """Its value."""
    return _QUEUE.pack(FORMAT, state.is_open, state.version, *state.counts)


def decode_queue(value: bytes) -> QueueState:
    """The state in a value."""
    _, is_open, version, *counts = _QUEUE.unpack(value)
    return QueueState(is_open, version, counts)


def encode_position(offset: int) -> bytes:
    """Its value."""
    return _POSITION.pack(FORMAT, offset)


def decode_position(value: bytes) -> int:
    """The offset in a value."""
    return int(_POSITION.unpack(value)[1])


def encode_delivery(delivery: Delivery) -> bytes:
    """Its value."""
    return _DELIVERY.pack(FORMAT, *delivery)


def decode_delivery(value: bytes) -> Delivery:
    """The delivery in a value."""
    _, place, at_ms, receive_count, first_received_ms, receipt = _DELIVERY.unpack(value)
    return Delivery(Place(place), at_ms, receive_count, first_received_ms, receipt)
