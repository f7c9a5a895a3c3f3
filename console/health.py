"""GET /healthz: does every part serve? Answered before Django, so that it can say that the database does not.

200 and `ok`, or 503 and the name and reason of each part that fails. Looked at afresh at most twice a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import redis
from django.db import Error as DatabaseError
from django.db import connection

from apps.accounts.bridge import in_thread
from apps.base.units import SECOND_MS
from apps.recordlog.interface import RecordLogError, UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard
from workers import heartbeat

PATH = "/healthz"
FRESH_S = 0.5
PATIENCE_S = 3.0
NO_SHARD = 2**31 - 1
BEHIND_MS_MAX = 60 * SECOND_MS
SHARDS_LOOKED_AT = 20
"""The newest open ones."""
HEADERS = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
]

Answer = tuple[int, list[tuple[str, str]], bytes]


class Health:
    """One per process; checks run together, and callers who come meanwhile share the answer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._checked_s = float("-inf")
        self._failing: dict[str, str] = {}
        self._running: asyncio.Task[None] | None = None

    async def answer(self) -> Answer:
        """Status, headers and body of /healthz."""
        failing = await self.failing()
        status = {name: failing.get(name, "ok") for name in self._parts()}
        body = orjson.dumps({"status": "failing" if failing else "ok", "parts": status})
        return (503 if failing else 200), HEADERS, body + b"\n"

    async def failing(self) -> dict[str, str]:
        """The parts that do not serve, with a reason each."""
        if asyncio.get_running_loop().time() - self._checked_s > FRESH_S:
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._check(), name="health")
            await asyncio.shield(self._running)
        return self._failing

    async def _check(self) -> None:
        parts = self._parts()
        reasons = await asyncio.gather(*(_reason(check) for check in parts.values()))
        self._failing = {name: reason for name, reason in zip(parts, reasons, strict=True) if reason}
        self._checked_s = asyncio.get_running_loop().time()

    def _parts(self) -> dict[str, Callable[[], Awaitable[str]]]:
        return {
            "database": self._database,
            "record log": self._record_log,
            "redis": self._redis,
            "worker": self._worker,
            "delivery": self._delivery,
            "clock": self._clock,
        }

    async def _database(self) -> str:
        await in_thread(_select_one)
        return ""

    async def _record_log(self) -> str:
        with contextlib.suppress(UnknownShard):  # it looked, and answered
            await self._runtime.record_log.bounds(NO_SHARD)
        return ""

    async def _redis(self) -> str:
        await asyncio.to_thread(_ping, self._runtime.config.redis)
        return ""

    async def _worker(self) -> str:
        lives = await asyncio.to_thread(heartbeat.heard, self._runtime.config.redis)
        return "" if lives else "no heartbeat of a worker"

    async def _delivery(self) -> str:
        lives = await asyncio.to_thread(heartbeat.heard, self._runtime.config.redis, heartbeat.DELIVERY)
        return "" if lives else "no heartbeat of the delivery worker"

    async def _clock(self) -> str:
        """The machine's clock against the newest records. Retention and bills pause while it is far behind."""
        newest_ms = 0
        for shard in await in_thread(_open_shards):
            with contextlib.suppress(UnknownShard):  # made a moment ago
                newest_ms = max(newest_ms, (await self._runtime.record_log.bounds(shard)).newest_ms)
        behind_ms = newest_ms - self._runtime.clock.now_ms()
        return f"{behind_ms // SECOND_MS} s behind the newest record" if behind_ms > BEHIND_MS_MAX else ""


async def _reason(check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await check()
    except TimeoutError:
        return f"no answer within {PATIENCE_S:.0f} seconds"
    except (DatabaseError, RecordLogError, redis.RedisError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def _open_shards() -> list[int]:
    shards = Shard.objects.filter(closed_at_ms=None, opened_at_ms__isnull=False).order_by("-id")
    return list(shards.values_list("id", flat=True)[:SHARDS_LOOKED_AT])


def _select_one() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


def _ping(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
