"""What an operator should look at, since it may change what somebody pays: noticed by metering and closing, shown on the
billing pages until it is acknowledged.

A flag changes no amount. It is one row per team, kind and resource, however often it happens; a team has FLAGS_MAX at most,
more go together under the resource "others".
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.billing import clock_guard
from apps.billing.models import BillingFlag, FlagKind

FLAGS_MAX = 500
OTHERS = "others"
TEXT_MAX = 500


def raise_flag(team_id: int | None, kind: FlagKind, resource: str, text: str, at_ms: int) -> None:
    """Note it, in the caller's transaction if there is one. team_id None: it is about the whole installation."""
    with transaction.atomic():
        if _again(team_id, kind, resource, text, at_ms):
            return
        if BillingFlag.objects.filter(_whose(team_id)).count() >= FLAGS_MAX:
            resource = OTHERS
            if _again(team_id, kind, resource, text, at_ms):
                return
        row = BillingFlag(team_id=team_id, kind=kind, resource=resource, text=text[:TEXT_MAX])
        row.first_at_ms = row.at_ms = at_ms
        BillingFlag.objects.bulk_create([row], ignore_conflicts=True)


def _again(team_id: int | None, kind: FlagKind, resource: str, text: str, at_ms: int) -> bool:
    rows = BillingFlag.objects.filter(_whose(team_id), kind=kind, resource=resource)
    return bool(
        rows.update(text=text[:TEXT_MAX], at_ms=at_ms, seen=F("seen") + 1, acknowledged_at_ms=None, acknowledged_by="")
    )


def _whose(team_id: int | None) -> Q:
    return Q(team__isnull=True) if team_id is None else Q(team_id=team_id)


def of_team(team_id: int) -> QuerySet[BillingFlag]:
    """The flags of a team and those of the installation, open ones first, then the newest."""
    rows = BillingFlag.objects.filter(Q(team_id=team_id) | Q(team_id=None))
    return rows.order_by(F("acknowledged_at_ms").asc(nulls_first=True), "-at_ms", "-pk")


def every() -> QuerySet[BillingFlag]:
    """All flags, for the operator, in the same order."""
    return BillingFlag.objects.select_related("team").order_by(
        F("acknowledged_at_ms").asc(nulls_first=True), "-at_ms", "-pk"
    )


def settle(kind: FlagKind, team_id: int | None, resource: str) -> None:
    """What was odd is no more: the flag goes by itself."""
    BillingFlag.objects.filter(_whose(team_id), kind=kind, resource=resource).delete()


def acknowledge(flag_id: int, who: str, at_ms: int) -> BillingFlag | None:
    """An operator has seen to it. Of the clock that jumped ahead: it is right, and believed from now on. None: there is no
    such flag."""
    with transaction.atomic():
        flag = BillingFlag.objects.select_for_update().filter(pk=flag_id).first()
        if flag is None:
            return None
        flag.acknowledged_at_ms, flag.acknowledged_by = at_ms, who
        flag.save(update_fields=["acknowledged_at_ms", "acknowledged_by"])
        if flag.kind == FlagKind.CLOCK_AHEAD and flag.team_id is None:
            clock_guard.believe(at_ms)
    return flag
