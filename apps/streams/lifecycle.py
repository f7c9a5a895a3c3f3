"""A stream's life after the call: CREATING → ACTIVE, UPDATING → ACTIVE by the plan's steps, DELETING → gone; and its
consumers'. One slice of work at a time, each step repeatable after a crash at any point.

How one resharding step goes, and why it may be repeated:

1. *Prepare*, one transaction: the children's rows, with numbers, ranges and creation second. They are not opened, so no
   client sees them; the version rises, so that the data plane can find them by their key.
2. *Make* the children's logs. Making one twice changes nothing.
3. *Seal* the parents' logs with the children as successors, both parents of a merge in one commit. From this commit on
   puts go to the children: the refusal itself names them. Sealing twice answers the first end.
4. *Save*, one transaction: the parents' end, the children opened. The plan's step is done when its boundary is there (or gone).

A crash after 1, 2 or 3 leaves prepared rows behind; the next slice finds them and goes on with the same ones, so the
children named by the seal are always the children in the rows. Every write of 1 and 4 demands the version that was
read, so of two workers (one of them overtaken) only one moves the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from django.db import transaction
from django.db.models import F

from apps.base.units import SECOND_MS
from apps.encryption import data_keys
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.metrics.models import StreamName
from apps.recordlog.interface import Successor
from apps.runtime import Runtime
from apps.streams import retirement, storage_meters, time_meters, topology
from apps.streams.models import Consumer, ConsumerStatus, Shard, Stream, StreamStatus
from apps.streams.retention import LOOK_AGAIN_MS

log = structlog.get_logger(__name__)

SHARDS_PER_ROUND = 200
"""Logs made at once, in one or few commits, while a stream is being created."""


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of the life of the stream whose row id is the lease's key."""
    while True:
        stream = Stream.objects.filter(pk=int(held.key)).first()
        if stream is None:
            hold.remove(held.kind, held.key)
            return Progress.DONE
        due_at_ms = _consumers(runtime, stream)
        if not _advance(runtime, stream, until_ms):
            return due_at_ms or Progress.DONE
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE


def _advance(runtime: Runtime, stream: Stream, until_ms: int) -> bool:
    """One step; False if the stream wants none."""
    match stream.status:
        case StreamStatus.CREATING:
            _create(runtime, stream)
        case StreamStatus.UPDATING:
            _reshard(runtime, stream)
        case StreamStatus.DELETING:
            _delete(runtime, stream, until_ms)
        case _:
            return False
    return True


def _create(runtime: Runtime, stream: Stream) -> None:
    """Make the logs of some shards that have none, or, when all have one, turn the stream ACTIVE."""
    shards = list(stream.shards.filter(opened_at_ms__isnull=True).order_by("index")[:SHARDS_PER_ROUND])
    now_ms = runtime.clock.now_ms()
    if shards:
        _make_logs(runtime, shards)
        _open(stream, shards, now_ms)
        return
    moved = Stream.objects.filter(pk=stream.pk, status=StreamStatus.CREATING)
    if moved.update(status=StreamStatus.ACTIVE, version=F("version") + 1):
        log.info("stream_created", stream=stream.pk)


def _open(stream: Stream, shards: Sequence[Shard], now_ms: int) -> None:
    """Shards of a new stream are there, and are metered from now on; unless the stream was deleted meanwhile."""
    with transaction.atomic():
        row = Stream.objects.select_for_update(no_key=True).get(pk=stream.pk)
        if row.status != StreamStatus.CREATING:
            return
        at_ms = time_meters.moment(row, now_ms)
        if not row.metered_states:
            time_meters.begin(row, at_ms)
        Shard.objects.filter(pk__in=[s.pk for s in shards], opened_at_ms__isnull=True).update(opened_at_ms=at_ms)
        for shard in shards:
            _watch_retention(shard, now_ms)


def _make_logs(runtime: Runtime, shards: Sequence[Shard]) -> None:
    async def make() -> None:
        await asyncio.gather(*(runtime.record_log.create(shard.pk) for shard in shards))

    runtime.wait_for(make())


def _watch_retention(shard: Shard, now_ms: int) -> None:
    hold.ensure("retention", str(shard.pk), now_ms + LOOK_AGAIN_MS)


def _reshard(runtime: Runtime, stream: Stream) -> None:
    """The plan's next step, or, when there is none, turn the stream ACTIVE."""
    open_now = stream.shards.filter(opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    keys = {(int(start), int(end)): key for start, end, key in open_now.values_list("start_hash", "end_hash", "pk")}
    step, plan = topology.next_step(stream.plan, list(keys))
    if step is None:
        _move(stream, plan=[], status=StreamStatus.ACTIVE)
        return
    ranges = topology.parents_of(step, keys)
    rows = stream.shards.in_bulk([keys[r] for r in ranges])
    children = list(stream.shards.filter(opened_at_ms__isnull=True).order_by("index"))
    if not Stream.objects.filter(pk=stream.pk, version=stream.version).exists():
        return  # somebody moved the stream while it was read: what was read may not belong together
    parents = [rows[keys[r]] for r in ranges]
    if children:
        _carry_out(runtime, stream, plan, parents, children)
    else:
        _prepare(runtime, stream, parents, topology.children_of(step, ranges))


def _prepare(runtime: Runtime, stream: Stream, parents: Sequence[Shard], ranges: Sequence[topology.Range]) -> None:
    """Write the children's rows. The slice's next round finds them and goes on."""
    created_s = topology.created_second(runtime.clock.now_ms(), (parent.created_s for parent in parents))
    with transaction.atomic():
        if not _move(stream, next_shard_index=stream.next_shard_index + len(ranges)):
            return
        Shard.objects.bulk_create(
            Shard(
                stream=stream,
                index=stream.next_shard_index + number,
                start_hash=str(start),
                end_hash=str(end),
                created_s=created_s,
                parent_index=parents[0].index,
                adjacent_parent_index=parents[1].index if len(parents) > 1 else None,
            )
            for number, (start, end) in enumerate(ranges)
        )


def _carry_out(
    runtime: Runtime, stream: Stream, plan: topology.Plan, parents: Sequence[Shard], children: Sequence[Shard]
) -> None:
    """Make the children's logs, seal the parents', save both. The plan's step is found done when it is looked for."""
    assert [parent.index for parent in parents] == [
        index for index in (children[0].parent_index, children[0].adjacent_parent_index) if index is not None
    ], (parents, children)
    _make_logs(runtime, children)
    successors = [Successor(child.pk, int(child.start_hash), int(child.end_hash)) for child in children]
    ends = runtime.wait_for(runtime.record_log.seal([parent.pk for parent in parents], successors))
    closed_at_ms = topology.closing_time(max(at_ms for _, at_ms in ends), children[0].created_s)
    with transaction.atomic():
        if not _move(stream, plan=plan):
            return
        stream.refresh_from_db(fields=["metered_to_ms"])
        closed_at_ms = time_meters.moment(stream, runtime.clock.now_ms(), closed_at_ms)
        Shard.objects.filter(pk__in=[s.pk for s in parents]).update(closed_at_ms=closed_at_ms)
        Shard.objects.filter(pk__in=[s.pk for s in children]).update(opened_at_ms=closed_at_ms)
        for child in children:
            _watch_retention(child, runtime.clock.now_ms())
    log.info("step_done", stream=stream.pk, parents=[p.index for p in parents], children=[c.index for c in children])


def _move(stream: Stream, **values: object) -> bool:
    """Change the stream's row if it is still the UPDATING one that was read; False if somebody else was first."""
    row = Stream.objects.filter(pk=stream.pk, version=stream.version, status=StreamStatus.UPDATING)
    return bool(row.update(version=F("version") + 1, **values))


def _consumers(runtime: Runtime, stream: Stream) -> int | None:
    """CREATING ones become ACTIVE, DELETING ones go; when to look again, if at all.

    A name may be registered again only in another second than before, because the ARN carries the second and must be
    another one.
    """
    now_ms = runtime.clock.now_ms()
    due_at_ms: int | None = None
    if stream.status not in (StreamStatus.ACTIVE, StreamStatus.UPDATING):
        return None
    for consumer in stream.consumers.exclude(status=ConsumerStatus.ACTIVE):
        if consumer.status == ConsumerStatus.CREATING:
            _activate(consumer)
        elif (again_ms := (consumer.created_at_ms // SECOND_MS + 1) * SECOND_MS) > now_ms:
            due_at_ms = min(again_ms, due_at_ms or again_ms)
        else:
            _remove_consumer(stream, consumer)
    return due_at_ms


def _activate(consumer: Consumer) -> None:
    with transaction.atomic():
        Consumer.objects.filter(pk=consumer.pk, status=ConsumerStatus.CREATING).update(status=ConsumerStatus.ACTIVE)
        Stream.objects.filter(pk=consumer.stream_id).update(version=F("version") + 1)


def _remove_consumer(stream: Stream, consumer: Consumer) -> None:
    """Its time was booked when it was deregistered."""
    with transaction.atomic():
        consumer.delete()
        Stream.objects.filter(pk=stream.pk).update(version=F("version") + 1)


def _delete(runtime: Runtime, stream: Stream, until_ms: int) -> None:
    """Remove its consumers, its shards one by one, then its row. Its time was booked by DeleteStream; its storage is booked
    when its last log has been read."""
    _remove_consumers(runtime, stream)
    for shard in stream.shards.select_related("stream").order_by("index")[:SHARDS_PER_ROUND]:
        if not retirement.retire(runtime, shard, until_ms) or runtime.clock.now_ms() >= until_ms:
            return
    with transaction.atomic():
        if stream.shards.exists():
            return
        storage_meters.finish(stream, runtime.clock.now_ms())
        data_keys.forget_all(stream.pk)
        StreamName.objects.create(
            team_id=stream.team_id, name=stream.name, stream_id=stream.pk, deleted_at_ms=runtime.clock.now_ms()
        )
        Stream.objects.filter(pk=stream.pk).delete()
        hold.remove("lifecycle", str(stream.pk))
    log.info("stream_deleted", stream=stream.pk)


def _remove_consumers(runtime: Runtime, stream: Stream) -> None:
    with transaction.atomic():
        time_meters.end(stream, runtime.clock.now_ms())  # of one whose deletion began before there were states
        if stream.consumers.exists():
            stream.consumers.all().delete()
            Stream.objects.filter(pk=stream.pk).update(version=F("version") + 1)
