"""Writes KPL aggregates: the other side of apps/delivery/aggregation.py, written from the format alone."""

import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"


def aggregate(users: list[tuple[str, bytes]], *, extra: bytes = b"") -> bytes:
    """One record's data out of partition keys and data. extra: further protobuf, before the records."""
    keys = list(dict.fromkeys(key for key, _ in users))
    message = b"".join(_piece(1, key.encode()) for key in keys) + extra
    message += b"".join(_piece(3, b"\x08" + _varint(keys.index(key)) + _piece(3, data)) for key, data in users)
    return sealed(message)


def sealed(message: bytes) -> bytes:
    """Magic and digest around whatever message."""
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def _piece(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
