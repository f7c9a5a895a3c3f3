"""A delivery stream's life after the call: CREATING → ACTIVE, DELETING → gone; its lanes follow the source meanwhile.

Each step may be repeated after a crash at any point. The lease (kind `delivery-streams`, key the row id) is due once a
minute for upkeep, and whenever somebody has changed something.
"""

from __future__ import annotations

import structlog
from django.db import transaction

from apps.base.units import MINUTE_MS, SECOND_MS
from apps.delivery import channel_tables, encryption, lanes, meters, metrics
from apps.delivery.models import DeliveryJob, DeliveryStream, DeliveryStreamStatus, LogPurpose, SourceType
from apps.delivery.partitions import retire_idle
from apps.delivery.settings import COPIES_KIND
from apps.delivery.trimming import trim_log, trim_marks
from apps.encryption.data_keys import forget_all
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

UPKEEP_EVERY_MS = MINUTE_MS
MORE_AGAIN_MS = 10 * SECOND_MS
TABLE_AGAIN_MS = 5 * SECOND_MS
"""After a channel's table could not be made."""


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice for the delivery stream whose row id is the lease's key."""
    stream = DeliveryStream.objects.select_related("team", "source_stream").filter(pk=int(held.key)).first()
    if stream is None:
        hold.remove(held.kind, held.key)
        return Progress.DONE
    match stream.status:
        case DeliveryStreamStatus.CREATING:
            _advance_encryption(stream)
            if not channel_tables.prepare(runtime, stream):
                return runtime.clock.now_ms() + TABLE_AGAIN_MS
            lanes.activate(runtime, stream)
            meters.ensure(runtime.clock.now_ms())
            log.info("delivery_stream_created", delivery_stream=stream.pk)
        case DeliveryStreamStatus.ACTIVE | DeliveryStreamStatus.UPDATING:
            if _look_after(runtime, stream):
                return runtime.clock.now_ms() + MORE_AGAIN_MS
        case DeliveryStreamStatus.DELETING:
            return _delete(runtime, held, stream, until_ms)
        case _:
            return Progress.DONE
    return runtime.clock.now_ms() + UPKEEP_EVERY_MS


def _look_after(runtime: Runtime, stream: DeliveryStream) -> bool:
    """True if there is more to do than a minute can wait for."""
    _advance_encryption(stream)
    if stream.status == DeliveryStreamStatus.UPDATING:
        DeliveryStream.objects.filter(pk=stream.pk, status=DeliveryStreamStatus.UPDATING).update(
            status=DeliveryStreamStatus.ACTIVE, version=stream.version + 1
        )
    if stream.source_type != SourceType.DIRECT_PUT and stream.source_stream_id is not None:
        lanes.open_shards(runtime, stream)
    lanes.adopt_backup(runtime, stream)
    more = retire_idle(runtime, stream)
    for row in stream.logs.all():
        if row.purpose == LogPurpose.MARKS:
            trim_marks(runtime, row.log_key)
        else:
            trim_log(runtime, stream, row.log_key)
    return more


def _advance_encryption(stream: DeliveryStream) -> None:
    if stream.encryption.get("Status") not in {encryption.ENABLING, encryption.DISABLING}:
        return
    with transaction.atomic():
        row = DeliveryStream.objects.select_for_update().select_related("team").get(pk=stream.pk)
        if encryption.advance(row):
            DeliveryStream.objects.filter(pk=row.pk).update(version=row.version + 1)
    stream.refresh_from_db()


def _seal(runtime: Runtime, log_key: int) -> None:
    try:
        runtime.wait_for(runtime.record_log.seal([log_key], []))
    except UnknownShard:
        return  # never made, or dropped by an earlier attempt


def _delete(runtime: Runtime, held: Held, stream: DeliveryStream, until_ms: int) -> Progress:
    for row in stream.logs.filter(purpose=LogPurpose.DIRECT):
        _seal(runtime, row.log_key)  # what another process still puts is refused, so that the reading is the last one
    with transaction.atomic():
        meters.finish(runtime, stream)
        lanes.forget(stream)
    while not lanes.close_all(runtime, stream):
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
    with transaction.atomic():
        for job in DeliveryJob.objects.filter(delivery_stream=stream):
            hold.remove("delivery-jobs", str(job.pk))
        hold.remove(COPIES_KIND, str(stream.pk))
        metrics.retire(stream, runtime.clock.now_ms())
        forget_all(encryption.data_key_owner(stream.pk))
        stream.delete()
        hold.remove(held.kind, held.key)
    log.info("delivery_stream_deleted", delivery_stream=held.key)
    return Progress.DONE
