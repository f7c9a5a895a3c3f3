"""AWS CBOR 1.1, what the Java SDK (and so KCL) speaks: requests from bytes, answers and errors to bytes.

Blobs are byte strings, timestamps tag 1 over an integer of **milliseconds** (not RFC 8949's seconds), both ways.
Maps, arrays and strings of indefinite length are fine. Every other tag is refused: tags make objects.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Never, TypeVar, overload

import cbor2
import msgspec

from apps.base.errors import SerializationException, ServiceError
from apps.base.units import KIB
from apps.wire import validate
from apps.wire.answers import error_members, plain
from apps.wire.json11 import convert
from apps.wire.member_types import Instant, check
from apps.wire.model import Operation, Shape
from apps.wire.timestamps import milliseconds

CONTENT_TYPE = "application/x-amz-cbor-1.1"

DEPTH_MAX: Final = 64
"""Nesting of a body; the deepest request of the model has 6 levels."""

SKIMMED_BYTES: Final = 512 * KIB
ITEMS_MAX: Final = 100_000
"""Data items in a body over SKIMMED_BYTES; 500 records have 3,506."""

EPOCH_TAG: Final = 1
_BUILT_IN_TAGS = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)

S = TypeVar("S", bound=msgspec.Struct)


@overload
def decode(body: bytes, operation: Operation, request_type: None = None) -> dict[str, Any]: ...
@overload
def decode(body: bytes, operation: Operation, request_type: type[S]) -> S: ...
@overload
def decode(body: bytes, operation: Operation, request_type: type[S] | None) -> dict[str, Any] | S: ...
def decode(body: bytes, operation: Operation, request_type: type[S] | None = None) -> dict[str, Any] | S:
    """A request's members, checked: a dict by AWS's names, or a request_type.

    Raises SerializationException (not CBOR, or a member of the wrong type), ValidationException (a limit is broken).
    """
    parsed = parse(body)
    if request_type is None:
        params = check(parsed, operation.input, in_cbor=True, times_in_seconds=False)
        validate.check(operation, params)
        return params
    if not operation.input.has_timestamps:
        try:
            return msgspec.convert(parsed, request_type, builtin_types=(bytes,))
        except msgspec.ValidationError:
            pass
    return convert(operation, check(parsed, operation.input, in_cbor=True, times_in_seconds=True), request_type)


def check_body(body: bytes) -> None:
    """Raise SerializationException unless the body is a CBOR map or array."""
    parse(body)


def parse(body: bytes, *, times_in_seconds: bool = False) -> Any:
    """A CBOR map or array as Python values, tag 1 as Instant. Raises SerializationException, then without a message.

    times_in_seconds: under tag 1 stand seconds, as RFC 8949 has it, instead of AWS's milliseconds.
    """
    if len(body) > SKIMMED_BYTES:
        _check_items(body)
    decoder = cbor2.CBORDecoder(
        io.BytesIO(body),
        tag_hook=_refuse,
        semantic_decoders=_STANDARD_DECODERS if times_in_seconds else _DECODERS,
        max_depth=DEPTH_MAX,
        strict_hashable_types=True,
    )
    try:
        parsed = decoder.decode()
    except (cbor2.CBORDecodeError, RecursionError):
        raise SerializationException from None
    if not isinstance(parsed, dict | list) or _goes_on(decoder):
        raise SerializationException
    return parsed


def encode(operation: Operation, answer: Any) -> bytes:
    """An answer's body. Without an output shape it is empty."""
    if operation.output is None:
        assert answer is None, f"{operation.name} has no output"
        return b""
    return encode_shape(operation.output, {} if answer is None else answer)


def encode_shape(shape: Shape, value: Any) -> bytes:
    """Any structure of the model: a dict (times in milliseconds), or a struct (times in seconds)."""
    if not isinstance(value, msgspec.Struct):
        return cbor2.dumps(plain(value, shape, _tagged))
    members = msgspec.to_builtins(value, builtin_types=(bytes,))
    _tag_times(members, shape)
    return cbor2.dumps(members)


def encode_members(members: dict[str, Any]) -> bytes:
    """Plain values by name."""
    return cbor2.dumps(members)


def encode_error(error: ServiceError) -> bytes:
    """An error's body."""
    return encode_members(error_members(error))


def _goes_on(decoder: cbor2.CBORDecoder) -> bool:
    """Is there anything after the one data item that a body is?"""
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return False
    return True


def _check_items(body: bytes) -> None:
    """Count data items from head to head, without building any; refuse a body of millions of tiny ones."""
    position, items, end = 0, 0, len(body)
    while position < end:
        items += 1
        if items > ITEMS_MAX:
            raise SerializationException
        head = body[position]
        position += 1
        argument = head & 0x1F
        if 24 <= argument <= 27:
            size = 1 << (argument - 24)
            argument = int.from_bytes(body[position : position + size], "big")
            position += size
        elif argument > 27:
            argument = 0
        if 0x40 <= head < 0x80:
            position += argument


def _tag_times(members: dict[str, Any], shape: Shape) -> None:
    """Turn the float seconds of a struct's members into tagged milliseconds, in place."""
    for name, member_shape in _timed_members(shape):
        value = members.get(name)
        if value is None:
            continue
        if member_shape.type == "timestamp":
            members[name] = cbor2.CBORTag(EPOCH_TAG, milliseconds(value))
        elif member_shape.type == "structure":
            _tag_times(value, member_shape)
        else:
            assert member_shape.type == "list"
            assert member_shape.member is not None
            for item in value:
                _tag_times(item, member_shape.member)


@cache
def _timed_members(shape: Shape) -> tuple[tuple[str, Shape], ...]:
    return tuple((name, member) for name, member in shape.members.items() if member.has_timestamps)


def _tagged(time: float) -> cbor2.CBORTag:
    return cbor2.CBORTag(EPOCH_TAG, time if isinstance(time, int) else milliseconds(time))


def _instant(value: Any, _immutable: bool) -> Instant:
    return Instant(value)


def _standard_instant(value: Any, _immutable: bool) -> Instant:
    is_time = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return Instant(round(value * 1000) if is_time else value)


def _refuse(*_arguments: Any) -> Never:
    raise ValueError("tags other than 1 are refused")


_DECODERS: Final[Mapping[int, Any]] = {**dict.fromkeys(_BUILT_IN_TAGS, _refuse), EPOCH_TAG: _instant}
"""By tag. cbor2 knows how to make patterns, dates, addresses and more of tagged values; none of that may happen here."""
_STANDARD_DECODERS: Final[Mapping[int, Any]] = {**_DECODERS, EPOCH_TAG: _standard_instant}
