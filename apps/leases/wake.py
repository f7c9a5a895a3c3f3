"""A hint to the workers that a key may have work. Losing one costs a tick, doubling one a refused lease."""

from __future__ import annotations

from functools import partial

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)


def task_name(kind: str) -> str:
    """The Celery task that works on leases of this kind."""
    return f"tidegate.{kind}"


def wake(kind: str, key: str) -> None:
    """Send the hint once the caller's transaction is committed (at once outside of one)."""
    transaction.on_commit(partial(_send, kind, key), robust=True)


def _send(kind: str, key: str) -> None:
    try:
        current_app.send_task(task_name(kind), args=(key,), retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001 - a broker can fail in any way, and a hint is never worth an error
        log.warning("wake_dropped", kind=kind, key=key, error=str(error))
