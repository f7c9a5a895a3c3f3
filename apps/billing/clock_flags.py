"""What the operator is told when the clock moved (clock_guard.py)."""

from __future__ import annotations

from datetime import UTC, datetime

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from apps.billing import clock_guard, flags
from apps.billing.clock_guard import Event, State
from apps.billing.models import FlagKind


def look(now_ms: int) -> int:
    """Look at the clock, flag what is odd, and answer up to when time may be booked. Once in each slice of metering."""
    before, event = clock_guard.note(now_ms)
    if event:
        _flag(before, event, now_ms)
    return clock_guard.trusted_ms(now_ms)


def booked_at_end(team_id: int, resource: str, now_ms: int) -> None:
    """Something was deleted: its time is booked up to now, as it cannot be later. Flagged if the clock is not believed."""
    trusted_ms = clock_guard.trusted_ms(now_ms)
    if trusted_ms < now_ms:
        text = (
            f"{resource} was deleted, all or a part of it, at {_time(now_ms)}, when time was believed up to "
            f"{_time(trusted_ms)} only: the clock had jumped ahead, or Tidegate was off. It is billed up to its deletion. If "
            "the clock was wrong, correct the usage."
        )
        flags.raise_flag(team_id, FlagKind.CLOCK_AHEAD, resource, text, now_ms)


def _flag(before: State, event: Event, now_ms: int) -> None:
    kind, text = _told(before, event, now_ms)
    flags.raise_flag(None, kind, "", text, now_ms)


def _told(before: State, event: Event, now_ms: int) -> tuple[FlagKind, str]:
    was_ms = before.believed_ms
    if event is Event.AHEAD:
        return FlagKind.CLOCK_AHEAD, (
            f"The clock went from {_time(was_ms)} to {_time(now_ms)}, {_span(now_ms - was_ms)} ahead, or Tidegate was off. The "
            "time between is not billed yet, and no month is closed, until the clock has held for "
            f"{_span(clock_guard.must_hold_ms(now_ms - was_ms))} or this is acknowledged."
        )
    if event is Event.BACK:
        return FlagKind.CLOCK_BACK, (
            f"The clock went back from {_time(was_ms)} to {_time(now_ms)}, by {_span(was_ms - now_ms)}. What is booked stays "
            "booked; nothing is booked twice, and no month is closed until the clock has held."
        )
    kind = FlagKind.CLOCK_AHEAD if (before.moved_to_ms or 0) > (before.moved_from_ms or 0) else FlagKind.CLOCK_BACK
    if event is Event.UNDONE:
        return kind, f"The clock that had moved is as before since {_time(now_ms)}; nothing was billed for the step."
    return kind, (
        f"The clock has held since it went from {_time(before.moved_from_ms or 0)} to {_time(before.moved_to_ms or 0)}: it is "
        "believed from now on, and what was there in the time between is billed. If the clock was wrong, correct the usage."
    )


def _time(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / SECOND_MS, UTC):%Y-%m-%d %H:%M} UTC"


def _span(span_ms: int) -> str:
    if span_ms >= 2 * DAY_MS:
        return f"{span_ms // DAY_MS} days"
    return f"{span_ms // HOUR_MS} hours" if span_ms >= 2 * HOUR_MS else f"{span_ms // MINUTE_MS} minutes"
