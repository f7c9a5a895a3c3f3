"""Keys and values of the LMDB record log, to bytes and back. The guide to the format stands at the top of lmdb.py."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any

import lmdb
import msgspec

from apps.base.units import HOUR_MS
from apps.recordlog.interface import Appended, LogUnavailable, Offset, ShardKey
from apps.recordlog.shard_state import ShardState, Sums
from apps.recordlog.stored_batch import Records, StoredBatch

FORMAT = 1
"""What is written. What is read: FORMAT and FORMAT - 1."""

OLDEST_FORMAT = 1

NAMES = (b"about", b"shards", b"batches", b"meters", b"producers")

SHARD_KEY = Struct(">I")
BATCH_KEY = Struct(">IQ")
HOUR_KEY = Struct(">II")
BATCH_HEADER = Struct(">BqIIIQQ")
"""Format, arrival in ms; the batch's count, bytes, payload units; the shard's bytes and units before it."""

MAX_PRODUCER_BYTES = 400
"""UTF-8 bytes of a producer's name; LMDB's keys end at 511 bytes."""

_version = bytes([FORMAT])
_encoder = msgspec.msgpack.Encoder()
_decode_any = msgspec.msgpack.Decoder().decode
_decode_state = msgspec.msgpack.Decoder(ShardState).decode
_decode_meters = msgspec.msgpack.Decoder(dict[str, Sums]).decode
_decode_producer = msgspec.msgpack.Decoder(tuple[int, int, int]).decode


@dataclass(frozen=True, slots=True)
class Databases:
    """The named databases of one environment."""

    about: Any
    shards: Any
    batches: Any
    meters: Any
    producers: Any


def open_databases(env: lmdb.Environment) -> Databases:
    """Open the named databases, and make those that are missing."""
    return Databases(*(env.open_db(name) for name in NAMES))


def check_version(version: int) -> None:
    """Raises LogUnavailable if an entry was written by a version of Tidegate that this one does not know."""
    if not OLDEST_FORMAT <= version <= FORMAT:
        raise LogUnavailable(
            f"The record log holds entries of format {version}, and this version of Tidegate reads formats "
            f"{OLDEST_FORMAT} to {FORMAT}; start the version that wrote them."
        )


def encode_batch(batch: StoredBatch) -> bytes:
    """A batch's value. Raises TypeError or ValueError for what msgpack cannot hold."""
    header = BATCH_HEADER.pack(
        FORMAT, batch.arrival_ms, batch.count, batch.size_bytes, batch.payload_units,
        batch.bytes_before, batch.units_before,
    )
    return b"".join((header, _encoder.encode(batch.records)))


def decode_records(value: memoryview, count: int) -> Records:
    """The records of a batch's value, whose header says that there are so many."""
    if value[0] != FORMAT:
        check_version(value[0])
    records: Records = _decode_any(value[BATCH_HEADER.size :])
    assert len(records) == 2 * count, "a stored batch holds what its header says"
    return records


def encode_state(state: ShardState) -> bytes:
    """A shard's value."""
    return _version + _encoder.encode(state)


def decode_state(value: memoryview) -> ShardState:
    """A shard's value, back."""
    check_version(value[0])
    return _decode_state(value[1:])


def hour_key(shard: ShardKey, hour_ms: int) -> bytes:
    """Key of a shard's meter rows of one hour."""
    return HOUR_KEY.pack(shard, hour_ms // HOUR_MS)


def encode_meters(rows: dict[str, Sums]) -> bytes:
    """All rows of one shard and hour."""
    return _version + _encoder.encode(rows)


def decode_meters(value: memoryview) -> dict[str, Sums]:
    """All rows of one shard and hour, back."""
    check_version(value[0])
    return _decode_meters(value[1:])


def producer_key(shard: ShardKey, name: str) -> bytes:
    """Key of the last entry that a producer stored in a shard."""
    return SHARD_KEY.pack(shard) + name.encode()


def encode_producer(sequence: int, appended: Appended) -> bytes:
    """The last entry that a producer stored."""
    return _version + _encoder.encode((sequence, appended.first, appended.arrival_ms))


def decode_producer(value: memoryview) -> tuple[int, Appended]:
    """The last entry that a producer stored, back."""
    check_version(value[0])
    sequence, first, arrival_ms = _decode_producer(value[1:])
    return sequence, Appended(first, arrival_ms)


def batch_key(shard: ShardKey, first: Offset) -> bytes:
    """Key of the batch that begins at an offset."""
    return BATCH_KEY.pack(shard, first)
