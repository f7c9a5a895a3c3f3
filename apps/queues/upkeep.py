"""What is done for every queue once a minute: settle what is due, forget what the stream's retention has ended, measure."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from apps.queues.changing import Changing, Looking, UnknownQueue
from apps.queues.deliveries import Place
from apps.queues.metrics import measure
from apps.queues.models import Queue
from apps.queues.store import QueueStore
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard
from apps.streams.retention import horizon_ms

log = structlog.get_logger(__name__)

ROWS_PER_CHANGE = 5_000
"""Deliveries removed in one transaction."""

GONE = 2**63
"""Beyond every offset."""


def look_after(runtime: Runtime, queue: Queue, until_ms: int) -> bool:
    """One round; True if there was more to do than there was time."""
    return runtime.wait_for(_look_after(runtime, queue, list(queue.stream.shards.all()), until_ms))


async def _look_after(runtime: Runtime, queue: Queue, shards: list[Shard], until_ms: int) -> bool:
    store = runtime.part(QueueStore)
    key, now_ms = queue.pk, runtime.clock.now_ms

    def settle(changing: Changing) -> bool:
        return changing.settle(key, queue.max_receive_count)

    try:
        while await store.change(settle):
            if now_ms() >= until_ms:
                return True
        new = 0
        known = {shard.pk: shard for shard in shards}
        for shard_key in {*store.look(lambda looking: looking.shards(key)), *known}:
            first, end = await _shown(runtime, queue, known.get(shard_key))
            while await store.change(_expiry(key, shard_key, first)):
                if now_ms() >= until_ms:
                    return True
            position = store.look(_position(key, shard_key))
            if shard_key not in known and position is not None:
                await store.change(_forgetting(key, shard_key))
            elif end:
                begin = position if position is not None else await runtime.record_log.find(shard_key, queue.start_ms)
                new += max(0, end - max(begin, first))
        counts = store.look(lambda looking: looking.state(key).counts)
    except UnknownQueue:
        # The store was lost (a record log begun anew, an older backup). The queue begins again where it was to begin:
        # at least once.
        await store.change(lambda changing: changing.make(key, queue.version))
        log.warning("queue_begun_again", queue=key)
        return False
    measure(runtime, queue, new + counts[Place.VISIBLE], counts[Place.IN_FLIGHT], counts[Place.DEAD_VISIBLE])
    return False


async def _shown(runtime: Runtime, queue: Queue, shard: Shard | None) -> tuple[int, int]:
    """(first offset that the retention still shows, the next one that the shard gives). Nothing is shown of a shard that
    has gone."""
    if shard is None or shard.expired_at_ms is not None:
        return GONE, 0
    horizon = horizon_ms(queue.stream, runtime.clock.now_ms())
    try:
        bounds = await runtime.record_log.bounds(shard.pk)
        first = await runtime.record_log.find(shard.pk, horizon) if bounds.oldest_ms < horizon else bounds.first_offset
    except UnknownShard:
        return 0, 0
    return first, bounds.next_offset


def _position(queue: int, shard: int) -> Callable[[Looking], int | None]:
    def position(looking: Looking) -> int | None:
        return looking.position(queue, shard)

    return position


def _expiry(queue: int, shard: int, before_offset: int) -> Callable[[Changing], bool]:
    def expire(changing: Changing) -> bool:
        return changing.expire(queue, shard, before_offset, ROWS_PER_CHANGE)

    return expire


def _forgetting(queue: int, shard: int) -> Callable[[Changing], None]:
    def forget(changing: Changing) -> None:
        changing.forget_shard(queue, shard)

    return forget
