"""How a processed record is kept in a log of the delivery stream's own: its data as it is, and in the place of the
partition key what else must be known of it."""

from __future__ import annotations

import msgspec

from apps.delivery.record import Record


class _Kept(msgspec.Struct, array_like=True, gc=False):
    arrival_ms: int
    sub: int = 0
    sequence_number: str = ""
    shard_id: str = ""
    partition_key: str | None = None
    partition_keys: dict[str, str] | None = None
    routing: dict[str, str] | None = None


_decode = msgspec.json.Decoder(_Kept).decode
_encode = msgspec.json.Encoder().encode


def key_of(record: Record) -> str:
    """What stands beside the data."""
    kept = _Kept(
        record.arrival_ms, record.sub, record.sequence_number, record.shard_id, record.partition_key,
        record.partition_keys, record.routing,
    )  # fmt: skip
    return _encode(kept).decode()


def record_of(key: str, data: bytes, ordinal: int) -> Record:
    """The record back; its ordinal is the one in the log it is read from, where it is alone under it."""
    kept = _decode(key)
    return Record(
        data, kept.arrival_ms, ordinal, kept.sub, kept.partition_key, kept.sequence_number, kept.shard_id,
        kept.partition_keys, kept.routing,
    )  # fmt: skip
