"""One per web process: the one subscription to the live channel, and the feeds that connections share.

The subscription begins with the first connection. When Redis was away, seconds may have been missed: `generation`
rises, and every connection reads the hole from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

import msgpack
import structlog
from channels.db import database_sync_to_async

from apps.base.clock import Clock
from apps.metrics import connection, layout
from apps.metrics.pending import MESSAGE_VERSION
from apps.runtime import Runtime
from console.live.feeds import Feed, PolledFeed, SecondsFeed

log = structlog.get_logger(__name__)

WAIT_S, SILENT_WAITS_MAX = 1.0, 5
"""This process flushes each second, so a longer silence means that the connection is dead. Waits are counted, not time:
a process that was held up itself finds everything waiting for it."""

AGAIN_S = 0.5

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run what asks Redis or the database on a thread of its own, not on the one that all sync views share."""
    run = database_sync_to_async(function, thread_sensitive=False)
    return await run(*arguments, **named)  # type: ignore[no-any-return]


class Hub:
    """Feeds by key, made when the first connection wants them and dropped when the last one leaves."""

    def __init__(self, runtime: Runtime) -> None:
        self.clock: Clock = runtime.clock
        self.generation = 0
        self.sockets: dict[int, set[Hashable]] = {}
        """Open connections by user id."""
        self.standing: dict[int, int] = {}
        """By team: how often this process was told that somebody's place in it changed (apps/teams/standing.py)."""
        self._url = runtime.config.redis
        self._seconds: dict[tuple[int, int], SecondsFeed] = {}
        self._polled: dict[Hashable, PolledFeed] = {}
        self._wakes: dict[Hashable, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None

    def join(self, who: Hashable, user_id: int, wake: Callable[[], None]) -> None:
        """A connection begins. wake is called when seconds were missed."""
        self.sockets.setdefault(user_id, set()).add(who)
        self._wakes[who] = wake
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="live-channel")

    def part(self, who: Hashable, user_id: int) -> None:
        """The counterpart of join. With the last connection the subscription ends."""
        self._wakes.pop(who, None)
        mine = self.sockets.get(user_id, set())
        mine.discard(who)
        if not mine:
            self.sockets.pop(user_id, None)
        if not self.sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    def seconds(self, team_id: int, stream_id: int) -> SecondsFeed:
        """The stream's seconds. Listen to it at once, or it may be dropped."""
        return self._seconds.setdefault((team_id, stream_id), SecondsFeed())

    def polled(
        self, key: Hashable, every_s: float, fetch: Callable[[], Awaitable[dict[Any, Any] | None]]
    ) -> PolledFeed:
        """The feed of that key; fetch is used if there is none yet."""
        feed = self._polled.get(key)
        if feed is None:
            feed = self._polled[key] = PolledFeed(every_s, fetch)
        return feed

    def leave(self, feed: Feed, who: Hashable) -> None:
        """Stop listening; a feed without listeners is dropped."""
        if not feed.leave(who):
            return
        feed.close()
        kinds: tuple[dict[Any, Any], ...] = (self._seconds, self._polled)
        for feeds in kinds:
            for key in [key for key, known in feeds.items() if known is feed]:
                del feeds[key]

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except connection.AWAY as error:
                log.debug("live_channel_away", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(AGAIN_S)

    async def _listen_once(self) -> None:
        client = connection.asynchronous(self._url)
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                async with asyncio.timeout(connection.TIMEOUT_S):
                    await subscription.subscribe(layout.CHANNEL, layout.STANDING_CHANNEL)
                self.generation += 1
                self._wake_all()
                silent = 0
                while silent < SILENT_WAITS_MAX:
                    message = await subscription.get_message(timeout=WAIT_S)
                    silent = silent + 1 if message is None else 0
                    if message is not None and message["channel"] == layout.STANDING_CHANNEL.encode():
                        self._look_again(int(message["data"]))
                    elif message is not None:
                        self.take(message["data"])
        finally:
            await client.aclose()

    def _look_again(self, team_id: int) -> None:
        self.standing[team_id] = self.standing.get(team_id, 0) + 1
        self._wake_all()

    def _wake_all(self) -> None:
        for wake in list(self._wakes.values()):
            wake()

    def take(self, data: bytes) -> None:
        """One message of the live channel (apps/metrics/pending.py: Second.messages)."""
        if not self._seconds:
            return
        version, process, serves, second, rows = msgpack.unpackb(data)
        if version != MESSAGE_VERSION:
            return
        touched: set[SecondsFeed] = set()
        for team_id, stream_id, stored, _shards in rows:
            feed = self._seconds.get((team_id, stream_id))
            if feed is not None:
                feed.take(second, process, stored)
                touched.add(feed)
        if serves:
            for feed in self._seconds.values():
                if feed not in touched:
                    feed.take(second, process, b"")
                    touched.add(feed)
        for feed in touched:
            feed.wake()
