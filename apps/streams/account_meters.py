"""What accounts as such are metered for: how long they had the minimum throughput billing commitment.

It follows from the commitments' rows, which stay for ever, so what nobody read is read later. An end that lies ahead takes
effect by itself. A commitment's beginning and end change what on-demand streams are billed by, too: `settle` makes sure that
they lie not before what is booked already.
"""

from __future__ import annotations

from collections import defaultdict

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import ADVANTAGE_TIME
from apps.capacity import commitment
from apps.capacity.models import Commitment
from apps.streams import time_meters
from apps.streams.metered_states import Span, both, hour_of, length
from apps.streams.usage_names import ROWS, source_of_account

RESOURCE = "account"
"""What usage of an account as such is booked on."""

HOURS_PER_CALL = 48
READINGS_KEPT_MS = 2 * DAY_MS


def settle(team_id: int, now_ms: int) -> int:
    """The moment from which a change of the team's commitment counts; its on-demand streams are held until the transaction
    ends. The caller holds the team."""
    held = Commitment.objects.select_for_update().filter(team_id=team_id)
    booked = [one.metered_to_ms for one in held.order_by("pk")]
    at_ms = time_meters.moment_of_team(team_id, now_ms)
    return max([at_ms, *(to_ms for to_ms in booked if to_ms <= now_ms + time_meters.SKEW_MS)])


def book_all(now_ms: int) -> None:
    """Book the time of all commitments up to a moment (trusted time)."""
    for team_id in _due(now_ms).order_by("team_id").values_list("team_id", flat=True).distinct():
        while not book(team_id, now_ms):
            continue


def book(team_id: int, now_ms: int) -> bool:
    """The same for one team; False if some of it is left for another call."""
    with transaction.atomic():
        rows = list(_due(now_ms).select_for_update().filter(team_id=team_id).order_by("started_at_ms", "pk"))
        if not rows:
            return True
        first_ms = hour_of(max(rows[0].metered_to_ms, rows[0].started_at_ms))
        to_ms = min(now_ms, first_ms + HOURS_PER_CALL * HOUR_MS)
        _record(team_id, (first_ms, to_ms))
        Commitment.objects.filter(pk__in=[one.pk for one in rows], started_at_ms__lt=to_ms).update(metered_to_ms=to_ms)
        ledger.prune(source_of_account(team_id), first_ms - READINGS_KEPT_MS)
        return to_ms == now_ms


def _due(now_ms: int) -> QuerySet[Commitment]:
    """Commitments with time that is not booked yet."""
    rows = Commitment.objects.filter(started_at_ms__lt=now_ms, metered_to_ms__lt=now_ms)
    return rows.filter(Q(ends_at_ms__isnull=True) | Q(ends_at_ms__gt=F("metered_to_ms")))


def _record(team_id: int, span: Span) -> None:
    """All of the team's commitments together, as two may share an hour."""
    spans = commitment.spans([team_id])[team_id]
    values: dict[int, int] = defaultdict(int)
    for hour_ms in range(span[0], span[1], HOUR_MS):
        hour = (hour_ms, min(hour_ms + HOUR_MS, span[1]))
        values[hour_ms] = sum(length(both(one, hour)) for one in spans)
    ledger.record(
        [
            Reading(
                team_id,
                RESOURCE,
                Series(source_of_account(team_id), ADVANTAGE_TIME.name, hour_ms, "", ROWS),
                n,
                span[1],
            )
            for hour_ms, n in values.items()
            if n
        ]
    )
