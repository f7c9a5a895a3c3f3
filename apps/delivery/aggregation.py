"""KPL aggregates: several user records in one record of a data stream, taken apart again.

Format, as the KPL's own description has it: four magic bytes, a protobuf message, the MD5 of the message. The message has a
table of partition keys, a table of explicit hash keys (of no use after placement), and the records, each with the index of
its key. What only looks like an aggregate is a record like any other, and stays whole: nothing is lost for being odd.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from apps.delivery.record import Record

MAGIC: Final = b"\xf3\x89\x9a\xc2"
DIGEST_BYTES: Final = 16
USER_RECORDS_MAX: Final = 100_000
"""Of one aggregate. The KPL sets no number, but 51,200 bytes; ours: a MiB of records of a few bytes each."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf. The others are groups, which the KPL has never written."""
KEY_TABLE, RECORDS = 1, 3
"""Fields of an aggregate."""
KEY_INDEX, DATA = 1, 3
"""Fields of a user record, both required."""


class _NoAggregate(Exception):
    """The bytes are no KPL aggregate."""


def deaggregate(records: list[Record]) -> list[Record]:
    """The records, with each aggregate replaced by its user records: same ordinal, sequence number and arrival, sub
    rising from 0, the partition key their own. The very list that was given, if it has no aggregate."""
    if not any(record.data.startswith(MAGIC) for record in records):
        return records
    answer: list[Record] = []
    for record in records:
        if record.data.startswith(MAGIC):
            answer += _taken_apart(record)
        else:
            answer.append(record)
    return answer


def user_records(data: bytes) -> list[tuple[str, bytes]]:
    """Partition key and data of each user record of an aggregate; empty if it is none."""
    message = data[len(MAGIC) : -DIGEST_BYTES]
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + DIGEST_BYTES:
        return []
    if hashlib.md5(message, usedforsecurity=False).digest() != data[-DIGEST_BYTES:]:
        return []
    try:
        return _parsed(message)
    except (_NoAggregate, IndexError, UnicodeDecodeError):
        return []


def _taken_apart(record: Record) -> list[Record]:
    inside = user_records(record.data)
    if not inside:
        return [record]
    return [
        msgspec.structs.replace(record, data=data, partition_key=key, sub=sub) for sub, (key, data) in enumerate(inside)
    ]


def _parsed(message: bytes) -> list[tuple[str, bytes]]:
    keys: list[str] = []
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(message)
    while at < end:
        field, at, value = _field(message, at, end)
        if field == KEY_TABLE:
            keys.append(_bytes(value).decode())
        elif field == RECORDS:
            if len(found) == USER_RECORDS_MAX:
                raise _NoAggregate
            found.append(_user_record(_bytes(value)))
    return [(keys[index], data) for index, data in found]


def _user_record(message: bytes) -> tuple[int, bytes]:
    index: int | bytes | None = None
    data: int | bytes | None = None
    at, end = 0, len(message)
    while at < end:
        field, at, value = _field(message, at, end)
        if field == KEY_INDEX:
            index = value
        elif field == DATA:
            data = value
    if not isinstance(index, int) or not isinstance(data, bytes):
        raise _NoAggregate
    return index, data


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _NoAggregate
    return value


def _field(message: bytes, at: int, end: int) -> tuple[int, int, int | bytes]:
    """Number of the field at a place, the place after it, its value."""
    tag, at = _varint(message, at)
    kind = tag & 7
    if tag < 8:  # field 0
        raise _NoAggregate
    if kind == VARINT:
        value, at = _varint(message, at)
        return tag >> 3, at, value
    if kind == LENGTH:
        size, at = _varint(message, at)
    elif kind in {FIXED64, FIXED32}:
        size = 8 if kind == FIXED64 else 4
    else:
        raise _NoAggregate
    if size > end - at:
        raise _NoAggregate
    return tag >> 3, at + size, message[at : at + size]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number and the place after it. IndexError at the end of the message."""
    byte = message[at]
    if byte < 0x80:  # most of them
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = message[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise _NoAggregate
