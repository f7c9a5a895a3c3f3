"""ASGI applications on RSGI, with granian's side played by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from console import rsgi_to_asgi


class Headers(dict[str, str]):
    """granian's mapping of headers."""


def scope(**given: Any) -> Any:
    values = {
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/a b",
        "query_string": "x=1",
        "client": "127.0.0.1:5000",
        "server": "[::1]:4567",
        "authority": None,
        "headers": Headers(host="localhost:4567"),
    }
    return SimpleNamespace(**values | given)


@dataclass
class Transport:
    sent: list[Any] = field(default_factory=list)

    async def send_bytes(self, data: bytes) -> None:
        assert type(data) is bytes
        self.sent.append(data)

    async def send_str(self, data: str) -> None:
        self.sent.append(data)


class Proto:
    """One HTTP exchange."""

    def __init__(self, *pieces: bytes, then_wait: bool = False) -> None:
        self._pieces = pieces
        self._then_wait = then_wait
        self.answer: tuple[int, list[tuple[str, str]], Any] | None = None
        self.transport = Transport()
        self.gone = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._then_wait:
            await asyncio.Event().wait()

    async def client_disconnect(self) -> None:
        await self.gone.wait()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = (status, headers, body)

    response_str = response_bytes

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport:
        self.answer = (status, headers, None)
        return self.transport


def echo(*, status: int = 200, parts: int = 1) -> Callable[..., Any]:
    """An application that answers with what it read, and notes its scope."""

    async def app(given: dict[str, Any], receive: Any, send: Any) -> None:
        app.scope = given  # type: ignore[attr-defined]
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body += message["body"]
            more = message["more_body"]
        headers = [(b"Content-Type", b"text/plain"), (b"Connection", b"keep-alive")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number in range(parts):
            await send({"type": "http.response.body", "body": body, "more_body": number < parts - 1})

    return app


async def test_a_request_goes_in_and_its_answer_out() -> None:
    proto, app = Proto(b"ab", b"cd"), echo(status=201)
    await rsgi_to_asgi.http(app, scope(headers=Headers(host="h", cookie="a=b")), proto)
    assert proto.answer == (201, [("Content-Type", "text/plain"), ("Connection", "keep-alive")], b"abcd")
    given = app.scope  # type: ignore[attr-defined]
    assert (given["method"], given["path"], given["query_string"]) == ("POST", "/a b", b"x=1")
    assert given["headers"] == [(b"host", b"h"), (b"cookie", b"a=b")]
    assert given["client"] == ("127.0.0.1", 5000)
    assert given["server"] == ("::1", 4567)


async def test_http2_has_an_authority_and_no_connection_headers() -> None:
    proto, app = Proto(), echo()
    await rsgi_to_asgi.http(app, scope(http_version="2", authority="example.test", headers=Headers()), proto)
    assert app.scope["headers"] == [(b"host", b"example.test")]  # type: ignore[attr-defined]
    assert proto.answer == (200, [("Content-Type", "text/plain")], b"")


async def test_an_answer_in_parts_is_streamed() -> None:
    proto = Proto(b"x")
    await rsgi_to_asgi.http(echo(parts=3), scope(), proto)
    assert proto.answer is not None
    assert proto.answer[2] is None
    assert proto.transport.sent == [b"x"] * 3


@pytest.mark.parametrize("length", [str(rsgi_to_asgi.BODY_BYTES_MAX + 1), "-1", "1e3", ""])
async def test_a_length_that_is_too_large_or_none_is_refused_before_the_application_runs(length: str) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError

    proto = Proto()
    await rsgi_to_asgi.http(never, scope(headers=Headers({"content-length": length})), proto)
    assert proto.answer is not None
    assert proto.answer[0] == 413


async def listener(_: Any, receive: Any, send: Any) -> None:
    """An application that reads until it is told that there is no more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"told"})


async def test_chunks_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsgi_to_asgi, "BODY_BYTES_MAX", 10)
    proto = Proto(b"x" * 6, b"x" * 6, then_wait=True)
    await asyncio.wait_for(rsgi_to_asgi.http(listener, scope(headers=Headers()), proto), 60)
    assert proto.answer is not None
    assert proto.answer[2] == b"told"


async def test_a_sender_that_stops_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsgi_to_asgi, "STALLED_S", 0.01)
    await asyncio.wait_for(rsgi_to_asgi.http(listener, scope(), Proto(b"x", then_wait=True)), 60)


async def test_a_cut_body_is_answered_where_the_application_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    monkeypatch.setattr(rsgi_to_asgi, "STALLED_S", 0.01)
    slow = Proto(b"x", then_wait=True)
    await rsgi_to_asgi.http(silent, scope(), slow)
    assert slow.answer is not None
    assert slow.answer[0] == 408
    monkeypatch.setattr(rsgi_to_asgi, "BODY_BYTES_MAX", 1)
    large = Proto(b"xx", then_wait=True)
    await rsgi_to_asgi.http(silent, scope(), large)
    assert large.answer is not None
    assert large.answer[0] == 413


async def test_a_client_that_goes_is_told_to_the_application() -> None:
    proto = Proto(b"x")
    proto.gone.set()
    await asyncio.wait_for(rsgi_to_asgi.http(listener, scope(), proto), 60)


# --- websockets


@dataclass
class Message:
    kind: int
    data: Any = None


class WebsocketProto:
    """One websocket; incoming is what its client sends."""

    def __init__(self, *incoming: Message) -> None:
        self._incoming = list(incoming)
        self.transport = SimpleNamespace(receive=self._receive, sent=[], send_str=self._send, send_bytes=self._send)
        self.accepted = False
        self.closed: list[int] = []
        self.sending = False

    async def accept(self) -> Any:
        self.accepted = True
        return self.transport

    def close(self, status: int | None = None) -> None:
        self.closed.append(status or 0)

    async def _receive(self) -> Message:
        if not self._incoming:
            raise RuntimeError("stream closed")
        return self._incoming.pop(0)

    async def _send(self, data: Any) -> None:
        assert not self.sending, "a transport takes one send at a time"
        self.sending = True
        await asyncio.sleep(0)
        self.sending = False
        self.transport.sent.append(data)


async def chat(given: dict[str, Any], receive: Any, send: Any) -> None:
    """Accepts, echoes, and notes why it ended."""
    assert (given["type"], given["scheme"]) == ("websocket", "ws")
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    while (message := await receive())["type"] == "websocket.receive":
        text, data = message["text"], message["bytes"]
        reply = {"text": text} if text is not None else {"bytes": data}
        await asyncio.gather(*(send({"type": "websocket.send", **reply}) for _ in range(2)))
    given["ended"] = message["code"]


async def test_messages_go_both_ways() -> None:
    proto = WebsocketProto(Message(2, "text"), Message(1, b"bytes"), Message(0))
    await rsgi_to_asgi.websocket(chat, scope(method="GET"), proto)
    assert proto.transport.sent == ["text", "text", b"bytes", b"bytes"]
    assert proto.closed == []


async def test_a_broken_connection_ends_the_application() -> None:
    proto = WebsocketProto(Message(2, "text"))
    await asyncio.wait_for(rsgi_to_asgi.websocket(chat, scope(method="GET"), proto), 60)


async def test_a_refusal_before_accept_is_403() -> None:
    async def refuse(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4403})
        assert (await receive())["type"] == "websocket.disconnect"

    proto = WebsocketProto()
    await rsgi_to_asgi.websocket(refuse, scope(method="GET"), proto)
    assert not proto.accepted
    assert proto.closed == [403]


async def test_an_application_that_returns_or_fails_leaves_nothing_open() -> None:
    async def fail(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError

    proto = WebsocketProto()
    with pytest.raises(ValueError):
        await rsgi_to_asgi.websocket(fail, scope(method="GET"), proto)
    assert proto.closed == [1000]


async def test_what_is_sent_after_the_close_is_dropped() -> None:
    async def late(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        await send({"type": "websocket.send", "text": "late"})

    proto = WebsocketProto()
    await rsgi_to_asgi.websocket(late, scope(method="GET"), proto)
    assert proto.closed == [4000]
    assert proto.transport.sent == ['{"op":"closed","code":4000}']
