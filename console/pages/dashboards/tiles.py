"""A dashboard's widgets with their values: charts, figures and texts, as the page shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from apps.base.errors import ServiceError
from apps.base.units import SECOND_MS
from apps.cloudwatch.dashboards import Series, Widget
from console import calls
from console.pages import plot, words
from console.pages.alarms import rules
from console.pages.alarms.rules import label_of, span
from console.pages.plot import DASHES, Line, Plot, Point, Writes, color_of
from console.pages.shell import TeamRequest

TABLE_ROWS = 30

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """So far back, in periods of so much: at most 600 points."""

    key: str
    back_s: int
    period_s: int

    @property
    def words(self) -> str:
        """`hour`, `24 hours`."""
        return "hour" if self.back_s == 3_600 else "24 hours" if self.back_s == 86_400 else span(self.back_s)


_number: Final = plot.number

RANGES: Final = {
    one.key: one
    for one in (
        Range("1h", 3_600, 60), Range("6h", 21_600, 60), Range("24h", 86_400, 300), Range("7d", 604_800, 1_800),
        Range("30d", 2_592_000, 3_600),
    )
}  # fmt: skip
DEFAULT = "6h"


@dataclass(frozen=True, slots=True)
class Key:
    """A line of the legend: its mark, its name, its newest value."""

    label: str
    newest: str
    color: str
    dash: str
    own: str


@dataclass(slots=True)
class Tile:
    """A widget as the page shows it. problem: why there is nothing to see."""

    widget: Widget
    number: int
    period_s: int = 60
    plot: Plot | None = None
    keys: list[Key] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    write: Writes = _number
    problem: str = ""

    @property
    def classes(self) -> str:
        """Its place on the grid."""
        x, _, width, _ = self.widget.place
        return f"x{min(x, 24 - width)} w{width}"

    @property
    def title(self) -> str:
        """What it is called; the metric's name if it has no title."""
        return self.widget.title or (self.lines[0].label if len(self.lines) == 1 else "Metrics")

    @property
    def note(self) -> str:
        """What a point is: `Sum per 5 minutes`."""
        stats = {one.query["MetricStat"]["Stat"] for one in self.widget.series if "MetricStat" in one.query}
        return f"{stats.pop()} per {_per(self.period_s)}" if len(stats) == 1 else f"per {_per(self.period_s)}"

    @property
    def table(self) -> list[tuple[int, list[str]]]:
        """The newest rows: time and a text for each line."""
        by_time: dict[int, dict[int, float]] = {}
        for place, line in enumerate(self.lines):
            for at_s, value in line.points:
                if value is not None:
                    by_time.setdefault(at_s, {})[place] = value
        rows = sorted(by_time.items(), reverse=True)[:TABLE_ROWS]
        return [
            (at_s * SECOND_MS, [self.write(found[n]) if n in found else "" for n in range(len(self.lines))])
            for at_s, found in rows
        ]


def _per(seconds: int) -> str:
    return span(seconds).removeprefix("1 ")


def tiles(request: TeamRequest, widgets: Sequence[Widget], range_: Range, first: int = 0) -> list[Tile]:
    """In the order in which they lie, with their values. first: the number of the first one."""
    return [tile(request, widget, range_, number) for number, widget in enumerate(widgets, first)]


def in_order(widgets: Sequence[Widget]) -> list[Widget]:
    """By rows, then by columns."""
    return sorted(widgets, key=lambda widget: (widget.place[1], widget.place[0]))


def tile(request: TeamRequest, widget: Widget, range_: Range, number: int) -> Tile:
    """One of them. A problem with one is no problem of the others."""
    found = Tile(widget, number)
    if widget.kind == "text":
        return found
    found.period_s = max([range_.period_s, *(one.period_s or 0 for one in widget.series)])
    end_s = calls.now_ms() // SECOND_MS
    end_s -= end_s % min(found.period_s, range_.period_s)
    start_s = end_s - range_.back_s
    queries = [{**one.asked(found.period_s)} for one in widget.series]
    for query in queries:
        if "MetricStat" in query:
            query["MetricStat"] = {**query["MetricStat"], "Period": found.period_s}
    try:
        answer = calls.cloudwatch(
            request, "GetMetricData", MetricDataQueries=queries, StartTime=start_s * SECOND_MS, EndTime=end_s * SECOND_MS,
            ScanBy="TimestampAscending",
        )  # fmt: skip
    except ServiceError as error:
        found.problem = error.message or error.code
        return found
    _fill(found, answer["MetricDataResults"], start_s, end_s)
    return found


def _fill(found: Tile, results: Sequence[Json], start_s: int, end_s: int) -> None:
    own = {one.query["Id"]: one.color for one in found.widget.series}
    plain = _plain(found.widget.series)
    units = {
        plot.unit_of(one.query["MetricStat"]["Metric"]["Namespace"], one.query["MetricStat"]["Metric"]["MetricName"])
        if "MetricStat" in one.query and one.query["MetricStat"]["Stat"] != "SampleCount" else ""
        for one in found.widget.series
    }  # fmt: skip
    unit = units.pop() if len(units) == 1 else ""
    found.write = plot.writer(unit)
    for result in results:
        times = [at_ms // SECOND_MS for at_ms in result["Timestamps"]]
        points: list[Point] = list(zip(times, result["Values"], strict=True))
        found.lines.append(Line(plain.get(result["Id"]) or result["Label"], points, own.get(result["Id"], "")))
    found.keys = [
        Key(
            line.label,
            found.write(line.points[-1][1] or 0) if line.points else "no data",
            color_of(place),
            DASHES[place % len(DASHES)],
            line.color,
        )
        for place, line in enumerate(found.lines)
    ]
    marks = [(mark.value, mark.label) for mark in found.widget.marks]
    said = "; ".join(f"{key.label} {key.newest}" for key in found.keys[:6])
    found.plot = Plot(
        start_s, end_s, found.lines, found.period_s, unit, marks, stacked=found.widget.stacked, least=found.widget.least,
        most=found.widget.most, description=f"{found.title} over {span(end_s - start_s)}. Newest: {said or 'no data'}.",
    )  # fmt: skip


def _plain(series: Sequence[Series]) -> dict[str, str]:
    """By Id, what lines without a label of their own are called: the metric in words, the thing where several are drawn, and
    the statistic where that alone tells two lines apart."""
    metrics = [one.query for one in series if "MetricStat" in one.query and not one.query.get("Label")]
    things = {query["Id"]: _thing(query) for query in metrics}
    said = {query["Id"]: label_of(query["MetricStat"]["Metric"]["MetricName"]) for query in metrics}
    if len(set(things.values())) > 1:
        alike = len(set(said.values())) == 1
        said = {key: thing if alike else f"{thing}: {rules.lower_first(said[key])}" for key, thing in things.items()}
    often = Counter(said.values())
    return {
        query["Id"]: f"{name}, {query['MetricStat']['Stat']}" if often[name] > 1 else name
        for query in metrics
        for name in [said[query["Id"]]]
    }


def _thing(query: Json) -> str:
    """Whose metric it is: `orders`, `orders 0003`; of none: the namespace."""
    metric = query["MetricStat"]["Metric"]
    values = [one["Value"].removeprefix("shardId-00000000") for one in metric["Dimensions"]]
    return " ".join(values) or str(metric["Namespace"])


def csv_rows(found: Sequence[Tile]) -> list[list[str]]:
    """Every value of every chart: chart, line, time, value."""
    rows = [["chart", "series", "time", "value"]]
    for one in found:
        for line in one.lines:
            rows += [
                [one.title, line.label, words.iso(at_s * SECOND_MS), repr(value)]
                for at_s, value in line.points
                if value is not None
            ]
    return rows
