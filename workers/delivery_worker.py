"""`python -m workers.delivery_worker`: the Celery worker of the queue `delivery`, with threads instead of processes.

Deliveries wait, for networks and for endpoints that take minutes, so many may be under way at once; what they compute
(compression, Parquet) is done by libraries that let other threads run meanwhile. Beside them runs the lookout.
"""

from __future__ import annotations

import os
from typing import Any

import django

from apps.base.processes import die_with
from apps.metrics import flush
from workers import backlog, heartbeat
from workers.app import app, owner, runtime

QUEUE = "delivery"


class _Beating:
    """After each round of the lookout: say that this worker lives, now and then."""

    def __init__(self) -> None:
        self._said_ms = 0

    def __call__(self) -> None:
        now_ms = runtime().clock.now_ms()
        if abs(now_ms - self._said_ms) >= heartbeat.HEARTBEAT_EVERY_S * 1000:
            self._said_ms = now_ms
            heartbeat.send(runtime().config.redis, owner(), heartbeat.DELIVERY)


def load() -> Any:
    """The module of the lookout. Once Django is set up, since it imports models."""
    from apps.delivery import lookout

    return lookout


def main() -> None:
    """Until SIGTERM: slices that run are finished, then it ends."""
    die_with(os.getppid())
    django.setup()
    from apps.delivery.shares import THREADS  # after the setup, since it imports models

    flusher = flush.start(runtime())
    heartbeat.send(runtime().config.redis, owner(), heartbeat.DELIVERY)
    lookout = load().Lookout(runtime(), _Beating(), lambda: backlog.room(runtime().config.redis, QUEUE)).start()
    try:
        app.Worker(
            pool="threads", concurrency=THREADS, queues=[QUEUE], loglevel="WARNING", quiet=True,
            without_gossip=True, without_mingle=True, without_heartbeat=True, redirect_stdouts=False, hostname="delivery@%h",
        ).start()  # fmt: skip
    finally:
        lookout.stop()
        flusher.stop()
        runtime().close_in_thread()


if __name__ == "__main__":
    main()
