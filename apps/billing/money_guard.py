"""The database's own guard over what is billed: triggers that refuse to change what is final.

* Usage of a team's frozen month (by hour, by day, of the commitment) is neither added to, changed nor removed.
* A bill, its lines, what it took of credits, corrections and the row that freezes a month are written once.
* Where a LeavingTeam says that a team is being deleted, its usage, corrections and uses of credits go, and its bills lose it.

They stand below everything that this program or anybody with its rights to the tables does by mistake; only who may drop
triggers gets past them. On PostgreSQL usage is looked at once a statement, on SQLite row by row.

SQLite rebuilds a table for most changes of its columns and constraints: that drops its triggers, and fails where triggers of
others name it. So a migration that changes one of these tables, or accounts_leavingteam, begins with `remove` and ends with
`install` in a RunPython, as 0008 has them; the tests begin by asking what is `missing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

TEXT: Final = "what is billed never changes"

USAGE: Final = {
    "billing_usagehour": "hour_ms",
    "billing_usageday": "day_ms",
    "billing_committedhour": "hour_ms",
}
"""Tables of usage, and the column that says when."""

ONCE: Final[Mapping[str, str]] = {
    "billing_bill": "FALSE",
    "billing_billline": "FALSE",
    "billing_correction": "EXISTS (SELECT 1 FROM accounts_leavingteam WHERE team_id = OLD.team_id)",
    "billing_frozenmonth": "EXISTS (SELECT 1 FROM accounts_leavingteam WHERE team_id = OLD.team_id)",
    "billing_credituse": "EXISTS (SELECT 1 FROM billing_bill b JOIN accounts_leavingteam l ON l.team_id = b.team_id"
    " WHERE b.id = OLD.bill_id)",
}
"""Tables whose rows are written once, and when a row may go."""

REPLACED: Final = {
    "billing_bill": "id = NEW.id OR number = NEW.number",
    "billing_billline": "id = NEW.id OR (bill_id = NEW.bill_id AND position = NEW.position)",
    "billing_correction": "id = NEW.id",
    "billing_frozenmonth": "id = NEW.id",
    "billing_credituse": "id = NEW.id OR (credit_id = NEW.credit_id AND bill_id = NEW.bill_id)",
}
"""The rows that SQLite's REPLACE takes away without asking a trigger of DELETE."""

LEAVES: Final = "NEW.team_id IS NULL AND EXISTS (SELECT 1 FROM accounts_leavingteam WHERE team_id = OLD.team_id)"
"""The one change of a bill."""


def install(connection: Any) -> None:
    """Set the guard, anew if it is set. connection: Django's, of either database."""
    remove(connection)
    _run(connection, _postgres(connection) if connection.vendor == "postgresql" else _sqlite(connection))


def remove(connection: Any) -> None:
    """Take the guard away: to set it anew, and for tests, which empty their tables."""
    on = " ON {}" if connection.vendor == "postgresql" else ""
    _run(connection, (f"DROP TRIGGER IF EXISTS {name}{on.format(table)}" for name, table in _names(connection).items()))


def missing(connection: Any) -> list[str]:
    """The triggers that are not there; empty if the guard stands."""
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if connection.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    with connection.cursor() as cursor:
        cursor.execute(query)
        there = {name for (name,) in cursor.fetchall()}
    return sorted(set(_names(connection)) - there)


def _names(connection: Any) -> dict[str, str]:
    """The triggers' names, with their tables."""
    last = "truncate" if connection.vendor == "postgresql" else "replace"
    names = {f"{table}_no_{what}": table for table in USAGE for what in ("insert", "update", "delete")}
    names |= {f"{table}_no_{what}": table for table in ONCE for what in ("update", "delete", last)}
    if connection.vendor == "postgresql":
        names |= {f"{table}_no_truncate": table for table in USAGE}
    return names | {"billing_bill_no_other_team": "billing_bill"}


def _columns(connection: Any, table: str) -> str:
    """All that a row says; of bills all but whose they are."""
    with connection.cursor() as cursor:
        found = [column.name for column in connection.introspection.get_table_description(cursor, table)]
    return ", ".join(name for name in found if (table, name) != ("billing_bill", "team_id"))


def _run(connection: Any, statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _sqlite(connection: Any) -> Iterable[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{TEXT}'); END"
    for table, at in USAGE.items():

        def frozen(row: str, at: str = at) -> str:
            month = f"strftime('%Y-%m', {row}.{at} / 1000, 'unixepoch')"
            return f"EXISTS (SELECT 1 FROM billing_frozenmonth WHERE team_id = {row}.team_id AND month = {month})"  # noqa: S608 - names of this file

        leaving = "EXISTS (SELECT 1 FROM accounts_leavingteam WHERE team_id = OLD.team_id)"
        moved = f"(NEW.{at} <> OLD.{at} OR NEW.team_id <> OLD.team_id)"
        # After: an INSERT that becomes an UPDATE on a conflict, as booking's are, is looked at once.
        yield f"CREATE TRIGGER {table}_no_insert AFTER INSERT ON {table} WHEN {frozen('NEW')} {refuse}"
        yield (
            f"CREATE TRIGGER {table}_no_update AFTER UPDATE ON {table} "
            f"WHEN {frozen('OLD')} OR {moved} AND {frozen('NEW')} {refuse}"
        )
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {frozen('OLD')} AND NOT {leaving} {refuse}"
    for table, may_go in ONCE.items():
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE OF {_columns(connection, table)} ON {table} {refuse}"
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN NOT ({may_go}) {refuse}"
        there = f"EXISTS (SELECT 1 FROM {table} WHERE {REPLACED[table]})"  # noqa: S608 - names of this file
        yield f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {refuse}"
    yield (
        "CREATE TRIGGER billing_bill_no_other_team BEFORE UPDATE OF team_id ON billing_bill "
        f"WHEN NOT ({LEAVES}) {refuse}"
    )


def _postgres(connection: Any) -> Iterable[str]:
    yield f"""CREATE OR REPLACE FUNCTION billing_refuse() RETURNS trigger AS $$
    BEGIN RAISE EXCEPTION '{TEXT}' USING ERRCODE = 'integrity_constraint_violation'; END $$ LANGUAGE plpgsql"""
    for table, at in USAGE.items():
        for event, rows in (("insert", ("new_rows",)), ("update", ("old_rows", "new_rows")), ("delete", ("old_rows",))):
            yield _function(f"{table}_{event}", at, rows, may_leave=event == "delete")
            tables = " ".join(f"{rows_of[:3].upper()} TABLE AS {rows_of}" for rows_of in rows)
            yield (
                f"CREATE TRIGGER {table}_no_{event} AFTER {event} ON {table} REFERENCING {tables} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_{event}()"
            )
    for table, may_go in ONCE.items():
        update = f"BEFORE UPDATE OF {_columns(connection, table)} ON {table} FOR EACH ROW"
        yield f"CREATE TRIGGER {table}_no_update {update} EXECUTE FUNCTION billing_refuse()"
        yield f"""CREATE OR REPLACE FUNCTION {table}_delete() RETURNS trigger AS $$
        BEGIN
            IF {may_go} THEN RETURN OLD; END IF;
            RAISE EXCEPTION '{TEXT}' USING ERRCODE = 'integrity_constraint_violation';
        END $$ LANGUAGE plpgsql"""
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_delete()"
    for table in (*USAGE, *ONCE):
        yield f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION billing_refuse()"
    yield f"""CREATE OR REPLACE FUNCTION billing_bill_leaves() RETURNS trigger AS $$
    BEGIN
        IF {LEAVES} THEN RETURN NEW; END IF;
        RAISE EXCEPTION '{TEXT}' USING ERRCODE = 'integrity_constraint_violation';
    END $$ LANGUAGE plpgsql"""
    yield (
        "CREATE TRIGGER billing_bill_no_other_team BEFORE UPDATE OF team_id ON billing_bill "
        "FOR EACH ROW EXECUTE FUNCTION billing_bill_leaves()"
    )


def _function(name: str, at: str, tables: tuple[str, ...], *, may_leave: bool) -> str:
    """PostgreSQL: look at all rows of a statement at once."""
    rows = " UNION ALL ".join(f"SELECT team_id, {at} FROM {table}" for table in tables)  # noqa: S608 - names of this file
    leaving = "AND NOT EXISTS (SELECT 1 FROM accounts_leavingteam l WHERE l.team_id = r.team_id)" if may_leave else ""
    return f"""CREATE OR REPLACE FUNCTION {name}() RETURNS trigger AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM ({rows}) r JOIN billing_frozenmonth f ON f.team_id = r.team_id
            AND f.month = to_char(to_timestamp(r.{at} / 1000) AT TIME ZONE 'UTC', 'YYYY-MM') {leaving}
        ) THEN
            RAISE EXCEPTION '{TEXT}' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END $$ LANGUAGE plpgsql"""  # noqa: S608 - names of this file
