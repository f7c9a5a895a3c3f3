"""Whether to believe the clock: pure rules, and the one row that remembers what time it was.

Time is money here: shards cost by the millisecond, and months close by the calendar. A clock that jumps ahead must book
nothing for the jump until it has held for a while, since a wrong clock is put right soon. So:

* A step ahead of more than JUMP_MS since the last look is not believed at first: time goes on from where it was, and trusted
  time is that plus what has passed since the step. It is believed once it has held for HELD_MS, a step of more than a day once
  it has held for LONG_HELD_MS, or when an operator says so. The machine may have been off, and its shards were there all the
  while; so what was left out is booked then, and flagged. A further step ahead of a day at most, as a night's sleep, does not
  begin that anew: what it had held counts on, but for the last HELD_MS.
* A step back of more than BACK_MS is flagged. What was booked stays booked; nothing is booked twice.
* While a step is not believed, no month is closed.

Everything that books time asks trusted_ms(now) and books up to it, at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing.models import MeteringClock

JUMP_MS = HOUR_MS
"""Looks are a minute apart; more than this between two is a jump, or the machine was off."""

BACK_MS = MINUTE_MS
"""Less than this is an ordinary correction of the clock."""

HELD_MS = 10 * MINUTE_MS
LONG_HELD_MS = DAY_MS
"""How long a moved clock must hold before it is believed, by how far it moved ahead: as much as a day, or more."""


class Event(StrEnum):
    """What a look at the clock found."""

    NONE = ""
    AHEAD = "ahead"
    BACK = "back"
    HELD = "held"
    """A step is believed from now on."""
    UNDONE = "undone"
    """The clock went back to where it would have been."""


@dataclass(frozen=True, slots=True)
class State:
    """last_ms: what the clock showed at the last look. While a step is not believed, moved_from_ms is the time that was
    believed before it, and moved_to_ms what the clock showed first after it; after several steps both are moved by what counts on
    of the time between them."""

    last_ms: int
    moved_from_ms: int | None = None
    moved_to_ms: int | None = None

    @property
    def believed_ms(self) -> int:
        """The time at the last look, as it would have been without a step that is not believed."""
        if self.moved_from_ms is None or self.moved_to_ms is None:
            return self.last_ms
        return self.moved_from_ms + max(0, self.last_ms - self.moved_to_ms)

    @property
    def is_moved(self) -> bool:
        """There is a step that is not believed."""
        return self.moved_to_ms is not None


def look(state: State, now_ms: int) -> tuple[State, Event]:
    """The state after a look at the clock, and what was noticed."""
    if not _goes_on(state.last_ms, now_ms):
        if state.is_moved and _goes_on(state.believed_ms, now_ms):
            return State(max(now_ms, state.believed_ms)), Event.UNDONE
        if now_ms <= state.believed_ms:
            return State(now_ms, state.believed_ms, now_ms), Event.BACK
        kept_ms = _kept_ms(state, now_ms)
        return State(now_ms, state.believed_ms - kept_ms, now_ms - kept_ms), Event.AHEAD
    last_ms = max(now_ms, state.last_ms)
    if state.moved_from_ms is None or state.moved_to_ms is None:
        return State(last_ms), Event.NONE
    if last_ms - state.moved_to_ms >= must_hold_ms(state.moved_to_ms - state.moved_from_ms):
        return State(last_ms), Event.HELD
    return State(last_ms, state.moved_from_ms, state.moved_to_ms), Event.NONE


def _kept_ms(state: State, now_ms: int) -> int:
    """How much of the time for which a step has held counts on after the next step ahead. A machine that sleeps every night
    would never hold for a day at a stretch."""
    if state.moved_to_ms is None or not 0 < now_ms - state.last_ms <= DAY_MS:
        return 0
    enough_ms = must_hold_ms(now_ms - state.believed_ms) - HELD_MS
    return min(max(0, state.last_ms - state.moved_to_ms), enough_ms)


def _goes_on(last_ms: int, now_ms: int) -> bool:
    return last_ms - BACK_MS <= now_ms <= last_ms + JUMP_MS


def must_hold_ms(step_ms: int) -> int:
    """How long a clock that moved by so much must hold; steps back are negative."""
    return LONG_HELD_MS if step_ms > DAY_MS else HELD_MS


def trusted(state: State, now_ms: int) -> int:
    """The time up to which may be booked: never more than the clock shows."""
    passed_ms = now_ms - state.last_ms
    return min(now_ms, state.believed_ms + (max(0, passed_ms) if passed_ms <= JUMP_MS else 0))


def is_steady(state: State, now_ms: int) -> bool:
    """Nothing odd is going on: months may close."""
    return not state.is_moved and _goes_on(state.last_ms, now_ms)


def state_now(now_ms: int) -> State:
    """What is remembered; on the first day the clock is believed as it is."""
    row = MeteringClock.objects.filter(pk=1).first()
    return State(now_ms) if row is None else State(row.last_ms, row.moved_from_ms, row.moved_to_ms)


def trusted_ms(now_ms: int) -> int:
    """Up to when time may be booked now (one query). Whoever books time calls it with the clock's time."""
    return trusted(state_now(now_ms), now_ms)


def note(now_ms: int) -> tuple[State, Event]:
    """Look at the clock and remember it: once in each round of metering. Answers the state before, and what was noticed."""
    with transaction.atomic():
        before = state_now(now_ms)
        after, event = look(before, now_ms)
        _remember(after)
    return before, event


def believe(now_ms: int) -> None:
    """The clock is right: an operator says so."""
    _remember(State(now_ms))


def _remember(state: State) -> None:
    values = {"last_ms": state.last_ms, "moved_from_ms": state.moved_from_ms, "moved_to_ms": state.moved_to_ms}
    MeteringClock.objects.update_or_create(pk=1, defaults=values)
