"""What a dashboard's body says: AWS's JSON, checked and read. Pure.

What cannot be drawn makes the body invalid; what is drawn without (a legend's place, a second axis) is a warning that
PutDashboard answers with, as AWS does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from apps.base.errors import ServiceError
from apps.base.units import MIB
from apps.cloudwatch.periods import check_period
from apps.cloudwatch.statistics import statistic

BODY_BYTES_MAX = MIB
WIDGETS_MAX, METRICS_OF_WIDGET_MAX, METRICS_MAX = 500, 500, 2_500
"""AWS's quotas of a dashboard."""

COLUMNS, HEIGHT_MAX = 24, 1_000
WIDTH, HEIGHT = 6, 6
"""Of a widget that does not say."""

STAT, PERIOD_S = "Average", 300
VIEWS = ("timeSeries", "singleValue")
KINDS = ("metric", "text")
MESSAGES_MAX = 100
TEXT_MAX = 65_536

Json = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")
_BACK = re.compile(r"-P(?:(\d{1,4})([DWM])|T(\d{1,5})([HM]))\Z")
_SECONDS = {"D": 86_400, "W": 604_800, "M": 2_592_000, "TH": 3_600, "TM": 60}
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")

_BODY = frozenset({"widgets", "start", "periodOverride"})
_WIDGET = frozenset({"type", "x", "y", "width", "height", "properties"})
_METRIC = frozenset({"metrics", "view", "stacked", "region", "title", "period", "stat", "annotations", "yAxis"})
_OPTIONS = frozenset({"label", "stat", "period", "color", "id", "expression", "visible"})


@dataclass(frozen=True, slots=True)
class Message:
    """What is wrong at a place of the body. fatal: it cannot be kept like this."""

    path: str
    text: str
    fatal: bool = True

    @property
    def told(self) -> Json:
        """As AWS tells it."""
        return {"DataPath": self.path, "Message": self.text}


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: a query of GetMetricData without its period, and how it looks. shown: it is drawn."""

    query: Json
    period_s: int | None
    color: str = ""
    shown: bool = True

    def asked(self, period_s: int) -> Json:
        """The query with a period: its own, else that one."""
        own = self.period_s or period_s
        if "Expression" in self.query:
            return {**self.query, "ReturnData": self.shown}
        return {**self.query, "MetricStat": {**self.query["MetricStat"], "Period": own}, "ReturnData": self.shown}


@dataclass(frozen=True, slots=True)
class Mark:
    """A horizontal line of a chart."""

    value: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """A part of the dashboard. place: x, y, width and height on a grid of 24 columns."""

    kind: str
    place: tuple[int, int, int, int]
    title: str = ""
    text: str = ""
    view: str = VIEWS[0]
    stacked: bool = False
    series: tuple[Series, ...] = ()
    marks: tuple[Mark, ...] = ()
    least: float | None = None
    most: float | None = None
    """Ends of the axis, where they are given."""


@dataclass(slots=True)
class Body:
    """A dashboard's body that was read. back_s: how far back it looks when it is opened (None: it does not say)."""

    widgets: list[Widget] = field(default_factory=list)
    back_s: int | None = None
    messages: list[Message] = field(default_factory=list)

    @property
    def is_valid(self) -> bool:
        """It can be kept."""
        return not any(message.fatal for message in self.messages)

    def wrong(self, path: str, text: str) -> None:
        """It cannot be kept."""
        self._say(Message(path, text))

    def warn(self, path: str, text: str) -> None:
        """It can be kept; this is not drawn."""
        self._say(Message(path, text, fatal=False))

    def _say(self, message: Message) -> None:
        if len(self.messages) < MESSAGES_MAX:
            self.messages.append(message)


@dataclass(slots=True)
class Flow:
    """Where widgets come to lie that do not say: side by side as far as there is room, then below."""

    x: int = 0
    y: int = 0
    row: int = 0

    def placed(self, widget: Any) -> Any:
        """The widget with a place; one that has its own keeps it."""
        if not isinstance(widget, dict) or "x" in widget or "y" in widget:
            return widget
        width, height = widget.get("width", WIDTH), widget.get("height", HEIGHT)
        if type(width) is not int or type(height) is not int:
            return widget
        if self.x + width > COLUMNS:
            self.x, self.y, self.row = 0, self.y + self.row, 0
        placed = {**widget, "x": self.x, "y": self.y}
        self.x, self.row = self.x + width, max(self.row, height)
        return placed


def arn_of(account_id: str, name: str) -> str:
    """AWS's name of a dashboard: of no region."""
    return f"arn:aws:cloudwatch::{account_id}:dashboard/{name}"


def name_problem(name: str) -> str:
    """What is wrong with a name; empty: nothing."""
    return "" if _NAME.match(name) else "1 to 255 letters, digits, hyphens and underscores are a dashboard's name."


def read(text: str, region: str) -> Body:
    """The body with what is wrong with it."""
    body = Body()
    if len(text.encode("utf-8", "replace")) > BODY_BYTES_MAX:
        body.wrong("", f"The body is larger than {BODY_BYTES_MAX:,} bytes.")
        return body
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        body.wrong("", "The body is no JSON.")
        return body
    if not isinstance(said, dict) or not isinstance(said.get("widgets"), list):
        body.wrong("/widgets", "The body is no object with a list of widgets.")
        return body
    _unknown(body, said, _BODY, "")
    body.back_s = _back(body, said)
    if said.get("periodOverride", "inherit") not in {"inherit", "auto"}:
        body.wrong("/periodOverride", "It is auto or inherit.")
    if len(said["widgets"]) > WIDGETS_MAX:
        body.wrong("/widgets", f"A dashboard has at most {WIDGETS_MAX} widgets.")
        return body
    flow = Flow()
    for number, widget in enumerate(said["widgets"]):
        read_one = _widget(body, flow.placed(widget), f"/widgets/{number}", region)
        if read_one is not None:
            body.widgets.append(read_one)
    if sum(len(widget.series) for widget in body.widgets) > METRICS_MAX:
        body.wrong("/widgets", f"A dashboard has at most {METRICS_MAX:,} metrics.")
    return body


def _back(body: Body, said: Json) -> int | None:
    start = said.get("start")
    if start is None:
        return None
    found = _BACK.match(start) if isinstance(start, str) else None
    if found is None:
        body.warn("/start", "Only times back from now are known, such as -PT6H.")
        return None
    number, unit = (found[1], found[2]) if found[1] else (found[3], f"T{found[4]}")
    return int(number) * _SECONDS[unit]


def _unknown(body: Body, said: Json, known: frozenset[str], path: str) -> None:
    for name in said:
        if name not in known:
            body.warn(f"{path}/{name[:64]}", "Tidegate does not draw this.")


def _widget(body: Body, said: Any, path: str, region: str) -> Widget | None:
    if not isinstance(said, dict) or not isinstance(said.get("properties"), dict):
        body.wrong(path, "A widget is an object with properties.")
        return None
    if said.get("type") not in KINDS:
        body.wrong(f"{path}/type", f"Tidegate has widgets of these types: {', '.join(KINDS)}.")
        return None
    _unknown(body, said, _WIDGET, path)
    place = _place(body, said, path)
    properties, path = said["properties"], f"{path}/properties"
    if said["type"] == "text":
        return _text_widget(body, properties, path, place)
    return _metric_widget(body, properties, path, place, region)


def _place(body: Body, said: Json, path: str) -> tuple[int, int, int, int]:
    bounds = {
        "x": (0, COLUMNS - 1, 0),
        "y": (0, 100_000, 0),
        "width": (1, COLUMNS, WIDTH),
        "height": (1, HEIGHT_MAX, HEIGHT),
    }
    found = []
    for name, (least, most, otherwise) in bounds.items():
        value = said.get(name, otherwise)
        if type(value) is not int or not least <= value <= most:
            body.wrong(f"{path}/{name}", f"It is a whole number from {least} to {most:,}.")
            value = otherwise
        found.append(value)
    return found[0], found[1], found[2], found[3]


def _text_widget(body: Body, said: Json, path: str, place: tuple[int, int, int, int]) -> Widget | None:
    text = said.get("markdown")
    if not isinstance(text, str) or len(text) > TEXT_MAX:
        body.wrong(f"{path}/markdown", f"A text widget needs a text of at most {TEXT_MAX:,} characters.")
        return None
    _unknown(body, said, frozenset({"markdown"}), path)
    return Widget("text", place, text=text)


def _metric_widget(body: Body, said: Json, path: str, place: tuple[int, int, int, int], region: str) -> Widget | None:
    _unknown(body, said, _METRIC, path)
    view, title = said.get("view", VIEWS[0]), said.get("title", "")
    if view not in VIEWS:
        body.wrong(f"{path}/view", f"Tidegate draws these views: {', '.join(VIEWS)}.")
    if not isinstance(title, str):
        body.wrong(f"{path}/title", "It is a text.")
        title = ""
    if said.get("region", region) != region:
        body.wrong(f"{path}/region", f"There are metrics of {region} alone.")
    metrics = said.get("metrics")
    if not isinstance(metrics, list) or not 1 <= len(metrics) <= METRICS_OF_WIDGET_MAX:
        body.wrong(f"{path}/metrics", f"A metric widget needs a list of 1 to {METRICS_OF_WIDGET_MAX} metrics.")
        return None
    stat, period_s = said.get("stat", STAT), said.get("period")
    _check_stat(body, stat, "", f"{path}/stat")
    _check_period(body, period_s, f"{path}/period")
    if not body.is_valid:
        return None
    least, most = _axis(body, said.get("yAxis"), f"{path}/yAxis")
    series = tuple(_series(body, metrics, f"{path}/metrics", stat, period_s))
    marks = tuple(_marks(body, said.get("annotations"), f"{path}/annotations"))
    return Widget(
        "metric", place, title, view=view, stacked=said.get("stacked") is True, series=series, marks=marks, least=least,
        most=most,
    )  # fmt: skip


def _axis(body: Body, said: Any, path: str) -> tuple[float | None, float | None]:
    if not isinstance(said, dict):
        return None, None
    _unknown(body, said, frozenset({"left"}), path)
    left = said.get("left")
    if not isinstance(left, dict):
        return None, None
    _unknown(body, left, frozenset({"min", "max"}), f"{path}/left")
    ends = [left.get(name) for name in ("min", "max")]
    found = [float(end) if isinstance(end, int | float) and math.isfinite(end) else None for end in ends]
    return found[0], found[1]


def _marks(body: Body, said: Any, path: str) -> Iterator[Mark]:
    if not isinstance(said, dict):
        return
    _unknown(body, said, frozenset({"horizontal"}), path)
    lines = said.get("horizontal")
    for number, line in enumerate(lines if isinstance(lines, list) else []):
        value = line.get("value") if isinstance(line, dict) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            body.warn(f"{path}/horizontal/{number}", "Tidegate draws single values.")
        else:
            yield Mark(float(value), str(line.get("label", "")))


def _series(body: Body, metrics: list[Any], path: str, stat: str, period_s: int | None) -> Iterator[Series]:
    before: list[str] = []
    used: set[str] = set()
    for number, said in enumerate(metrics):
        where = f"{path}/{number}"
        if not isinstance(said, list) or not said:
            body.wrong(where, "A metric is a list of its namespace, name and dimensions.")
            return
        options = said[-1] if isinstance(said[-1], dict) else {}
        names = said[:-1] if isinstance(said[-1], dict) else said
        _unknown(body, options, _OPTIONS, where)
        name = _id(options, number, used)
        if "expression" in options and not names:
            yield _line({"Id": name, "Expression": str(options["expression"])}, options, None)
            continue
        full = _in_full(names, before)
        if full is None:
            body.wrong(where, "A metric is its namespace and name, and a name and a value for each dimension.")
            return
        before = full
        own_stat, own_period = options.get("stat", stat), options.get("period", period_s)
        _check_stat(body, own_stat, full[0], f"{where}/stat")
        _check_period(body, own_period, f"{where}/period")
        if not body.is_valid:
            return
        yield _line(_query(name, full, own_stat), options, own_period)


def _id(options: Json, number: int, used: set[str]) -> str:
    """What the series is called in expressions; one of our own if it has no name."""
    given = options.get("id")
    name = given if isinstance(given, str) and given not in used else f"m{number}_of_widget"
    used.add(name)
    return name


def _in_full(names: Sequence[Any], before: Sequence[str]) -> list[str] | None:
    """AWS's short hand: `.` stands for the same as in the line above, `...` for all that is left out."""
    if not all(isinstance(name, str) and name for name in names):
        return None
    given = list(names)
    if given and given[0] == "...":
        rest = given[1:]
        given = [*before[: len(before) - len(rest)], *rest]
    full = [
        before[place] if name == "." and place < len(before) else name for place, name in enumerate(given)
    ]  # fmt: skip
    return full if len(full) >= 2 and len(full) % 2 == 0 and "." not in full else None


def _query(name: str, full: Sequence[str], stat: str) -> Json:
    pairs = [{"Name": full[place], "Value": full[place + 1]} for place in range(2, len(full), 2)]
    metric = {"Namespace": full[0], "MetricName": full[1], "Dimensions": pairs}
    return {"Id": name, "MetricStat": {"Metric": metric, "Stat": stat}}


def _line(query: Json, options: Json, period_s: int | None) -> Series:
    label, color = options.get("label"), options.get("color", "")
    if isinstance(label, str) and label and "${" not in label:
        query = {**query, "Label": label}
    known = isinstance(color, str) and _COLOR.match(color) is not None
    return Series(query, period_s, color if known else "", options.get("visible", True) is not False)


def _check_stat(body: Body, stat: Any, namespace: str, path: str) -> None:
    try:
        statistic(stat if isinstance(stat, str) else "", namespace)
    except ServiceError as error:
        body.wrong(path, error.message or error.code)


def _check_period(body: Body, period_s: Any, path: str) -> None:
    if period_s is None:
        return
    try:
        check_period(period_s if type(period_s) is int else 0)
    except ServiceError as error:
        body.wrong(path, error.message or error.code)
