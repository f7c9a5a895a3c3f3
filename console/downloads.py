"""Files that are sent while they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

CSV = "text/csv; charset=utf-8"
JSON = "application/json"


def download(request: HttpRequest, pieces: Iterator[bytes], name: str, kind: str) -> HttpResponse:
    """name: what browsers save it as."""
    answer = StreamingHttpResponse(
        _piecewise(pieces) if isinstance(request, ASGIRequest) else pieces,
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )
    return cast("HttpResponse", answer)


async def _piecewise(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """One after the other, each made in the request's thread while the loop does other things."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
