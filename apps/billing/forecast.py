"""What a month will have cost when it is over, from what its days cost until now. Pure.

The method. Of the last full days (28 at most, 7 at least) each weekday has its own level, and all share one trend:

    cost of day t = level of its weekday + slope * t + noise

fitted by least squares, which for weekdays needs no matrices: the slope is that of the days about the means of their weekdays. A
sum over coming days is then known but for two things, the noise of those days and the uncertainty of what was fitted; both follow
from the residuals, and Student's t with (days - 8) degrees of freedom turns them into the range in which 80 of 100 such sums lie.
The range belongs to the month's sum, not to its days: those are drawn with ranges of their own, which are wider together.

Below 14 days no weekday was seen twice, so a trend cannot be told from a week's rhythm: the forecast repeats the weekdays as
they were and takes all of their differences for noise. Its range is therefore rather too wide than too narrow.

Today is not over, so it is forecast like the days to come, and is at least what it has cost so far. Days before the first whole
one do not count. tests/unit/billing/test_forecast.py holds the range against simulated months.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from statistics import NormalDist, fmean

from apps.base.units import DAY_MS, MINUTE_MS
from apps.billing.months import Month

LEAST_DAYS = 7
MOST_DAYS = 28
TREND_FROM_DAYS = 14
SHARE = 0.8
SETTLED_MS = 10 * MINUTE_MS
"""A day is full so long after its end: the last of it has been read by then."""

WEEK = 7
FITTED = WEEK + 1
"""Weekdays and slope: what the fit takes from the degrees of freedom."""


@dataclass(frozen=True, slots=True)
class NoForecast:
    """There is none; reason says why, as a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class ForecastDay:
    """A day that is not over, in cents. low and high hold 80 of 100 such days."""

    day_ms: int
    low_cents: int
    likely_cents: int
    high_cents: int
    is_today: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """The whole month, in cents: usage before credits. days: those that are not over, today first."""

    month: Month
    spent_cents: int
    low_cents: int
    likely_cents: int
    high_cents: int
    days: tuple[ForecastDay, ...]
    full_days: int
    """What it was made of."""

    @property
    def basis(self) -> str:
        """What it knows, and what not."""
        return (
            f"80 of 100 months like the last {self.full_days} full days end in this range. It does not know what will be "
            "created, resized or deleted from now on; credits are not taken off."
        )


Days = Mapping[int, Fraction]
"""What each UTC day cost, in the currency's units; a day that is missing cost nothing."""


def forecast(days: Days, month: Month, now_ms: int) -> Forecast | NoForecast:
    """Of the month that now is in. days: at least this month's and the last 28 full ones, as far as there are any."""
    today_ms = (now_ms - SETTLED_MS) // DAY_MS * DAY_MS
    full = _full_days(days, today_ms)
    if len(full) < LEAST_DAYS:
        missing = LEAST_DAYS - len(full)
        return NoForecast(
            f"No forecast yet: it needs {LEAST_DAYS} full days of costs, {missing} more {'is' if missing == 1 else 'are'} missing."
        )
    known = sum((days.get(day, Fraction(0)) for day in range(month.start_ms, today_ms, DAY_MS)), Fraction(0))
    coming = range(max(today_ms, month.start_ms), month.end_ms, DAY_MS)
    fit = _Fit.of([(day, float(days.get(day, 0))) for day in full])
    ahead = tuple(_day(fit, day, float(days.get(day, 0)), is_today=day == today_ms) for day in coming)
    spent = known + sum((days.get(day, Fraction(0)) for day in coming), Fraction(0))
    likely = float(known) + sum(max(fit.level(day), float(days.get(day, 0)), 0.0) for day in coming)
    half = fit.half_range(coming)
    return Forecast(
        month,
        _cents(float(spent)),
        _cents(max(float(spent), likely - half)),
        _cents(likely),
        _cents(likely + half),
        ahead,
        len(full),
    )


def _full_days(days: Days, today_ms: int) -> range:
    """The last 28 that are over, none before the second day that cost something: the first one began in its middle."""
    first_ms = min((day for day, amount in days.items() if amount), default=today_ms)
    oldest_ms = today_ms - MOST_DAYS * DAY_MS
    return range(oldest_ms if first_ms < oldest_ms else first_ms + DAY_MS, today_ms, DAY_MS)


def _day(fit: _Fit, day_ms: int, spent: float, *, is_today: bool) -> ForecastDay:
    likely, half = max(fit.level(day_ms), spent, 0.0), fit.half_range([day_ms])
    low, high = max(likely - half, spent, 0.0), likely + half
    return ForecastDay(day_ms, _cents(low), _cents(likely), _cents(high), is_today)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Means of the weekdays (of cost and of time, in days), their counts, the slope, and the noise about them."""

    cost: Mapping[int, float]
    time: Mapping[int, float]
    seen: Mapping[int, int]
    slope: float
    spread_of_time: float
    noise: float
    """Standard deviation of a day."""
    freedom: int

    @classmethod
    def of(cls, series: Sequence[tuple[int, float]]) -> _Fit:
        points: dict[int, list[tuple[float, float]]] = {}
        for day_ms, amount in series:
            points.setdefault(_weekday(day_ms), []).append((day_ms / DAY_MS, amount))
        time = {weekday: fmean(t for t, _ in some) for weekday, some in points.items()}
        cost = {weekday: fmean(c for _, c in some) for weekday, some in points.items()}
        seen = {weekday: len(some) for weekday, some in points.items()}
        if len(series) < TREND_FROM_DAYS:
            mean = fmean(amount for _, amount in series)
            freedom = len(series) - 1
            noise = math.sqrt(sum((amount - mean) ** 2 for _, amount in series) / freedom)
            return cls(cost, time, seen, 0.0, math.inf, noise, freedom)
        off = [(t - time[weekday], c - cost[weekday]) for weekday, some in points.items() for t, c in some]
        spread = sum(t * t for t, _ in off)
        slope = sum(t * c for t, c in off) / spread
        freedom = len(series) - FITTED
        noise = math.sqrt(sum((c - slope * t) ** 2 for t, c in off) / freedom)
        return cls(cost, time, seen, slope, spread, noise, freedom)

    def level(self, day_ms: int) -> float:
        """What that day should cost."""
        weekday = _weekday(day_ms)
        return self.cost[weekday] + self.slope * (day_ms / DAY_MS - self.time[weekday])

    def half_range(self, days: Sequence[int]) -> float:
        """How far the sum of those days may lie off, 80 times of 100."""
        counts: dict[int, int] = {}
        ahead = 0.0
        for day_ms in days:
            weekday = _weekday(day_ms)
            counts[weekday] = counts.get(weekday, 0) + 1
            ahead += day_ms / DAY_MS - self.time[weekday]
        variance = len(days) + sum(n * n / self.seen[w] for w, n in counts.items()) + ahead**2 / self.spread_of_time
        return student(0.5 + SHARE / 2, self.freedom) * self.noise * math.sqrt(variance)


def student(probability: float, freedom: int) -> float:
    """The quantile of Student's t, by the expansion of Cornish and Fisher: good to three places from 5 degrees on."""
    z = NormalDist().inv_cdf(probability)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _weekday(day_ms: int) -> int:
    return datetime.fromtimestamp(day_ms / 1_000, UTC).weekday()


def _cents(amount: float) -> int:
    return math.floor(amount * 100 + 0.5)
