"""The tables of the control database: laid at once where there are none, migrated where there are some.

An empty database has nothing to be moved. So its tables are made as the last migrations leave them, in one transaction, and all
migrations are noted as done: a twentieth of the work of going through them. tests/domain/accounts/test_tables.py holds the
outcome of both ways against each other.
"""

from __future__ import annotations

from typing import Final

from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections
from django.db.migrations import RunPython
from django.db.migrations.executor import MigrationExecutor

MAKE: Final = {"install", "make"}
"""What functions of migrations are called that make something beside the tables of models (triggers, the table of the cache), as
an empty database needs it, too. The others move rows."""

LAYING: Final = 0x7469646567617465
"""The lock of who lays tables: whoever begins at the same moment finds them made."""


def bring_up_to_date(alias: str = "default") -> None:
    """Make or migrate the tables; a look is enough where they are."""
    executor = MigrationExecutor(connections[alias])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", database=alias, verbosity=0, interactive=False)


def lay(alias: str) -> bool:
    """Make all that migrations make, and note these as done: all of it or nothing. False, and nothing is done, if there is any
    table already."""
    connection = connections[alias]
    with connection.schema_editor() as editor:
        if connection.vendor == "postgresql":  # SQLite lets one write at a time
            editor.execute("SELECT pg_advisory_xact_lock(%s)", [LAYING])
        if connection.introspection.table_names():
            return False
        executor = MigrationExecutor(connection)
        loader = executor.loader
        made = loader.project_state().apps
        for model in made.get_models():
            meta = model._meta  # noqa: SLF001 - Django's documented name
            if meta.app_label in loader.migrated_apps and meta.can_migrate(connection):
                editor.create_model(model)
        for migration, _backwards in executor.migration_plan(loader.graph.leaf_nodes()):
            for step in migration.operations:
                if isinstance(step, RunPython) and getattr(step.code, "__name__", "") in MAKE:
                    step.code(made, editor)
        done = executor.recorder.Migration
        editor.create_model(done)
        done.objects.using(alias).bulk_create(done(app=app, name=name) for app, name in sorted(loader.disk_migrations))
        while editor.deferred_sql:  # indexes and foreign keys, before there are rows that they are about
            editor.execute(editor.deferred_sql.pop(0))
        # Django's own apps add content types and permissions: still under the lock, or whoever waits for it would add them, too.
        emit_post_migrate_signal(verbosity=0, interactive=False, db=alias)
    return True
