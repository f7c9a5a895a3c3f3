"""What goes into the gateway and what comes out of it, without a socket: the skins in console/ translate."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import AsyncIterable
from dataclasses import dataclass
from random import getrandbits
from secrets import token_bytes

from apps.gateway.stream import Frames

Headers = list[tuple[str, str]]


class Request:
    """One HTTP request. headers: lower-case names; values of a repeated header joined by a comma. query: as sent.

    pieces: the body, which nobody has asked for yet. length: of Content-Length, or None. to_end: the body must be read to
    its end mark even if all of length is here. For HTTP/2, `host` must hold the authority.
    """

    __slots__ = ("headers", "length", "method", "path", "pieces", "query", "to_end")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        pieces: AsyncIterable[bytes],
        *,
        to_end: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.pieces = pieces
        length = headers.get("content-length")
        self.length = int(length) if length is not None and length.isdecimal() else None
        self.to_end = to_end


class Response:
    """A whole answer. unread: the body was refused before its end; whoever can should read on and throw it away for a
    moment, because a connection closed on a client that is still sending loses the answer."""

    __slots__ = ("body", "headers", "status", "unread")

    def __init__(self, status: int, headers: Headers, body: bytes, *, unread: bool = False) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.unread = unread


@dataclass(slots=True)
class Stream:
    """An answer that goes on: frames are sent as they come. frames.aclose() must follow, whatever happens."""

    status: int
    headers: Headers
    frames: Frames


PROTECTION: tuple[tuple[str, str], ...] = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
)
"""On every answer: what a caller put into a stream must not become a page of this site."""

_HOST_ID = b2a_base64(token_bytes(48), newline=False).decode()
"""First part of x-amz-id-2: the process."""


class Ids:
    """The two ids of one answer: x-amzn-RequestId (a version 4 UUID) and x-amz-id-2 (base64 of 72 bytes: any hex digits
    are base64 too)."""

    __slots__ = ("headers", "request_id")

    def __init__(self) -> None:
        digits = f"{getrandbits(128):032x}"
        self.request_id = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
        self.headers: Headers = [
            ("x-amzn-RequestId", self.request_id),
            ("x-amz-id-2", _HOST_ID + digits),
            *PROTECTION,
        ]
