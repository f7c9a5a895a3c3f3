"""Once a second: what the counters hold goes to Redis, and out on the live channel.

`run(runtime)` is the web process's task, `start(runtime)` the thread of a worker. Both do the same around one
Flusher, which does no I/O of its own. The data plane never waits for any of it: counting is a dict update, and when
Redis is away or slow a bounded amount is kept (pending.py), what does not fit is counted as lost, and the log says so
at most once a minute. A Redis that was started anew is told the last seconds again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog

from apps.base.clock import Clock
from apps.base.config import Config
from apps.base.units import MINUTE_MS, SECOND_MS
from apps.metrics import connection, layout
from apps.metrics.buckets import encode_shards, share
from apps.metrics.counters import READERS_MAX, Counters, Readers, Sample, Series, Stream
from apps.metrics.layout import Store
from apps.metrics.pending import Bucket, Pending
from apps.metrics.totals import Totals

log = structlog.get_logger(__name__)

SPREAD_S_MAX = 10
"""A flush that comes later than this books all to the newest second: the process was stopped, not merely busy."""

STEP_STREAMS = 50
"""Streams written in one pipeline: a few milliseconds of the event loop, and then others have their turn."""

KNOWN_KEYS_MAX = 20_000
LOOK_EVERY_S = 10
"""How often Redis is asked how full it is."""

FAREWELL_S = 1.0


class Host(Protocol):
    """What of apps.runtime.Runtime a flusher needs."""

    config: Config
    clock: Clock
    counters: Counters


@dataclass(frozen=True, slots=True)
class Step:
    """Commands of one pipeline, and what to note when Redis has them all."""

    commands: list[tuple[Any, ...]]
    confirm: Callable[[], object]


class Flusher:
    """Takes from the counters, keeps what is not confirmed, says what to write. serves: requests are answered here."""

    def __init__(self, counters: Counters, clock: Clock, *, serves: bool) -> None:
        self.pending = Pending(serves=serves)
        self.totals = Totals()
        self._counters = counters
        self._clock = clock
        self._last: int | None = None
        self._readers: Readers = {}
        self._known: set[str] = set()
        """Keys that have their time to live, and members that are in their set."""
        self._redis: object = None
        """Which start of Redis it is that was told."""
        self._thrift = 0
        self._looked = 0
        self._logged_ms: int | None = None
        self._lost_logged = 0

    def until_next_s(self) -> float:
        """Seconds until the running second is over."""
        return (SECOND_MS - self._clock.now_ms() % SECOND_MS) / SECOND_MS + 0.002

    def collect(self, *, final: bool = False) -> None:
        """Take what was counted and book it to the second that just ended (final: to the running one)."""
        ended = self._clock.now_ms() // SECOND_MS - (0 if final else 1)
        last, self._last = self._last, ended
        late = last is not None and 1 < ended - last <= SPREAD_S_MAX
        seconds = range((last or 0) + 1, ended + 1) if late else [ended]
        labelled = self._counters.drain_labelled()
        samples, shards = self._counters.drain(), self._counters.drain_shards()
        self._readers |= self._counters.drain_readers()
        self.totals.add(samples, labelled)
        for second, part in zip(seconds, _spread(samples, len(seconds)), strict=True):
            if second == ended:
                self.pending.add(second, part, shards, labelled)
            else:
                self.pending.add(second, part, {})

    def steps(self, *, final: bool = False) -> Iterator[Step]:
        """What Redis has to be told. Confirm each step before the next is taken.

        Seconds are stored before they are published: who begins to listen and then reads misses none.
        """
        if self.pending.served:
            yield self._uptime()
        yield from self._write_all(layout.SECONDS, final=final)
        while self.pending.unpublished:
            second = self.pending.unpublished[0]
            messages = [("PUBLISH", layout.CHANNEL, message) for message in second.messages(STEP_STREAMS)]
            yield Step(messages, self.pending.unpublished.popleft)
        yield from self._write_all(layout.TENS, final=final)
        yield from self._write_all(layout.MINUTES, final=final)
        if final or self.totals.due(self.pending.newest):
            yield from self._totals()
        if self._readers:
            yield self._who_reads()
        self.pending.forget_closed()

    def _who_reads(self) -> Step:
        """Newest first where there were too many to keep while Redis was away."""
        told = dict(list(self._readers.items())[-READERS_MAX:])
        commands: list[tuple[Any, ...]] = []
        for (team_id, stream_id, reader), (seen_ms, behind_ms) in told.items():
            key = layout.readers_key(team_id, stream_id)
            commands.append(("HSET", key, reader, f"{seen_ms}:{behind_ms}"))
            commands.append(("EXPIRE", key, layout.READERS_KEEP_S))
        return Step(commands, self._readers.clear)

    def _totals(self) -> Iterator[Step]:
        changed, now_s = self.totals.pending(), self.pending.newest
        for first in range(0, max(len(changed), 1), STEP_STREAMS):
            part = changed[first : first + STEP_STREAMS]
            yield Step(self.totals.commands(part, now_s), partial(self.totals.written, part, now_s))

    def _write_all(self, store: Store, *, final: bool) -> Iterator[Step]:
        for bucket in list(self.pending.buckets[store.width_s].values()):
            due = list(bucket.unwritten) if final else bucket.due(self.pending.newest)
            for first in range(0, len(due), STEP_STREAMS):
                yield self._write(bucket, due[first : first + STEP_STREAMS])

    def _uptime(self) -> Step:
        served = tuple(self.pending.served)
        commands: list[tuple[Any, ...]] = [
            ("SETBIT", layout.uptime_key(second), second % layout.HOUR_S, 1) for second in served
        ]
        for key in {layout.uptime_key(second) for second in served}:
            commands += self._expire(key, layout.HOUR_S + layout.TENS.keep_s)
        for minute in {second // 60 * 60 for second in served}:
            commands += self._late(minute, minute + 60)
        return Step(commands, self.pending.served.clear)

    def _write(self, bucket: Bucket, streams: list[Stream]) -> Step:
        commands: list[tuple[Any, ...]] = []
        for stream in streams:
            ttl_s = bucket.store.ttl_s(self._thrift)
            if bucket.streams.get(stream) and ttl_s:
                key = bucket.store.key(*stream, bucket.start_s)
                commands.append(("HSET", key, bucket.name, bucket.stored(stream)))
                commands += self._expire(key, ttl_s)
            if stream in bucket.shards:
                key = layout.shard_key(*stream, bucket.start_s)
                commands.append(("HSET", key, bucket.name, encode_shards(bucket.shards[stream])))
                commands += self._expire(key, layout.SHARD_BLOCK_S + layout.SHARD_KEEP_S)
            if bucket.store is layout.MINUTES:
                commands += self._active(stream, bucket.start_s)
            if bucket.store is layout.TENS:
                commands += self._late(bucket.start_s // 60 * 60, bucket.end_s)
        return Step(commands, lambda: bucket.unwritten.difference_update(streams))

    def _expire(self, key: str, ttl_s: int) -> list[tuple[Any, ...]]:
        return [("EXPIRE", key, ttl_s)] if self._first(key) else []

    def _active(self, stream: Stream, second: int) -> list[tuple[Any, ...]]:
        key, member = layout.active_key(second), layout.member(*stream)
        if not self._first(f"{key} {member}"):
            return []
        return [("SADD", key, member), *self._expire(key, layout.HOUR_S + layout.TENS.keep_s)]

    def _late(self, minute: int, end_s: int) -> list[tuple[Any, ...]]:
        """Tell the rollup of a minute that it may have passed already."""
        late = self._last is not None and end_s + layout.LATE_S <= self._last
        return [("SADD", layout.LATE_KEY, minute)] if late else []

    def _first(self, what: str) -> bool:
        if what in self._known:
            return False
        if len(self._known) >= KNOWN_KEYS_MAX:
            self._known.clear()
        self._known.add(what)
        return True

    def meet(self, server: Mapping[str, Any]) -> None:
        """Tell a Redis that was started anew (another run_id in its INFO server) again what the last one confirmed late."""
        before, self._redis = self._redis, server.get("run_id")
        if before not in (None, self._redis):
            self.pending.recall()
            self.totals.recall()
            self._known.clear()

    def wants_look(self) -> bool:
        """True if Redis should be asked again how full it is."""
        return abs(self.pending.newest - self._looked) >= LOOK_EVERY_S

    def look(self, memory: Mapping[str, Any]) -> None:
        """Keep less while Redis is filling up (its INFO memory; without a limit it never is full)."""
        self._looked = self.pending.newest
        limit = memory.get("maxmemory", 0)
        share = memory.get("used_memory", 0) / limit if limit else 0.0
        thrift = sum(share >= bound for bound in layout.THRIFT_FROM)
        if thrift != self._thrift:
            log.warning("metrics_thrift", before=self._thrift, now=thrift, redis_share=round(share, 2))
            self._thrift = thrift
            self._known.clear()

    def failed(self, error: BaseException) -> None:
        """Redis did not take it: all is kept as far as there is room. It may have forgotten what it knew."""
        self._known.clear()
        now_ms = self._clock.now_ms()
        if self._logged_ms is None or not 0 <= now_ms - self._logged_ms < MINUTE_MS:
            self._logged_ms = now_ms
            log.warning("metrics_held", error=f"{type(error).__name__}: {error}", samples_lost=self.pending.lost)

    def succeeded(self) -> None:
        """Redis has everything that was kept."""
        if self._logged_ms is not None:
            self._logged_ms = None
            log.info("metrics_flushed", samples_lost=self.pending.lost - self._lost_logged)
            self._lost_logged = self.pending.lost
        if self.pending.unknown:
            log.error("metrics_unknown", names=sorted(self.pending.unknown))
            self.pending.unknown.clear()


def _spread(samples: dict[Series, Sample], seconds: int) -> list[dict[Series, Sample]]:
    """samples as so many parts, one for each second of a flush that came late."""
    if seconds == 1:
        return [samples]
    parts: list[dict[Series, Sample]] = [{} for _ in range(seconds)]
    for series, sample in samples.items():
        for part, spread in zip(parts, share(sample, seconds), strict=True):
            if spread.count:
                part[series] = spread
    return parts


async def run(host: Host) -> None:
    """Flush once a second until cancelled; then once more, without waiting long."""
    flusher = Flusher(host.counters, host.clock, serves=True)
    client = connection.asynchronous(host.config.redis)
    try:
        while True:
            await asyncio.sleep(flusher.until_next_s())
            flusher.collect()
            await send(flusher, client)
    finally:
        flusher.collect(final=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await send(flusher, client, final=True)
        await client.aclose()


async def send(flusher: Flusher, client: Any, *, final: bool = False) -> None:
    """Write what is pending by a redis.asyncio client. Raises nothing when Redis is away."""
    try:
        async with asyncio.timeout(connection.TIMEOUT_S):
            flusher.meet(await client.info("server"))
        for step in flusher.steps(final=final):
            async with asyncio.timeout(connection.TIMEOUT_S), client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                await pipe.execute()
            step.confirm()
        if flusher.wants_look():
            async with asyncio.timeout(connection.TIMEOUT_S):
                flusher.look(await client.info("memory"))
    except connection.AWAY as error:
        flusher.failed(error)
    else:
        flusher.succeeded()


class FlushThread:
    """The worker's flusher: a daemon thread. Its traffic counts, but a worker does not make a stream served."""

    def __init__(self, host: Host) -> None:
        self._flusher = Flusher(host.counters, host.clock, serves=False)
        self._client = connection.synchronous(host.config.redis)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics-flush", daemon=True)

    def start(self) -> FlushThread:
        """Begin; after fork."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Flush once more and end."""
        self._stopping.set()
        self._thread.join(connection.TIMEOUT_S + FAREWELL_S)

    def _run(self) -> None:
        while not self._stopping.wait(self._flusher.until_next_s()):
            self._flusher.collect()
            self._send()
        self._flusher.collect(final=True)
        self._send(final=True)
        self._client.close()

    def _send(self, *, final: bool = False) -> None:
        try:
            self._flusher.meet(self._client.info("server"))
            for step in self._flusher.steps(final=final):
                with self._client.pipeline(transaction=False) as pipe:
                    for command in step.commands:
                        pipe.execute_command(*command)
                    pipe.execute()
                step.confirm()
            if self._flusher.wants_look():
                self._flusher.look(self._client.info("memory"))
        except connection.AWAY as error:
            self._flusher.failed(error)
        else:
            self._flusher.succeeded()


def start(host: Host) -> FlushThread:
    """Flush once a second on a thread: for workers. Call stop() at the end."""
    return FlushThread(host).start()
