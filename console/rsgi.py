"""The production application, on granian's native interface: `granian --interface rsgi console.rsgi:application`.

One port, three doors: what claims() says is AWS's goes straight to the gateway; websockets go to Channels; the rest is
Django's. Run it with `--runtime-mode st` and `--workers-kill-timeout`.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any
from urllib.parse import quote

import structlog

from apps.base import logs
from apps.base.config import name_django_settings

name_django_settings()

import django  # noqa: E402 - after the settings are named

django.setup()

from django.conf import settings  # noqa: E402
from granian import _signals  # noqa: E402
from granian.rsgi import ProtocolClosed  # noqa: E402

from apps.gateway.app import claims  # noqa: E402
from apps.gateway.body import ClientGone  # noqa: E402
from apps.gateway.request import Request, Response, Stream  # noqa: E402
from apps.recordlog.interface import RecordLogError  # noqa: E402
from console import health, rsgi_to_asgi, serving, static_files  # noqa: E402
from console.asgi import django_application, websocket_application  # noqa: E402
from console.backlog import Backlogs, ClientTooSlow  # noqa: E402

log = structlog.get_logger(__name__)

DISCARD_BYTES_MAX = 24 * 1024 * 1024
DISCARD_S = 5.0
"""So much of a refused body, for so long, is read and thrown away, that its sender can read the refusal."""


class Application:
    """What granian calls: __rsgi_init__ and __rsgi_del__ around the life of the process, __rsgi__ per request."""

    def __init__(self) -> None:
        self._serving: serving.Serving | None = None
        self._backlogs = Backlogs()
        self._static = static_files.StaticFiles(settings.STATIC_ROOT)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open everything, before the port is served."""
        logs.configure()
        try:
            self._serving = loop.run_until_complete(serving.start())
        except RecordLogError as error:
            log.critical("not_started", reason=str(error))
            sys.exit(1)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close everything, after the last request."""
        if self._serving is not None:
            loop.run_until_complete(self._serving.close())

    def stop_waiting(self) -> None:
        """The process was told to stop."""
        if self._serving is not None:
            self._serving.stop_waiting()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """One request."""
        now = self._serving
        assert now is not None
        if scope.proto != "http":
            await self._websocket(now, scope, proto)
            return
        method, path, query = scope.method, scope.path, scope.query_string
        items = scope.headers.items()
        headers = dict(items)
        if not claims(method, path, headers, query):
            await self._console(now, scope, proto, method, path)
            return
        http2 = scope.http_version == "2"
        if len(headers) != len(items):
            headers = _joined(items)
        if http2:
            headers[":authority"] = scope.authority or ""
            headers.setdefault("host", headers[":authority"])
        if path != "/":
            path = quote(path)  # granian has decoded it, and the signature is over what was sent
        try:
            request = Request(method, path, query, headers, proto, to_end=http2, at_once=proto, scope=scope)
            answer = await now.gateway.answer(request)
        except ClientGone:
            return
        if isinstance(answer, Response):
            proto.response_bytes(answer.status, answer.headers, answer.body)
            if answer.unread and "expect" not in headers and not now.stopping:
                await _discard(proto)
        else:
            await self._stream(now, scope, proto, answer)

    async def _websocket(self, now: serving.Serving, scope: Any, proto: Any) -> None:
        try:
            with now.open_ended():
                await rsgi_to_asgi.websocket(websocket_application(), scope, proto)
        except asyncio.CancelledError:
            if not now.stopping:
                raise

    async def _console(self, now: serving.Serving, scope: Any, proto: Any, method: str, path: str) -> None:
        if path == health.PATH and method in {"GET", "HEAD"}:
            proto.response_bytes(*await now.health.answer())
            return
        if path.startswith(static_files.PREFIX):
            proto.response_bytes(*self._static.answer(method, path, scope.headers.get("accept-encoding") or ""))
            return
        try:
            await rsgi_to_asgi.http(django_application(), scope, proto)
        except Exception:  # not even Django could make a page of it
            log.exception("page_failed", method=method, path=path)
            rsgi_to_asgi.refuse(scope, proto, 500, "Something failed. The log says what.")

    async def _stream(self, now: serving.Serving, scope: Any, proto: Any, answer: Stream) -> None:
        """Send frames until they end, the client goes, or the process stops. The server queues without a bound: so
        ask the kernel how far the client is, and wait for it."""
        task = asyncio.current_task()
        assert task is not None
        watch = asyncio.create_task(_cancel_when_gone(proto, task))
        with now.open_ended(), self._backlogs.of(scope.client) as backlog:
            try:
                transport = proto.response_stream(answer.status, answer.headers)
                async for frame in answer.frames:
                    await transport.send_bytes(frame)
                    await backlog.sent(len(frame))
            except (asyncio.CancelledError, ProtocolClosed):  # closed: the client went between two frames
                log.debug("stream_cancelled")
            except ClientTooSlow:
                log.info("stream_ended", reason="the client does not read")
            finally:
                watch.cancel()
                await answer.frames.aclose()


async def _cancel_when_gone(proto: Any, task: asyncio.Task[Any]) -> None:
    await proto.client_disconnect()
    task.cancel()


async def _discard(proto: Any) -> None:
    left = DISCARD_BYTES_MAX
    try:
        async with asyncio.timeout(DISCARD_S):
            async for piece in proto:
                left -= len(piece)
                if left < 0:
                    return
    except (TimeoutError, RuntimeError):  # RuntimeError: granian's, when the body was given away already
        return


def _joined(items: list[tuple[str, str]]) -> dict[str, str]:
    """Values of a repeated header joined by a comma, as signatures want them."""
    headers: dict[str, str] = {}
    for name, value in items:
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


application = Application()


def _stop_waiting_first() -> None:
    """Granian waits for open requests when it is told to stop, and a subscription lasts minutes. It offers no hook for
    that moment, so its own handler is wrapped: what would keep it waiting ends, then it goes on as ever."""
    register = _signals.set_loop_signals

    def set_loop_signals(loop: asyncio.AbstractEventLoop) -> Any:
        event = register(loop)

        def stop() -> None:
            application.stop_waiting()
            event.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        return event

    _signals.set_loop_signals = set_loop_signals


_stop_waiting_first()
