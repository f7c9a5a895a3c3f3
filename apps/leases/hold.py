"""Take, keep and give back a lease: each verb is one conditional statement.

A lease is free when it has no owner or has run out; running out is judged by the database's clock, never by the
caller's. Whoever takes it raises its counter, and every later statement of the holder names that counter: zero rows
changed means that somebody else has it by now.

`due_at_ms` says when the key wants work. Taking a lease clears it; whoever dies holding one is found by its expiry;
what `ensure` writes while a slice runs survives that slice's release.

A time further ahead than twice its longest legal span was written by a clock gone wrong, and counts as past.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Greatest

from apps.base.units import DAY_MS, MINUTE_MS
from apps.leases.models import Lease

LONGEST_TTL_MS = 5 * MINUTE_MS
LONGEST_DUE_MS = {"retention": 366 * DAY_MS, "delivery": 15 * MINUTE_MS}
LONGEST_DUE_OTHERWISE_MS = DAY_MS
"""Longest legal spans: of a lease, and from now to the next due time by kind."""

Json = dict[str, Any]


class LeaseLost(Exception):
    """Somebody else holds the lease by now: stop, and touch nothing more."""


@dataclass(slots=True)
class Held:
    """A lease in hand. checkpoint and pinned are as of the take, and follow what this holder saves."""

    kind: str
    key: str
    owner: str
    counter: int
    checkpoint: Json
    pinned: Json | None


class DatabaseNow(Func):
    """UTC milliseconds by the database's clock, at the time of the statement (not of the transaction)."""

    output_field = models.BigIntegerField()

    def as_sqlite(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        """SQLite: Julian days, exact to a twentieth of a millisecond."""
        return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)", ()

    def as_postgresql(self, *_args: Any, **_kwargs: Any) -> tuple[str, tuple[()]]:
        """PostgreSQL: the clock, which goes on within a transaction."""
        return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", ()


def _free() -> Q:
    return Q(expires_at_ms__lte=DatabaseNow()) | Q(expires_at_ms__gt=DatabaseNow() + 2 * LONGEST_TTL_MS)


def _not_waiting(kind: str, now_ms: int) -> Q:
    """In the statement that takes the lease: who makes it due at once (`ensure`) at this moment is not overlooked."""
    too_far_ms = now_ms + 2 * LONGEST_DUE_MS.get(kind, LONGEST_DUE_OTHERWISE_MS)
    due = Q(due_at_ms__isnull=True) | Q(due_at_ms__lte=now_ms) | Q(due_at_ms__gt=too_far_ms)
    return Q(pinned__isnull=True) | due


def _mine(held: Held) -> models.QuerySet[Lease]:
    return Lease.objects.filter(kind=held.kind, key=held.key, counter=held.counter)


def _earlier_due(due_at_ms: int) -> Case:
    return Case(
        When(Q(due_at_ms__isnull=True) | Q(due_at_ms__gt=due_at_ms), then=Value(due_at_ms)),
        default=F("due_at_ms"),
        output_field=models.BigIntegerField(),
    )


def ensure(kind: str, key: str, due_at_ms: int) -> None:
    """Make the row if there is none, or bring its due time forward; in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leases_lease (kind, key, owner, counter, expires_at_ms, due_at_ms, checkpoint)"
            " VALUES (%s, %s, '', 0, 0, %s, '{}')"
            " ON CONFLICT (kind, key) DO UPDATE SET due_at_ms = CASE"
            " WHEN leases_lease.due_at_ms IS NULL OR leases_lease.due_at_ms > excluded.due_at_ms"
            " THEN excluded.due_at_ms ELSE leases_lease.due_at_ms END",
            [kind, key, due_at_ms],
        )


def take(kind: str, key: str, owner: str, ttl_ms: int, now_ms: int | None = None) -> Held | None:
    """The lease for ttl_ms, if it is free and exists; else None. now_ms: what is pinned has to wait until it is due, whoever
    comes earlier."""
    assert 0 < ttl_ms <= LONGEST_TTL_MS, ttl_ms
    wanted = Q() if now_ms is None else _not_waiting(kind, now_ms)
    with transaction.atomic():
        changed = Lease.objects.filter(_free(), wanted, kind=kind, key=key).update(
            owner=owner, counter=F("counter") + 1, expires_at_ms=DatabaseNow() + ttl_ms, due_at_ms=None
        )
        if not changed:
            return None
        row = Lease.objects.get(kind=kind, key=key)
    return Held(kind, key, owner, row.counter, row.checkpoint, row.pinned)


def renew(held: Held, ttl_ms: int) -> None:
    """Hold on for another ttl_ms from now; never shortens. Raises LeaseLost, also once it was given back: somebody who
    renews for others may come too late."""
    assert 0 < ttl_ms <= LONGEST_TTL_MS, ttl_ms
    _kept(
        _mine(held).filter(owner=held.owner).update(expires_at_ms=Greatest(F("expires_at_ms"), DatabaseNow() + ttl_ms))
    )


def confirm(held: Held) -> None:
    """Go on only if the lease is still held; within a transaction until its end. Raises LeaseLost."""
    _kept(_mine(held).update(owner=held.owner))


def pin(held: Held, data: Json) -> None:
    """Write down what this slice is about to do, before it does it. Raises LeaseLost."""
    _kept(_mine(held).update(pinned=data))
    held.pinned = data


def save_checkpoint(held: Held, data: Json) -> None:
    """Move the checkpoint and clear the pin. Raises LeaseLost."""
    _kept(_mine(held).update(checkpoint=data, pinned=None))
    held.checkpoint, held.pinned = data, None


def release(held: Held, due_at_ms: int | None) -> None:
    """Give the lease back, due again at due_at_ms (None: not by itself), or earlier if `ensure` said so meanwhile.

    A lease lost is nothing to give back: no error.
    """
    values: dict[str, Any] = {"owner": "", "expires_at_ms": 0}
    if due_at_ms is not None:
        values["due_at_ms"] = _earlier_due(due_at_ms)
    _mine(held).update(**values)


def remove(kind: str, key: str) -> None:
    """Forget the key: its work is done for ever. A holder's next statement raises LeaseLost."""
    Lease.objects.filter(kind=kind, key=key).delete()


def due(kind: str, limit: int) -> list[str]:
    """Keys that want work now and whose lease is free, longest due first; a lease that ran out in its holder's hands
    is due too."""
    span_ms = LONGEST_DUE_MS.get(kind, LONGEST_DUE_OTHERWISE_MS)
    wanted = Q(due_at_ms__lte=DatabaseNow()) | Q(due_at_ms__gt=DatabaseNow() + 2 * span_ms) | ~Q(owner="")
    rows = Lease.objects.filter(_free(), wanted, kind=kind).order_by(F("due_at_ms").asc(nulls_first=True), "id")
    return list(rows.values_list("key", flat=True)[:limit])


def _kept(changed: int) -> None:
    if not changed:
        raise LeaseLost
