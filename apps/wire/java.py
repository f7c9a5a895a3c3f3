"""How AWS's Java prints values, hash codes of structures included: its errors show them.

The hash code of a structure is that of the array [hash of the class name, hash of each member by name]; seen in a
recorded `PutRecordsRequestEntry@c965e310` of two empty members.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

from apps.wire.model import Shape

PACKAGE: Final = "com.amazonaws.kinesis.v20131202"

HASHED_BYTES_MAX: Final = 256
"""Longer blobs get a stable number of their own instead of Java's hash: it takes a step of Python per byte."""

_MASK = 0xFFFFFFFF


def to_string(value: Any, shape: Shape) -> str:
    """A member's value as `String.valueOf` has it."""
    if value is None:
        return "null"
    if shape.type == "blob":
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if shape.type == "boolean":
        return "true" if value else "false"
    if shape.type == "list":
        assert shape.member is not None
        item_shape = shape.member
        return f"[{', '.join(to_string(item, item_shape) for item in value)}]"
    if shape.type == "map":
        assert shape.value is not None
        value_shape = shape.value
        return f"{{{', '.join(f'{key}={to_string(item, value_shape)}' for key, item in value.items())}}}"
    if shape.type == "structure":
        return f"{PACKAGE}.{shape.name}@{hash_code(value, shape):x}"
    return str(value)


def hash_code(value: Any, shape: Shape) -> int:
    """`Object.hashCode` of a member's value, as 32 bits without a sign."""
    if value is None:
        return 0
    if shape.type == "structure":
        return _structure(value, shape)
    if shape.type == "list":
        assert shape.member is not None
        item_shape = shape.member
        return _array([hash_code(item, item_shape) for item in value])
    if shape.type == "map":
        assert shape.value is not None
        value_shape = shape.value
        return sum(_string(key) ^ hash_code(item, value_shape) for key, item in value.items()) & _MASK
    if shape.type == "blob":
        return _bytes(value)
    if shape.type == "boolean":
        return 1231 if value else 1237
    if shape.type in {"long", "timestamp"}:
        return (int(value) ^ (int(value) >> 32)) & _MASK
    return int(value) & _MASK if isinstance(value, int) else _string(str(value))


def _structure(value: Mapping[str, Any], shape: Shape) -> int:
    name = _array([_string(f"{PACKAGE}.{shape.name}")])
    return _array([name, *(hash_code(value.get(member), shape.members[member]) for member in sorted(shape.members))])


def _array(hashes: list[int]) -> int:
    found = 1
    for one in hashes:
        found = (31 * found + one) & _MASK
    return found


def _string(text: str) -> int:
    found = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        found = (31 * found + (high << 8 | low)) & _MASK
    return found


def _bytes(data: bytes) -> int:
    if len(data) > HASHED_BYTES_MAX:
        return zlib.crc32(data)
    found = 1
    for byte in reversed(data):
        found = (31 * found + (byte if byte < 128 else byte - 256)) & _MASK
    return found
