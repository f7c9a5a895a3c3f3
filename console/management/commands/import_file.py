"""manage.py import_file STREAM FILE: put every line of a file into a stream, and watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from apps.base.clock import SystemClock
from apps.base.errors import ServiceError
from apps.streams import ingestion
from console.management.jobs import team_named, watch


class Command(BaseCommand):
    """See the module."""

    help = "Put every line of a file into a data stream as a record of its own, each exactly once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py import_file --help` prints them."""
        parser.add_argument("stream", help="name of the data stream")
        parser.add_argument("file", type=Path, help="file whose lines become records, without their line feeds")
        parser.add_argument("--team", default="", help="short name or account id; needed if there are several")
        parser.add_argument("--key", default="", help="partition key of all lines: keeps them in order, in one shard")
        parser.add_argument("--key-field", type=int, default=0, help="take each line's key from this field, from 1")
        parser.add_argument("--detach", action="store_true", help="do not watch the job")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Upload, ask for the job, watch it."""
        import workers.app  # noqa: F401 - where the hint to the workers goes

        team = team_named(options["team"])
        path: Path = options["file"]
        try:
            with path.open("rb") as file:
                kept = ingestion.upload(settings.CONFIG, file)
        except OSError as error:
            raise CommandError(f"{path} cannot be read or kept ({error.strerror}).") from error
        try:
            job = ingestion.start_import(
                team, options["stream"], kept, path.name, SystemClock().now_ms(), options["key"], options["key_field"]
            )
        except ServiceError as error:
            kept.unlink(missing_ok=True)
            raise CommandError(str(error.message)) from error
        if not options["detach"]:
            watch(job, Console())
