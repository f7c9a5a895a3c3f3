"""The tables of AWS's guide: what an alarm is after these datapoints, by how missing ones are treated."""

import pytest

from apps.cloudwatch.evaluation import Rule, evaluate
from apps.cloudwatch.models import State

KEEPS = "keeps"


def points(text: str) -> list[float | None]:
    """X breaches, 0 does not, - is missing."""
    return [{"X": 10.0, "0": 0.0, "-": None}[sign] for sign in text.replace(" ", "")]


THREE_OF_THREE = [
    ("0 - X - X", "OK", "OK", "OK", "OK"),
    ("0 - - - -", "OK", "OK", "OK", "OK"),
    ("- - - - -", "INSUFFICIENT_DATA", KEEPS, "ALARM", "OK"),
    ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - X - -", "ALARM", KEEPS, "ALARM", "OK"),
    ("- - - - X", KEEPS, KEEPS, "ALARM", "OK"),
    ("X X X X X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("X X X 0 X", "OK", "OK", "OK", "OK"),
]

TWO_OF_THREE = [
    ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", "OK", "OK", "ALARM", "OK"),
    ("- - - X -", "ALARM", KEEPS, "ALARM", "OK"),
]

CASES = [
    (3, to_alarm, text, missing, state)
    for to_alarm, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
    for text, *states in table
    for missing, state in zip(("missing", "ignore", "breaching", "notBreaching"), states, strict=True)
]


@pytest.mark.parametrize(("periods", "to_alarm", "text", "missing", "state"), CASES)
@pytest.mark.parametrize("now", list(State))
def test_guide(periods: int, to_alarm: int, text: str, missing: str, state: str, now: State) -> None:
    rule = Rule("GreaterThanThreshold", 5, periods, to_alarm, missing)
    verdict = evaluate(rule, points(text), now)
    assert verdict.state == (now if state == KEEPS else State(state))
    assert 0 < len(verdict.reason) <= 1_023


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", [5, 6]),
        ("GreaterThanThreshold", [6]),
        ("LessThanThreshold", [4]),
        ("LessThanOrEqualToThreshold", [4, 5]),
    ],
)
def test_comparisons(comparison: str, breaching: list[int]) -> None:
    rule = Rule(comparison, 5, 1, 1)
    found = [value for value in (4, 5, 6) if evaluate(rule, [None, None, float(value)], State.OK).state == State.ALARM]
    assert found == breaching


def test_reasons() -> None:
    rule = Rule("GreaterThanThreshold", 3, 2, 1)
    assert evaluate(rule, [None, None, 1.0, 5.5], State.OK).reason == (
        "Threshold Crossed: 1 out of the last 2 datapoints [1, 5.5] was greater than the threshold (3) "
        "(minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert evaluate(rule, [None, None, 1.0, 2.0], State.ALARM).reason == (
        "Threshold Crossed: 2 out of the last 2 datapoints [1, 2] were not greater than the threshold (3) "
        "(minimum 2 datapoints for ALARM -> OK transition)."
    )
    assert evaluate(rule, [None] * 4, State.OK).reason == "Insufficient Data: 2 datapoints were unknown."
    assert evaluate(Rule("LessThanThreshold", 3, 1, 1, "breaching"), [None] * 3, State.OK).reason == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint treated as [Breaching]."
    )
