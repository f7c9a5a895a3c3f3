"""The ledger, added up: how much a team used of each dimension, as rows for rating.

Rows come by UTC day. What a label tells apart is chosen by the caller: nothing (a bill), the resource, the key. The shortfall
of a commitment is among them, on the resource "account". A whole team's come from the sums that booking keeps.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import F, Sum, Value

from apps.billing import commitment
from apps.billing.dimensions import OF_METER
from apps.billing.models import UsageDay
from apps.billing.rating import Row
from apps.billing.usage_sums import TeamDay

LABELS = {"": Value(""), "resource": F("resource"), "key": F("meter_key")}


def rows(team_id: int, from_ms: int, to_ms: int, label: str = "", resource: str = "") -> Iterator[Row]:
    """What is sold of the usage from a day (UTC midnight) until another."""
    if not label and not resource:
        yield from _of_team(TeamDay, team_id, from_ms, to_ms)
        return
    found = UsageDay.objects.filter(team_id=team_id, day_ms__gte=from_ms, day_ms__lt=to_ms, meter__in=OF_METER)
    if resource:
        found = found.filter(resource=resource)
    summed = (
        found.annotate(label=LABELS[label])
        .values("day_ms", "meter", "label")
        .annotate(n=Sum("quantity"))
        .order_by("day_ms")
    )
    for day_ms, meter, name, metered in summed.values_list("day_ms", "meter", "label", "n").iterator():
        yield Row(day_ms, OF_METER[meter].name, name, metered)
    if resource in ("", commitment.ACCOUNT):
        yield from commitment.rows(team_id, from_ms, to_ms, commitment.ACCOUNT if label == "resource" else "")


def counted(team_id: int, from_ms: int, to_ms: int) -> Iterator[Row]:
    """The same of a whole team, added up from the ledger's own rows: what bills are closed and checked with."""
    return _of_team(UsageDay, team_id, from_ms, to_ms)


def _of_team(model: type[TeamDay | UsageDay], team_id: int, from_ms: int, to_ms: int) -> Iterator[Row]:
    rows = model._default_manager.filter(team_id=team_id, day_ms__gte=from_ms, day_ms__lt=to_ms, meter__in=OF_METER)  # noqa: SLF001 - Django documents it
    summed = rows.values_list("day_ms", "meter").annotate(n=Sum("quantity")).order_by("day_ms")
    for day_ms, meter, metered in summed.iterator():
        yield Row(day_ms, OF_METER[meter].name, "", metered)
    yield from commitment.rows(team_id, from_ms, to_ms, "")
