"""`manage.py migrate`: Django's, but that an empty database gets its tables at once (console/tables.py)."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from console import tables

STEPS = ("app_label", "check_unapplied", "fake", "fake_initial", "plan", "prune")
"""Who asks for one of these wants the migrations themselves."""


class Command(migrate.Command):
    """Make or migrate the tables."""

    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Until every migration is done."""
        if not any(options[name] for name in STEPS) and tables.lay(options["database"]):
            if options["verbosity"]:
                self.stdout.write("All tables are laid.")
            return
        super().handle(*args, **options)
