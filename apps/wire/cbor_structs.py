"""CBOR from msgspec structs without a dict in between: GetRecords' answers to Java are thousands of records.

Several times quicker than dicts and cbor2. Writes the same bytes as cbor2 would, map keys in the order of the fields;
float members of timestamp shapes become tag 1 over integer milliseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import msgspec.structs

from apps.wire.model import Shape
from apps.wire.timestamps import milliseconds

_PLUS, _MINUS, _BYTES, _TEXT, _LIST, _MAP = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_FALSE, _TRUE, _NULL, _TAG_1 = b"\xf4", b"\xf5", b"\xf6", b"\xc1"
_SHORT, _WORD, _LONG = struct.Struct(">BH"), struct.Struct(">BI"), struct.Struct(">BQ")

_Field = tuple[bytes, Shape, Any]
"""The key with its head; the member's shape; the value at which the member is left out (UNSET, or the default)."""


def encode(value: msgspec.Struct, shape: Shape) -> bytes:
    """A struct as the CBOR map of a structure."""
    parts: list[bytes] = []
    _write_struct(value, shape, parts)
    return b"".join(parts)


def _write_struct(value: msgspec.Struct, shape: Shape, parts: list[bytes]) -> None:
    values_of, fields = _fields(type(value), shape)
    at = len(parts)
    parts.append(b"")
    count = 0
    for (key, member_shape, left_out), item in zip(fields, values_of(value), strict=True):
        if item is left_out or item is msgspec.UNSET:
            continue
        count += 1
        kind = type(item)
        if kind is str:
            text = item.encode()
            parts += (key, _TEXT_HEADS[len(text)] if len(text) < 256 else _head(_TEXT, len(text)), text)
        elif kind is bytes:
            parts += (key, _BYTES_HEADS[len(item)] if len(item) < 256 else _head(_BYTES, len(item)), item)
        else:
            parts.append(key)
            _write(item, member_shape, parts)
    parts[at] = _head(_MAP, count)


def _write(value: Any, shape: Shape, parts: list[bytes]) -> None:
    if isinstance(value, msgspec.Struct):
        _write_struct(value, shape, parts)
    elif isinstance(value, list):
        assert shape.member is not None
        parts.append(_head(_LIST, len(value)))
        for item in value:
            _write(item, shape.member, parts)
    elif isinstance(value, str):
        text = value.encode()
        parts += (_head(_TEXT, len(text)), text)
    elif value is None:
        parts.append(_NULL)
    elif isinstance(value, bool):
        parts.append(_TRUE if value else _FALSE)
    elif shape.type == "timestamp":
        parts += (_TAG_1, _whole(milliseconds(value)))
    else:
        assert isinstance(value, int), f"{shape.name} cannot be a {type(value).__name__}"
        parts.append(_whole(value))


@cache
def _fields(kind: type[msgspec.Struct], shape: Shape) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[_Field, ...]]:
    """How to read a struct's values, all at once, and what to do with each."""
    found = msgspec.structs.fields(kind)
    omit = kind.__struct_config__.omit_defaults
    fields = tuple(
        (
            _head(_TEXT, len(field.encode_name)) + field.encode_name.encode(),
            shape.members[field.encode_name],
            field.default if omit else msgspec.UNSET,
        )
        for field in found
    )
    names = [field.name for field in found]
    if len(names) > 1:
        return attrgetter(*names), fields
    return (lambda value: tuple(getattr(value, name) for name in names)), fields


def _whole(number: int) -> bytes:
    return _head(_PLUS, number) if number >= 0 else _head(_MINUS, -1 - number)


def _head(major: int, argument: int) -> bytes:
    """A major type and its argument in as few bytes as they need."""
    if argument < 24:
        return bytes((major | argument,))
    if argument < 1 << 8:
        return bytes((major | 24, argument))
    if argument < 1 << 16:
        return _SHORT.pack(major | 25, argument)
    return _WORD.pack(major | 26, argument) if argument < 1 << 32 else _LONG.pack(major | 27, argument)


_TEXT_HEADS: Final = tuple(_head(_TEXT, length) for length in range(256))
_BYTES_HEADS: Final = tuple(_head(_BYTES, length) for length in range(256))
