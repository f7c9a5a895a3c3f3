"""One receive: look what there is, claim some of it in the store, read it from the record log, hand it over.

The claim is durable before the records are read, so a crash at any point leaves records in flight that come back when
their time is over: at least once, and never acknowledged by anybody but a receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from apps.base.errors import InternalFailure, ServiceError, ServiceUnavailable
from apps.base.units import SECOND_MS
from apps.queues import handles
from apps.queues.changing import Looking, OldVersion, UnknownQueue
from apps.queues.deliveries import Claim, Glimpse, Offer, Received
from apps.queues.errors import not_found, too_many_in_flight
from apps.queues.store import QueueStore, StoreFull, StoreUnavailable
from apps.queues.views import QueueView, QueueViews
from apps.queues.waiting import Waiting
from apps.recordlog.interface import RecordLogError, UnknownShard
from apps.runtime import Call, Runtime
from apps.streams import sequence
from apps.streams.catalog import Catalog, ShardView, StreamView
from apps.streams.covering import TO_READ, check_key
from apps.streams.limits import GET_RECORDS_BYTES_MAX
from apps.streams.reading import read, service_error

ANSWER_BYTES_MAX = GET_RECORDS_BYTES_MAX
"""Keys and data of one answer, but for a larger first record; what does not go in stays in the queue."""

ROUNDS_MAX = 100
"""Claims of one look: each settles a thousand deliveries whose time has come."""

QUEUES_MAX = 10_000
"""Queues that a process remembers what it has seen of."""

Json = dict[str, Any]


class Wanted(NamedTuple):
    """What a receive asks for. visibility_ms None: the queue's own."""

    dead: bool
    limit: int
    visibility_ms: int | None


class Look(NamedTuple):
    """What a look at a queue gave. ends: of the shards that can still grow."""

    records: list[Json]
    full: bool
    ends: dict[int, int]


class Record(NamedTuple):
    """A record as it was read."""

    key: str | None
    data: bytes
    arrival_ms: int


@dataclass(slots=True)
class _Seen:
    """What this process knows of a queue: how many looks it had, and shards that have ended and are handed out."""

    turn: int = 0
    exhausted: set[int] = field(default_factory=set)


class Receiving:
    """One per process, used on the loop only: `runtime.part(Receiving)`. second_s is shorter in tests."""

    def __init__(self, runtime: Runtime) -> None:
        self.second_s = 1.0
        self._runtime = runtime
        self._log = runtime.record_log
        self._store = runtime.part(QueueStore)
        self._waiting = Waiting(self._log, self._glimpse, runtime.clock.now_ms)
        self._store.listen(self._waiting.rung)
        self._seen: dict[int, _Seen] = {}
        self._stopping = False

    def stop_waiting(self) -> None:
        """The process is told to stop: from now on each receive answers at once with what there is."""
        self._stopping = True
        self._waiting.stop()

    def close(self) -> None:
        """The process ends."""
        self._waiting.close()

    def _glimpse(self, queue: int, dead: bool) -> Glimpse:
        return self._store.look(lambda looking: looking.glimpse(queue, dead=dead))

    async def receive(
        self, call: Call, arn: str, limit: int, wait_s: int, visibility_s: int | None, *, dead: bool
    ) -> tuple[QueueView, Look]:
        """Up to limit records, waiting up to wait_s for the first. See the operations for the errors."""
        wanted = Wanted(dead, limit, None if visibility_s is None else visibility_s * SECOND_MS)
        deadline = asyncio.get_running_loop().time() + wait_s * self.second_s
        queue, look, rings = await self._try(call, arn, wanted)
        if look.full:
            raise too_many_in_flight(arn)
        if look.records:
            if len(look.records) == limit:
                self._waiting.pass_on(queue.key, dead=dead)
            return queue, look
        gone = asyncio.create_task(_gone(call), name="queue watches a client")
        try:
            return await self._wait(call, queue, look, rings, wanted, deadline, gone)
        finally:
            gone.cancel()

    async def _wait(
        self, call: Call, queue: QueueView, look: Look, rings: int, wanted: Wanted, deadline: float,
        gone: asyncio.Task[None],
    ) -> tuple[QueueView, Look]:  # fmt: skip
        """For the first record, until the deadline, or until the client is gone: what nobody would get stays in the queue."""
        loop, dead = asyncio.get_running_loop(), wanted.dead
        woken = False
        while not look.records and not self._stopping and (left_s := deadline - loop.time()) > 0:
            woken = await self._waiting.wait(queue.key, look.ends, rings, left_s, gone, dead=dead)
            if gone.done() or self._stopping:
                break
            try:
                queue, look, rings = await self._try(call, queue.arn, wanted)
            except BaseException:
                if woken:
                    self._waiting.pass_on(queue.key, dead=dead)
                raise
            if look.full:
                raise too_many_in_flight(queue.arn)
        if len(look.records) == wanted.limit or (woken and not look.records):
            self._waiting.pass_on(queue.key, dead=dead)
        return queue, look

    async def _try(self, call: Call, arn: str, wanted: Wanted) -> tuple[QueueView, Look, int]:
        """What there is now, and how many changes of the queue had been heard of before that look."""
        queue = await self._runtime.part(QueueViews).find(call, arn)
        rings = self._waiting.rings(queue.key)
        queue, look = await self._fenced(call, queue, wanted)
        return queue, look, rings

    async def _fenced(self, call: Call, queue: QueueView, wanted: Wanted) -> tuple[QueueView, Look]:
        """A look; with the settings read anew if the store says that they are old."""
        try:
            return queue, await self._look(call, queue, wanted)
        except (UnknownQueue, OldVersion):
            queue = await self._runtime.part(QueueViews).find(call, queue.arn, anew=True)
        except (StoreUnavailable, RecordLogError) as error:
            raise told(error) from error
        try:
            return queue, await self._look(call, queue, wanted)
        except (UnknownQueue, OldVersion):
            raise not_found(queue.arn, queue.account_id) from None
        except (StoreUnavailable, RecordLogError) as error:
            raise told(error) from error

    async def _look(self, call: Call, queue: QueueView, wanted: Wanted) -> Look:
        """What is there now."""
        ends: dict[int, int] = {}
        for _ in range(ROUNDS_MAX):
            stream = await self._stream(call, queue)
            offers: list[Offer] = []
            if not wanted.dead:
                stream, offers, ends = await self._offers(stream, queue, wanted.limit)
            if not offers and not self._glimpse(queue.key, wanted.dead).ready:
                break
            received = await self._claim(queue, wanted, offers)
            if received.claims:
                records = await self._hand_over(stream, queue, received.claims, dead=wanted.dead)
                if records:
                    return Look(records, full=False, ends=ends)
            elif received.full and not received.more:
                return Look([], full=True, ends=ends)
            elif not received.more and not offers:
                break
        return Look([], full=False, ends=ends)

    async def _claim(self, queue: QueueView, wanted: Wanted, offers: Sequence[Offer]) -> Received:
        new_first = bool(self._seen_of(queue).turn % 2)
        visibility_ms = queue.visibility_ms if wanted.visibility_ms is None else wanted.visibility_ms
        return await self._store.change(
            lambda changing: changing.receive(
                queue.key, queue.version, queue.max_receive_count, wanted.limit, visibility_ms, offers,
                dead=wanted.dead, new_first=new_first,
            )
        )  # fmt: skip

    # New records

    async def _stream(self, call: Call, queue: QueueView) -> StreamView:
        """The queue's stream, which cannot go before the queue does."""
        catalog, now_ms = self._runtime.part(Catalog), self._runtime.clock.now_ms()  # the call may have waited long
        stream = catalog.peek(queue.account_id, queue.stream_name, now_ms)
        if stream is None or stream.key != queue.stream_key:
            stream = await catalog.find(queue.account_id, queue.stream_name, now_ms)
        if stream is None or stream.key != queue.stream_key:
            raise UnknownQueue(queue.key)
        if stream.encryption is not None:
            check_key(call, stream.encryption, TO_READ)
        return stream

    def _seen_of(self, queue: QueueView) -> _Seen:
        seen = self._seen.get(queue.key)
        if seen is None:
            while len(self._seen) >= QUEUES_MAX:
                del self._seen[next(iter(self._seen))]
            seen = self._seen[queue.key] = _Seen()
        return seen

    async def _offers(
        self, stream: StreamView, queue: QueueView, limit: int
    ) -> tuple[StreamView, list[Offer], dict[int, int]]:
        """Shards with records that the queue has not handed out, enough for limit, beginning with another shard each
        time; and where the shards end. The stream is read anew if a shard has ended in children unknown here."""
        seen = self._seen_of(queue)
        seen.turn += 1
        for last in (False, True):
            offers: list[Offer] = []
            ends: dict[int, int] = {}
            unknown = False
            for shard, position in self._positions(stream, queue, seen):
                offer, end, successors = await self._offer(stream, queue, shard, position)
                if offer is not None:
                    offers.append(offer)
                elif successors is not None:
                    seen.exhausted.add(shard.key)
                if end is None:
                    continue
                if successors is None:
                    ends[shard.key] = end
                else:
                    unknown = unknown or not all(key in stream.by_key for key in successors)
                if sum(one.end - one.start for one in offers) >= limit:
                    break
            if last or not unknown:
                break
            stream = await self._runtime.part(Catalog).refresh(stream) or stream
        return stream, offers, ends

    def _positions(self, stream: StreamView, queue: QueueView, seen: _Seen) -> list[tuple[ShardView, int | None]]:
        shards = [
            shard for shard in stream.by_key.values() if shard.expired_at_ms is None and shard.key not in seen.exhausted
        ]
        first = seen.turn % len(shards) if shards else 0

        def positions(looking: Looking) -> list[int | None]:
            return [looking.position(queue.key, shard.key) for shard in shards]

        found = list(zip(shards, self._store.look(positions), strict=True))
        return found[first:] + found[:first]

    async def _offer(
        self, stream: StreamView, queue: QueueView, shard: ShardView, position: int | None
    ) -> tuple[Offer | None, int | None, list[int] | None]:
        """What of a shard is new to the queue; its end, None without a log; and its successors if it has ended."""
        try:
            bounds = await self._log.bounds(shard.key)
            horizon_ms = stream.horizon_ms(self._runtime.clock.now_ms())
            start = await self._log.find(shard.key, queue.start_ms) if position is None else position
            if start < bounds.next_offset and bounds.oldest_ms < horizon_ms:
                start = max(start, await self._log.find(shard.key, horizon_ms))
        except UnknownShard:  # prepared and not made yet, or dropped
            return None, None, None
        start = max(start, bounds.first_offset)
        offer = Offer(shard.key, start, bounds.next_offset) if start < bounds.next_offset else None
        successors = None if bounds.sealed is None else [successor.shard for successor in bounds.sealed]
        return offer, bounds.next_offset, successors

    # Handing over

    async def _hand_over(
        self, stream: StreamView, queue: QueueView, claims: Sequence[Claim], *, dead: bool
    ) -> list[Json]:
        """The records of the claims. Those past the retention leave the queue; those that do not go into the answer,
        and those that cannot be read, are given back."""
        if not all(claim.shard in stream.by_key for claim in claims):
            stream = await self._runtime.part(Catalog).refresh(stream) or stream
        try:
            found, kept = await self._read(stream, claims)
        except Exception as error:
            await self._store.change(lambda changing: changing.give_back(queue.key, claims, dead=dead))
            if isinstance(error, ServiceError):
                raise
            raise told(error) from error
        gone = [claim for claim in claims if claim not in found and claim not in kept]
        if gone:
            await self._store.change(lambda changing: changing.forget(queue.key, gone))
        if kept:
            await self._store.change(lambda changing: changing.give_back(queue.key, kept, dead=dead))
        return [_answer(queue, stream.by_key[claim.shard], claim, found[claim]) for claim in claims if claim in found]

    async def _read(self, stream: StreamView, claims: Iterable[Claim]) -> tuple[dict[Claim, Record], set[Claim]]:
        """What could be read of the claims' records, and the claims that are to be given back: there was no room, or their
        records cannot be read. Raises RecordLogError if none can."""
        found: dict[Claim, Record] = {}
        kept: set[Claim] = set()
        failure: RecordLogError | None = None
        bytes_left = ANSWER_BYTES_MAX
        for shard_key, of_shard in groupby(sorted(claims), key=attrgetter("shard")):
            shard = stream.by_key.get(shard_key)
            if shard is None:
                continue
            for run in _runs(list(of_shard)):
                if bytes_left <= 0:
                    kept.update(run)
                    continue
                try:
                    records, next_offset = await self._read_run(stream, shard, run, bytes_left)
                except RecordLogError as error:
                    kept.update(run)
                    failure = error
                    continue
                found.update(records)
                kept.update(claim for claim in run if claim.offset >= next_offset)
                bytes_left -= sum(len(record.data) + len(record.key or "") for record in records.values())
        if failure is not None and not found:
            raise failure
        return found, kept

    async def _read_run(
        self, stream: StreamView, shard: ShardView, run: Sequence[Claim], bytes_max: int
    ) -> tuple[dict[Claim, Record], int]:
        """The records of neighbouring claims, as many as go in, and the offset before which all was looked at."""
        by_offset = {claim.offset: claim for claim in run}
        found: dict[Claim, Record] = {}
        first, beyond = run[0].offset, run[-1].offset + 1
        limits = (beyond - first, bytes_max)
        try:
            batch = await read(self._log, stream, shard, first, self._runtime.clock.now_ms(), limits)
        except UnknownShard:
            return {}, beyond
        for part in batch.slices:
            for number in range(len(part.records) // 2):
                claim = by_offset.get(part.first + number)
                if claim is not None:
                    key, data = part.records[2 * number : 2 * number + 2]
                    found[claim] = Record(key, data, part.arrival_ms)  # type: ignore[arg-type]
        return found, max(batch.next_offset, first)


async def _gone(call: Call) -> None:
    """Returns when the caller has hung up; never for calls from inside."""
    if call.source is None:
        await asyncio.get_running_loop().create_future()
    await call.source.gone()


def _runs(claims: list[Claim]) -> Iterable[list[Claim]]:
    """Claims of one shard in order, cut where their offsets are no neighbours."""
    run: list[Claim] = []
    for claim in claims:
        if run and claim.offset != run[-1].offset + 1:
            yield run
            run = []
        run.append(claim)
    yield run


def _answer(queue: QueueView, shard: ShardView, claim: Claim, record: Record) -> Json:
    """AWS's QueueRecord. RecordId is the record's sequence number: the same in every delivery and every queue."""
    answer: Json = {
        "ReceiptHandle": handles.issue(queue.key, claim.shard, claim.offset, claim.receipt),
        "RecordId": sequence.encode(shard.fixed, claim.offset, record.arrival_ms // SECOND_MS),
        "Data": record.data,
        "ApproximateArrivalTimestamp": record.arrival_ms,
        "FirstReceiveTimestamp": claim.first_received_ms,
        "ReceiveCount": claim.receive_count,
    }
    if record.key is not None:
        answer["PartitionKey"] = record.key
    return answer


def told(error: Exception) -> ServiceError:
    """What a caller is told of a store or a log in trouble. Clients retry all of them."""
    if isinstance(error, StoreFull):
        return ServiceUnavailable("The store of queues is full. Nothing was changed.")
    return service_error(error) if isinstance(error, RecordLogError) else InternalFailure()
