"""Imports and replays on the command line: find the team, and watch a job with a progress bar."""

from __future__ import annotations

import threading

from django.core.management.base import CommandError
from django.db.models import Q
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from apps.accounts.models import Team
from apps.streams.ingestion import UNFINISHED
from apps.streams.models import Ingestion, IngestionStatus

LOOK_EVERY_S = 0.5
NOBODY_AFTER_LOOKS = 20
"""So long without a worker taking the job: say so."""


def team_named(text: str) -> Team:
    """The team by short name or account id; without either, the only one there is. Raises CommandError."""
    teams = list(Team.objects.filter(Q(slug=text) | Q(account_id=text)) if text else Team.objects.all()[:2])
    if len(teams) == 1:
        return teams[0]
    if text:
        raise CommandError(f"There is no team {text}.")
    raise CommandError("Name the team with --team: its short name or its account id.")


def watch(job: Ingestion, console: Console) -> None:
    """Show the job's progress until it ends. Raises CommandError if it failed. Ctrl-C stops watching, not the job."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"), TimeRemainingColumn(),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(f"{job.kind} → {job.target_name}", total=None, records=0)
            looks = 0
            while job.status in UNFINISHED:
                threading.Event().wait(LOOK_EVERY_S)
                job.refresh_from_db()
                looks += 1
                if looks == NOBODY_AFTER_LOOKS and job.status == IngestionStatus.WAITING:
                    progress.console.print("No worker has taken the job yet. Is Tidegate running (make up)?")
                total = job.total or None
                progress.update(bar, completed=job.done, total=total, records=job.records)
    except KeyboardInterrupt:
        console.print(f"Job {job.pk} goes on without being watched.")
        return
    if job.status != IngestionStatus.COMPLETE:
        raise CommandError(f"Job {job.pk} is {job.status}. {job.error}".strip())
    console.print(f"Job {job.pk} is complete: {job.records:,} records, {job.size_bytes:,} bytes.")
