"""Leases that a newcomer takes over: subscriptions, where the last caller wins but may not come too soon.

Unlike the leases of hold.py nobody waits for these to run out. `due_at_ms` is the time from which on the next caller
may take over; `expires_at_ms` says whether the holder's process still lives (it renews all it holds in one
statement). Both are by the callers' clock: a second of difference between hosts does no harm here, and a time
further ahead than twice its span was written by a clock gone wrong and counts as past.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from apps.leases.models import Lease

KEYS_PER_STATEMENT = 5_000


def seize(kind: str, key: str, owner: str, now_ms: int, ttl_ms: int, quiet_ms: int) -> int | None:
    """Take the lease from whoever holds it: its new counter; None if it was taken less than quiet_ms ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leases_lease (kind, key, owner, counter, expires_at_ms, due_at_ms, checkpoint)"
            " VALUES (%s, %s, %s, 1, %s, %s, '{}')"
            " ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, counter = leases_lease.counter + 1,"
            " expires_at_ms = excluded.expires_at_ms, due_at_ms = excluded.due_at_ms"
            " WHERE leases_lease.due_at_ms IS NULL OR leases_lease.due_at_ms <= %s OR leases_lease.due_at_ms > %s"
            " RETURNING counter",
            [kind, key, owner, now_ms + ttl_ms, now_ms + quiet_ms, now_ms, now_ms + 2 * quiet_ms],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def renew_all(kind: str, owner: str, keys: Collection[str], now_ms: int, ttl_ms: int) -> dict[str, int]:
    """Hold on to these keys for another ttl_ms: key to counter of those that are still this owner's."""
    kept: dict[str, int] = {}
    ordered = sorted(keys)
    for first in range(0, len(ordered), KEYS_PER_STATEMENT):
        some = ordered[first : first + KEYS_PER_STATEMENT]
        placeholders = ", ".join(["%s"] * len(some))
        statement = (
            "UPDATE leases_lease SET expires_at_ms = %s WHERE kind = %s AND owner = %s"  # noqa: S608 - placeholders only
            f" AND key IN ({placeholders}) RETURNING key, counter"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, [now_ms + ttl_ms, kind, owner, *some])
            kept.update(cursor.fetchall())
    return kept


def sweep(kind: str, before_ms: int) -> int:
    """Forget leases that ran out before then and that anybody may take: their keys may be gone for ever."""
    return Lease.objects.filter(kind=kind, expires_at_ms__lt=before_ms, due_at_ms__lt=before_ms).delete()[0]
