"""manage.py replay FROM TO --since TIME --until TIME: put a stream's records of a time range into another, and watch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from apps.base.clock import SystemClock
from apps.base.errors import ServiceError
from apps.streams import ingestion
from console.management.jobs import team_named, watch


def milliseconds(text: str) -> int:
    """UTC milliseconds of an ISO 8601 time; without an offset it is taken for UTC. Raises CommandError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text} is not a time; write it like 2026-11-20T09:30:00.") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


class Command(BaseCommand):
    """See the module."""

    help = "Put the records of a time range of one data stream into another, keys and order kept, each exactly once."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py replay --help` prints them."""
        parser.add_argument("source", help="name of the data stream to read")
        parser.add_argument("target", help="name of the data stream to write")
        parser.add_argument("--since", default="1970-01-01", help="first arrival time, ISO 8601, UTC; all if not given")
        parser.add_argument("--until", default="", help="last arrival time; now if not given")
        parser.add_argument("--team", default="", help="short name or account id; needed if there are several")
        parser.add_argument("--detach", action="store_true", help="do not watch the job")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask for the job, watch it."""
        import workers.app  # noqa: F401 - where the hint to the workers goes

        now_ms = SystemClock().now_ms()
        until_ms = milliseconds(options["until"]) if options["until"] else now_ms
        try:
            job = ingestion.start_replay(
                team_named(options["team"]),
                options["source"],
                options["target"],
                milliseconds(options["since"]),
                until_ms,
                now_ms,
            )
        except ServiceError as error:
            raise CommandError(str(error.message)) from error
        if not options["detach"]:
            watch(job, Console())
