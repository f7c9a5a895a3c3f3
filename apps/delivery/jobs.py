"""Jobs of delivery streams: asked for here, worked on in slices (workers/delivery_jobs.py), stopped by anybody who may.

A job is a row; its checkpoint is in its lease (kind `delivery-jobs`, key the row id). What a kind does in a slice is its
own module's affair: demo.py, redrive.py.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from django.db import transaction

from apps.delivery.errors import LimitExceededException, ResourceInUseException
from apps.delivery.models import DeliveryJob, DeliveryStream, DeliveryStreamStatus, JobKind, JobStatus
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

KIND: Final = "delivery-jobs"
"""Of their leases."""

UNFINISHED: Final = (JobStatus.WAITING, JobStatus.RUNNING)

JOBS_MAX: Final = 10
"""Unfinished ones of one delivery stream."""

Json = dict[str, Any]


def start(delivery_stream: DeliveryStream, kind: str, parameters: Json, total: int, now_ms: int) -> DeliveryJob:
    """Ask for a job. Raises ResourceInUseException (not active), LimitExceededException."""
    with transaction.atomic():
        row = DeliveryStream.objects.select_for_update(no_key=True).select_related("team").get(pk=delivery_stream.pk)
        if row.status != DeliveryStreamStatus.ACTIVE:
            raise ResourceInUseException.not_active(row.name, row.team.account_id, row.status)
        if DeliveryJob.objects.filter(delivery_stream=row, status__in=UNFINISHED).count() >= JOBS_MAX:
            raise LimitExceededException(f"{row.name} has {JOBS_MAX} jobs under way already.")
        job = DeliveryJob.objects.create(
            delivery_stream=row, kind=kind, parameters=parameters, total=total, created_at_ms=now_ms
        )
        hold.ensure(KIND, str(job.pk), now_ms)
        wake(KIND, str(job.pk))
    return job


def cancel(job: DeliveryJob, now_ms: int) -> bool:
    """Stop a job after the piece it is at; what it has done stays. False if it has ended already."""
    rows = DeliveryJob.objects.filter(pk=job.pk, status__in=UNFINISHED)
    changed = rows.update(status=JobStatus.CANCELLED, finished_at_ms=now_ms)
    if changed:
        hold.ensure(KIND, str(job.pk), now_ms)  # the next slice removes the lease
        wake(KIND, str(job.pk))
    return bool(changed)


def finish(held: Held, job: DeliveryJob, status: str, error: str, now_ms: int) -> Progress:
    """The end of a job, and of its lease."""
    rows = DeliveryJob.objects.filter(pk=job.pk, status__in=UNFINISHED)
    rows.update(status=status, error=error, finished_at_ms=now_ms)
    hold.remove(held.kind, held.key)
    log.info("delivery_job_ended", job=job.pk, job_kind=job.kind, status=status, error=error)
    return Progress.DONE


def delivery_stream_of(held: Held) -> int:
    """Row id of the delivery stream whose job this is; 0: there is no such job any more."""
    found = DeliveryJob.objects.filter(pk=int(held.key)).values_list("delivery_stream_id", flat=True).first()
    return found or 0


def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of the job whose row id is the lease's key."""
    rows = DeliveryJob.objects.select_related("delivery_stream__team", "delivery_stream__source_stream")
    job = rows.filter(pk=int(held.key)).first()
    if job is None or job.status not in UNFINISHED:
        hold.remove(held.kind, held.key)
        return Progress.DONE
    if job.delivery_stream.status != DeliveryStreamStatus.ACTIVE:
        text = f"{job.delivery_stream.name} is not active any more."
        return finish(held, job, JobStatus.FAILED, text, runtime.clock.now_ms())
    if job.status == JobStatus.WAITING:
        job.status = JobStatus.RUNNING
        DeliveryJob.objects.filter(pk=job.pk, status=JobStatus.WAITING).update(status=JobStatus.RUNNING)
    match job.kind:
        case JobKind.DEMO:
            from apps.delivery.demo import advance as send_demo_data

            return send_demo_data(runtime, held, job, until_ms)
        case JobKind.REDRIVE:
            from apps.delivery.redrive import advance as redrive

            return redrive(runtime, held, job, until_ms)
        case _:
            return finish(held, job, JobStatus.FAILED, f"No job is called {job.kind}.", runtime.clock.now_ms())
