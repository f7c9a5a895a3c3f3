"""`application/vnd.amazon.eventstream`: the frames of an answer that goes on.

A frame, all numbers big-endian:

    total length (4) · length of the headers (4) · CRC32 of those 8 bytes (4)
    headers: length of name (1) · name · type 7 (1) · length of value (2) · value
    payload
    CRC32 of all before (4)

Clients expect an `initial-response` first; then events, each with its type; an exception ends the stream.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from apps.base.errors import ServiceError
from apps.wire import json11
from apps.wire.answers import error_members
from apps.wire.codec import Codec
from apps.wire.model import Operation

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""What the decoder takes, as in AWS's clients."""

_STRING_TYPE = 7
_PRELUDE = struct.Struct(">III")
_LENGTHS = struct.Struct(">II")
_NUMBER = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _NUMBER.size


class FrameError(Exception):
    """Bytes that are no frame: a wrong checksum, an impossible length, a header of unknown type."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. headers: strings by name, e.g. `:event-type`."""

    headers: Mapping[str, str]
    payload: bytes


def encode_frame(headers: bytes, payload: bytes) -> bytes:
    """A frame. headers: as encode_headers made them."""
    lengths = _LENGTHS.pack(len(headers) + len(payload) + _OVERHEAD, len(headers))
    frame = b"".join([lengths, _NUMBER.pack(zlib.crc32(lengths)), headers, payload])
    return frame + _NUMBER.pack(zlib.crc32(frame))


def encode_headers(headers: Sequence[tuple[str, str]]) -> bytes:
    """Headers with text values."""
    encoded = b""
    for name, value in headers:
        name_bytes, value_bytes = name.encode(), value.encode()
        encoded += (
            bytes([len(name_bytes)]) + name_bytes + struct.pack(">BH", _STRING_TYPE, len(value_bytes)) + value_bytes
        )
    return encoded


def initial_response(codec: Codec = json11) -> bytes:
    """The frame that begins every stream: an empty structure. botocore refuses a stream without it."""
    return encode_frame(_event_headers("initial-response", codec.CONTENT_TYPE), codec.encode_members({}))


def encode_event(operation: Operation, event_type: str, event: Any, codec: Codec = json11) -> bytes:
    """One event: a dict (times in milliseconds) or a struct (times in seconds). event_type: its name in the model.

    An event with frames (a dict) is one that many streams send: it is encoded once per format.
    """
    frames: dict[str, bytes] | None = getattr(event, "frames", None)
    if frames is None:
        return _event_frame(operation, event_type, event, codec)
    frame = frames.get(codec.CONTENT_TYPE)
    if frame is None:
        frame = frames[codec.CONTENT_TYPE] = _event_frame(operation, event_type, event, codec)
    return frame


def _event_frame(operation: Operation, event_type: str, event: Any, codec: Codec) -> bytes:
    assert operation.events is not None, f"{operation.name} has no event stream"
    payload = codec.encode_shape(operation.events.members[event_type], event)
    return encode_frame(_event_headers(event_type, codec.CONTENT_TYPE), payload)


def encode_exception(error: ServiceError, codec: Codec = json11) -> bytes:
    """The frame that ends a stream with an error."""
    name = "InternalFailureException" if error.code == "InternalFailure" else error.code
    headers = [(":message-type", "exception"), (":exception-type", name), (":content-type", codec.CONTENT_TYPE)]
    said = {name: value for name, value in error_members(error).items() if name != "__type"}
    return encode_frame(encode_headers(headers), codec.encode_members(said))


@cache
def _event_headers(event_type: str, content_type: str) -> bytes:
    return encode_headers([(":message-type", "event"), (":event-type", event_type), (":content-type", content_type)])


class Decoder:
    """Frames from bytes as they come, for clients and tests."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises FrameError; nothing can be read after that."""
        self._buffer += data
        while len(self._buffer) >= _PRELUDE.size:
            total = self._check_prelude()
            if len(self._buffer) < total:
                return
            frame, self._buffer = self._buffer[:total], self._buffer[total:]
            yield _decode_frame(frame)

    @property
    def is_empty(self) -> bool:
        """Is nothing left of an unfinished frame?"""
        return not self._buffer

    def _check_prelude(self) -> int:
        total, headers_length, checksum = _PRELUDE.unpack_from(self._buffer)
        if zlib.crc32(self._buffer[: _LENGTHS.size]) != checksum:
            raise FrameError("the checksum of a prelude is wrong")
        if not headers_length + _OVERHEAD <= total <= FRAME_BYTES_MAX:
            raise FrameError("the lengths of a prelude are impossible")
        return int(total)


def _decode_frame(frame: bytes) -> Frame:
    if zlib.crc32(frame[: -_NUMBER.size]) != _NUMBER.unpack(frame[-_NUMBER.size :])[0]:
        raise FrameError("the checksum of a frame is wrong")
    end = _PRELUDE.size + _LENGTHS.unpack_from(frame)[1]
    return Frame(_decode_headers(frame[_PRELUDE.size : end]), frame[end : -_NUMBER.size])


def _decode_headers(data: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            kind, length = struct.unpack_from(">BH", data, name_end)
            value_end = name_end + 3 + length
            if kind != _STRING_TYPE or value_end > len(data):
                raise FrameError("a header is not a string")
            headers[data[position + 1 : name_end].decode()] = data[name_end + 3 : value_end].decode()
            position = value_end
    except (struct.error, UnicodeDecodeError) as error:
        raise FrameError("the headers of a frame are cut short or not text") from error
    return headers
