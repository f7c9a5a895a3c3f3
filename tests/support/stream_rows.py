"""Streams as finished rows and log shards, without the lifecycle worker: for tests of the data plane."""

from __future__ import annotations

import itertools

from django.db import transaction

from apps.accounts.models import Team
from apps.recordlog.interface import Successor
from apps.runtime import Runtime
from apps.streams import time_meters
from apps.streams.models import Shard, Stream, StreamStatus
from apps.streams.topology import even_ranges

_numbers = itertools.count()


def make_stream(team: Team, name: str = "s", shards: int = 1, now_ms: int = 1_795_163_467_000, **fields) -> Stream:
    """Rows of an ACTIVE stream. Its log shards are still to be made: `await create_log(runtime, stream)`."""
    stream = Stream.objects.create(
        team=team,
        region="us-east-1",
        name=name,
        stream_id=f"{next(_numbers):020d}-abc",
        created_at_ms=now_ms,
        next_shard_index=shards,
        **{"status": StreamStatus.ACTIVE, **fields},
    )
    time_meters.begin(stream, now_ms)
    for index, (start, end) in enumerate(even_ranges(shards)):
        add_shard(stream, index, start, end, now_ms // 1000 - 3, opened_at_ms=now_ms)
    return stream


def add_shard(stream: Stream, index: int, start: int, end: int, created_s: int, **fields) -> Shard:
    """One more row."""
    return Shard.objects.create(
        stream=stream, index=index, start_hash=str(start), end_hash=str(end), created_s=created_s, **fields
    )


async def create_log(runtime: Runtime, keys: list[int]) -> None:
    """The log shards of rows."""
    for key in keys:
        await runtime.record_log.create(key)


def prepare_children(stream: Stream, parents: list[Shard], ranges: list[tuple[int, int]]) -> list[Shard]:
    """Rows of children that nobody may see yet, as the lifecycle makes them before it seals."""
    created_s = max([p.created_s for p in parents] + [1_795_163_467]) + 1
    children = []
    for start, end in ranges:
        index = stream.next_shard_index
        stream.next_shard_index += 1
        children.append(
            add_shard(
                stream, index, start, end, created_s, parent_index=parents[0].index,
                adjacent_parent_index=parents[1].index if len(parents) > 1 else None,
            )
        )  # fmt: skip
    stream.save()
    return children


async def seal(runtime: Runtime, parents: list[Shard], children: list[Shard]) -> None:
    """Close the parents in the log; the rows do not know yet."""
    heirs = [Successor(c.id, int(c.start_hash), int(c.end_hash)) for c in children]
    await runtime.record_log.seal([p.id for p in parents], heirs)


def tell_rows(stream: Stream, parents: list[Shard], children: list[Shard], now_ms: int) -> None:
    """What the lifecycle saves after the seal, in one transaction as there."""
    with transaction.atomic():
        Shard.objects.filter(id__in=[p.id for p in parents]).update(closed_at_ms=now_ms)
        Shard.objects.filter(id__in=[c.id for c in children]).update(opened_at_ms=now_ms)
        stream.version += 1
        stream.save()
