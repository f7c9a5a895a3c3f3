"""Charts made on the server: SVG and labels around it, without script. Geometry by attributes only, as the policy wants.

The labels are HTML beside the picture, so that they keep their size whatever the picture's width is; ticks are evenly
spaced, so that no label needs a place of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.base.units import SECOND_MS
from apps.metrics import firehose, names
from apps.metrics.names import Unit
from console.pages import words

WIDTH, HEIGHT = 1_000, 200
Y_TICKS, X_TICKS = 4, 4
COLORS = ("c1", "c2", "c3", "c4", "c5", "c6")
DASHES = ("none", "7 4", "2 4", "9 3 2 3")
DAY_S = 86_400

Point = tuple[int, float | None]
Writes = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Line:
    """A line. points: (UTC seconds, value), in order; None is a gap. color: of its own, `#rrggbb`; else by its place."""

    label: str
    points: Sequence[Point]
    color: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. marks: horizontal lines, as (value, label); spans: times that are shaded (None: to the end).

    step_s: how far two points may lie apart without a gap between them."""

    start_s: int
    end_s: int
    lines: Sequence[Line]
    step_s: int
    unit: str = ""
    marks: Sequence[tuple[float, str]] = ()
    spans: Sequence[tuple[int, int | None]] = ()
    stacked: bool = False
    least: float | None = None
    most: float | None = None
    description: str = ""


def exact_time(ms: float) -> str:
    """A time that is not rounded to its unit: `90 s`, `2 min`, `1.5 h`."""
    seconds = ms / SECOND_MS
    if abs(seconds) < 1:
        return f"{ms:g} ms" if ms else "0"
    for size, unit, least in ((DAY_S, "d", 2 * DAY_S), (3_600, "h", 7_200), (60, "min", 120)):
        if abs(seconds) >= least and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def writer(unit: str) -> Writes:
    """How values of a unit are written: CloudWatch's word, or none."""
    if unit in {Unit.BYTES, "Bytes"}:
        return words.size
    if unit == Unit.BYTES_PER_SECOND:
        return words.rate
    if unit in {Unit.MILLISECONDS, "Milliseconds"}:
        return _signed(words.duration)
    if unit in {Unit.SECONDS, "Seconds"}:
        return _signed(lambda seconds: words.duration(seconds * SECOND_MS))
    return number


def _signed(write: Writes) -> Writes:
    return lambda value: "0" if value == 0 else f"-{write(-value)}" if value < 0 else write(value)


def number(value: float) -> str:
    """`0`, `0.25`, `12.5`, `1,204`, `3.4 M`."""
    size = abs(value)
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if size >= factor:
            return f"{value / factor:.3g} {letter}"
    if value == round(value) or size >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def unit_of(namespace: str, name: str) -> str:
    """CloudWatch's word for a metric that Tidegate counts; empty for others."""
    if namespace == firehose.NAMESPACE:
        found = firehose.BY_NAME.get(name)
    else:
        found = names.BY_NAME.get(name) or names.SHARD_LEVEL.get(name) or firehose.CHANNEL_NAMES.get(name)
    return str(found.unit) if found is not None and namespace.startswith("AWS/") else ""


def draw(plot: Plot) -> SafeString:
    """The chart, its labels, and its marks in words for those who do not see it."""
    lines = _stacked(plot) if plot.stacked else list(plot.lines)
    low, high = _ends(plot, lines)
    write = _tick(plot.unit)

    def x(at_s: float) -> float:
        return (at_s - plot.start_s) / max(1, plot.end_s - plot.start_s) * WIDTH

    def y(value: float) -> float:
        return HEIGHT - (min(max(value, low), high) - low) / (high - low) * HEIGHT

    steps = [high - (high - low) * n / Y_TICKS for n in range(Y_TICKS + 1)]
    grid = format_html_join(
        "", '<line class="gr" x1="0" x2="{}" y1="{}" y2="{}"/>', ((WIDTH, f"{y(v):.1f}", f"{y(v):.1f}") for v in steps)
    )
    shaded = format_html_join(
        "", '<rect class="in-alarm" x="{}" y="0" width="{}" height="{}"/>',
        ((f"{x(s):.1f}", f"{max(2.0, x(plot.end_s if e is None else e) - x(s)):.1f}", HEIGHT) for s, e in plot.spans),
    )  # fmt: skip
    drawn = format_html_join(
        "", '<path class="ln {}" d="{}" stroke-dasharray="{}"{}/>',
        ((color_of(n), _path(line.points, plot.step_s, x, y), DASHES[n % len(DASHES)], _own(line))
         for n, line in enumerate(lines)),
    )  # fmt: skip
    marked = format_html_join(
        "", '<line class="thr" x1="0" x2="{}" y1="{}" y2="{}"/>',
        ((WIDTH, f"{y(v):.1f}", f"{y(v):.1f}") for v, _ in plot.marks),
    )  # fmt: skip
    return format_html(
        '<div class="plot"><div class="plot-y" aria-hidden="true">{}</div>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}{}{}</svg>'
        '<div class="plot-x" aria-hidden="true">{}</div></div>',
        format_html_join("", "<span>{}</span>", ((write(v),) for v in steps)), WIDTH, HEIGHT, plot.description,
        shaded, grid, drawn, marked, format_html_join("", "<span>{}</span>", ((t,) for t in _times(plot))),
    )  # fmt: skip


def _tick(unit: str) -> Writes:
    """How values stand on the axis, where they are round."""
    if unit in {Unit.MILLISECONDS, "Milliseconds"}:
        return exact_time
    return (lambda seconds: exact_time(seconds * SECOND_MS)) if unit in {Unit.SECONDS, "Seconds"} else writer(unit)


def color_of(place: int) -> str:
    """The class of the line at this place."""
    return COLORS[place % len(COLORS)]


def _own(line: Line) -> SafeString:
    return format_html(' stroke="{}" data-own', line.color) if line.color else SafeString("")


def _ends(plot: Plot, lines: Sequence[Line]) -> tuple[float, float]:
    """The axis: from zero (or below) to a round number above everything that is drawn."""
    values = [value for line in lines for _, value in line.points if value is not None]
    values += [value for value, _ in plot.marks]
    low = plot.least if plot.least is not None else min(0.0, *values) if values else 0.0
    high = plot.most if plot.most is not None else max(values, default=0.0)
    low = low if low == 0 or plot.least is not None else -_round_up(-low)
    if high <= low:
        high = low + 1
    return low, (high if plot.most is not None else low + _top(high - low, plot.unit))


TIMES_S = (1, 2, 4, 8, 20, 40, 60, 120, 240, 480, 1_200, 2_400, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 345_600)
"""Ends of an axis of times whose quarters are round."""


def _top(value: float, unit: str) -> float:
    if unit in {"Bytes", "Bytes/Second"} and value > 1:
        power = 2.0 ** math.floor(math.log2(value) + 1e-9)
        return next(factor * power for factor in (1, 1.5, 2) if value <= factor * power * 1.000_001)
    per_s = {"Seconds": 1, "Milliseconds": SECOND_MS}.get(unit, 0)
    if not per_s or value <= per_s:
        return _round_up(value)
    return next((float(top * per_s) for top in TIMES_S if value <= top * per_s), _round_up(value))


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten: quarters of it are short to write."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if value <= factor * power * 1.000_001)


def _stacked(plot: Plot) -> list[Line]:
    """Each line on top of those before it."""
    base: dict[int, float] = {}
    answer = []
    for line in plot.lines:
        points: list[Point] = []
        for at_s, value in line.points:
            if value is not None:
                base[at_s] = base.get(at_s, 0.0) + value
            points.append((at_s, None if value is None else base[at_s]))
        answer.append(Line(line.label, points, line.color))
    return answer


def _path(points: Sequence[Point], step_s: int, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Runs of points; a gap is a gap. A point alone is a short stroke, or nobody would see it."""
    parts = []
    broken = [(at_s, value, n) for n, (at_s, value) in enumerate(_with_gaps(points, step_s))]
    for is_gap, run in groupby(broken, key=lambda point: point[1] is None):
        if is_gap:
            continue
        there = [(x(at_s), y(value or 0.0)) for at_s, value, _ in run]
        if len(there) == 1:
            there.append((there[0][0] + 5, there[0][1]))
        parts.append(" ".join(f"{'L' if n else 'M'}{px:.1f} {py:.1f}" for n, (px, py) in enumerate(there)))
    return " ".join(parts)


def _with_gaps(points: Sequence[Point], step_s: int) -> list[Point]:
    found: list[Point] = []
    for at_s, value in points:
        if found and at_s - found[-1][0] > step_s * 1.5:
            found.append((found[-1][0] + step_s, None))
        found.append((at_s, value))
    return found


def _times(plot: Plot) -> list[str]:
    """Labels of the time axis, in the person's zone; the first one says which it is."""
    span_s = plot.end_s - plot.start_s
    labels = []
    for n in range(X_TICKS + 1):
        moment = words.local((plot.start_s + span_s * n // X_TICKS) * SECOND_MS)
        labels.append(f"{moment:%d %b}".lstrip("0") if span_s > 2 * DAY_S else f"{moment:%H:%M}")
    labels[0] += f" {words.zone(plot.start_s * SECOND_MS)}"
    return labels
