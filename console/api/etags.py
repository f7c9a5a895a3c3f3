"""ETag of a representation, and what If-Match and If-None-Match make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rest_framework.response import Response

from apps.base.units import MINUTE_MS
from apps.leases import hold
from console import calls
from console.api.problems import PreconditionFailed
from console.api.request import ApiRequest

KIND = "conditional-change"
"""Of the leases by which changes with If-Match of the same thing keep apart."""

TTL_MS = MINUTE_MS
"""A request cut off in the middle keeps others out for so long."""


def etag_of(shown: Any) -> str:
    """A strong ETag: of the same representation always the same."""
    text = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return f'"{hashlib.sha256(text).hexdigest()[:32]}"'


def tagged(request: ApiRequest, shown: Any, status: int = 200) -> Response:
    """The representation with its ETag; 304 if the caller has it already."""
    etag = etag_of(shown)
    if request.method in {"GET", "HEAD"} and _names(request.headers.get("If-None-Match", ""), etag, weak=True):
        return Response(status=304, headers={"ETag": etag})
    return Response(shown, status, headers={"ETag": etag})


def require_match(request: ApiRequest, shown: Any) -> None:
    """Call it before a change, with the present representation. Raises PreconditionFailed if the caller says If-Match and
    saw another one."""
    wanted = request.headers.get("If-Match", "")
    if wanted and not _names(wanted, etag_of(shown)):
        raise PreconditionFailed


@contextmanager
def alone(request: ApiRequest, whose: str) -> Iterator[None]:
    """While the comparison and the change that it guards are under way, in all web processes: of two requests with the
    same ETag one must lose. whose: what there is at the address; empty: everybody's. Raises PreconditionFailed for the later
    one: what it read is about to be another state."""
    key = hashlib.sha256(f"{whose}{request.path}".encode()).hexdigest()
    hold.ensure(KIND, key, calls.now_ms())
    if hold.take(KIND, key, request.request_id, TTL_MS) is None:
        raise PreconditionFailed
    try:
        yield
    finally:
        hold.remove(KIND, key)


def _names(header: str, etag: str, *, weak: bool = False) -> bool:
    told = [part.strip() for part in header.split(",")]
    return "*" in told or etag in told or (weak and f"W/{etag}" in told)
