"""Which buckets a question means: start, period, how many; rounded as CloudWatch rounds."""

from __future__ import annotations

from dataclasses import dataclass

from apps.cloudwatch.errors import InvalidParameterValueException
from apps.metrics.layout import DAY_S, HOUR_S

SHORT_S = (1, 5, 10, 20, 30)
"""Periods below a minute."""

PERIOD_S_MAX = DAY_S * 365
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets of period_s, the first at start_s (UTC), so many."""

    start_s: int
    period_s: int
    count: int

    @property
    def end_s(self) -> int:
        """The first second after it."""
        return self.start_s + self.count * self.period_s

    @property
    def starts(self) -> range:
        """When each bucket begins."""
        return range(self.start_s, self.end_s, self.period_s)

    def width_s(self, kept: tuple[int, ...]) -> int:
        """The widest of these buckets that the span can be put together from."""
        fitting = [width for width in kept if self.period_s % width == 0 and self.start_s % width == 0]
        return max(fitting, default=min(kept))


def check_period(period_s: int) -> None:
    """Raises InvalidParameterValueException unless metrics can be asked for in such periods."""
    if period_s not in SHORT_S and (period_s % MINUTE_S or not MINUTE_S <= period_s <= PERIOD_S_MAX):
        raise InvalidParameterValueException("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60.")


def span_of(start_ms: int, end_ms: int, period_s: int, now_s: int) -> Span:
    """The start is rounded down: to the minute, to five minutes if it is older than 15 days, to the hour if older than
    63 (to the period, if that is below a minute). A bucket counts if it begins before the end."""
    check_period(period_s)
    if start_ms >= end_ms:
        raise InvalidParameterValueException("The parameter StartTime must be less than the parameter EndTime.")
    start_s = start_ms // 1_000
    age_s = now_s - start_s
    step_s = HOUR_S if age_s > 63 * DAY_S else 300 if age_s > 15 * DAY_S else MINUTE_S
    step_s = period_s if period_s < MINUTE_S else step_s
    start_s -= start_s % step_s
    return Span(start_s, period_s, max(1, -((start_s - -(-end_ms // 1_000)) // period_s)))
