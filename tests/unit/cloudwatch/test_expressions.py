"""Metric math."""

from typing import Any

import pytest

from apps.cloudwatch.expressions import ExpressionError, Line, evaluate

STARTS = [0, 60, 120, 180]


class Given:
    """Time series by name."""

    period_s = 60
    starts = STARTS
    depth = 0

    def __init__(self, **lines: dict[int, float]) -> None:
        self.lines = {name: Line(points, 60, name) for name, points in lines.items()}

    def spend(self, points: int) -> None:
        assert points >= 0

    def named(self, name: str) -> Any:
        if name not in self.lines:
            raise ExpressionError(f"no {name}")
        return self.lines[name]

    def all_metrics(self, text: str | None) -> list[Line]:
        return [line for name, line in self.lines.items() if text is None or text in name]

    def search(self, wanted: str, stat: str, period_s: int) -> list[Line]:
        assert (wanted, stat, period_s) == ("{A,b} c", "Sum", 300)
        return list(self.lines.values())


SOURCE = Given(m1={0: 1, 60: 2, 180: 6}, m2={0: 10, 120: 30, 180: 0})


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("m1 + 1", {0: 2, 60: 3, 180: 7}),
        ("m1 + m2", {0: 11, 180: 6}),
        ("m1 / m2", {0: 0.1}),
        ("100 * m1 / (m1 + m2)", {0: 100 / 11, 180: 100}),
        ("-m1 ^ 2", {0: -1, 60: -4, 180: -36}),
        ("2 ^ 3 ^ 2 + m1 * 0", {0: 512, 60: 512, 180: 512}),
        ("m1 - 1 - 1", {0: -1, 60: 0, 180: 4}),
        ("m1 > 1", {0: 0, 60: 1, 180: 1}),
        ("SUM([m1, m2])", {0: 11, 60: 2, 120: 30, 180: 6}),
        ("SUM(METRICS())", {0: 11, 60: 2, 120: 30, 180: 6}),
        ("AVG(METRICS())", {0: 5.5, 60: 2, 120: 30, 180: 3}),
        ("MAX(METRICS('m2'))", {0: 10, 120: 30, 180: 0}),
        ("MIN([m1,m2]) * 1", {0: 1, 60: 2, 120: 30, 180: 0}),
        ("m1 / SUM(m1)", {0: 1 / 9, 60: 2 / 9, 180: 6 / 9}),
        ("m1 * PERIOD(m1)", {0: 60, 60: 120, 180: 360}),
        ("RATE(m1)", {60: 1 / 60, 180: 4 / 120}),
        ("DIFF(m1)", {60: 1, 180: 4}),
        ("RUNNING_SUM(m1)", {0: 1, 60: 3, 180: 9}),
        ("FILL(m1, 0)", {0: 1, 60: 2, 120: 0, 180: 6}),
        ("FILL(m1, REPEAT)", {0: 1, 60: 2, 120: 2, 180: 6}),
        ("FILL(m1, 'LINEAR')", {0: 1, 60: 2, 120: 4, 180: 6}),
        ("SUM(FILL(METRICS(), 0)) - FILL(m2, 0)", {0: 1, 60: 2, 120: 0, 180: 6}),
        ("ABS(-m1) + CEIL(m1 / 4) + FLOOR(0.5)", {0: 2, 60: 3, 180: 8}),
        ("IF(m1 > 1, m1, 0)", {0: 0, 60: 2, 180: 6}),
        ("IF(m1 > 1, m1)", {60: 2, 180: 6}),
        ("TIME_SERIES(5)", {0: 5, 60: 5, 120: 5, 180: 5}),
        ("SUM(SEARCH('{A,b} c', 'Sum', 300))", {0: 11, 60: 2, 120: 30, 180: 6}),
        ("m1 * METRIC_COUNT(METRICS())", {0: 2, 60: 4, 180: 12}),
        ("m1 * 10 ^ 400", None),
    ],
)
def test_values(text: str, points: dict[int, float] | None) -> None:
    if points is None:
        with pytest.raises(ExpressionError):
            evaluate(text, SOURCE)
        return
    found = evaluate(text, SOURCE)
    assert isinstance(found, Line)
    assert found.points == pytest.approx(points)


def test_arrays_are_worked_on_one_by_one() -> None:
    found = evaluate("RATE(METRICS()) * 60", SOURCE)
    assert isinstance(found, list)
    assert [(line.label, line.points) for line in found] == [
        ("m1", pytest.approx({60: 1, 180: 2})),
        ("m2", pytest.approx({120: 10, 180: -30})),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends too early"),
        ("m1 +", "ends too early"),
        ("(m1", "is missing"),
        ("m1 m2", "unexpected"),
        ("m1 ; m2", "unexpected character"),
        ("nobody", "no nobody"),
        ("ANOMALY_DETECTION_BAND(m1)", "Function ANOMALY_DETECTION_BAND is not supported. Tidegate has ABS"),
        ("'text' + 1", "a text is no operand"),
        ("METRICS() + METRICS()", "between two arrays"),
        ("SUM(1, 2)", "an array holds time series"),
        ("FILL(m1)", "FILL takes"),
        ("FILL(m1, 'MEAN')", "FILL takes a number"),
        ("1 / 0", "divided by zero"),
        ("9 ^ 9 ^ 9 ^ 9", "too large"),
        ("(" * 40 + "1" + ")" * 40, "nested too deeply"),
        ("-" * 1_500 + "1", "nested too deeply"),
        ("1 + " * 1_000 + "1", "at most 2048"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match="(?s)" + message.replace("(", r"\(")):
        evaluate(text, SOURCE)
