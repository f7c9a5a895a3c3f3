"""A clock that jumps books nothing for the jump until it has held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing.clock_guard import HELD_MS, JUMP_MS, LONG_HELD_MS, Event, State, is_steady, look, trusted

T = 1_795_163_467_000


def minutes(state, from_ms, count):
    """Looks a minute apart; the state and the events but none."""
    events = []
    for n in range(count):
        state, event = look(state, from_ms + n * MINUTE_MS)
        events.append(event)
    return state, [event for event in events if event]


def test_minutes_go_by_unnoticed():
    state, events = minutes(State(T), T, 200)
    assert events == []
    assert trusted(state, T + 200 * MINUTE_MS) == T + 200 * MINUTE_MS
    assert is_steady(state, T + 200 * MINUTE_MS)


def test_a_month_ahead_books_only_what_goes_by_and_nothing_closes():
    state, event = look(State(T), T + 30 * DAY_MS)
    assert event == Event.AHEAD
    assert trusted(state, T + 30 * DAY_MS) == T
    assert trusted(state, T + 30 * DAY_MS + 90_000) == T + 90_000
    assert not is_steady(state, T + 30 * DAY_MS)
    state, events = minutes(state, T + 30 * DAY_MS, 600)
    assert events == []
    assert trusted(state, T + 30 * DAY_MS + 600 * MINUTE_MS) == T + 600 * MINUTE_MS


def test_before_it_is_looked_at_a_jump_books_nothing():
    assert trusted(State(T), T + 30 * DAY_MS) == T


def test_a_clock_that_is_put_right_has_booked_no_minute_too_many():
    state, _ = look(State(T), T + 30 * DAY_MS)
    state, _ = minutes(state, T + 30 * DAY_MS, 5)
    state, event = look(state, T + 5 * MINUTE_MS)
    assert event == Event.UNDONE
    assert trusted(state, T + 5 * MINUTE_MS) == T + 5 * MINUTE_MS
    assert is_steady(state, T + 5 * MINUTE_MS)


@pytest.mark.parametrize(("step_ms", "held_ms"), [(3 * HOUR_MS, HELD_MS), (3 * DAY_MS, LONG_HELD_MS)])
def test_a_step_that_holds_is_believed(step_ms, held_ms):
    state, events = minutes(State(T), T + step_ms, held_ms // MINUTE_MS)
    assert events == [Event.AHEAD]
    state, event = look(state, T + step_ms + held_ms)
    assert event == Event.HELD
    assert trusted(state, T + step_ms + held_ms) == T + step_ms + held_ms
    assert is_steady(state, T + step_ms + held_ms)


def test_a_machine_that_sleeps_every_night_is_believed_after_a_day_awake():
    """Off for a weekend, then eight hours a day: on the third day it has held for a day, not longer."""
    state, now_ms, found = State(T), T + 3 * DAY_MS, []
    for _ in range(3):
        state, events = minutes(state, now_ms, 8 * 60 + 1)
        found.append(events)
        now_ms += DAY_MS
    assert found == [[Event.AHEAD], [Event.AHEAD], [Event.AHEAD, Event.HELD]]
    assert state == State(now_ms - 16 * HOUR_MS)


def test_after_each_step_a_clock_holds_for_ten_minutes_and_a_long_one_begins_anew():
    held = T + 3 * DAY_MS + LONG_HELD_MS - MINUTE_MS
    state, _ = minutes(State(T), T + 3 * DAY_MS, LONG_HELD_MS // MINUTE_MS)
    nap, _ = look(state, held + 8 * HOUR_MS)
    assert trusted(nap, held + 8 * HOUR_MS) == T + LONG_HELD_MS - MINUTE_MS
    assert minutes(nap, held + 8 * HOUR_MS, 10)[1] == []
    assert minutes(nap, held + 8 * HOUR_MS, 11)[1] == [Event.HELD]
    jump, _ = look(state, held + 30 * DAY_MS)
    assert minutes(jump, held + 30 * DAY_MS, LONG_HELD_MS // MINUTE_MS)[1] == []


def test_an_hour_between_looks_is_no_jump():
    assert look(State(T), T + JUMP_MS) == (State(T + JUMP_MS), Event.NONE)
    assert look(State(T), T + JUMP_MS + 1)[1] == Event.AHEAD


def test_a_step_back_is_noticed_and_held_too():
    state, event = look(State(T), T - DAY_MS)
    assert event == Event.BACK
    assert trusted(state, T - DAY_MS) == T - DAY_MS
    assert not is_steady(state, T - DAY_MS)
    state, events = minutes(state, T - DAY_MS, 11)
    assert events == [Event.HELD]
    assert state == State(T - DAY_MS + 10 * MINUTE_MS)


def test_a_small_step_back_is_none():
    assert look(State(T), T - 30_000) == (State(T), Event.NONE)


@given(st.lists(st.integers(-40 * DAY_MS, 40 * DAY_MS), max_size=30))
def test_trusted_time_is_never_ahead_of_the_clock(steps):
    state, now_ms = State(T), T
    for step in steps:
        now_ms = max(0, now_ms + step)
        assert trusted(state, now_ms) <= now_ms
        state, _ = look(state, now_ms)
        assert trusted(state, now_ms) <= now_ms
