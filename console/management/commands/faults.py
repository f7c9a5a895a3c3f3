"""manage.py faults STREAM: make a share of a stream's calls fail or wait, to test how its clients retry."""

from __future__ import annotations

import getpass
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.streams.errors import InvalidArgumentException
from apps.streams.faults import LATENCY_MS_MAX, Faults, faults_of, set_faults
from apps.streams.models import Stream
from console.management.jobs import team_named


class Command(BaseCommand):
    """See the module."""

    help = "Show or set the faults of a data stream: calls that are throttled, fail or wait on purpose."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The arguments; `manage.py faults --help` prints them."""
        parser.add_argument("stream", help="name of the data stream")
        parser.add_argument("--throttle", type=float, help="percent of calls (PutRecords: of records) to throttle")
        parser.add_argument("--errors", type=float, help="percent of calls to answer with InternalFailure")
        parser.add_argument("--latency", type=int, help=f"milliseconds to add to each call, {LATENCY_MS_MAX} at most")
        parser.add_argument("--off", action="store_true", help="none of it any more")
        parser.add_argument("--team", default="", help="short name or account id; needed if there are several")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Set what was given, leave the rest as it is, and say what is on now."""
        team = team_named(options["team"])
        stream = Stream.objects.filter(team=team, name=options["stream"]).first()
        if stream is None:
            raise CommandError(f"Team {team.slug} has no data stream {options['stream']}.")
        now = faults_of(stream.faults) or Faults()
        changes = {
            "throttle_percent": options["throttle"],
            "error_percent": options["errors"],
            "latency_ms": options["latency"],
        }
        given = {name: value for name, value in changes.items() if value is not None}
        if options["off"] and given:
            raise CommandError("--off turns everything off; give it alone.")
        if options["off"] or given:
            now = Faults() if options["off"] else replace(now, **given)
            try:
                set_faults(stream, now, f"{getpass.getuser()} (manage.py)")
            except InvalidArgumentException as error:
                raise CommandError(str(error.message)) from error
        self.stdout.write(f"Faults of {stream.name}: {now.sentence()}.")
