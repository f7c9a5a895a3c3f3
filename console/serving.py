"""What a web process holds while it serves: Runtime, gateway, health, and the tasks that run beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from apps.base.config import Config
from apps.base.processes import keep_large_blocks
from apps.gateway import app as gateway_app
from apps.gateway.app import Gateway
from apps.metrics import flush
from apps.queues.receiving import Receiving
from apps.runtime import Runtime, build
from apps.streams.subscriptions import Subscriptions
from console import silence
from console.health import Health
from workers.app import app as celery

log = structlog.get_logger(__name__)

COLLECT_AFTER = (10_000, 20, 20)
"""Objects more than at the last collection of the youngest; collections of it before one of the next age, and so on."""

AGAIN_S = 1.0
"""Pause before a failed background task runs again."""


class Serving:
    """One per web process, made on its event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.gateway = Gateway(runtime)
        self.health = Health(runtime)
        self.stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._open_ended: set[asyncio.Task[Any]] = set()
        """Requests without an end of their own: streams and websockets."""

    async def open(self) -> None:
        """Open the record log and start the tasks. Raises LogUnavailable with a sentence that says what to do."""
        await self.runtime.open()
        gateway_app.use(self.gateway)
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "bodies": self.gateway.bodies.sweep,
            "credentials": self.gateway.credentials.run,
            "silence": lambda: silence.run(self.runtime.config.port),
            "metrics": lambda: flush.run(self.runtime),
        }
        self._tasks = [asyncio.create_task(_keep_running(name, job), name=name) for name, job in jobs.items()]

    async def close(self) -> None:
        """End streams and tasks, save what they hold, close the record log. Idempotent."""
        self.stop_waiting()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.gateway.credentials.save_uses()
        self.runtime.part(Subscriptions).close()
        gateway_app.use(None)
        await self.runtime.close()

    @contextlib.contextmanager
    def open_ended(self) -> Any:
        """The current task has no end of its own: cancel it when the process is told to stop."""
        task = asyncio.current_task()
        assert task is not None
        self._open_ended.add(task)
        try:
            yield
        finally:
            self._open_ended.discard(task)

    def stop_waiting(self) -> None:
        """The process is told to stop: end what has no end of its own, and do not wait for slow senders. Clients come
        back to another process."""
        self.stopping = True
        self.gateway.bodies.give_up_all()
        for task in list(self._open_ended):
            task.cancel()
        receiving = self.runtime.made(Receiving)
        if receiving is not None:
            receiving.stop_waiting()


async def start() -> Serving:
    """Open everything that this process's environment asks for. Raises LogUnavailable, see Serving.open."""
    keep_large_blocks()
    celery.set_default()  # hints to the workers leave by it
    serving = Serving(build(Config.from_environment()))
    await serving.open()
    _calm_collector()
    return serving


def _calm_collector() -> None:
    """What is loaded by now stays: leave it out of collections. And let requests in flight grow further before one; with
    the default of 700 objects collecting took a tenth of a busy process's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _keep_running(name: str, job: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await job()
        except Exception:
            log.exception("background_task_failed", task=name)
            await asyncio.sleep(AGAIN_S)
