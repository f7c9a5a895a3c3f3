"""AWS JSON 1.1: requests from bytes, answers and errors to bytes.

Blobs are base64, timestamps epoch seconds with the milliseconds as fraction.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final, Protocol, TypeVar, overload

import msgspec
import msgspec.structs

from apps.base.errors import InternalFailure, SerializationException, ServiceError
from apps.base.units import MIB
from apps.wire import validate
from apps.wire.answers import error_members, plain
from apps.wire.blobs import LAST_BEFORE_PAD
from apps.wire.member_types import LONG_MAX, LONG_MIN, check
from apps.wire.model import Operation, Shape
from apps.wire.timestamps import seconds

CONTENT_TYPE = "application/x-amz-json-1.1"

ITEMS_MAX: Final = 500_000
"""Values in one body. 500 records of AWS's largest keys, all commas, stay well below."""

CLOSE_PADS_BYTES: Final = 600
"""Pads closer than this are found sooner by one regular expression than by a search from pad to pad."""

LONG_BLOB_BYTES: Final = 700
"""From where on the two steps of InText cost less than one."""

S = TypeVar("S", bound=msgspec.Struct)

_ENCODER = msgspec.json.Encoder()
_ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_WELL_FORMED = msgspec.json.Decoder(msgspec.Raw)
_CONTAINER = re.compile(rb"[ \t\r\n]*[{[]")
_STRAY_BITS = re.compile(rf'="(?:(?<=[^{LAST_BEFORE_PAD[1]}=]=")|(?<=[^{LAST_BEFORE_PAD[2]}]=="))'.encode())
_CLEAN_BEFORE_ONE_PAD = frozenset(LAST_BEFORE_PAD[1].encode())
_CLEAN_BEFORE_TWO_PADS = frozenset(LAST_BEFORE_PAD[2].encode())


@overload
def decode(body: bytes, operation: Operation, request_type: None = None) -> dict[str, Any]: ...
@overload
def decode(body: bytes, operation: Operation, request_type: type[S]) -> S: ...
@overload
def decode(body: bytes, operation: Operation, request_type: type[S] | None) -> dict[str, Any] | S: ...
def decode(body: bytes, operation: Operation, request_type: type[S] | None = None) -> dict[str, Any] | S:
    """A request's members, checked: a dict by AWS's names, or a request_type.

    Raises SerializationException (not JSON, or a member of the wrong type), ValidationException (a limit is broken).
    """
    if len(body) > MIB:
        _check_items(body)
    if request_type is not None:
        request = _quickly(body, operation.input, request_type)
        if request is not None:
            return request
    return _exactly(body, operation, request_type)


def check_body(body: bytes) -> None:
    """Raise SerializationException unless the body is a JSON object or array. Builds nothing."""
    try:
        if not body.isascii():
            str(body, "utf-8")
        _WELL_FORMED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SerializationException from None
    if _CONTAINER.match(body) is None:
        raise SerializationException


def encode(operation: Operation, answer: Any) -> bytes:
    """An answer's body. Without an output shape it is empty."""
    if operation.output is None:
        assert answer is None, f"{operation.name} has no output"
        return b""
    return encode_shape(operation.output, {} if answer is None else answer)


def encode_shape(shape: Shape, value: Any) -> bytes:
    """Any structure of the model: a dict (times in milliseconds), or a struct (times in seconds)."""
    if isinstance(value, msgspec.Struct):
        return _ENCODER.encode(value)
    return _ENCODER.encode(plain(value, shape, _epoch_seconds))


def encode_members(members: dict[str, Any]) -> bytes:
    """Plain values by name."""
    return _ENCODER.encode(members)


def encode_error(error: ServiceError) -> bytes:
    """An error's body."""
    return encode_members(error_members(error))


@cache
def _required_by(request_type: type[msgspec.Struct]) -> frozenset[str]:
    """The AWS names of the fields without a default."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(request_type) if field.required)


@cache
def _decoder(request_type: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(request_type)


class InText(Protocol):
    """A request type's twin, `in_text`, whose blobs are still base64: quicker where they are long."""

    def request(self) -> Any:
        """The request itself. Raises ValueError for what AWS would refuse."""


@cache
def _text_decoder(request_type: type[msgspec.Struct]) -> msgspec.json.Decoder[InText] | None:
    twin = getattr(request_type, "in_text", None)
    return None if twin is None else msgspec.json.Decoder(twin)


def _has_long_blobs(body: bytes) -> bool:
    """As far as the first one tells."""
    first = body.find(b'"Data"')
    return first >= 0 and body.find(b'"Data"', first + 6, first + LONG_BLOB_BYTES) < 0


def _quickly(body: bytes, shape: Shape, request_type: type[S]) -> S | None:
    """The request if msgspec takes it and AWS would too, else None: the slow way knows why."""
    try:
        if not body.isascii():
            str(body, "utf-8")
        in_text = _text_decoder(request_type)
        if in_text is not None and _has_long_blobs(body):
            return in_text.decode(body).request()  # type: ignore[no-any-return]
        request = _decoder(request_type).decode(body)
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError, as are those of Unicode and base64
        return None
    return None if shape.has_blobs and _may_have_stray_bits(body) else request


def _exactly(body: bytes, operation: Operation, request_type: type[S] | None) -> dict[str, Any] | S:
    parsed = parse(body)
    params = check(parsed, operation.input, in_cbor=False, times_in_seconds=request_type is not None)
    if request_type is not None:
        return convert(operation, params, request_type)
    validate.check(operation, params)
    return params


def convert(operation: Operation, params: dict[str, Any], request_type: type[S]) -> S:
    """Members of the right types (times in seconds) as a struct. What the struct requires, the request must have.

    Raises ValidationException. A refusal after that is a bug of the struct: InternalFailure.
    """
    validate.check(operation, params, _required_by(request_type))
    try:
        return msgspec.convert(params, request_type)
    except msgspec.ValidationError as refusal:
        raise InternalFailure(f"{request_type.__name__} refuses what the model accepts: {refusal}") from refusal


def parse(body: bytes) -> Any:
    """Any JSON object or array as Python values. Raises SerializationException, which then has no message."""
    check_body(body)
    try:
        return _ANYTHING.decode(body)
    except msgspec.ValidationError:
        return _parse_huge_numbers(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SerializationException from None


def _parse_huge_numbers(body: bytes) -> Any:
    """Well-formed JSON with numbers beyond float or thousands of digits: they are clamped."""
    try:
        return json.loads(str(body, "utf-8"), parse_int=_clamped)
    except (ValueError, RecursionError):
        raise SerializationException from None


def _clamped(digits: str) -> int:
    if len(digits) < 20:
        return int(digits)
    return LONG_MIN if digits.startswith("-") else LONG_MAX


def _check_items(body: bytes) -> None:
    """An array of empty arrays takes thirty times its size in memory: refuse to parse one of megabytes."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > ITEMS_MAX:
        raise SerializationException


def _may_have_stray_bits(body: bytes) -> bool:
    """Could base64 in this body end in a character with bits beyond its last byte? msgspec ignores them, AWS does not.

    Says yes too often (a key that ends in `=`, an escaped pad), never no in vain.
    """
    if b"\\" in body and b"\\u003" in body:
        return True
    first = body.find(b"=")
    if first < 0:
        return False
    following = body.find(b"=", first + 2)
    if 0 < following < first + CLOSE_PADS_BYTES:
        return _STRAY_BITS.search(body) is not None
    return _stray_bits_from(body, first)


def _stray_bits_from(body: bytes, pad: int) -> bool:
    """From pad to pad: quicker than a regular expression where they are far apart."""
    while pad > 0:
        if body[pad + 1] == 0x3D:
            clean = body[pad - 1] in _CLEAN_BEFORE_TWO_PADS
            pad += 1
        else:
            clean = body[pad - 1] in _CLEAN_BEFORE_ONE_PAD
        if not clean:
            return True
        pad = body.find(b"=", pad + 1)
    return False


def _epoch_seconds(time: float) -> float:
    return seconds(time) if isinstance(time, int) else time
