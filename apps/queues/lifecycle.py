"""A queue's life after the call: CREATING → ACTIVE, UPDATING → ACTIVE, DELETING → gone; and its upkeep meanwhile.

Each step may be repeated after a crash at any point. The store comes before the row: a queue that says ACTIVE delivers,
and settings are in force in every process when the queue says ACTIVE again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db.models import F

from apps.base.units import MINUTE_MS
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.queues.changing import Changing, PlaceEntry
from apps.queues.models import Queue, QueueStatus
from apps.queues.store import QueueStore
from apps.queues.upkeep import look_after
from apps.runtime import Runtime
from apps.streams.models import Stream
from apps.streams.retention import horizon_ms

T = TypeVar("T")

log = structlog.get_logger(__name__)

KIND = "queues"
"""Of its lease."""

UPKEEP_EVERY_MS = MINUTE_MS
ROWS_PER_CHANGE = 5_000
"""Rows of the store removed in one transaction, some milliseconds, so that receives never wait long behind it."""


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice for the queue whose row id is the lease's key."""
    queue = Queue.objects.select_related("stream").filter(pk=int(held.key)).first()
    if queue is None:
        hold.remove(held.kind, held.key)
        return Progress.DONE
    match queue.status:
        case QueueStatus.CREATING:
            _create(runtime, queue)
        case QueueStatus.UPDATING:
            _update(runtime, queue)
        case QueueStatus.DELETING:
            return _delete(runtime, held, queue, until_ms)
        case _:
            more = look_after(runtime, queue, until_ms)
            return Progress.MORE if more else runtime.clock.now_ms() + UPKEEP_EVERY_MS
    return runtime.clock.now_ms() + UPKEEP_EVERY_MS


def change_store(runtime: Runtime, run: Callable[[Changing], T]) -> T:
    """A change of the store from synchronous code, and wait for it. Raises as Store.change."""

    async def change() -> T:
        return await runtime.part(QueueStore).change(run)

    return runtime.wait_for(change())


def close_in_store(runtime: Runtime, queue: int) -> None:
    """From now on every process refuses the queue's handles and receives. (If this is lost, a worker does it.)"""
    change_store(runtime, lambda changing: changing.close(queue))


def _create(runtime: Runtime, queue: Queue) -> None:
    change_store(runtime, lambda changing: changing.make(queue.pk, queue.version))
    now_ms = runtime.clock.now_ms()
    readable_ms = max(horizon_ms(queue.stream, now_ms), queue.stream.created_at_ms)
    moved = Queue.objects.filter(pk=queue.pk, status=QueueStatus.CREATING).update(
        status=QueueStatus.ACTIVE,
        start_effective_ms=max(queue.start_ms, readable_ms),
        opened_at_ms=now_ms,
        metered_to_ms=now_ms,
    )
    if moved:
        log.info("queue_created", queue=queue.pk)


def _update(runtime: Runtime, queue: Queue) -> None:
    change_store(runtime, lambda changing: changing.make(queue.pk, queue.version))
    after = _regroup(runtime, queue, None)
    while after is not None:
        after = _regroup(runtime, queue, after)
    Queue.objects.filter(pk=queue.pk, status=QueueStatus.UPDATING, version=queue.version).update(
        status=QueueStatus.ACTIVE
    )


def _regroup(runtime: Runtime, queue: Queue, after: PlaceEntry | None) -> PlaceEntry | None:
    return change_store(runtime, lambda changing: changing.regroup(queue.pk, queue.max_receive_count, after))


def _delete(runtime: Runtime, held: Held, queue: Queue, until_ms: int) -> Progress:
    close_in_store(runtime, queue.pk)
    while change_store(runtime, lambda changing: changing.drop(queue.pk, ROWS_PER_CHANGE)):
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
    stream_key = queue.stream_id
    queue.delete()
    Stream.objects.filter(pk=stream_key).update(version=F("version") + 1)
    hold.remove(held.kind, held.key)
    log.info("queue_deleted", queue=held.key)
    return Progress.DONE
