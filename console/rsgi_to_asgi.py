"""Lets an ASGI application (Django, Channels) run on granian's native interface, RSGI.

HTTP: bodies are limited and timed here, because Django reads a whole body before it looks who sends it.
Websockets: RSGI's accept has no subprotocol, a transport takes one send at a time, and a close frame has no code.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from apps.base.units import MIB

Message = dict[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

BODY_BYTES_MAX = 64 * MIB
"""What a person may send to the console at once (a file to import). Django spools it to disk."""

STALLED_S = 30.0
PLAIN = [("content-type", "text/plain")]
FORBIDDEN = 403
NORMAL, GOING_AWAY = 1000, 1001
CLOSED_BY_CLIENT = 0
BYTES_MESSAGE = 1


async def http(app: Application, scope: Any, proto: Any) -> None:
    """Serve one HTTP request."""
    length = scope.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_BYTES_MAX:
        refuse(scope, proto, 413, "Too large.")
        return
    exchange = _Exchange(scope, proto)
    await app(_scope(scope, "http"), exchange.receive, exchange.send)
    if exchange.cut and not exchange.answered:
        refuse(scope, proto, exchange.cut, "The rest of the request did not come.")


def refuse(scope: Any, proto: Any, status: int, detail: str) -> None:
    """What is told when Django was not asked, or did not answer."""
    from console.api import problems  # late: with it comes the whole REST framework

    if scope.path.startswith(problems.PREFIX):
        request_id = str(uuid.uuid4())
        headers = [("content-type", problems.CONTENT_TYPE), ("x-request-id", request_id)]
        proto.response_bytes(status, headers, problems.outside(status, detail, request_id))
    else:
        proto.response_str(status, PLAIN, detail + "\n")


def _h1(scope: Any) -> bool:
    return not scope.http_version.startswith("2")


def _scope(scope: Any, kind: str) -> Message:
    """The ASGI scope. RSGI has decoded the path already; the authority of HTTP/2 takes the place of Host."""
    headers = [(name.encode(), value.encode()) for name, value in scope.headers.items()]
    if scope.authority and "host" not in scope.headers:
        headers.append((b"host", scope.authority.encode()))
    path = scope.path
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme if kind == "http" else {"http": "ws", "https": "wss"}[scope.scheme],
        "path": path,
        "raw_path": path.encode(),
        "query_string": scope.query_string.encode(),
        "root_path": "",
        "headers": headers,
        "client": _address(scope.client),
        "server": _address(scope.server),
        "subprotocols": [],
        "extensions": {},
    }


def _address(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else None


class _Exchange:
    """receive and send of one HTTP request."""

    def __init__(self, scope: Any, proto: Any) -> None:
        self._proto = proto
        self._pieces = aiter(proto)
        self._left = BODY_BYTES_MAX
        self._body_ended = False
        self._status = 200
        self._headers: list[tuple[str, str]] = []
        self._transport: Any = None
        self._ended = False
        self.cut = 0
        """The status to answer with if the body was given up and the application says nothing."""
        self.answered = False
        self._drop = () if _h1(scope) else ("connection", "transfer-encoding")

    async def receive(self) -> Message:
        if self._body_ended:
            await self._proto.client_disconnect()
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(STALLED_S):
                piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._body_ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except TimeoutError:
            return self._cut(408)
        self._left -= len(piece)
        if self._left < 0:
            return self._cut(413)
        return {"type": "http.request", "body": piece, "more_body": True}

    def _cut(self, status: int) -> Message:
        self._body_ended = True
        self.cut = status
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.answered = True
            self._status = message["status"]
            named = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ()))
            self._headers = [(name, value) for name, value in named if name.lower() not in self._drop]
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._ended:
            return
        self._ended = not more
        if self._transport is None and not more:
            self._proto.response_bytes(self._status, self._headers, bytes(body))
            return
        if self._transport is None:
            self._transport = self._proto.response_stream(self._status, self._headers)
        if body:
            await self._transport.send_bytes(bytes(body))


async def websocket(app: Application, scope: Any, proto: Any) -> None:
    """Serve one websocket."""
    connection = _Websocket(proto)
    try:
        await app(_scope(scope, "websocket"), connection.receive, connection.send)
    finally:
        connection.end()


class _Websocket:
    """receive and send of one websocket."""

    def __init__(self, proto: Any) -> None:
        self._proto = proto
        self._transport: Any = None
        self._connected = False
        self._closed = False
        self._opened = asyncio.Event()
        self._sending = asyncio.Lock()

    async def receive(self) -> Message:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._opened.wait()
        if self._closed:
            return {"type": "websocket.disconnect", "code": GOING_AWAY}
        try:
            message = await self._transport.receive()
        except RuntimeError:  # granian's ProtocolClosed: the connection broke
            self._closed = True
            return {"type": "websocket.disconnect", "code": 1006}
        if message.kind == CLOSED_BY_CLIENT:
            self._closed = True
            return {"type": "websocket.disconnect", "code": 1000}
        if message.kind == BYTES_MESSAGE:
            return {"type": "websocket.receive", "bytes": message.data, "text": None}
        return {"type": "websocket.receive", "bytes": None, "text": message.data}

    async def send(self, message: Message) -> None:
        match message["type"]:
            case "websocket.accept":
                self._transport = await self._proto.accept()
                self._opened.set()
            case "websocket.send" if not self._closed:
                async with self._sending:
                    await self._send(message)
            case "websocket.close":
                await self._say_code(message.get("code") or NORMAL)
                self._close(message.get("code") or NORMAL)

    async def _send(self, message: Message) -> None:
        try:
            if message.get("text") is not None:
                await self._transport.send_str(message["text"])
            else:
                await self._transport.send_bytes(message["bytes"])
        except RuntimeError:  # the connection broke: receive() says so
            self._closed = True

    async def _say_code(self, code: int) -> None:
        """Granian's close frame carries no code, so the client is told it by a message before."""
        if self._transport is not None and not self._closed and code != NORMAL:
            async with self._sending:
                await self._send({"text": f'{{"op":"closed","code":{code}}}'})

    def _close(self, code: int) -> None:
        """Before accept the HTTP answer is 403, after it a close frame."""
        if not self._closed:
            self._closed = True
            self._proto.close(code if self._transport is not None else FORBIDDEN)
            self._opened.set()

    def end(self) -> None:
        """The application returned: nothing may stay open."""
        self._close(NORMAL)
