"""Jobs that people ask for and stop: imports, replays, redrives, demo data, each with its entry in the audit trail.

The entry stands with what the job puts into or delivers from: a data stream or a delivery stream.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Team
from apps.delivery import demo, redrive
from apps.delivery import jobs as delivery_jobs
from apps.delivery.models import DeliveryJob, DeliveryStream
from apps.streams import ingestion
from apps.streams.models import Ingestion, IngestionKind

SHOWN_OF_A_SOURCE = {"name": "file", "key_field": "keyField", "from_ms": "fromMs", "to_ms": "toMs"}
"""Of an Ingestion's source, what the trail tells, and how it calls it. A partition key is data, and stays out."""


@transaction.atomic
def start_import(
    by: Actor, team: Team, stream_name: str, path: Path, name: str, *, key: str = "", key_field: int = 0
) -> Ingestion:
    """As ingestion.start_import, whose errors it raises."""
    job = ingestion.start_import(team, stream_name, path, name, by.at_ms, key=key, key_field=key_field)
    changes.write(by, "StartImport", _target(job), None, _ingestion(job))
    return job


@transaction.atomic
def start_replay(by: Actor, team: Team, from_stream: str, to_stream: str, from_ms: int, to_ms: int | None) -> Ingestion:
    """As ingestion.start_replay, whose errors it raises. to_ms: None: until now."""
    until_ms = by.at_ms if to_ms is None else to_ms
    job = ingestion.start_replay(team, from_stream, to_stream, from_ms, until_ms, by.at_ms)
    changes.write(by, "StartReplay", _target(job), None, _ingestion(job))
    return job


@transaction.atomic
def cancel_ingestion(by: Actor, job: Ingestion) -> bool:
    """Stop an import or a replay. False if it has ended already."""
    before = _ingestion(job)
    cancelled = ingestion.cancel(job, by.at_ms)
    if cancelled:
        job.refresh_from_db()
        changes.write(by, "CancelJob", _target(job), before, _ingestion(job))
    return cancelled


@transaction.atomic
def start_redrive(
    by: Actor, delivery_stream: DeliveryStream, error_type: str, from_ms: int, to_ms: int | None
) -> DeliveryJob:
    """As redrive.start, whose errors it raises."""
    job = redrive.start(delivery_stream, by.at_ms, error_type, from_ms, to_ms)
    changes.write(by, "StartRedrive", str(delivery_stream.arn), None, _delivery(job))
    return job


@transaction.atomic
def start_demo_data(by: Actor, delivery_stream: DeliveryStream, rate: int, total: int) -> DeliveryJob:
    """As demo.start, whose errors it raises."""
    job = demo.start(delivery_stream, rate, total, by.at_ms)
    changes.write(by, "StartDemoData", str(delivery_stream.arn), None, _delivery(job))
    return job


@transaction.atomic
def cancel_delivery_job(by: Actor, job: DeliveryJob) -> bool:
    """Stop a redrive or demo data. False if it has ended already."""
    before = _delivery(job)
    cancelled = delivery_jobs.cancel(job, by.at_ms)
    if cancelled:
        job.refresh_from_db()
        changes.write(by, "CancelJob", str(job.delivery_stream.arn), before, _delivery(job))
    return cancelled


def _target(job: Ingestion) -> str:
    """The stream that records are put into; one that is deleted by now is named without its region."""
    return str(job.target.arn) if job.target is not None else f"stream/{job.target_name}"


def _ingestion(job: Ingestion) -> dict[str, Any]:
    told: dict[str, Any] = {"job": job.pk, "kind": job.kind, "status": job.status, "target": job.target_name}
    names = {**SHOWN_OF_A_SOURCE, "name": "source"} if job.kind == IngestionKind.REPLAY else SHOWN_OF_A_SOURCE
    return {**told, **{names[name]: value for name, value in job.source.items() if name in names and value}}


def _delivery(job: DeliveryJob) -> dict[str, Any]:
    told = {"job": job.pk, "kind": job.kind, "status": job.status, **job.parameters}
    return {**told, "total": job.total} if job.total else told
