"""Live subscriptions of this process: who holds which consumer and shard, what a subscriber gets, and when it ends.

One subscription per consumer and shard in the whole installation: its lease row (apps/leases/takeover.py) has a
counter that the last successful SubscribeToShard raised. Within one process the earlier subscription is told at once;
in another process it learns by the renewal, one statement a second for all subscriptions of a process. A process that
dies renews nothing, and its leases lapse after LEASE_MS.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from apps.accounts.bridge import in_thread
from apps.base.errors import ServiceError
from apps.base.units import KIB, MINUTE_MS
from apps.leases import takeover
from apps.recordlog.interface import Batch, RecordLogError, ShardKey, UnknownShard
from apps.runtime import Call, Runtime
from apps.streams import sequence, shard_level
from apps.streams.catalog import Catalog, ConsumerView, ShardView, StreamView
from apps.streams.errors import ResourceInUseException, ResourceNotFoundException
from apps.streams.limits import (
    EVENT_BYTES_MAX,
    FANOUT_BYTES_PER_S,
    HEARTBEAT_MS,
    SUBSCRIBE_AGAIN_MS,
    SUBSCRIPTION_LIFE_MS,
)
from apps.streams.read_meters import PUSHED, ReadMeters, of_stream
from apps.streams.reading import children, millis_behind, read, records_of, service_error
from apps.streams.shapes import SubscribeToShardEvent
from apps.streams.tip import Piece, Tip
from apps.throttle.interface import Budget
from apps.throttle.local import LocalThrottle, NoThrottle

logger = logging.getLogger(__name__)

LEASE_KIND = "fanout"
LEASE_MS = 5_000
RENEW_S = 1.0
SWEEP_AFTER_MS = 10 * MINUTE_MS
"""A lease that ran out so long ago is forgotten: its consumer or shard may be gone."""

PACE = Budget(0, FANOUT_BYTES_PER_S, 0, FANOUT_BYTES_PER_S)
PACE_STEP_BYTES = 64 * KIB
"""With the budget spent, the next event waits until so much may be sent: not a trickle of single records."""

CLOSING_S = 0.05
"""Between a shard's end in the log and the rows that name its children: look again after this."""

EVENT = "SubscribeToShardEvent"


@dataclass(slots=True)
class Place:
    """What a subscription is on, and the ordinal it goes on from."""

    stream: StreamView
    shard: ShardView
    consumer: ConsumerView
    ordinal: int
    newest_ms: int
    """Arrival of the record before ordinal, as far as is known: it goes into the number that continues from here."""

    @property
    def key(self) -> str:
        """The lease's key."""
        return f"{self.consumer.key}/{self.shard.key}"


class Subscription:
    """An async iterator of (event type, event). Close it with aclose(), whether it was begun or not.

    A ServiceError that it raises is for the subscriber: ResourceInUseException when another call took over,
    ResourceNotFoundException when stream, shard or consumer went away.
    """

    def __init__(self, owner: Subscriptions, call: Call, place: Place, counter: int) -> None:
        self.place = place
        self.counter = counter
        self._key = place.key
        self._owner = owner
        self._tip: Tip = owner.enter(place.shard.key)
        self._call = call
        self._runtime = call.runtime
        self._ends_at_ms = call.now_ms + SUBSCRIPTION_LIFE_MS
        self._error: ServiceError | None = None
        self._done = False
        self._left = False
        self._waiting: asyncio.Future[Any] | None = None
        self._sent_at = float("-inf")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, SubscribeToShardEvent]:
        event = None
        try:
            if not self._done:
                event = await self._next_event()
        except UnknownShard:
            self._finish()
            raise self._gone() from None
        except RecordLogError as error:
            self._finish()
            raise service_error(error) from error
        except BaseException:
            self._finish()
            raise
        if event is None:
            self._finish()
            raise StopAsyncIteration
        return EVENT, event

    async def aclose(self) -> None:
        """The subscriber is gone, or has heard the end."""
        self._finish()

    def end(self, error: ServiceError) -> None:
        """Tell the subscriber why it is over; he hears it next."""
        self._error = error
        if self._waiting is not None:
            self._waiting.cancel()

    def past_its_life(self, now_ms: int) -> bool:
        """True once it should have ended by itself."""
        return now_ms > self._ends_at_ms + MINUTE_MS

    def _finish(self) -> None:
        self._done = True
        if not self._left:
            self._left = True
            self._owner.leave(self)
            self._owner.exit(self._tip)

    async def _next_event(self) -> SubscribeToShardEvent | None:
        """The next event; None at the end of the subscription's life or of the shard."""
        loop, heartbeat_s = asyncio.get_running_loop(), self._owner.heartbeat_ms / 1000
        while True:
            if self._error is not None:
                raise self._error
            now_ms, now_s = self._runtime.clock.now_ms(), loop.time()
            if now_ms >= self._ends_at_ms:
                return None
            event = await self._event_now(now_ms, now_s)
            quiet_s = loop.time() - self._sent_at
            if event is None and quiet_s >= heartbeat_s:
                event = SubscribeToShardEvent([], self._continuation(), 0)
                self._count(0, 0, 0, now_ms)
            if event is not None:
                self._sent_at = loop.time()
                return event
            await self._wait(loop, min(heartbeat_s - quiet_s, (self._ends_at_ms - now_ms) / 1000))

    async def _event_now(self, now_ms: int, now_s: float) -> SubscribeToShardEvent | None:
        """The shared piece that begins here, what the log has, or None at the tip."""
        place, tip = self.place, self._tip
        await self._look_at_catalogue(now_ms)
        piece = tip.piece_at(place.ordinal, now_s)
        if piece is not None and piece.size_bytes <= self._owner.pace.left(self._key, PACE, now_ms)[1]:
            return self._take(piece, now_ms)
        if place.ordinal == tip.end and not tip.sealed:
            return None
        return await self._read(now_ms)

    async def _wait(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Until the shard has grown, the time is over, or end() is called."""
        if self._error is not None:
            return
        place = self.place
        future = self._tip.join(place.stream, place.shard, place.ordinal)
        timer = loop.call_later(max(0.001, timeout_s), _settle, future)
        try:
            await self._interruptible(future)
        finally:
            timer.cancel()
            self._tip.leave(future)

    def _take(self, piece: Piece, now_ms: int) -> SubscribeToShardEvent:
        self._owner.pace.spend(self._key, PACE, 0, piece.size_bytes, now_ms)
        self.place.ordinal, self.place.newest_ms = piece.next_offset, piece.newest_ms
        self._count(len(piece.event.records), piece.size_bytes, max(0, now_ms - piece.newest_ms), now_ms)
        return piece.event

    async def _read(self, now_ms: int) -> SubscribeToShardEvent | None:
        """An event of what the log has from here to where others stand, or None."""
        place = self.place
        max_bytes = await self._pace(now_ms)
        limits = (self._tip.records_to_next(place.ordinal), max_bytes)
        batch = await read(self._runtime.record_log, place.stream, place.shard, place.ordinal, now_ms, limits)
        place.ordinal = batch.next_offset
        if batch.slices:
            place.newest_ms = batch.slices[-1].arrival_ms
        if batch.at_end and (last := await self._last_event(batch, now_ms)) is not None:
            return last
        if not batch.slices:
            return None
        return self._event(batch, now_ms)

    def _event(self, batch: Batch, now_ms: int) -> SubscribeToShardEvent:
        records, size_bytes = records_of(self.place.shard, batch)
        self._owner.pace.spend(self._key, PACE, 0, size_bytes, now_ms)
        behind_ms = millis_behind(batch, now_ms)
        self._count(len(records), size_bytes, max(0, now_ms - self.place.newest_ms) if records else 0, now_ms)
        number = records[-1].sequence_number if records else self._continuation()
        return SubscribeToShardEvent(records, number, behind_ms)

    async def _last_event(self, batch: Batch, now_ms: int) -> SubscribeToShardEvent | None:
        """The event that ends the shard, once the rows know that it is closed and clients can find its children."""
        place = self.place
        if place.shard.closed_at_ms is None:
            stream = await self._runtime.part(Catalog).refresh(place.stream)
            if stream is None or not stream.gives_records:
                raise self._gone()
            place.stream, place.shard = stream, stream.by_key[place.shard.key]
        if place.shard.closed_at_ms is None:
            if not batch.slices:
                await self._interruptible(asyncio.sleep(CLOSING_S))
            return None
        event = self._event(batch, now_ms)
        event.continuation_sequence_number = None
        event.child_shards = children(place.stream, place.shard)
        self._done = True
        return event

    async def _look_at_catalogue(self, now_ms: int) -> None:
        """Stream, shard and consumer as they are now: the retention may have changed, or all may be gone."""
        place, catalog = self.place, self._runtime.part(Catalog)
        account_id, name = place.stream.account_id, place.stream.name
        stream = catalog.peek(account_id, name, now_ms) or await catalog.find(account_id, name, now_ms)
        if stream is place.stream:
            return
        shard = stream.by_key.get(place.shard.key) if stream is not None and stream.gives_records else None
        if stream is None or shard is None or shard.expired_at_ms is not None:
            raise self._gone()
        consumer = stream.consumers.get((place.consumer.name, place.consumer.created_s))
        if consumer is None or consumer.deleting:
            arn = f"arn:aws:kinesis:{stream.region}:{account_id}:stream/{name}/consumer/{place.consumer.name}"
            raise ResourceNotFoundException.consumer(f"{arn}:{place.consumer.created_s}", account_id)
        place.stream, place.shard, place.consumer = stream, shard, consumer

    def _gone(self) -> ResourceNotFoundException:
        place = self.place
        return ResourceNotFoundException.shard(place.shard.shard_id, place.stream.name, place.stream.account_id)

    def _continuation(self) -> str:
        """The number after which this place goes on: that of the record before it."""
        place = self.place
        if place.ordinal <= 1:
            return sequence.starting(place.shard.created_s, place.shard.index)
        return sequence.encode(place.shard.fixed, place.ordinal - 1, place.newest_ms // 1000)

    async def _pace(self, now_ms: int) -> int:
        """How many bytes the next event may have; waits while the consumer's 2 MiB/s are spent."""
        left = self._owner.pace.left(self._key, PACE, now_ms)[1]
        if left < PACE_STEP_BYTES:
            await self._interruptible(self._owner.sleep((PACE_STEP_BYTES - left) / FANOUT_BYTES_PER_S))
            left = PACE_STEP_BYTES
        return round(min(left, EVENT_BYTES_MAX))

    async def _interruptible(self, waiting: object) -> None:
        """Wait, unless end() is called meanwhile, or was while something else was done."""
        future = asyncio.ensure_future(waiting)  # type: ignore[call-overload]
        self._waiting = future
        try:
            if self._error is not None:
                raise self._error
            await future
        except asyncio.CancelledError:
            if self._error is None:
                raise
            raise self._error from None
        finally:
            self._waiting = None
            future.cancel()

    def _count(self, records: int, size_bytes: int, age_ms: int, now_ms: int) -> None:
        counters, stream, name = self._runtime.counters, self.place.stream, self.place.consumer.name
        counters.add_labelled(stream.team_id, stream.key, "SubscribeToShardEvent.Bytes", name, size_bytes)
        counters.add_labelled(stream.team_id, stream.key, "SubscribeToShardEvent.Records", name, records)
        counters.add_labelled(stream.team_id, stream.key, "SubscribeToShardEvent.MillisBehindLatest", name, age_ms)
        counters.add_labelled(stream.team_id, stream.key, "SubscribeToShardEvent.Success", name, 1)
        counters.add_shard_read(stream.team_id, stream.key, self.place.shard.index, size_bytes, records)
        self._owner.meters.add(of_stream(stream, PUSHED[stream.plan_at(now_ms)], name, now_ms), size_bytes)
        if stream.shard_level is not None:
            shard_level.count_read(counters, stream, self.place.shard.index, size_bytes, records)


class Subscriptions:
    """All of this process: `runtime.part(Subscriptions)`. heartbeat_ms and renew_s are shorter in tests, and
    sleep, by which the pacing waits, moves their clock."""

    def __init__(self, runtime: Runtime) -> None:
        self.heartbeat_ms: float = HEARTBEAT_MS
        self.renew_s = RENEW_S
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        # Pacing is not throttling across processes: a consumer and shard have one subscription, in one process.
        self.pace = LocalThrottle() if runtime.config.throttle else NoThrottle()
        self.meters = runtime.part(ReadMeters)
        self._runtime = runtime
        self._clock = runtime.clock
        self._owner = secrets.token_hex(8)
        self._live: dict[str, Subscription] = {}
        self._tips: dict[ShardKey, Tip] = {}
        self._renewer: asyncio.Task[None] | None = None
        self._swept_at_ms = 0

    def __len__(self) -> int:
        return len(self._live)

    async def begin(self, call: Call, place: Place) -> Subscription | None:
        """Subscribe, and end whoever was subscribed; None within five seconds of the last success."""
        counter = await in_thread(
            takeover.seize, LEASE_KIND, place.key, self._owner, call.now_ms, LEASE_MS, SUBSCRIBE_AGAIN_MS
        )
        if counter is None:
            return None
        self._end(place.key)
        if counter > 1 and place.key not in self.pace:
            # Another process has paced this consumer: what it left is not known, and is not given twice.
            self.pace.spend(place.key, PACE, 0, PACE.burst_bytes, call.now_ms)
        subscription = self._live[place.key] = Subscription(self, call, place, counter)
        if self._renewer is None or self._renewer.done():
            self._renewer = asyncio.create_task(self._renew(), name="subscriptions")
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """It is over. Its lease is not renewed any more; a new one is free to take it after the five seconds."""
        if self._live.get(subscription.place.key) is subscription:
            del self._live[subscription.place.key]

    def enter(self, shard: ShardKey) -> Tip:
        """One more subscription to a shard: its tip, which all of them share. Each leaves it by exit, once."""
        tip = self._tips.get(shard)
        if tip is None:
            tip = self._tips[shard] = Tip(self._runtime, shard)
        tip.members += 1
        return tip

    def exit(self, tip: Tip) -> None:
        """One subscription less; the last one takes the tip with it."""
        tip.members -= 1
        if not tip.members:
            self._tips.pop(tip.shard, None)
            tip.close()

    def close(self) -> None:
        """The process ends."""
        if self._renewer is not None:
            self._renewer.cancel()
        for tip in self._tips.values():
            tip.close()

    def _end(self, key: str) -> None:
        former = self._live.pop(key, None)
        if former is not None:
            former.end(taken_over(former.place))

    async def _renew(self) -> None:
        while self._live:
            await asyncio.sleep(self.renew_s)
            now_ms = self._clock.now_ms()
            held = {key: live for key, live in self._live.items() if not live.past_its_life(now_ms)}
            self._live = dict(held)
            try:
                kept = await in_thread(takeover.renew_all, LEASE_KIND, self._owner, list(held), now_ms, LEASE_MS)
                await self._sweep(now_ms)
            except Exception as error:  # noqa: BLE001 - nobody can have taken over through a database that is away
                logger.warning("subscriptions_not_renewed error=%r subscriptions=%s", error, len(held))
                continue
            for key, live in held.items():
                if kept.get(key) != live.counter and self._live.get(key) is live:
                    self._end(key)

    async def _sweep(self, now_ms: int) -> None:
        if not 0 <= now_ms - self._swept_at_ms < SWEEP_AFTER_MS:
            self._swept_at_ms = now_ms
            with suppress(Exception):
                await in_thread(takeover.sweep, LEASE_KIND, now_ms - SWEEP_AFTER_MS)


def taken_over(place: Place) -> ResourceInUseException:
    """What the one is told who comes too soon, and the one whose place was taken."""
    return ResourceInUseException.subscription_active(
        place.stream.account_id, place.stream.name, place.shard.shard_id, place.consumer.name
    )


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
