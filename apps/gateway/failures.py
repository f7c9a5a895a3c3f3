"""What was no ServiceError: parts that are away become errors that clients repeat, the rest is a bug."""

from __future__ import annotations

from asyncio import get_running_loop

import structlog
from django.db import OperationalError

from apps.base.errors import InternalFailure, ServiceError, ServiceUnavailable
from apps.recordlog.interface import LogBusy, LogFull, LogUnavailable

log = structlog.get_logger(__name__)

UNAVAILABLE = (LogBusy, LogFull, LogUnavailable, OperationalError)
"""Too much at once, a full disk, a log or database that does not answer: the same call may succeed later."""


WARN_EVERY_S = 1.0
_warned_s: dict[type[BaseException], float] = {}


def as_service_error(error: BaseException, *, request_id: str, operation: str) -> ServiceError:
    """The error that the caller gets; nothing of what was raised is told to him. A bug is one log line with the request
    id; a part that is away is one line a second, because every request of that second says the same."""
    if isinstance(error, ServiceError):
        return error
    if not isinstance(error, UNAVAILABLE):
        log.error("request_failed", request_id=request_id, operation=operation, exc_info=error)
        return InternalFailure()
    now_s = get_running_loop().time()
    if now_s - _warned_s.get(type(error), float("-inf")) >= WARN_EVERY_S:
        _warned_s[type(error)] = now_s
        log.warning(
            "part_unavailable", request_id=request_id, operation=operation, error=f"{type(error).__name__}: {error}"
        )
    return ServiceUnavailable("The service cannot answer at the moment. Try again.")
