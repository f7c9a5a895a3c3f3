"""@slice: the only way a background task is written. It takes the lease, sets the deadline, logs, and wakes again.

A slice never sleeps and never runs for ever: it works until there is nothing more or its deadline passes, saves its
checkpoint, and answers MORE, DONE, or the time in ms at which it wants to run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from apps.leases import hold
from apps.leases.hold import Held, LeaseLost
from apps.leases.progress import Progress
from apps.leases.wake import task_name, wake
from apps.runtime import Runtime
from workers import backlog, heartbeat
from workers.app import QUEUES, app, owner, runtime

log = structlog.get_logger(__name__)

Advance = Callable[[Runtime, Held, int], Progress | int]

RETRY_AFTER_ERROR_MS = 5_000
DUE_PER_TICK_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Slice:
    """One kind of background work: ttl_ms its lease's span, deadline_ms how long one piece may take. pin_waits: a hint does not
    bring forward what is pinned and has to wait, as after a failed attempt; what makes it due does."""

    kind: str
    ttl_ms: int
    deadline_ms: int
    advance: Advance
    pin_waits: bool = False


SLICES: dict[str, Slice] = {}


def slice(  # noqa: A001 - the house's word
    kind: str, *, ttl_ms: int = 30_000, deadline_ms: int = 10_000, pin_waits: bool = False
) -> Callable[[Advance], Advance]:
    """Make `advance(runtime, held, until_ms)` the work of leases of this kind. The function itself stays as it is."""
    assert deadline_ms * 2 <= ttl_ms, "a slice that keeps its deadline must not outlive its lease"

    def enter(advance: Advance) -> Advance:
        SLICES[kind] = Slice(kind, ttl_ms, deadline_ms, advance, pin_waits)

        def task(key: str) -> None:
            run(runtime(), kind, key)

        app.task(name=task_name(kind))(task)
        return advance

    return enter


def run(given: Runtime, kind: str, key: str) -> Progress | int | None:
    """One slice of work on one key: None if somebody else has the lease, it has to wait, is gone, or was lost on the way."""
    work = SLICES[kind]
    held = hold.take(kind, key, owner(), work.ttl_ms, given.clock.now_ms() if work.pin_waits else None)
    if held is None:
        return None
    with structlog.contextvars.bound_contextvars(kind=kind, key=key):
        return _advance(given, work, held)


def _advance(given: Runtime, work: Slice, held: Held) -> Progress | int | None:
    began_ms = given.clock.now_ms()
    try:
        progress = work.advance(given, held, began_ms + work.deadline_ms)
    except LeaseLost:
        log.info("lease_lost")
        return None
    except Exception:
        hold.release(held, given.clock.now_ms() + RETRY_AFTER_ERROR_MS)
        log.exception("slice_failed")
        return None
    if progress is Progress.MORE:
        hold.release(held, began_ms)
        wake(held.kind, held.key)
    else:
        hold.release(held, progress if isinstance(progress, int) else None)
    log.debug("slice_ended", progress=str(progress), took_ms=given.clock.now_ms() - began_ms)
    return progress


@app.task(name="tidegate.tick")
def tick(kind: str) -> None:
    """Wake every due key of the kind; of deliveries, which may all have to wait for endpoints, as many as there is room for."""
    limit = DUE_PER_TICK_MAX
    if kind in QUEUES["delivery"]:
        limit = min(limit, backlog.room(runtime().config.redis, "delivery"))
    for key in hold.due(kind, limit) if limit else ():
        wake(kind, key)


@app.task(name="tidegate.heartbeat")
def send_heartbeat() -> None:
    """Say that a worker lives: the whole way from beat through the broker to a pool process works."""
    heartbeat.send(runtime().config.redis, owner())


def worker_lives(redis_url: str) -> bool:
    """True if some worker's heartbeat was heard lately. Raises redis.RedisError."""
    return heartbeat.heard(redis_url)
