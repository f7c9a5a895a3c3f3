"""Money given to teams, and what bills take of it: the oldest first, within its months, never more than the bill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db.models import Sum
from django.db.models.functions import Coalesce

from apps.billing.models import Credit
from apps.billing.months import Month


class Left(NamedTuple):
    """A credit and what closed bills have left of it, in cents."""

    credit: Credit
    cents: int


def left(team_id: int) -> list[Left]:
    """All credits of a team, oldest first, also those that are used up or over."""
    rows = Credit.objects.filter(team_id=team_id).annotate(used=Coalesce(Sum("uses__amount_cents"), 0))
    return [Left(credit, credit.amount_cents - credit.used) for credit in rows.order_by("created_at_ms", "pk")]


def usable(given: Iterable[Left], month: Month) -> list[Left]:
    """Those that are good for a month and not used up, in the same order."""
    name = str(month)
    return [
        one
        for one in given
        if one.cents > 0 and one.credit.from_month <= name and (not one.credit.to_month or name <= one.credit.to_month)
    ]


def taken(given: Sequence[Left], cents: int) -> list[Left]:
    """What a bill of so many cents takes of each; nothing of a bill below zero."""
    found = []
    for one in given:
        part = min(one.cents, cents)
        if part <= 0:
            break
        found.append(Left(one.credit, part))
        cents -= part
    return found


def without(given: Iterable[Left], used: Iterable[Left]) -> list[Left]:
    """The same credits, in the same order, with what was taken of them gone."""
    parts = {one.credit.pk: one.cents for one in used}
    return [Left(one.credit, one.cents - parts.get(one.credit.pk, 0)) for one in given]
