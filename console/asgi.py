"""The application for any ASGI server, and the parts of it that are ASGI everywhere: Django and Channels.

Production runs console/rsgi.py, which calls the gateway without ASGI's messages in between. This file says the same in
ASGI's words, for tests and for other servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import quote

from apps.base.config import name_django_settings

name_django_settings()

import django  # noqa: E402 - after the settings are named

django.setup()

from apps.gateway.app import claims  # noqa: E402
from apps.gateway.body import ClientGone  # noqa: E402
from apps.gateway.request import Request, Response  # noqa: E402
from console import health, serving  # noqa: E402

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_serving: list[serving.Serving] = []


@cache
def django_application() -> Any:
    """Pages and REST."""
    from console.uploads import Handler  # once, and only in a process that serves

    return Handler()


@cache
def websocket_application() -> Any:
    """Channels, behind session and origin checks."""
    from console.websockets import build  # once, and only in a process that serves

    return build()


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """ASGI's one callable."""
    match scope["type"]:
        case "lifespan":
            await _lifespan(receive, send)
        case "websocket":
            await websocket_application()(scope, receive, send)
        case "http":
            await _http(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    try:
        opened = await serving.start()
    except Exception as error:  # noqa: BLE001 - ASGI's way to say it
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    _serving[:] = [opened]
    await send({"type": "lifespan.startup.complete"})
    await receive()
    _serving.clear()
    await opened.close()
    await send({"type": "lifespan.shutdown.complete"})


async def _http(scope: Message, receive: Receive, send: Send) -> None:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    method, path, query = scope["method"], scope["path"], scope["query_string"].decode("latin-1")
    if claims(method, path, headers, query):
        sent = scope.get("raw_path") or quote(path).encode()
        request = Request(method, sent.decode("latin-1"), query, headers, _pieces(receive), to_end=True, scope=scope)
        await _gateway(request, send)
    elif path == health.PATH and method in {"GET", "HEAD"}:
        status, named, body = await _serving[0].health.answer()
        await _respond(send, status, named, body)
    else:
        await django_application()(scope, receive, send)


async def _gateway(request: Request, send: Send) -> None:
    try:
        answer = await _serving[0].gateway.answer(request)
    except ClientGone:
        return
    if isinstance(answer, Response):
        await _respond(send, answer.status, answer.headers, answer.body)
        return
    await _start(send, answer.status, answer.headers)
    try:
        async for frame in answer.frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
    finally:
        await answer.frames.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return


async def _start(send: Send, status: int, headers: list[tuple[str, str]]) -> None:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _respond(send: Send, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    await _start(send, status, [*headers, ("content-length", str(len(body)))])
    await send({"type": "http.response.body", "body": body, "more_body": False})
