"""Template tags of live charts: the parts that the server writes. Geometry by attributes only, as the policy wants.

The lines and their labels are those of static/js/panels.js.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console import zones
from console.pages import plot

register = template.Library()

DASHES = {"dashed": "4 3", "dotted": "1.5 2.5", "dashdot": "5 1.5 1.5 1.5"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line's label, colour token and dash."""

    label: str
    color: str
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the monitoring page. name: the panel of console/live/panels.py."""

    name: str
    title: str
    note: str
    lines: tuple[Line, ...]
    alarm: str = ""
    """The metric that an alarm made from this chart looks at."""

    @property
    def labels(self) -> list[str]:
        """Of its lines."""
        return [line.label for line in self.lines]


CHARTS: tuple[Chart, ...] = (
    Chart("bytes", "Bytes", "Stored and read, per second",
          (Line("Incoming", "c1"), Line("Outgoing", "c2", "dashed"), Line("Write limit", "bad", "dotted")), "IncomingBytes"),
    Chart("records", "Records", "Stored and read, per second",
          (Line("Incoming", "c1"), Line("Outgoing", "c2", "dashed")), "IncomingRecords"),
    Chart("write-latency", "Write latency", "Median and p99; the band reaches to the slowest",
          (Line("PutRecord p50", "c1"), Line("PutRecord p99", "c1", "dotted"),
           Line("PutRecords p50", "c2", "dashed"), Line("PutRecords p99", "c2", "dashdot")), "PutRecords.Latency"),
    Chart("read-latency", "Read latency", "Median and p99; the band reaches to the slowest",
          (Line("GetRecords p50", "c1"), Line("GetRecords p99", "c1", "dotted")), "GetRecords.Latency"),
    Chart("throttles", "Throttles", "Refused by the limits, per second",
          (Line("Records refused", "bad"), Line("GetRecords calls refused", "c3", "dashed")), "WriteProvisionedThroughputExceeded"),
    Chart("age", "Iterator age", "How old the last record was that a reader got",
          (Line("GetRecords", "c1"), Line("Fan-out", "c2", "dashed")), "GetRecords.IteratorAgeMilliseconds"),
    Chart("success", "Success", "Share of calls that were answered",
          (Line("PutRecord", "c1"), Line("PutRecords", "c2", "dashed"), Line("GetRecords", "c3", "dotted")), "PutRecords.Success"),
)  # fmt: skip
"""The monitoring page, in order."""

DELIVERY_CHARTS: tuple[Chart, ...] = (
    Chart("bytes", "Bytes", "In and out, per second; deliveries come in batches",
          (Line("Incoming", "c1"), Line("Delivered", "c2", "dashed"), Line("Backed up", "c3", "dotted"))),
    Chart("records", "Records", "In and out, per second",
          (Line("Incoming", "c1"), Line("Delivered", "c2", "dashed"))),
    Chart("freshness", "Data freshness", "Age of the oldest record that is not delivered yet",
          (Line("Oldest record waiting", "c1"), Line("Backup", "c2", "dashed"))),
    Chart("success", "Success", "Share of attempts that worked",
          (Line("Deliveries", "c1"), Line("Backups", "c2", "dashed"), Line("Transforms", "c3", "dotted"))),
    Chart("latency", "Latency", "Mean time of a call; the band reaches to the slowest",
          (Line("PutRecord", "c1"), Line("PutRecordBatch", "c2", "dashed"), Line("Transform", "c3", "dotted"))),
    Chart("throttles", "Throttles", "Refused by the quotas, per second", (Line("Throttled", "bad"),)),
    Chart("processing", "Processing", "Records out of transforms and conversion, per second",
          (Line("Processed", "c1"), Line("Converted", "c2", "dashed"), Line("Not converted", "bad", "dotted"))),
    Chart("partitions", "Partitions", "Partitions that hold records now", (Line("Active partitions", "c1"),)),
    Chart("objects", "Objects", "Objects written to S3, per second", (Line("Objects", "c1"),)),
    Chart("behind", "Behind the stream", "How far reading is behind the source", (Line("Behind the stream", "c1"),)),
)  # fmt: skip
"""Of a delivery stream, in order; a page shows those that its configuration can have."""


@register.simple_tag
def monitoring_charts() -> tuple[Chart, ...]:
    """`{% monitoring_charts as charts %}`."""
    return CHARTS


@register.simple_tag
def delivery_charts(names: Sequence[str]) -> list[Chart]:
    """`{% delivery_charts names as charts %}`: those of these names."""
    return [chart for chart in DELIVERY_CHARTS if chart.name in names]


@register.simple_tag
def drawing(drawn: plot.Plot) -> SafeString:
    """`{% drawing plot %}`: a chart that the server draws."""
    return plot.draw(drawn)


@register.simple_tag
def board_text(text: str) -> SafeString:
    """A text of a dashboard: lines that begin with # are headings, paragraphs are as they were written."""
    parts: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("#"):
            parts.append(("h2", line.lstrip("#").strip()))
        elif line.strip() and parts and parts[-1][0] == "p":
            parts[-1] = ("p", f"{parts[-1][1]}\n{line}")
        else:
            parts.append(("p", line))
    return format_html_join("", "<{0}>{1}</{0}>", ((SafeString(tag), said) for tag, said in parts if said))


@register.simple_tag
def figure_button(label: str, color: str, dash: str = "") -> SafeString:
    """A line in a chart's legend: its mark, name and newest value; a click hides and shows the line."""
    return format_html(
        '<button type="button" data-column="{}" aria-pressed="true"><svg class="sw" viewBox="0 0 14 4" aria-hidden="true">'
        '<line class="sw-{}" x1="0" x2="14" y1="2" y2="2" stroke-dasharray="{}"/></svg>'
        '<span>{}</span><b data-figure="{}">\N{EN DASH} <small></small></b></button>',
        label, color, DASHES.get(dash, "none"), label, label,
    )  # fmt: skip


@register.simple_tag
def figure_only(label: str, extra_class: str = "") -> SafeString:
    """A figure beside the legend that has no line."""
    return format_html(
        '<div class="fig {}"><span>{}</span><b data-figure="{}">\N{EN DASH} <small></small></b></div>',
        extra_class,
        label,
        label,
    )


@register.simple_tag
def chart_table(title: str, *labels: str | Sequence[str]) -> SafeString:
    """The chart as a table, filled by chart.js when it is asked for."""
    names = list(chain.from_iterable([label] if isinstance(label, str) else label for label in labels))
    heads = format_html_join("", '<th scope="col" class="r">{}</th>', ((n,) for n in names if n != "Write limit"))
    return format_html(
        '<div class="live-table scroll" data-live-table hidden tabindex="0" role="region" aria-label="{} as a table">'
        '<table class="tbl tbl-s"><thead><tr><th scope="col">Time, {}</th>{}</tr></thead><tbody></tbody></table></div>',
        title, zones.name(), heads,
    )  # fmt: skip
