"""Metric math: `SUM(METRICS()) / 60`, `RATE(m1)`, `FILL(m2, 0)`, `m1 / (m1 + m2) * 100`.

A value is a number, a text, a time series, or an array of time series. Operators work point by point: where one side has
no value there is none; a number stands beside every point; an array is worked on series by series.

Known: + - * / ^, comparisons (1 or 0), parentheses, [a, b], and the functions of FUNCTIONS, METRICS, SEARCH. The rest of
AWS's functions is refused by name.
"""

from __future__ import annotations

import bisect
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from apps.base.errors import ValidationException

LENGTH_MAX = 2_048
"""AWS's limit of an expression."""

DEPTH_MAX = 32
"""Of brackets and calls within each other, those of the queries that an expression names counted in: Python's stack
ends at 1,000 calls, and one such step takes up to ten."""

WORDS = frozenset({"REPEAT", "LINEAR"})
"""What FILL takes beside numbers."""

SERIES_MAX = 500
"""Time series in one array."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()\[\],<>]))"
)


class ExpressionError(ValidationException):
    """What is wrong with an expression."""


@dataclass(slots=True)
class Line:
    """A time series: values by the start of their bucket, in order. label: what it is called in an answer."""

    points: dict[int, float]
    period_s: int
    label: str = ""


Result = float | str | Line | list[Line]


class Source(Protocol):
    """Where an expression's time series come from."""

    depth: int
    """How deep in brackets and calls the working out is."""

    @property
    def starts(self) -> Sequence[int]:
        """The buckets that are asked for, in order."""

    @property
    def period_s(self) -> int:
        """Their length."""

    def spend(self, points: int) -> None:
        """So many points are worked out. Raises ValidationException once the request has had its share."""

    def named(self, name: str) -> Result:
        """The result of the query of that Id. Raises ExpressionError."""

    def all_metrics(self, text: str | None) -> list[Line]:
        """The results of all metric queries, or of those with text in their Id."""

    def search(self, wanted: str, stat: str, period_s: int) -> list[Line]:
        """The metrics that a search expression finds."""


def evaluate(text: str, source: Source) -> Result:
    """The value of an expression. Raises ExpressionError."""
    if len(text) > LENGTH_MAX:
        raise ExpressionError(f"An expression has at most {LENGTH_MAX} characters.")
    return _Parser(_tokens(text), source).whole()


def names_in(text: str) -> set[str]:
    """Ids that an expression may refer to."""
    return {value for kind, value in _tokens(text) if kind == "name" and value[:1].islower()}


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ExpressionError(f"Error in expression: unexpected character at position {position}.")
        kind = found.lastgroup
        assert kind is not None
        tokens.append((kind, found.group(kind)))
        position = found.end()
    return tokens


_LEVELS: tuple[dict[str, Callable[[float, float], float]], ...] = (
    {
        "<": lambda a, b: float(a < b),
        "<=": lambda a, b: float(a <= b),
        ">": lambda a, b: float(a > b),
        ">=": lambda a, b: float(a >= b),
        "==": lambda a, b: float(a == b),
        "!=": lambda a, b: float(a != b),
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
)


@dataclass(slots=True)
class _Parser:
    """Reads and works out at once: each rule answers its value."""

    tokens: list[tuple[str, str]]
    source: Source
    position: int = 0

    def whole(self) -> Result:
        value = self.level(0)
        if self.position < len(self.tokens):
            raise ExpressionError(f"Error in expression: unexpected {self.tokens[self.position][1]!r}.")
        return value

    def level(self, number: int) -> Result:
        if number == len(_LEVELS):
            return self.power()
        value = self.level(number + 1)
        while self.sign() in _LEVELS[number]:
            function = _LEVELS[number][self.take()]
            value = self.combined(function, value, self.level(number + 1))
        return value

    def combined(self, function: Callable[[float, float], float], left: Result, right: Result) -> Result:
        self.source.spend(points_of(left) + points_of(right))
        return combine(function, left, right)

    def power(self) -> Result:
        if self.source.depth >= DEPTH_MAX:
            raise ExpressionError("Error in expression: it is nested too deeply.")
        self.source.depth += 1
        try:
            return self._power()
        finally:
            self.source.depth -= 1

    def _power(self) -> Result:
        if self.sign() == "-":
            self.take()
            return self.combined(operator.sub, 0.0, self.power())
        value = self._primary()
        if self.sign() == "^":
            self.take()
            return self.combined(_power, value, self.power())
        return value

    def _primary(self) -> Result:
        if self.position == len(self.tokens):
            raise ExpressionError("Error in expression: it ends too early.")
        kind, text = self.tokens[self.position]
        self.position += 1
        if kind == "number":
            return _finite(float(text))
        if kind == "text":
            return text[1:-1]
        if kind == "name":
            if text in WORDS:
                return text
            return self.call(text) if self.sign() == "(" else self.source.named(text)
        if text == "(":
            value = self.level(0)
            self.expect(")")
            return value
        if text == "[":
            return lines_of(self.arguments("]"))
        raise ExpressionError(f"Error in expression: unexpected {text!r}.")

    def call(self, name: str) -> Result:
        self.take()
        arguments = self.arguments(")")
        self.source.spend(sum(map(points_of, arguments)))
        if name == "METRICS":
            return self.source.all_metrics(_text(arguments[0]) if arguments else None)
        if name == "SEARCH":
            if len(arguments) not in {2, 3}:
                raise ExpressionError("SEARCH takes a search text, a statistic and a period.")
            period_s = int(_number(arguments[2])) if len(arguments) == 3 else self.source.period_s
            return self.source.search(_text(arguments[0]), _text(arguments[1]), period_s)
        if name == "TIME_SERIES":
            number = _number(_only(name, arguments))
            self.source.spend(len(self.source.starts))
            return Line(dict.fromkeys(self.source.starts, number), self.source.period_s)
        function = FUNCTIONS.get(name)
        if function is None:
            known = ", ".join(sorted(FUNCTIONS))
            raise ExpressionError(f"Function {name[:64]} is not supported. Tidegate has {known}.")
        return function(self.source, arguments)

    def arguments(self, end: str) -> list[Result]:
        found: list[Result] = []
        if self.sign() == end:
            self.take()
            return found
        while True:
            found.append(self.level(0))
            if self.sign() != ",":
                self.expect(end)
                return found
            self.take()

    def sign(self) -> str:
        if self.position < len(self.tokens) and self.tokens[self.position][0] == "sign":
            return self.tokens[self.position][1]
        return ""

    def take(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1][1]

    def expect(self, sign: str) -> None:
        if self.sign() != sign:
            raise ExpressionError(f"Error in expression: {sign!r} is missing.")
        self.position += 1


def combine(function: Callable[[float, float], float], left: Result, right: Result) -> Result:
    """An operator between any two values."""
    if isinstance(left, str) or isinstance(right, str):
        raise ExpressionError("Error in expression: a text is no operand.")
    if isinstance(left, list):
        if isinstance(right, list):
            raise ExpressionError("Error in expression: an operator does not stand between two arrays.")
        return [line for one in left if isinstance(line := combine(function, one, right), Line)]
    if isinstance(right, list):
        return [line for one in right if isinstance(line := combine(function, left, one), Line)]
    if isinstance(left, Line):
        others = right.points if isinstance(right, Line) else dict.fromkeys(left.points, right)
        return _line(left, {t: _safely(function, v, others[t]) for t, v in left.points.items() if t in others})
    if isinstance(right, Line):
        return _line(right, {t: _safely(function, left, v) for t, v in right.points.items()})
    value = _safely(function, left, right)
    return _finite(math.nan if value is None else value)


def points_of(value: Result) -> int:
    """What working with a value costs: its points, at least one."""
    if isinstance(value, Line):
        return max(1, len(value.points))
    return sum(map(points_of, value)) if isinstance(value, list) else 1


def _finite(value: float) -> float:
    """Raises ExpressionError for infinity."""
    if not math.isfinite(value):
        raise ExpressionError("Error in expression: a number is divided by zero, or grows too large.")
    return value


def _safely(function: Callable[[float, float], float], left: float, right: float) -> float | None:
    """None where there is no such number: the point is left out, as AWS does with a division by zero."""
    try:
        value = function(left, right)
    except (ArithmeticError, ValueError):
        return None
    return value if isinstance(value, float | int) and math.isfinite(value) else None


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)


def _line(like: Line, points: Mapping[int, float | None]) -> Line:
    """Without the points that have no value, or one that is too large."""
    there = {t: value for t, value in points.items() if value is not None and math.isfinite(value)}
    return Line(there, like.period_s, like.label)


def lines_of(values: Sequence[Result]) -> list[Line]:
    """An array. Raises ExpressionError for what is no time series."""
    found: list[Line] = []
    for value in values:
        if isinstance(value, Line):
            found.append(value)
        elif isinstance(value, list):
            found += value
        else:
            raise ExpressionError("Error in expression: an array holds time series.")
    if len(found) > SERIES_MAX:
        raise ExpressionError(f"Error in expression: an array holds at most {SERIES_MAX} time series.")
    return found


def _only(name: str, arguments: Sequence[Result]) -> Result:
    if len(arguments) != 1:
        raise ExpressionError(f"{name} takes one argument.")
    return arguments[0]


def _number(value: Result) -> float:
    if isinstance(value, float):
        return value
    raise ExpressionError("Error in expression: a number is needed.")


def _text(value: Result) -> str:
    if isinstance(value, str):
        return value
    raise ExpressionError("Error in expression: a text is needed.")


def _aggregate(name: str, function: Callable[[list[float]], float]) -> Callable[..., Result]:
    """Of an array: a time series, point by point over those that have a value. Of one time series: a number."""

    def of(_source: Source, arguments: Sequence[Result]) -> Result:
        value = _only(name, arguments) if len(arguments) == 1 else lines_of(arguments)
        if isinstance(value, Line):
            return _finite(whole(list(value.points.values()))) if value.points else 0.0
        if not isinstance(value, list):
            return _number(value)
        at: dict[int, list[float]] = {}
        for line in value:
            for time, point in line.points.items():
                at.setdefault(time, []).append(point)
        period_s = value[0].period_s if value else _source.period_s
        return _line(Line({}, period_s), {time: whole(at[time]) for time in sorted(at)})

    def whole(values: list[float]) -> float:
        try:
            return function(values)
        except OverflowError:  # math.fsum: the sum is beyond the largest number
            return math.inf

    return of


def _each(name: str, function: Callable[[Line], Line]) -> Callable[..., Result]:
    """A function of a time series, or of each of an array."""

    def of(_source: Source, arguments: Sequence[Result]) -> Result:
        value = _only(name, arguments)
        if isinstance(value, Line):
            return function(value)
        return [function(line) for line in lines_of([value])]

    return of


def _pointwise(name: str, function: Callable[[float], float]) -> Callable[..., Result]:
    each = _each(name, lambda line: _line(line, {time: float(function(value)) for time, value in line.points.items()}))

    def of(source: Source, arguments: Sequence[Result]) -> Result:
        value = _only(name, arguments)
        return float(function(value)) if isinstance(value, float) else each(source, arguments)

    return of


def _differences(line: Line, *, per_second: bool) -> Line:
    times = sorted(line.points)
    return _line(
        line,
        {
            now: (line.points[now] - line.points[before]) / (now - before if per_second else 1)
            for before, now in pairwise(times)
        },
    )


def _running_sum(line: Line) -> Line:
    total, points = 0.0, {}
    for time in sorted(line.points):
        total += line.points[time]
        points[time] = total
    return _line(line, points)


def _period(_source: Source, arguments: Sequence[Result]) -> Result:
    value = _only("PERIOD", arguments)
    if not isinstance(value, Line):
        raise ExpressionError("PERIOD takes a time series.")
    return float(value.period_s)


def _fill(source: Source, arguments: Sequence[Result]) -> Result:
    """FILL(m1, 0), FILL(m1, REPEAT), FILL(m1, LINEAR), FILL(METRICS(), …). Words may stand in quotation marks."""
    if len(arguments) != 2:
        raise ExpressionError("FILL takes a time series and what to fill it with.")
    value, filler = arguments
    if isinstance(value, Line):
        return _filled(source, value, filler)
    return [_filled(source, line, filler) for line in lines_of([value])]


def _filled(source: Source, line: Line, filler: Result) -> Line:
    source.spend(len(source.starts))
    points: dict[int, float] = {}
    known = sorted(line.points)
    for time in source.starts:
        if time in line.points:
            points[time] = line.points[time]
        elif isinstance(filler, float):
            points[time] = filler
        elif isinstance(filler, Line):
            if time in filler.points:
                points[time] = filler.points[time]
        elif filler in {"REPEAT", "LINEAR"}:
            value = _between(line, known, time, linear=filler == "LINEAR")
            if value is not None:
                points[time] = value
        else:
            raise ExpressionError("FILL takes a number, a time series, REPEAT or LINEAR.")
    return Line(points, line.period_s, line.label)


def _between(line: Line, known: Sequence[int], time: int, *, linear: bool) -> float | None:
    at = bisect.bisect(known, time)
    before = known[at - 1] if at else None
    after = known[at] if at < len(known) else None
    if before is None or (linear and after is None):
        return None
    if not linear or after is None:
        return line.points[before]
    part = (time - before) / (after - before)
    return line.points[before] + (line.points[after] - line.points[before]) * part


def _if(source: Source, arguments: Sequence[Result]) -> Result:
    """IF(condition, then) or IF(condition, then, otherwise): point by point, true where the condition is not 0."""
    if len(arguments) not in {2, 3}:
        raise ExpressionError("IF takes a condition, a value, and another value.")
    condition, then = arguments[:2]
    otherwise = arguments[2] if len(arguments) == 3 else None
    if isinstance(condition, float):
        chosen = then if condition else otherwise
        return Line({}, source.period_s) if chosen is None else chosen
    if not isinstance(condition, Line):
        raise ExpressionError("IF takes a number or a time series as its condition.")
    points: dict[int, float] = {}
    for time, truth in condition.points.items():
        chosen = then if truth else otherwise
        if isinstance(chosen, float):
            points[time] = chosen
        elif isinstance(chosen, Line) and time in chosen.points:
            points[time] = chosen.points[time]
        elif isinstance(chosen, str | list):
            raise ExpressionError("IF chooses between numbers and time series.")
    return Line(points, condition.period_s)


def _metric_count(_source: Source, arguments: Sequence[Result]) -> Result:
    return float(len(lines_of(arguments)))


FUNCTIONS: dict[str, Callable[[Source, Sequence[Result]], Any]] = {
    "ABS": _pointwise("ABS", abs),
    "AVG": _aggregate("AVG", lambda values: sum(values) / len(values)),
    "CEIL": _pointwise("CEIL", math.ceil),
    "DIFF": _each("DIFF", lambda line: _differences(line, per_second=False)),
    "FILL": _fill,
    "FLOOR": _pointwise("FLOOR", math.floor),
    "IF": _if,
    "MAX": _aggregate("MAX", max),
    "METRIC_COUNT": _metric_count,
    "MIN": _aggregate("MIN", min),
    "PERIOD": _period,
    "RATE": _each("RATE", lambda line: _differences(line, per_second=True)),
    "RUNNING_SUM": _each("RUNNING_SUM", _running_sum),
    "SUM": _aggregate("SUM", math.fsum),
}
"""METRICS, SEARCH and TIME_SERIES are known beside these."""
