"""GetMetricData's queries: metric statistics and expressions over them, each worked out once, in any order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.base.errors import ValidationException
from apps.cloudwatch import expressions, listing
from apps.cloudwatch.errors import InvalidParameterValueException
from apps.cloudwatch.expressions import ExpressionError, Line, Result
from apps.cloudwatch.periods import Span, span_of
from apps.cloudwatch.reading import Reader
from apps.cloudwatch.statistics import statistic
from apps.metrics.series import Identity

QUERIES_MAX = 500
DATAPOINTS_MAX = 100_800
"""Of one answer, and buckets that one query may look at (AWS's quota of a GetMetricData call)."""

LOOKED_AT_MAX = 1_000_000
"""Buckets that all queries of a request may look at together: 500 metrics for a day, minute by minute, are 720,000."""

WORKED_OUT_MAX = 2_000_000
"""Points that the expressions of a request may work with, one after the other: some seconds of a processor, and the
values that are kept of them some hundred megabytes."""

FOUND_MAX = 100
"""Time series of one SEARCH. AWS: 500, and looks at the newest."""

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*\Z")
_SEARCH = re.compile(r"\s*\{\s*(?P<schema>[^{}]*)\}\s*(?P<tokens>.*)\Z", re.DOTALL)
_WORD = re.compile(r"\s*(?:(?P<key>\w+)\s*=\s*)?(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^\s\"()=]+))")

Query = Mapping[str, Any]


def identity_of(namespace: str, name: str, dimensions: Sequence[Mapping[str, str]] | None) -> Identity:
    """A metric from the members of a request. Raises InvalidParameterValueException for a dimension named twice."""
    pairs = sorted((dimension["Name"], dimension["Value"]) for dimension in dimensions or ())
    if len({key for key, _ in pairs}) != len(pairs):
        raise InvalidParameterValueException("The parameter Dimensions contains a name more than once.")
    return Identity(namespace, name, tuple(pairs))


@dataclass(slots=True)
class Queries:
    """All queries of one request; also the Source of their expressions."""

    reader: Reader
    start_ms: int
    end_ms: int
    by_id: dict[str, Query]
    _results: dict[str, Result] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _periods: dict[str, int] = field(default_factory=dict)
    _looked_at: int = 0
    _worked_out: int = 0
    _listed: dict[str, list[Identity]] = field(default_factory=dict)
    _asking_period: int = 0
    depth: int = 0

    def spend(self, points: int) -> None:
        """See expressions.Source."""
        self._worked_out += points
        if self._worked_out > WORKED_OUT_MAX:
            raise ValidationException(
                f"The expressions work with more than {WORKED_OUT_MAX:,} datapoints in all. Ask for fewer or shorter "
                "expressions, longer periods or less time."
            )

    @property
    def period_s(self) -> int:
        """Of the expression that is being worked out."""
        return self._period(self._open[-1]) if self._open else 60

    @property
    def starts(self) -> Sequence[int]:
        """The buckets of the expression that is being worked out."""
        return self.span(self.period_s).starts

    def span(self, period_s: int) -> Span:
        """The request's time in buckets."""
        span = span_of(self.start_ms, self.end_ms, period_s, self.reader.now_s)
        if span.count > DATAPOINTS_MAX:
            raise ValidationException(
                f"You have requested up to {span.count:,} datapoints, which exceeds the limit of {DATAPOINTS_MAX:,}."
            )
        return span

    def lines(self, name: str) -> list[Line]:
        """The time series of one query, as they are answered."""
        result = self.named(name)
        if isinstance(result, float):
            span = self.span(self._period(name))
            self.spend(span.count)
            return [Line(dict.fromkeys(span.starts, result), span.period_s, name)]
        if isinstance(result, str):
            raise ExpressionError(f"Error in expression '{name}': a text is no result.")
        return result if isinstance(result, list) else [result]

    def named(self, name: str) -> Result:
        """The result of a query. Raises ExpressionError: no such Id, or it needs itself."""
        if name not in self.by_id:
            raise ExpressionError(f"Error in expression: the Id '{name[:64]}' is not defined.")
        if name in self._open:
            raise ExpressionError(f"Error in expression: '{name}' refers to itself.")
        if name not in self._results:
            self._open.append(name)
            try:
                self._results[name] = self._work_out(name, self.by_id[name])
            finally:
                self._open.pop()
        return self._results[name]

    def _work_out(self, name: str, query: Query) -> Result:
        if "MetricStat" in query:
            return self._metric(name, query["MetricStat"])
        result = expressions.evaluate(query["Expression"], self)
        if isinstance(result, Line):
            return Line(result.points, result.period_s, name)
        return result

    def _metric(self, name: str, stat: Mapping[str, Any]) -> Line:
        metric = stat["Metric"]
        if not metric.get("Namespace") or not metric.get("MetricName"):
            raise ValidationException(f"The metric of '{name}' needs a Namespace and a MetricName.")
        identity = identity_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions"))
        return self.line(identity, stat["Stat"], stat["Period"], stat.get("Unit"))

    def line(self, identity: Identity, stat: str, period_s: int, unit: str | None = None) -> Line:
        """A statistic of a metric as a time series."""
        function = statistic(stat, identity.namespace)
        span = self.span(period_s)
        self._look_at(span.count)
        before = self.reader.read
        buckets = self.reader.together(identity, unit, span)
        self._look_at(max(0, self.reader.read - before - span.count))
        values = {start_s: function(value) for start_s, value in sorted(buckets.items())}
        return Line({t: value for t, value in values.items() if value is not None}, period_s, identity.name)

    def _look_at(self, buckets: int) -> None:
        self._looked_at += buckets
        if self._looked_at > LOOKED_AT_MAX:
            raise ValidationException(
                f"You have requested more than {LOOKED_AT_MAX:,} datapoints in all. Ask for fewer metrics, longer periods or "
                "less time."
            )

    def all_metrics(self, text: str | None) -> list[Line]:
        """METRICS(): of the queries that are metrics, by Id."""
        found = [name for name, query in self.by_id.items() if "MetricStat" in query and (text is None or text in name)]
        return expressions.lines_of([self.named(name) for name in found])

    def search(self, wanted: str, stat: str, period_s: int) -> list[Line]:
        """SEARCH('{AWS/Kinesis,StreamName} MetricName="IncomingBytes" orders', 'Sum', 300)."""
        namespace, names, words = _search_of(wanted)
        found: list[Line] = []
        for identity in self._metrics_in(namespace):
            if {name for name, _ in identity.dimensions} == set(names) and all(_fits(word, identity) for word in words):
                line = self.line(identity, stat, period_s)
                line.label = " ".join([*(value for _, value in identity.dimensions), identity.name])
                found.append(line)
                if len(found) > FOUND_MAX:
                    raise ExpressionError(f"SEARCH found more than {FOUND_MAX} metrics; ask for fewer.")
        return found

    def _metrics_in(self, namespace: str) -> list[Identity]:
        """The team's metrics of a namespace, listed once for all searches."""
        if namespace not in self._listed:
            wish = listing.Wanted(self.reader.now_s - listing.LISTED_S, namespace)
            found = listing.metrics(self.reader.team_id, wish, self.reader.clock)
            self._listed[namespace] = [identity for _, identity in found]
        self.spend(max(1, len(self._listed[namespace])))
        return self._listed[namespace]

    def _period(self, name: str) -> int:
        """A query's period: its own, or the shortest of those that its expression names; a minute if it names none."""
        if name not in self._periods:
            if self._asking_period > expressions.DEPTH_MAX:
                raise ExpressionError("Error in expression: too many queries name each other in a row.")
            self._periods[name] = 60
            self._asking_period += 1
            self._periods[name] = self._period_of(self.by_id[name])
            self._asking_period -= 1
        return self._periods[name]

    def _period_of(self, query: Query) -> int:
        if "MetricStat" in query:
            return int(query["MetricStat"]["Period"])
        if query.get("Period"):
            return int(query["Period"])
        inside = [self._period(other) for other in expressions.names_in(query["Expression"]) if other in self.by_id]
        if "METRICS" in query["Expression"]:
            inside += [int(other["MetricStat"]["Period"]) for other in self.by_id.values() if "MetricStat" in other]
        return min(inside, default=60)


def checked(queries: Sequence[Query]) -> dict[str, Query]:
    """Queries by Id. Raises ValidationException with what is wrong with them."""
    if len(queries) > QUERIES_MAX:
        raise ValidationException(f"The collection MetricDataQueries must not have a size greater than {QUERIES_MAX}.")
    by_id: dict[str, Query] = {}
    for number, query in enumerate(queries, 1):
        where, name = f"MetricDataQueries.member.{number}", query["Id"]
        if _ID.match(name) is None:
            raise ValidationException(
                f"The value {name} for parameter {where}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
        if name in by_id:
            raise ValidationException(f"The values for parameter Id in MetricDataQueries are not unique: {name}.")
        if ("Expression" in query) == ("MetricStat" in query):
            raise ValidationException(f"Exactly one of Expression and MetricStat must be given for {where}.")
        if query.get("AccountId"):
            raise ValidationException(f"{where}.AccountId is not supported: metrics of other accounts are not shared.")
        if "${" in query.get("Label", ""):
            raise ValidationException(f"{where}.Label: dynamic labels are not supported.")
        by_id[name] = query
    return by_id


def _search_of(text: str) -> tuple[str, list[str], list[tuple[str | None, str]]]:
    """Namespace, names of the dimensions, and (key, word) pairs of a search text."""
    found = _SEARCH.match(text)
    if found is None:
        raise ExpressionError("SEARCH needs a schema: {Namespace,DimensionName,...} words.")
    namespace, *names = [part.strip().strip('"') for part in found.group("schema").split(",")]
    words, rest = [], found.group("tokens").strip()
    while rest:
        word = _WORD.match(rest)
        if word is None or word.group("bare") in {"OR", "NOT"}:
            raise ExpressionError(
                'SEARCH knows words and Key="value" that must all be found; no OR, NOT or parentheses.'
            )
        value = word.group("quoted") if word.group("bare") is None else word.group("bare")
        if word.group("bare") != "AND":
            words.append((word.group("key"), value))
        rest = rest[word.end() :].strip()
    return namespace, names, words


def _fits(word: tuple[str | None, str], identity: Identity) -> bool:
    """A word alone is found anywhere, whatever its case; behind a key it is the whole value."""
    key, value = word
    if key is None:
        return any(
            value.lower() in text.lower() for text in (identity.name, *(text for _, text in identity.dimensions))
        )
    if key == "MetricName":
        return identity.name == value
    if key == "Namespace":
        return identity.namespace == value
    return (key, value) in identity.dimensions
