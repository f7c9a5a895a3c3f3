"""Keys and values of the LMDB record log, to bytes and back. The guide to the format stands at the top of lmdb.py."""

from __future__ import annotations

import os
from dataclasses import dataclass
from struct import Struct
from typing import Any

import lmdb
import msgspec
from cryptography.exceptions import InvalidTag

from apps.base.units import HOUR_MS
from apps.recordlog.interface import Appended, DataKey, LogUnavailable, Offset, ShardKey
from apps.recordlog.shard_state import ShardState, Sums
from apps.recordlog.stored_batch import Records, StoredBatch

FORMAT = 3
"""What is written. What is read: this and older ones from OLDEST_FORMAT on."""

OLDEST_FORMAT = 1
COUNTS_KIB = 3
"""The first format whose sums have kib_units."""

NAMES = (b"about", b"shards", b"batches", b"meters", b"producers")

SHARD_KEY = Struct(">I")
BATCH_KEY = Struct(">IQ")
HOUR_KEY = Struct(">II")
BATCH_HEADER = Struct(">BqIIIQQI")
"""Format, arrival in ms; the batch's count, bytes, payload units; the shard's bytes and units before it; the number of
the batch's data key, 0 if it is not encrypted. Format 1 had no number, and in its place the first bytes of the records
(never fewer than four). Format 3 changed what shards and meters count, and nothing here."""

NONCE_BYTES = 12
_RECORDS_AT = (0, BATCH_HEADER.size - 4, BATCH_HEADER.size, BATCH_HEADER.size)
"""Where the records begin, by format."""

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


def encode_batch(batch: StoredBatch, place: bytes) -> bytes:
    """A batch's value; place is its key. Raises TypeError or ValueError for what msgpack cannot hold.

    Encrypted at once and whole: nonce, then ciphertext and tag. What is authenticated with it is the place and all that
    stands before the records, so that neither can be changed, and no batch be passed for another.
    """
    header = BATCH_HEADER.pack(
        FORMAT,
        batch.arrival_ms,
        batch.count,
        batch.size_bytes,
        batch.payload_units,
        batch.bytes_before,
        batch.units_before,
        0 if batch.key is None else batch.key.number,
    )
    if batch.key is None:
        return b"".join((header, _encoder.encode(batch.records)))
    # Random and not the ordinal: a commit that a crash cut short may have left its ciphertext in free pages, and the
    # ordinals are given out again.
    nonce = os.urandom(NONCE_BYTES)
    return b"".join((header, nonce, batch.key.cipher.encrypt(nonce, _encoder.encode(batch.records), place + header)))


def key_number(value: memoryview, number: int) -> int:
    """The number of a batch's data key, from what its header has in that place."""
    return number if value[0] > 1 else 0


def decode_records(value: memoryview, count: int, place: bytes | memoryview, key: DataKey | None) -> Records:
    """The records of a batch's value, whose header says that there are so many. place: its key in the database; key:
    the data key whose number it carries.

    Raises LogUnavailable if the batch does not open: its bytes were changed, or moved from another place.
    """
    if value[0] != FORMAT:
        check_version(value[0])
    at = _RECORDS_AT[value[0]]
    packed: bytes | memoryview = value[at:]
    if key is not None:
        try:
            packed = key.cipher.decrypt(
                value[at : at + NONCE_BYTES], value[at + NONCE_BYTES :], bytes(place) + value[:at]
            )
        except InvalidTag:
            raise LogUnavailable(f"a batch does not open with its data key {key.number}") from None
    records: Records = _decode_any(packed)
    assert len(records) == 2 * count, "a stored batch holds what its header says"
    return records


def encode_state(state: ShardState) -> bytes:
    """A shard's value."""
    return _version + _encoder.encode(state)


def decode_state(value: memoryview) -> ShardState:
    """A shard's value, back."""
    check_version(value[0])
    state = _decode_state(value[1:])
    if value[0] < COUNTS_KIB:
        state.widen()
    return state


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
