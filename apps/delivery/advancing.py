"""A slice of work on a lane: what its role, and what is pinned, say."""

from __future__ import annotations

import structlog
from django.db import DatabaseError, transaction

from apps.delivery import error_log, metrics
from apps.delivery.delivering import Delivering
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.lanes import MAIN, main_role
from apps.delivery.models import DeliveryStreamStatus, Lane, LaneRole
from apps.delivery.processing_lane import ProcessingLane
from apps.delivery.reading import source_of
from apps.delivery.role_limits import check_read
from apps.delivery.settings import backup_s3
from apps.delivery.shares import AGAIN_MS, Shares
from apps.delivery.targets import part_of
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import KeyUnavailable, RecordLogError, UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard

log = structlog.get_logger(__name__)

DENIED_AGAIN_MS = 30_000
"""After the source's role was found not to allow reading."""

UNREADABLE_AGAIN_MS = 10_000
"""After the record log, or a key of it, could not be used."""


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice for the lane whose row id is the lease's key. A paused delivery stream's lanes do nothing; neither do those
    of one that is not ACTIVE."""
    lane = Lane.objects.select_related("delivery_stream__team", "delivery_stream__source_stream__team")
    found = lane.filter(pk=int(held.key)).first()
    if found is None:
        hold.remove(held.kind, held.key)
        return Progress.DONE
    stream = found.delivery_stream
    serves = stream.status in {DeliveryStreamStatus.ACTIVE, DeliveryStreamStatus.UPDATING}
    if found.ended_at_ms is not None or not serves or stream.paused_at_ms is not None:
        return Progress.DONE
    if _may_not_read(runtime, found):
        return runtime.clock.now_ms() + DENIED_AGAIN_MS
    if not _follow_configuration(held, found):
        return Progress.DONE
    with runtime.part(Shares).of(stream.pk) as free:
        return _work(runtime, held, found, until_ms) if free else runtime.clock.now_ms() + AGAIN_MS


def _work(runtime: Runtime, held: Held, lane: Lane, until_ms: int) -> Progress | int:
    """The slice. What stops it is said in the error log, for people to see."""
    try:
        source = source_of(lane)
        if lane.role == LaneRole.PROCESS:
            return ProcessingLane(runtime, held, lane, source).run(until_ms)
        return Delivering(runtime, held, lane, source).run(until_ms)
    except (UnknownShard, Shard.DoesNotExist):
        return _end(runtime, held, lane)
    except RecordLogError as error:
        return _cannot_read(runtime, lane, error)
    except (hold.LeaseLost, DatabaseError):
        raise
    except Exception as error:
        message = f"The work failed inside Tidegate ({type(error).__name__}); its log says more."
        error_log.note(lane.delivery_stream_id, _part(lane), "InternalError", message, runtime.clock.now_ms())
        raise


def _part(lane: Lane) -> str:
    return "processing" if lane.role == LaneRole.PROCESS else part_of(lane)


def _cannot_read(runtime: Runtime, lane: Lane, error: RecordLogError) -> int:
    """The record log, or the key of what is in it, cannot be used now. Nothing is given up for it."""
    now_ms = runtime.clock.now_ms()
    code, message = "InternalError", str(error)
    if isinstance(error, KeyUnavailable):
        code, message = "KMSKeyUnavailable", str(error.reason)
        if (metric := metrics.KEY_METRICS.get(getattr(error.reason, "code", ""))) is not None:
            metrics.count(runtime.counters, lane.delivery_stream.team_id, lane.delivery_stream_id, metric, 1)
    error_log.note(lane.delivery_stream_id, _part(lane), code, message, now_ms)
    Lane.objects.filter(pk=lane.pk, failing_since_ms__isnull=True).update(failing_since_ms=now_ms)
    return now_ms + UNREADABLE_AGAIN_MS


def _may_not_read(runtime: Runtime, lane: Lane) -> bool:
    """True, and a line in the error log, if the role of the source exists and its policies deny reading the stream."""
    stream = lane.delivery_stream
    if lane.source_shard is None or not stream.source.get("RoleARN"):
        return False
    source = stream.source
    try:
        check_read(stream.team_id, stream.team.account_id, source["RoleARN"], source.get("KinesisStreamARN", ""))
    except DeliveryFailed as denied:
        error_log.note(stream.pk, "source", denied.code, denied.message, runtime.clock.now_ms())
        return True
    return False


def _follow_configuration(held: Held, lane: Lane) -> bool:
    """Processors may have been switched on or off since: the lane goes on from where it is. What is pinned is finished
    first as it was begun. False: it is the lane of a backup that there is no more, and has gone."""
    if lane.parent_id is not None or held.pinned is not None:
        return True
    stream = lane.delivery_stream
    if lane.role == LaneRole.BACKUP and backup_s3(stream.destination_type, stream.destination) is None:
        with transaction.atomic():
            hold.confirm(held)
            hold.remove(held.kind, held.key)
            Lane.objects.filter(pk=lane.pk).delete()
        return False
    role = main_role(stream)
    if lane.role in MAIN and role != lane.role:
        Lane.objects.filter(pk=lane.pk).update(role=role)
        lane.role = role
    return True


def _end(runtime: Runtime, held: Held, lane: Lane) -> Progress:
    """The log is gone: the source stream was deleted, or the shard's retention is over. A child's is about to be made, or
    goes together with its lane."""
    if lane.parent_id is not None:
        return Progress.DONE
    message = "The source has gone; what it held and was not delivered yet is lost."
    if lane.oldest_waiting_ms is not None or held.pinned is not None:
        error_log.note(lane.delivery_stream_id, "source", "SourceGone", message, runtime.clock.now_ms())
    with transaction.atomic():
        hold.save_checkpoint(held, held.checkpoint)
        Lane.objects.filter(pk=lane.pk).update(ended_at_ms=runtime.clock.now_ms(), oldest_waiting_ms=None)
    return Progress.DONE
