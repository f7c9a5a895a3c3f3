"""Rows of UsageDay that a test lays by hand count in the sums as well, as booking does it in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.db.models.signals import post_save


def follow() -> None:
    """From now on, in this process."""
    from apps.billing.models import UsageDay

    def saved(instance: Any, created: bool, **_: Any) -> None:
        if created:
            _add([instance])

    def bulk_create(rows: QuerySet[Any], objects: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        made = plain(rows, objects, *args, **kwargs)
        if rows.model is UsageDay:
            _add(made)
        return made

    plain = QuerySet.bulk_create
    QuerySet.bulk_create = bulk_create  # type: ignore[method-assign]
    post_save.connect(saved, sender=UsageDay, weak=False)


def _add(rows: Iterable[Any]) -> None:
    from apps.billing import booking

    booking.add_sums({(row.team_id, row.resource, row.meter, row.day_ms, row.meter_key): row.quantity for row in rows})
