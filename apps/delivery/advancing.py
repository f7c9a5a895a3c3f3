"""A slice of work on a lane: what its role, and what is pinned, say."""

from __future__ import annotations

import structlog

from apps.delivery import error_log
from apps.delivery.delivering import Delivering
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.lanes import MAIN, main_role
from apps.delivery.models import DeliveryStreamStatus, Lane, LaneRole
from apps.delivery.processing_lane import ProcessingLane
from apps.delivery.reading import source_of
from apps.delivery.role_limits import check_read
from apps.delivery.shares import AGAIN_MS, Shares
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Shard

log = structlog.get_logger(__name__)

DENIED_AGAIN_MS = 30_000
"""After the source's role was found not to allow reading."""


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
    _follow_configuration(held, found)
    with runtime.part(Shares).of(stream.pk) as free:
        return _work(runtime, held, found, until_ms) if free else runtime.clock.now_ms() + AGAIN_MS


def _work(runtime: Runtime, held: Held, lane: Lane, until_ms: int) -> Progress | int:
    try:
        source = source_of(lane)
        if lane.role == LaneRole.PROCESS:
            return ProcessingLane(runtime, held, lane, source).run(until_ms)
        return Delivering(runtime, held, lane, source).run(until_ms)
    except (UnknownShard, Shard.DoesNotExist):
        return _end(runtime, lane)


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


def _follow_configuration(held: Held, lane: Lane) -> None:
    """Processors may have been switched on or off since: the lane goes on from where it is. What is pinned is finished
    first as it was begun."""
    if lane.role not in MAIN or lane.parent_id is not None or held.pinned is not None:
        return
    role = main_role(lane.delivery_stream)
    if role != lane.role:
        Lane.objects.filter(pk=lane.pk).update(role=role)
        lane.role = role


def _end(runtime: Runtime, lane: Lane) -> Progress:
    """The log is gone: the source stream was deleted, or the shard's retention is over."""
    message = "The source has gone; what it held and was not delivered yet is lost."
    if lane.oldest_waiting_ms is not None:
        error_log.note(lane.delivery_stream_id, "source", "SourceGone", message, runtime.clock.now_ms())
    Lane.objects.filter(pk=lane.pk).update(ended_at_ms=runtime.clock.now_ms(), oldest_waiting_ms=None)
    return Progress.DONE
