"""Logs of delivery streams' own give back their room: what every lane on a log has done is removed."""

from __future__ import annotations

from apps.base.units import HOUR_MS
from apps.delivery.extents import Checkpoint
from apps.delivery.models import DeliveryJob, DeliveryStream, JobStatus, Lane, SourceType
from apps.leases.models import Lease
from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime

HELD_MS = 24 * HOUR_MS
"""As AWS: what was put and could not be delivered for so long is lost."""

RECORDS_PER_TRIM = 50_000
KIND = "delivery"
"""Of a lane's lease."""


def held_ms(stream: DeliveryStream) -> int:
    """How long what is not delivered is held: from a data stream as long as that would."""
    source = stream.source_stream
    if stream.source_type == SourceType.DIRECT_PUT or source is None:
        return HELD_MS
    return max(HELD_MS, source.retention_hours * HOUR_MS)


def trim_log(runtime: Runtime, stream: DeliveryStream, log_key: int) -> None:
    """Remove what all lanes on the log are past, and what has been held for too long; bounded work."""
    lanes = [str(pk) for pk in Lane.objects.filter(log_key=log_key).values_list("pk", flat=True)]
    kept = Lease.objects.filter(kind=KIND, key__in=lanes).values_list("checkpoint", flat=True)
    arrivals = [Checkpoint.of(checkpoint).arrival_ms for checkpoint in kept]
    arrivals += _pinned_by_jobs(log_key)
    _trim(runtime, log_key, max(min(arrivals, default=0), runtime.clock.now_ms() - held_ms(stream)))


def trim_marks(runtime: Runtime, log_key: int) -> None:
    """Remove all marks but the newest, which says what is stored, however long ago that was."""
    try:
        bounds = runtime.wait_for(runtime.record_log.bounds(log_key))
    except UnknownShard:
        return
    _trim(runtime, log_key, bounds.newest_ms)


def _trim(runtime: Runtime, log_key: int, before_ms: int) -> None:
    try:
        bounds = runtime.wait_for(runtime.record_log.bounds(log_key))
        if bounds.first_offset < bounds.next_offset and bounds.oldest_ms < before_ms:  # a trim is a commit
            runtime.wait_for(runtime.record_log.trim(log_key, before_ms, RECORDS_PER_TRIM))
    except UnknownShard:
        return


def _pinned_by_jobs(log_key: int) -> list[int]:
    """Since when jobs have been about to append to the log: what they may have stored must stay known to it."""
    jobs = DeliveryJob.objects.filter(
        delivery_stream__lanes__log_key=log_key, status__in=(JobStatus.WAITING, JobStatus.RUNNING)
    )
    keys = [str(pk) for pk in jobs.values_list("pk", flat=True)]
    pins = Lease.objects.filter(kind="delivery-jobs", key__in=keys, pinned__isnull=False).values_list(
        "pinned", flat=True
    )
    return [pin["at_ms"] for pin in pins if pin and "at_ms" in pin]
