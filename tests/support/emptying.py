"""Emptying the tables between two tests that commit, in place of Django's `flush`.

Quicker: one question finds the few tables that have rows. And safer: what a test began in a thread (a look that its caller no
longer waits for goes on, apps/accounts/bridge.py) may still read. `TRUNCATE` locks one table after another, and so does a
reader; each can then wait for the other until PostgreSQL ends one of them.
"""

from functools import cache
from threading import Barrier
from typing import Any

from django.db import connections, transaction

from apps.accounts import bridge
from tests.support.runtimes import until

OTHERS_AT_WORK = """
SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'
"""

TOO_LONG_S = 60


def empty(connection: Any) -> None:
    """No model has rows, and nobody is left who would write some."""
    let_threads_end()
    if connection.vendor == "postgresql":
        until(lambda: not others_at_work(connection))
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_having_rows(connection.alias))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def let_threads_end() -> None:
    """Wait for what the threads of the bridge have begun: all of them have come to one place when they are through with it."""
    if bridge._pool._threads:
        place = Barrier(bridge.THREADS, timeout=TOO_LONG_S)
        came = [bridge._pool.submit(place.wait) for _ in range(bridge.THREADS)]
        assert sorted(each.result() for each in came) == list(range(bridge.THREADS))


def others_at_work(connection: Any) -> int:
    """How many other connections to this database, on PostgreSQL, run something or hold a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(OTHERS_AT_WORK)
        return cursor.fetchone()[0]


@cache
def _having_rows(alias: str) -> str:
    names = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in names)
