"""`manage.py fsck`: walk the whole record log and check that it is what it should be."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.base.config import Config
from apps.recordlog.interface import RecordLogError
from apps.runtime import build

PATIENCE_S = 24 * 3_600.0


class Command(BaseCommand):
    """Check the record log."""

    help = "Walk all batches of the record log: offsets dense, times never back, totals equal to what is stored."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Say what was found; exit code 1 if anything is wrong. May run beside a serving Tidegate."""
        runtime = build(Config.from_environment())
        try:
            runtime.open_in_thread()
            verified = runtime.wait_for(runtime.record_log.verify(), PATIENCE_S)
        except RecordLogError as error:
            raise CommandError(str(error)) from error
        finally:
            runtime.close_in_thread()
        for problem in verified.problems:
            self.stderr.write(problem)
        self.stdout.write(f"{verified.shards} shards, {verified.batches} batches, {verified.records} records checked.")
        if verified.unopened:
            self.stdout.write(
                f"{verified.unopened} of the batches are encrypted under keys that may not be used now: what stands around "
                "their records was checked, the records were not."
            )
        if verified.problems:
            raise CommandError(f"{len(verified.problems)} problems found.")
