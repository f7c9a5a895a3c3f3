"""The minimum throughput billing commitment of an account: what UpdateAccountSettings switches.

It lasts a day at least. Who ends it sooner gets ENABLED_UNTIL_EARLIEST_ALLOWED_END, and it ends by itself when the
day is over; enabling again before that takes the end back. The state follows from the newest row and the time, so
nothing has to run when the day is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model, OuterRef, QuerySet, Subquery

from apps.base.units import DAY_MS
from apps.capacity.models import Commitment

SHORTEST_MS = DAY_MS

ENABLED = "ENABLED"
DISABLED = "DISABLED"
ENDING = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
"""AWS's words."""

FOR_EVER_MS = 2**63 - 1

Span = tuple[int, int]
"""From when (included) until when (not included) it holds; FOR_EVER_MS: nobody asked for its end."""


def newest(team_id: int) -> Commitment | None:
    """The team's present commitment, or its last."""
    return Commitment.objects.filter(team_id=team_id).order_by("-started_at_ms", "-pk").first()


def status(found: Commitment | None, now_ms: int) -> str:
    """AWS's word for it now."""
    if found is None:
        return DISABLED
    if found.ends_at_ms is None:
        return ENABLED
    return DISABLED if found.ends_at_ms <= now_ms else ENDING


def is_enabled(team_id: int, now_ms: int) -> bool:
    """True while it is wanted: one that only waits for its earliest end allows nothing new."""
    return status(newest(team_id), now_ms) == ENABLED


def in_force(team_id: int, at_ms: int) -> bool:
    """True while it is billed by: also one that only waits for its earliest end."""
    return status(newest(team_id), at_ms) != DISABLED


def spans(team_ids: Iterable[int]) -> Mapping[int, list[Span]]:
    """All commitments of teams, past ones too, oldest first."""
    found: dict[int, list[Span]] = defaultdict(list)
    rows = Commitment.objects.filter(team_id__in=list(team_ids)).order_by("started_at_ms", "pk")
    for team_id, started_ms, ends_ms in rows.values_list("team_id", "started_at_ms", "ends_at_ms"):
        found[team_id].append(_span(started_ms, ends_ms))
    return found


def enable(team_id: int, now_ms: int) -> Commitment:
    """Begin one, or take back the end of the present one; one that is enabled stays as it is."""
    found = newest(team_id)
    if status(found, now_ms) == DISABLED:
        return Commitment.objects.create(team_id=team_id, started_at_ms=now_ms)
    assert found is not None
    if found.ends_at_ms is not None:
        found.ends_at_ms = None
        found.save(update_fields=["ends_at_ms"])
    return found


def disable(team_id: int, now_ms: int) -> Commitment | None:
    """End it now, or as soon as it may; one that is ended stays as it is."""
    found = newest(team_id)
    if found is not None and found.ends_at_ms is None:
        found.ends_at_ms = max(now_ms, earliest_end_ms(found))
        found.save(update_fields=["ends_at_ms"])
    return found


def earliest_end_ms(found: Commitment) -> int:
    """Before this it does not end."""
    return found.started_at_ms + SHORTEST_MS


def span(found: Commitment | None) -> Span | None:
    """When it holds; None: the team never had one."""
    return None if found is None else _span(found.started_at_ms, found.ends_at_ms)


def with_newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows, each of which has a team, with what span_of asks for; no further query."""
    of_team = Commitment.objects.filter(team_id=OuterRef("team_id")).order_by("-started_at_ms", "-pk")
    return rows.annotate(
        committed_from_ms=Subquery(of_team.values("started_at_ms")[:1]),
        committed_until_ms=Subquery(of_team.values("ends_at_ms")[:1]),
    )


def span_of(row: Model) -> Span | None:
    """When the newest commitment of a row's team holds; the row comes from with_newest."""
    started_at_ms: int | None = row.committed_from_ms  # type: ignore[attr-defined]
    return None if started_at_ms is None else _span(started_at_ms, row.committed_until_ms)  # type: ignore[attr-defined]


def _span(started_at_ms: int, ends_at_ms: int | None) -> Span:
    return started_at_ms, FOR_EVER_MS if ends_at_ms is None else ends_at_ms
