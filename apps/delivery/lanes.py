"""Lanes come and go: one on each log of the source for the destination (or the processors) and one for the backup."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q

from apps.delivery import extents
from apps.delivery.extents import Checkpoint
from apps.delivery.models import (
    DeliveryLog,
    DeliveryStream,
    DeliveryStreamStatus,
    Lane,
    LaneRole,
    LogPurpose,
    SourceType,
)
from apps.delivery.reading import Source
from apps.delivery.settings import backup_s3, processes
from apps.delivery.trimming import KIND
from apps.leases import hold
from apps.leases.models import Lease
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard

RECORDS_PER_DROP = 50_000
MAIN = (LaneRole.DELIVER, LaneRole.PROCESS)


def main_role(stream: DeliveryStream) -> str:
    """What is done with records of the source: processed first, or delivered at once."""
    return LaneRole.PROCESS if processes(stream.destination) else LaneRole.DELIVER


def open_direct(runtime: Runtime, stream: DeliveryStream) -> None:
    """The log that puts go to, and its lanes. May be repeated."""
    _open_log(runtime, stream, LogPurpose.DIRECT)


def open_shards(runtime: Runtime, stream: DeliveryStream) -> None:
    """Lanes on shards of the source stream that have none: what arrived from DeliveryStartTimestamp on is delivered."""
    if stream.source_stream_id is None:
        return
    known = stream.lanes.filter(source_shard__isnull=False).values_list("log_key", flat=True)
    rows = Shard.objects.filter(
        stream_id=stream.source_stream_id, opened_at_ms__isnull=False, expired_at_ms__isnull=True
    )
    since = Q(closed_at_ms__isnull=True) | Q(closed_at_ms__gte=stream.source["DeliveryStartTimestamp"])
    for shard in rows.filter(since).exclude(pk__in=list(known)).order_by("pk"):
        open_lanes(runtime, stream, shard.pk, shard.index)


def redrive_log(runtime: Runtime, stream: DeliveryStream) -> int:
    """Key of the log that failed records are put into once more: the direct one, or one beside the source stream's
    shards, which is made if there is none."""
    if stream.source_type == SourceType.DIRECT_PUT:
        return stream.logs.get(purpose=LogPurpose.DIRECT).log_key
    return _open_log(runtime, stream, LogPurpose.REDRIVE)


def _open_log(runtime: Runtime, stream: DeliveryStream, purpose: LogPurpose) -> int:
    """Key of the delivery stream's only log of this purpose, with its lanes; what is missing of both is made."""
    found = stream.logs.filter(purpose=purpose).first()
    if found is None:
        found = DeliveryLog.objects.create(
            delivery_stream=stream, purpose=purpose, created_at_ms=runtime.clock.now_ms()
        )
    runtime.wait_for(runtime.record_log.create(found.log_key))
    open_lanes(runtime, stream, found.log_key, None)
    return found.log_key


def open_lanes(runtime: Runtime, stream: DeliveryStream, log_key: int, shard: int | None) -> None:
    """The lanes on one log of the source that are not there yet: for the destination, and for the backup if there is one.

    A backup that is switched on later begins with what arrives from then on. May be repeated.
    """
    have = set(stream.lanes.filter(log_key=log_key, parent__isnull=True).values_list("role", flat=True))
    from_ms = 0 if shard is None else stream.source["DeliveryStartTimestamp"]
    wanted: dict[str, int] = {}
    if not have & set(MAIN):
        wanted[main_role(stream)] = from_ms
    if LaneRole.BACKUP not in have and backup_s3(stream.destination_type, stream.destination):
        wanted[LaneRole.BACKUP] = runtime.clock.now_ms() if have else from_ms
    starts = {role: _start(runtime, log_key, since_ms) for role, since_ms in wanted.items()}
    with transaction.atomic():  # together: a backup that comes after a crash would begin too late
        for role, start in starts.items():
            _open(runtime, stream, log_key, shard, role, start)


def _open(
    runtime: Runtime, stream: DeliveryStream, log_key: int, shard: int | None, role: str, start: Checkpoint
) -> None:
    now_ms = runtime.clock.now_ms()
    lane = Lane.objects.create(
        delivery_stream=stream, role=role, log_key=log_key, source_shard=shard, opened_at_ms=now_ms
    )
    hold.ensure(KIND, str(lane.pk), now_ms)
    Lease.objects.filter(kind=KIND, key=str(lane.pk)).update(checkpoint=start.kept())
    DeliveryStream.objects.filter(pk=stream.pk).update(version=F("version") + 1)


def _start(runtime: Runtime, log_key: int, from_ms: int) -> Checkpoint:
    """The checkpoint before the first record that arrived at from_ms or later."""
    first = runtime.wait_for(runtime.record_log.find(log_key, from_ms))
    bounds = runtime.wait_for(runtime.record_log.bounds(log_key))
    ahead = extents.scan(runtime, Source(log_key), first, 1 << 60) if first < bounds.next_offset else None
    stored_bytes = bounds.totals.size_bytes - (ahead.stored_bytes if ahead is not None else 0)
    return Checkpoint(first, max(0, stored_bytes))


def adopt_backup(runtime: Runtime, stream: DeliveryStream) -> None:
    """Lanes for a backup that an update has switched on."""
    if backup_s3(stream.destination_type, stream.destination) is None:
        return
    logs = stream.lanes.filter(parent__isnull=True, role__in=MAIN, ended_at_ms__isnull=True)
    for log_key, shard in list(logs.values_list("log_key", "source_shard")):
        open_lanes(runtime, stream, log_key, shard)


def activate(runtime: Runtime, stream: DeliveryStream) -> None:
    """Everything that a new delivery stream needs, then ACTIVE. May be repeated after a crash at any point."""
    if stream.source_type == SourceType.DIRECT_PUT:
        open_direct(runtime, stream)
    else:
        if "DeliveryStartTimestamp" not in stream.source:
            stream.source["DeliveryStartTimestamp"] = runtime.clock.now_ms()
            stream.save(update_fields=["source"])
        open_shards(runtime, stream)
    DeliveryStream.objects.filter(pk=stream.pk, status=DeliveryStreamStatus.CREATING).update(
        status=DeliveryStreamStatus.ACTIVE, version=F("version") + 1
    )


def close_all(runtime: Runtime, stream: DeliveryStream) -> bool:
    """Remove every lane, lease and log of a delivery stream; what it held is dropped, as with AWS. True once all is gone."""
    forget(stream)
    return all(not drop_log(runtime, row) for row in list(stream.logs.all()))


def forget(stream: DeliveryStream) -> None:
    """Remove its lanes and their leases."""
    for pk in stream.lanes.values_list("pk", flat=True):
        hold.remove(KIND, str(pk))
    stream.lanes.filter(parent__isnull=False).delete()
    stream.lanes.all().delete()


def drop_log(runtime: Runtime, row: DeliveryLog) -> bool:
    """Drop some of a log; True if there is more of it. The row goes last."""
    try:
        if runtime.wait_for(runtime.record_log.drop(row.log_key, RECORDS_PER_DROP)).more:
            return True
    except UnknownShard:
        pass
    row.delete()
    return False
