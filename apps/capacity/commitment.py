"""The minimum throughput billing commitment of an account: what UpdateAccountSettings switches.

It lasts a day at least. Who ends it sooner gets ENABLED_UNTIL_EARLIEST_ALLOWED_END, and it ends by itself when the
day is over; enabling again before that takes the end back. The state follows from the newest row and the time, so
nothing has to run when the day is over.
"""

from __future__ import annotations

from apps.base.units import DAY_MS
from apps.capacity.models import Commitment

SHORTEST_MS = DAY_MS

ENABLED = "ENABLED"
DISABLED = "DISABLED"
ENDING = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
"""AWS's words."""


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
