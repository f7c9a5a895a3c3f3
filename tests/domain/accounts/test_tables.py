"""The tables of an empty database are laid at once, those of an older one are migrated: both come to the same."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.signals import post_migrate

from apps.accounts.models import Team
from console import tables

HALF_WAY = [
    ("accounts", "0003_accesskey_identity"),
    ("access", "0002_append_only"),
    ("streams", "0002_lifecycle_metering_ingestion"),
]

OF_THE_DATABASE = """
SELECT format('%s.%s %s %s %s', relname, attname, format_type(atttypid, atttypmod), concat(attnotnull, attidentity),
        pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE conrelid > 0 AND connamespace = 'public'::regnamespace
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
COMMA = re.compile(r", (?=(?:\"|CONSTRAINT |UNIQUE |CHECK ))")
"""Between two columns or constraints of a CREATE TABLE of SQLite's."""
BY_CHANCE = {"id", "applied", "content_type_id"}
"""Columns that no two databases agree on."""


@contextmanager
def empty_database(name: str, tmp_path: Any) -> Iterator[None]:
    """The one that Django knows is another for as long as the block runs, one without tables."""
    connection.close()
    before = connection.settings_dict["NAME"]
    postgres = connection.vendor == "postgresql"
    if postgres:
        name = f"{before}_{name}"
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
            cursor.execute(f'CREATE DATABASE "{name}"')
    connection.settings_dict["NAME"] = name if postgres else tmp_path / name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        if postgres:
            with connection._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE "{name}"')


def schema() -> list[str]:
    """Tables with their columns in any order, constraints, indexes and triggers, each as the database says it."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(OF_THE_DATABASE)
            return sorted(row[0] for row in cursor.fetchall())
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        return sorted(f"{name}: {part}" for name, sql in cursor.fetchall() for part in sorted(parts(sql)))


def parts(sql: str) -> list[str]:
    if not sql.startswith("CREATE TABLE"):
        return [sql]
    return COMMA.split(sql.partition(" (")[2].removesuffix(")"))


def rows() -> dict[str, list[str]]:
    """What is in each table, but for what time and chance give."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            kept = [column[0] not in BY_CHANCE for column in cursor.description]
            found[table] = sorted(
                str(sorted(str(value) for value, keep in zip(row, kept, strict=True) if keep))
                for row in cursor.fetchall()
            )
    return found


def test_tables_laid_at_once_are_those_that_migrations_make(tmp_path, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        with empty_database("laid", tmp_path):
            call_command("migrate", verbosity=0)
            assert tables.lay("default") is False
            laid = schema(), rows()
        with empty_database("migrated", tmp_path):
            old = MigrationExecutor(connection).migrate(HALF_WAY).apps
            old.get_model("accounts", "Team").objects.create(
                account_id="111122223333", slug="old", name="Old", created_at_ms=7
            )
            tables.bring_up_to_date()
            assert Team.objects.get().created_at_ms == 7
            Team.objects.all().delete()
            migrated = schema(), rows()
    assert laid[0] == migrated[0]
    assert laid[1] == migrated[1]
    assert len(laid[0]) > 500


def test_of_two_who_begin_at_the_same_moment_one_lays_and_the_other_finds_them(
    tmp_path, django_db_setup, django_db_blocker
):
    """All of it: also the rows that Django's own apps add, which the other would add a second time."""
    announced = []

    def announce(sender: Any, **_: Any) -> None:
        announced.append((sender.label, connection.in_atomic_block))

    together = Barrier(2)

    def lay() -> bool:
        with connection.cursor():
            together.wait()
        try:
            return tables.lay("default")
        finally:
            connection.close()

    with django_db_blocker.unblock(), empty_database("twice", tmp_path), ThreadPoolExecutor(2) as threads:
        post_migrate.connect(announce)
        try:
            begun = [threads.submit(lay) for _ in range(2)]
            assert sorted(each.result() for each in begun) == [False, True]
        finally:
            post_migrate.disconnect(announce)
    assert ("contenttypes", True) in announced
    assert len(announced) == len(set(announced))
    assert all(locked for _, locked in announced)
