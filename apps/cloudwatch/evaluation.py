"""When is an alarm in which state? AWS's rules for M out of N datapoints and for missing ones. Pure."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from apps.cloudwatch.models import State

BEYOND = 2
"""So many datapoints more than EvaluationPeriods are looked at, to stand in for missing ones."""

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

MISSING = ("missing", "breaching", "notBreaching", "ignore")


@dataclass(frozen=True, slots=True)
class Rule:
    """What an alarm compares. periods: N; to_alarm: M."""

    comparison: str
    threshold: float
    periods: int
    to_alarm: int
    missing: str = "missing"

    @property
    def looked_at(self) -> int:
        """How many buckets an evaluation reads."""
        return self.periods + BEYOND


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, why, and the values that it comes from (the newest last)."""

    state: State
    reason: str
    recent: list[float]


def evaluate(rule: Rule, points: Sequence[float | None], now: State) -> Verdict:
    """The state after these buckets (the newest last, None: no data). now: the state before."""
    compare = COMPARISONS[rule.comparison][0]
    real = [point for point in points if point is not None]
    if len(real) >= rule.periods:
        real = real[-rule.periods :]
        missing = 0
    else:
        missing = rule.periods - len(real)
    breaching = sum(compare(point, rule.threshold) for point in real)
    state = _state(rule, points, real, breaching, missing, now)
    return Verdict(state, _reason(rule, state, real, breaching, missing), real)


def _state(
    rule: Rule, points: Sequence[float | None], real: Sequence[float], breaching: int, missing: int, now: State
) -> State:
    if missing and rule.missing == "breaching":
        breaching += missing
    if breaching >= rule.to_alarm:
        return State.ALARM
    if not missing or rule.missing in {"breaching", "notBreaching"}:
        return State.OK
    if not real:
        return now if rule.missing == "ignore" else State.INSUFFICIENT_DATA
    if breaching < len(real):
        return State.OK
    # All that there is breaches. That is an alarm only once it is as old as DatapointsToAlarm: newer datapoints that
    # are merely late could still turn it round.
    oldest = len(points) - next(position for position, point in enumerate(points) if point is not None)
    return State.ALARM if rule.missing == "missing" and oldest >= rule.to_alarm else now


def _reason(rule: Rule, state: State, real: Sequence[float], breaching: int, missing: int) -> str:
    if not real:
        datapoints = "1 datapoint was" if rule.periods == 1 else f"{rule.periods} datapoints were"
        if rule.missing in {"missing", "ignore"}:
            return f"Insufficient Data: {datapoints} unknown."
        treated = "Breaching" if rule.missing == "breaching" else "NonBreaching"
        plural = "" if rule.periods == 1 else "s"
        return (
            f"Threshold Crossed: no datapoints were received for {rule.periods} period{plural} and {missing} missing "
            f"datapoint{'' if missing == 1 else 's'} treated as [{treated}]."
        )
    words = COMPARISONS[rule.comparison][1]
    count = breaching if state == State.ALARM else len(real) - breaching
    verb = "was" if count == 1 else "were"
    negated = "" if state == State.ALARM else " not"
    values = ", ".join(f"{point:g}" for point in real[-10:])
    was = "ALARM -> OK" if state == State.OK else "OK -> ALARM"
    needed = rule.to_alarm if state == State.ALARM else rule.periods - rule.to_alarm + 1
    plural = "" if needed == 1 else "s"
    return (
        f"Threshold Crossed: {count} out of the last {rule.periods} datapoints [{values}] {verb}{negated} {words} the "
        f"threshold ({rule.threshold:g}) (minimum {needed} datapoint{plural} for {was} transition)."
    )
