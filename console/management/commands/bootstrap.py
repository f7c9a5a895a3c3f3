"""`manage.py bootstrap`: tables, static files, and the first team. Idempotent; `up` does the same."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from apps.accounts.seed import Seeded, seed
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.base.datadir import StartRefused, prepare, unusable
from console import tables


class Command(BaseCommand):
    """Make tables, static files and the first team."""

    help = "Make or update the tables, gather static files, and make the first team from the settings."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run once before the parts of a cluster are started."""
        config = Config.from_environment()
        try:
            prepare(config)
            seeded = bootstrap(config)
        except StartRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Team {seeded.team.account_id} is ready; its first key is in {config.credentials_path}.")


def bootstrap(config: Config) -> Seeded:
    """All of it. Raises StartRefused with a sentence if the database cannot be used."""
    try:
        tables.bring_up_to_date()
        gather_static_files()
        return seed(config, SystemClock().now_ms())
    except DatabaseError as error:
        reason = str(error).strip().partition("\n")[0]
        advice = (
            "see that DATABASE_URL is right and the server runs"
            if config.database_url
            else "see that its disk has room"
        )
        raise StartRefused(f"The control database cannot be used ({reason}); {advice}.") from error
    except OSError as error:
        raise StartRefused(unusable(error)) from error
    finally:
        connections.close_all()


def gather_static_files() -> None:
    """Copy static files under hashed names to where the web server finds them."""
    settings.STATIC_ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
    call_command("collectstatic", verbosity=0, interactive=False)
