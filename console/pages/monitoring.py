"""The tab Monitoring: charts of the stream's metrics (console/live shows how), figures per shard, and all of it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render

from apps.metrics import store
from apps.metrics.buckets import NOTHING, Point
from apps.metrics.names import SHARD_LEVEL, Draw, Metric, Unit, stored_under
from apps.streams.models import Stream
from apps.streams.operations.shards import shown
from console import calls
from console.live.panels import PANELS, columns
from console.pages import words
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

RANGES: Final = {"5m": (300, 1), "1h": (3_600, 10), "6h": (21_600, 60), "24h": (86_400, 300), "7d": (604_800, 1_800)}
"""As in static/js/panels.js: seconds in all, and of a bucket."""

SPANS: Final = {
    "5m": (300, 10),
    "1h": (3_600, 60),
    "6h": (21_600, 300),
    "24h": (86_400, 1_800),
    "7d": (604_800, 10_800),
}
"""Of the figures per shard: some sixty buckets, none under ten seconds."""


SHARD_ROWS: Final = 15
"""Each with up to seven sparklines, below eight charts."""

TITLES: Final = {
    "IncomingBytes": "Incoming",
    "IncomingRecords": "Incoming records",
    "OutgoingBytes": "Outgoing",
    "OutgoingRecords": "Outgoing records",
    "WriteProvisionedThroughputExceeded": "Records refused",
    "ReadProvisionedThroughputExceeded": "Reads refused",
    "IteratorAgeMilliseconds": "Iterator age",
}


@team_page("stream:read")
def monitoring(request: TeamRequest, name: str) -> HttpResponse:
    """The charts, and below them the shards."""
    stream = find(request, name)
    context = {**frame(request, stream, "stream-monitoring"), **_per_shard(request, stream)}
    return render(request, "stream/monitoring.html", context)


@team_page("stream:read")
def per_shard(request: TeamRequest, name: str) -> HttpResponse:
    """The shards alone, for htmx."""
    stream = find(request, name)
    return render(request, "stream/per_shard.html", {"stream": stream, **_per_shard(request, stream)})


@dataclass(frozen=True, slots=True)
class Column:
    """A metric in the table of shards."""

    metric: Metric

    @property
    def title(self) -> str:
        """Its heading."""
        return TITLES[self.metric.name]

    def cell(self, index: int, buckets: Sequence[dict[int | str, Point] | None], width_s: int) -> Cell:
        """One shard's values and the highest of them."""
        key = stored_under(self.metric.name, index)
        values = [None if points is None else self._value(points.get(key, NOTHING), width_s) for points in buckets]
        known = [value for value in values if value is not None]
        return Cell(values, self._words(max(known)) if known else "no data")

    def _value(self, point: Point, width_s: int) -> float | None:
        if self.metric.draw is Draw.RATE:
            return point.total / width_s
        return point.most if point.count else None

    def _words(self, value: float) -> str:
        if self.metric.unit is Unit.BYTES:
            return words.rate(value)
        return words.duration(value) if self.metric.unit is Unit.MILLISECONDS else f"{words.figures(value)}/s"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a sparkline draws, and the figure beside it."""

    values: list[float | None]
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A shard."""

    short: str
    cells: list[Cell]


def _per_shard(request: TeamRequest, stream: Stream) -> dict[str, Any]:
    span = request.GET.get("span", "1h")
    span = span if span in SPANS else "1h"
    metrics = [Column(SHARD_LEVEL[name]) for name in TITLES if name in stream.shard_level_metrics]
    context: dict[str, Any] = {"span": span, "spans": list(SPANS), "metrics": metrics}
    if not metrics:
        return context
    now_ms = calls.now_ms()
    buckets, width_s, away = _buckets(request, stream, SPANS[span], now_ms)
    opened = [shard for shard in shown(stream, now_ms) if shard.closed_at_ms is None]
    page = Paginator(opened, SHARD_ROWS).get_page(request.GET.get("page"))
    rows = [
        Row(f"{shard.index:04d}", [column.cell(shard.index, buckets, width_s) for column in metrics]) for shard in page
    ]
    return {**context, "rows": rows, "away": away, "page": page}


def _buckets(
    request: TeamRequest, stream: Stream, span: tuple[int, int], now_ms: int
) -> tuple[Sequence[dict[int | str, Point] | None], int, bool]:
    """Whole buckets up to now; widths that are not kept are made of those that are."""
    span_s, width_s = span
    kept_s = max(width for width in store.widths() if width_s % width == 0)
    to_s = now_ms // 1_000 // width_s * width_s
    found = store.history(request.team.id, stream.pk, to_s - span_s, to_s, kept_s, clock=calls.runtime().clock)
    return found.buckets, kept_s, found.away


@team_page("stream:read")
def metrics_csv(request: TeamRequest, name: str) -> HttpResponse:
    """All columns of all charts over one of the RANGES, a row per bucket, base units; empty where nobody counted."""
    stream = find(request, name)
    if request.GET.get("range", "1h") not in RANGES:
        raise Http404("no such range")
    chosen = request.GET.get("range", "1h")
    span_s, width_s = RANGES[chosen]
    clock = calls.runtime().clock
    now_s = clock.now_ms() // 1_000
    history = store.history(request.team.id, stream.pk, now_s - span_s, now_s, width_s, clock=clock, classes=True)
    heads, data = ["time_utc"], []
    for panel_name, panel in PANELS.items():
        if panel_name == "throughput":
            continue  # its columns are those of others
        found = columns(panel, history, now_s)
        for column, values in zip(panel, found or [[]] * len(panel), strict=False):
            heads.append(f"{panel_name}.{column.name} ({column.unit})")
            data.append(values)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(heads)
    for n, t in enumerate(history.times):
        row = ["" if not column or column[n] is None else column[n] for column in data]
        writer.writerow([words.iso(t * 1_000), *row])
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{chosen}.csv"'
    return answer
