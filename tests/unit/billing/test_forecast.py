"""What a month will have cost: the range holds 80 of 100 months, and there is silence without enough days."""

import random
from fractions import Fraction

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing.forecast import Forecast, NoForecast, forecast, student
from apps.billing.months import Month

NOVEMBER = Month(2026, 11)
START = NOVEMBER.start_ms


def costs(days, first_ms=START):
    """By day, from amounts in a row."""
    return {first_ms + n * DAY_MS: Fraction(amount) for n, amount in enumerate(days)}


def at(day, hours=12):
    """Noon of a day of November."""
    return START + (day - 1) * DAY_MS + hours * HOUR_MS


def test_without_seven_full_days_there_is_none():
    # The first day of usage is not a full one, and today is not over: 1 to 8 November make six.
    found = forecast(costs([10] * 8), NOVEMBER, at(8))
    assert found == NoForecast("No forecast yet: it needs 7 full days of costs, 1 more is missing.")
    assert isinstance(forecast(costs([10] * 9), NOVEMBER, at(9)), Forecast)
    assert isinstance(forecast({}, NOVEMBER, at(20)), NoForecast)


def test_a_day_is_full_when_its_last_minutes_are_read():
    days = costs([10] * 8)
    assert isinstance(forecast(days, NOVEMBER, START + 8 * DAY_MS + 5 * 60_000), NoForecast)
    assert isinstance(forecast(days, NOVEMBER, START + 8 * DAY_MS + 11 * 60_000), Forecast)


def test_what_costs_the_same_every_day_goes_on():
    found = forecast(costs([10] * 20), NOVEMBER, at(20))
    assert (found.low_cents, found.likely_cents, found.high_cents) == (30_000, 30_000, 30_000)
    assert found.spent_cents == 20_000
    assert [day.is_today for day in found.days] == [True] + [False] * 10


def test_weekdays_and_trend_are_carried_on():
    weekly = [30, 30, 30, 30, 30, 10, 10]
    days = [weekly[n % 7] + n for n in range(28)]
    october = START - 28 * DAY_MS
    found = forecast(costs(days, october), NOVEMBER, START + HOUR_MS)
    expected = sum(weekly[n % 7] + n for n in range(28, 58))
    assert found.likely_cents == expected * 100
    assert found.low_cents == found.high_cents == found.likely_cents


def test_today_is_no_full_day_and_costs_at_least_what_it_has_cost():
    days = costs([*[10] * 19, 2])
    assert forecast(days, NOVEMBER, at(20)).likely_cents == 30_000
    dear = forecast(costs([*[10] * 19, 50]), NOVEMBER, at(20))
    assert dear.likely_cents == 34_000
    assert dear.days[0].likely_cents == 5_000


def test_what_is_spent_is_the_least():
    noisy = [40, 5, 60, 2, 80, 1, 30] * 4
    found = forecast(costs(noisy), NOVEMBER, at(29, 23))
    assert found.spent_cents <= found.low_cents <= found.likely_cents <= found.high_cents
    assert all(day.low_cents >= 0 for day in found.days)


def test_days_before_a_stream_began_are_not_free_days():
    october = costs([0] * 20, START - 20 * DAY_MS)
    found = forecast(october | costs([5] + [10] * 10), NOVEMBER, at(12))
    assert found.full_days == 10
    assert found.likely_cents == 500 + 29 * 1_000


def test_quantiles_of_student():
    """Of a table."""
    assert student(0.9, 6) == pytest.approx(1.440, abs=2e-3)
    assert student(0.9, 20) == pytest.approx(1.325, abs=1e-3)


def simulated(rng, history, weekday, trend):
    """The costs of a month with noise, and those of the days before: (days, first day of them)."""
    rhythm = [rng.uniform(1 - weekday, 1 + weekday) for _ in range(7)]
    count = history + NOVEMBER.days
    return [100 * rhythm[n % 7] + trend * n + rng.gauss(0, 8) for n in range(count)]


@pytest.mark.parametrize(
    ("history", "day", "weekday", "trend", "least", "most"),
    [
        (28, 1, 0.5, 0.5, 0.75, 0.85),
        (28, 20, 0.5, -0.3, 0.75, 0.85),
        (3, 13, 0.0, 0.0, 0.75, 0.85),
        (0, 20, 0.4, 1.0, 0.75, 0.85),
        # A rhythm cannot be told from noise within a fortnight: the range is too wide, never too narrow.
        (0, 12, 0.2, 0.0, 0.85, 1.0),
    ],
)
def test_the_range_holds_eighty_of_a_hundred_months(history, day, weekday, trend, least, most):
    rng = random.Random(20261120)
    held, months = 0, 400
    for _ in range(months):
        amounts = simulated(rng, history, weekday, trend)
        total = sum(amounts[history:])
        first_ms = START - history * DAY_MS
        known = {first_ms + n * DAY_MS: Fraction(round(amount * 10**6), 10**6) for n, amount in enumerate(amounts)}
        known = {day_ms: amount for day_ms, amount in known.items() if day_ms < START + (day - 1) * DAY_MS}
        found = forecast(known, NOVEMBER, at(day, 1))
        held += found.low_cents <= 100 * total <= found.high_cents
    assert least <= held / months <= most, held / months
