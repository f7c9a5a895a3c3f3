"""How often an alarm would have fired: its rule, worked out over what is kept of its metric, by the code that looks at
alarms (evaluation.py), as often as that does or nearly so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apps.base.errors import ServiceError, ValidationException
from apps.cloudwatch.alarms import SETTLED_S, period_of, points_of, rule_of
from apps.cloudwatch.evaluation import Rule, evaluate
from apps.cloudwatch.models import State
from apps.cloudwatch.periods import Span
from apps.cloudwatch.queries import identity_of
from apps.cloudwatch.reading import Reader
from apps.cloudwatch.statistics import statistic
from apps.metrics.series import Value

KEPT_S = {60: 7 * 86_400, 10: 6 * 3_600, 1: 900}
"""How far back a preview looks, by the narrowest buckets that a rule needs."""

WINDOWS_MAX = 600_000
"""Datapoints that all evaluations of a preview look at together: half a second of a processor at most."""

STEPS_OF_PERIOD = 5
"""A long period is looked at so often within itself; the worker does it each minute."""

POINTS_SHOWN = 336

Json = dict[str, Any]


@dataclass(slots=True)
class Preview:
    """What would have been. Times are UTC seconds. fired: from when to when it was in ALARM (None: it still is).

    points: (start, value) of the metric's periods, thinned out to what a chart shows: of each few the one that is
    nearest to the alarm. problem: why nothing can be said."""

    start_s: int
    end_s: int
    threshold: float
    every_s: int = 60
    points: list[tuple[int, float | None]] = field(default_factory=list)
    fired: list[tuple[int, int | None]] = field(default_factory=list)
    problem: str = ""

    @property
    def has_data(self) -> bool:
        """There was something to look at."""
        return any(value is not None for _, value in self.points)


def preview(reader: Reader, settings: Json) -> Preview:
    """Of PutMetricAlarm's members, which must be valid."""
    rule, period_s = rule_of(settings), period_of(settings)
    base_s = 60 if period_s >= 60 else 10 if period_s % 10 == 0 else 1
    end_s = (reader.now_s - SETTLED_S) // base_s * base_s
    found = Preview(end_s - KEPT_S[base_s], end_s, rule.threshold)
    try:
        if "Metrics" in settings:
            values, found.every_s = _of_expression(reader, settings, rule, found), period_s
        else:
            found.every_s = _every(rule, period_s, base_s, KEPT_S[base_s])
            values = _of_metric(reader, settings, rule, found)
    except ServiceError as error:
        found.problem = error.message or error.code
        return found
    _evaluate(found, rule, period_s, values)
    found.points = _thinned(found, rule, values, period_s)
    return found


def _every(rule: Rule, period_s: int, base_s: int, span_s: int) -> int:
    """Seconds between two evaluations: a divisor of the period, so that windows are put together from whole steps."""
    wanted_s = max(base_s, period_s // STEPS_OF_PERIOD, math.ceil(span_s * rule.looked_at / WINDOWS_MAX))
    steps = [n for n in range(1, period_s // base_s + 1) if period_s % (n * base_s) == 0 and n * base_s >= wanted_s]
    return steps[0] * base_s if steps else period_s


def _of_metric(reader: Reader, settings: Json, rule: Rule, found: Preview) -> dict[int, float]:
    """The statistic of the period that begins at each step."""
    identity = identity_of(settings["Namespace"], settings["MetricName"], settings.get("Dimensions"))
    of = statistic(settings.get("Statistic") or settings["ExtendedStatistic"], identity.namespace)
    period_s, step_s = settings["Period"], found.every_s
    first_s = found.start_s - rule.looked_at * period_s
    first_s -= first_s % 60 if step_s >= 60 else first_s % step_s
    span = Span(first_s, step_s, -((first_s - found.end_s) // step_s))
    buckets = reader.together(identity, settings.get("Unit"), span)
    values = {}
    for start_s in _starts(buckets, period_s, step_s):
        value = of(_merged(buckets, range(start_s, start_s + period_s, step_s)))
        if value is not None and start_s + period_s <= found.end_s:
            values[start_s] = value
    found.start_s = first_s + rule.looked_at * period_s
    return values


def _starts(buckets: Iterable[int], period_s: int, step_s: int) -> set[int]:
    """Where a period may begin that has data."""
    return {start_s - back_s for start_s in buckets for back_s in range(0, period_s, step_s)}


def _merged(buckets: dict[int, Value], starts: range) -> Value:
    there = [buckets[start_s] for start_s in starts if start_s in buckets]
    if len(there) == 1:
        return there[0]
    merged = there[0].copy()
    for value in there[1:]:
        merged.merge(value)
    return merged


def _of_expression(reader: Reader, settings: Json, rule: Rule, found: Preview) -> dict[int, float]:
    period_s = period_of(settings)
    found.start_s -= found.start_s % period_s
    if (found.end_s - found.start_s) // period_s * rule.looked_at > WINDOWS_MAX:
        raise ValidationException("The alarm looks at too many datapoints for a preview.")
    return points_of(settings, reader, found.start_s - rule.looked_at * period_s, found.end_s)


def _evaluate(found: Preview, rule: Rule, period_s: int, values: dict[int, float]) -> None:
    state, since_s = State.INSUFFICIENT_DATA, 0
    for end_s in range(found.start_s, found.end_s + 1, found.every_s):
        window = [values.get(start_s) for start_s in range(end_s - rule.looked_at * period_s, end_s, period_s)]
        now = evaluate(rule, window, state).state
        if now == State.ALARM and state != State.ALARM:
            since_s = end_s
        if state == State.ALARM and now != State.ALARM:
            found.fired.append((since_s, end_s))
        state = now
    if state == State.ALARM:
        found.fired.append((since_s, None))


def _thinned(found: Preview, rule: Rule, values: dict[int, float], period_s: int) -> list[tuple[int, float | None]]:
    """One value for each of POINTS_SHOWN parts of the time, None where there is none."""
    part_s = max(period_s, -(-(found.end_s - found.start_s) // POINTS_SHOWN))
    worst = max if rule.comparison.startswith("Greater") else min
    parts: dict[int, float] = {}
    for start_s, value in values.items():
        if start_s >= found.start_s:
            at = found.start_s + (start_s - found.start_s) // part_s * part_s
            parts[at] = worst(parts.get(at, value), value)
    return [(at, parts.get(at)) for at in range(found.start_s, found.end_s, part_s)]
