"""What goes into the gateway and what comes out of it, without a socket: the skins in console/ translate."""

from __future__ import annotations

from asyncio import get_running_loop
from binascii import b2a_base64
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from secrets import randbelow, token_bytes
from typing import Any

from apps.gateway.stream import Frames

Headers = list[tuple[str, str]]


class Request:
    """One HTTP request. path, query: as sent, percent-encoded. headers: lower-case names; values of a repeated header
    joined by a comma.

    pieces: the body, which nobody has asked for yet. length: of Content-Length, or None. to_end: the body must be read to
    its end mark even if all of length is here. at_once: asks for the whole body instead, if the server can.
    For HTTP/2, `host` must hold the authority. scope: the server's own, which
    knows the connection.
    """

    __slots__ = ("_scope", "at_once", "headers", "length", "method", "path", "pieces", "query", "to_end")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        pieces: AsyncIterable[bytes],
        *,
        to_end: bool,
        at_once: Callable[[], Awaitable[bytes]] | None = None,
        scope: Any = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.pieces = pieces
        length = headers.get("content-length")
        self.length = int(length) if length is not None and length.isdecimal() else None
        self.to_end = to_end
        self.at_once = at_once
        self._scope = scope

    @property
    def peer(self) -> str:
        """The address at the connection's other end, with its port; empty if the server does not know. Looked up only when
        asked for: most requests never are."""
        if isinstance(self._scope, dict):
            client = self._scope.get("client")
            return f"[{client[0]}]:{client[1]}" if client else ""
        return str(self._scope.client or "") if self._scope is not None else ""

    async def gone(self) -> None:
        """Returns when the client has hung up; never, where the server does not say."""
        disconnect = getattr(self.pieces, "client_disconnect", None)
        if disconnect is not None:
            await disconnect()
        else:
            await get_running_loop().create_future()

    @property
    def secure(self) -> bool:
        """Did it come over TLS, as far as this server saw?"""
        scheme = self._scope.get("scheme", "") if isinstance(self._scope, dict) else getattr(self._scope, "scheme", "")
        return scheme == "https"


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

TWELVE_DIGITS = 16**12
STIR = 0x9E3779B97F4B
"""Odd, so that adding it visits every number of twelve hex digits before one comes again."""


class Ids:
    """The two ids of one answer: x-amzn-RequestId (of a version 4 UUID's form) and x-amz-id-2 (base64 of 69 bytes: hex
    digits are base64 too). headers: the answer's, as far as they are known."""

    __slots__ = ("headers", "request_id")

    def __init__(self, request_id: str, extended: str) -> None:
        self.request_id = request_id
        self.headers: Headers = [("x-amzn-RequestId", request_id), ("x-amz-id-2", extended), *PROTECTION]


class IdMaker:
    """Makes ids: a random part of the process and a number that never repeats in it, stirred so that neighbours do not
    look alike. One per process, made after the fork. A random UUID for each answer would cost four times as much."""

    def __init__(self) -> None:
        digits = token_bytes(10).hex()
        self._process = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-"
        self._host = b2a_base64(token_bytes(60), newline=False).decode()
        self._number = randbelow(TWELVE_DIGITS)

    def __call__(self) -> Ids:
        """The next ids."""
        self._number = (self._number + STIR) % TWELVE_DIGITS
        last = f"{self._number:012x}"
        return Ids(self._process + last, self._host + last)
