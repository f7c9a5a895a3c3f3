"""`manage.py compact`: give the room that trimmed records left in the log's file back to the file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from apps.base.config import Config
from apps.base.datadir import StartRefused, find, lock
from apps.recordlog.interface import RecordLogError
from apps.recordlog.lmdb_compact import DATA, Compacted, compact

QUEUES = "queues"
"""Folder of the store of queues' positions, within the log's."""


class Command(BaseCommand):
    """Make the record log's file small again."""

    help = (
        "Rewrite the record log without the room that trimmed records left in it. Stop Tidegate before; it needs room "
        "for the copy, and is safe to be killed at any moment."
    )
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Rewrite the log and the queues' store, and say what came of it; exit code 1 if nothing was done."""
        config = Config.from_environment()
        scheme, _, place = config.record_log.partition(":")
        if scheme != "lmdb":
            raise CommandError("The record log is not in a file; there is nothing to compact.")
        console = Console()
        folder = Path(place).expanduser().absolute()
        try:
            find(config)
            held = lock(config)
            try:
                self._compact(folder, "Record log", console)
                if (folder / QUEUES / DATA).exists():
                    self._compact(folder / QUEUES, "Queues", console)
            finally:
                os.close(held)
        except (StartRefused, RecordLogError) as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _compact(folder: Path, name: str, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(name, total=None)

            def told(what: str, done: int, total: int) -> None:
                progress.update(bar, description=f"{name}: {what.lower()}", completed=done, total=total)

            done = compact(folder, told)
        console.print(sentence(name, done))


def sentence(name: str, done: Compacted) -> str:
    """What came of it."""
    kept = ", ".join(
        f"{count:,} {database}" for database, count in done.entries.items() if count and database != "about"
    )
    return f"{name}: {decimal(done.before_bytes)} before, {decimal(done.after_bytes)} now. The same in both: {kept}."
