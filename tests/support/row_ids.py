"""Row ids that no test can guess: each table counts from a number of its own, on every database.

Where the counters stand when a test begins depends on the tests before it (PostgreSQL gives no id twice, SQLite does after a
rollback). A test that relies on "the first row is 1" would pass alone and fail in company, so it fails at once.
"""

from typing import Any

FIRST = 1_000
STEP = 1_000
"""Between the first ids of two tables, so that the id of one thing is not taken for that of another."""


def start_far(connection: Any) -> None:
    """In a database that no test has used yet."""
    start = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
    with connection.cursor() as cursor:
        for at, table in enumerate(sorted(connection.introspection.table_names(cursor))):
            start(connection, cursor, table, FIRST + at * STEP)


def _on_postgresql(connection: Any, cursor: Any, table: str, first: int) -> None:
    for column in connection.introspection.get_sequences(cursor, table):
        counted = connection.ops.quote_name(column["column"])
        cursor.execute(f"ALTER TABLE {connection.ops.quote_name(table)} ALTER {counted} RESTART WITH {first}")


def _on_sqlite(_connection: Any, cursor: Any, table: str, first: int) -> None:
    cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
    cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, first - 1])
