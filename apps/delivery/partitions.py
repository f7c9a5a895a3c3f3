"""Logs and lanes of what a process lane writes: one for each partition, one for each kind of error. They come with the
first record, and go when they have been empty for a while."""

from __future__ import annotations

import msgspec
from django.db import transaction

from apps.base.units import MINUTE_MS
from apps.delivery import lanes, meters
from apps.delivery.extents import Checkpoint
from apps.delivery.metrics import PARTITIONS_MAX
from apps.delivery.models import DeliveryLog, DeliveryStream, Lane, LaneRole, LogPurpose
from apps.delivery.trimming import KIND
from apps.leases import hold
from apps.leases.models import Lease
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime

IDLE_MS = 15 * MINUTE_MS
"""A log that has been empty for so long goes; the next record of its partition gets a new one. Not sooner, since what
comes and goes every few minutes would do nothing else."""

CHILDREN_MAX = 2_000
"""With more of them, those that have been empty for a minute go."""

WHO = "upkeep"
"""Who holds the lease of a process lane while its empty logs are removed."""

HOLD_MS = MINUTE_MS
RETIRE_MS = 3_000
"""So long the process lane waits for it at most."""


def label_of(partition_keys: dict[str, str] | None) -> str:
    """What a partition's lane is called; empty without partitions."""
    return msgspec.json.encode(sorted(partition_keys.items())).decode() if partition_keys else ""


def children_of(lane: Lane) -> dict[tuple[str, str], Lane]:
    """The lanes on a process lane's logs, by role and label."""
    return {(child.role, child.label): child for child in lane.children.filter(ended_at_ms__isnull=True)}


def room_for(runtime: Runtime, stream: DeliveryStream) -> int:
    """How many more partitions may become active. One is active while it holds what is not delivered."""
    rows = stream.lanes.filter(parent__isnull=False, role=LaneRole.DELIVER, ended_at_ms__isnull=True)
    children = dict(rows.values_list("pk", "log_key"))
    if len(children) < PARTITIONS_MAX:
        return PARTITIONS_MAX - len(children)
    leases = Lease.objects.filter(kind=KIND, key__in=[str(pk) for pk in children])
    done = {int(key): Checkpoint.of(kept).next_offset for key, kept in leases.values_list("key", "checkpoint")}
    active = runtime.wait_for(_holding(runtime, {log_key: done.get(pk, 1) for pk, log_key in children.items()}))
    return max(0, PARTITIONS_MAX - active)


async def _holding(runtime: Runtime, done: dict[int, int]) -> int:
    """How many of the logs have something at or after an offset."""
    active = 0
    for log_key, offset in done.items():
        try:
            active += (await runtime.record_log.bounds(log_key)).next_offset > offset
        except UnknownShard:
            continue
    return active


def open_child(runtime: Runtime, held: hold.Held, lane: Lane, role: str, label: str) -> Lane:
    """A log and a lane for what the process lane will write. The row is written before the log is made. Raises LeaseLost: two
    who think that they hold the process lane's lease would make two lanes for one partition."""
    now_ms = runtime.clock.now_ms()
    purpose = LogPurpose.FAILED if role == LaneRole.ERRORS else LogPurpose.PROCESSED
    with transaction.atomic():
        hold.confirm(held)
        kept = DeliveryLog.objects.create(delivery_stream=lane.delivery_stream, purpose=purpose, created_at_ms=now_ms)
        child = Lane.objects.create(
            delivery_stream=lane.delivery_stream, role=role, log_key=kept.log_key, parent=lane, label=label,
            source_shard=lane.source_shard, opened_at_ms=now_ms, used_at_ms=now_ms,
        )  # fmt: skip
        hold.ensure(KIND, str(child.pk), now_ms)
    runtime.wait_for(runtime.record_log.create(kept.log_key))
    return child


def marks_log(runtime: Runtime, lane: Lane) -> int:
    """Key of the log that marks how far a process lane is; its row id stands in the lane's label."""
    if not lane.label:
        with transaction.atomic():
            kept = DeliveryLog.objects.create(
                delivery_stream=lane.delivery_stream, purpose=LogPurpose.MARKS, created_at_ms=runtime.clock.now_ms()
            )
            Lane.objects.filter(pk=lane.pk).update(label=str(kept.pk))
        lane.label = str(kept.pk)
    log_key = DeliveryLog(pk=int(lane.label)).log_key
    runtime.wait_for(runtime.record_log.create(log_key))
    return log_key


def retire_idle(runtime: Runtime, stream: DeliveryStream) -> bool:
    """Remove the logs that have long been empty. Nobody writes to them meanwhile: the process lane's lease is taken, for
    RETIRE_MS at most. True if there may be more."""
    many = stream.lanes.filter(parent__isnull=False).count() > CHILDREN_MAX
    before_ms = runtime.clock.now_ms() - (MINUTE_MS if many else IDLE_MS)
    idle = stream.lanes.filter(parent__isnull=False, used_at_ms__lt=before_ms)
    more = False
    for parent in Lane.objects.filter(pk__in=idle.values("parent")):
        held = hold.take(KIND, str(parent.pk), WHO, HOLD_MS)
        if held is None:
            continue
        until_ms = runtime.clock.now_ms() + RETIRE_MS
        try:
            for child in idle.filter(parent=parent).order_by("used_at_ms") if held.pinned is None else ():
                if more := runtime.clock.now_ms() >= until_ms:
                    break
                _retire(runtime, held, child)
        finally:
            hold.release(held, runtime.clock.now_ms())
    _drop_left_over(runtime, stream)
    return more


def _drop_left_over(runtime: Runtime, stream: DeliveryStream) -> None:
    """Logs whose lane was removed when a crash came before they were dropped."""
    used = set(stream.lanes.values_list("log_key", flat=True))
    for row in stream.logs.filter(purpose__in=(LogPurpose.PROCESSED, LogPurpose.FAILED)):
        if row.log_key not in used:
            lanes.drop_log(runtime, row)


def _retire(runtime: Runtime, parent: hold.Held, child: Lane) -> None:
    """One of them, if it is empty. What it has metered is its parent's from then on."""
    lease = Lease.objects.filter(kind=KIND, key=str(child.pk)).first()
    if lease is None or lease.pinned is not None or lease.owner:
        return
    checkpoint = Checkpoint.of(lease.checkpoint)
    try:
        bounds = runtime.wait_for(runtime.record_log.bounds(child.log_key))
    except UnknownShard:
        bounds = None
    if bounds is not None and bounds.next_offset > checkpoint.next_offset:
        return
    row = DeliveryLog.objects.get(pk=child.log_key - DeliveryLog(pk=0).log_key)
    with transaction.atomic():
        if not Lease.objects.filter(pk=lease.pk, counter=lease.counter, owner="").delete()[0]:
            return
        metered = meters.together([parent.checkpoint.get("metered"), checkpoint.metered])
        hold.save_checkpoint(parent, {**parent.checkpoint, "metered": metered})
        child.delete()
    while lanes.drop_log(runtime, row):
        continue
