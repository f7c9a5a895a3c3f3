"""Websockets: the session says who it is, the Origin header says that our own page asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import structlog
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.conf import settings
from django.http.request import split_domain_port, validate_host

log = structlog.get_logger(__name__)


def build() -> Any:
    """The ASGI application of all websockets."""
    from console.live.routing import websocket_urlpatterns  # models must be ready

    return _Door(
        AuthMiddlewareStack(URLRouter(websocket_urlpatterns)), [route.pattern for route in websocket_urlpatterns]
    )


class _Door:
    """Refuses (403) what no route wants, and what another site's page sends: a browser sends cookies along with it."""

    def __init__(self, inner: Any, patterns: list[Any]) -> None:
        self._inner = inner
        self._patterns = patterns

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/")
        if _same_origin(scope) and any(pattern.match(path) for pattern in self._patterns):
            await self._inner(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403})


def _same_origin(scope: dict[str, Any]) -> bool:
    """Is the page that asks from this host and port, which is one of ours, or from the configured public address?"""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    domain, _ = split_domain_port(host)
    return urlsplit(origin).netloc == host and bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)
