"""What the operator hears when the clock moves."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import clock_flags, clock_guard
from apps.billing.models import BillingFlag, MeteringClock

pytestmark = pytest.mark.django_db

T = 1_795_163_467_000
"""20 November 2026, 08:31 UTC."""


def flag():
    return BillingFlag.objects.get(team=None)


def test_an_ordinary_minute_says_nothing():
    assert [clock_flags.look(T + n * MINUTE_MS) for n in range(3)] == [T, T + MINUTE_MS, T + 2 * MINUTE_MS]
    assert not BillingFlag.objects.exists()
    assert MeteringClock.objects.count() == 1


def test_a_jump_ahead_then_held_then_believed():
    clock_flags.look(T)
    assert clock_flags.look(T + 5 * HOUR_MS) == T
    assert flag().kind == "clock-ahead"
    assert "from 2026-11-20 08:31 UTC to 2026-11-20 13:31 UTC, 5 hours ahead, or Tidegate was off" in flag().text
    assert "held for 10 minutes" in flag().text
    for n in range(1, 11):
        clock_flags.look(T + 5 * HOUR_MS + n * MINUTE_MS)
    assert "it is believed from now on" in flag().text
    assert clock_guard.trusted_ms(T + 5 * HOUR_MS + 10 * MINUTE_MS) == T + 5 * HOUR_MS + 10 * MINUTE_MS


def test_a_long_jump_must_hold_for_a_day():
    clock_flags.look(T)
    clock_flags.look(T + 31 * DAY_MS)
    assert "31 days ahead" in flag().text
    assert "held for 24 hours or this is acknowledged" in flag().text


def test_a_step_back_is_told_and_books_nothing_twice():
    clock_flags.look(T)
    assert clock_flags.look(T - 3 * DAY_MS) == T - 3 * DAY_MS
    assert flag().kind == "clock-back"
    assert "by 3 days. What is booked stays booked" in flag().text


def test_a_jump_that_is_undone_is_told():
    clock_flags.look(T)
    clock_flags.look(T + 31 * DAY_MS)
    assert clock_flags.look(T + MINUTE_MS) == T + MINUTE_MS
    assert "nothing was billed for the step" in flag().text
    assert flag().seen == 2
