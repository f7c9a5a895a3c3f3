"""The chart of daily cost: stacked bars, and after them what is expected, drawn on the server without script.

Labels are HTML beside the picture, so that they keep their size whatever the picture's width is. What is expected is hatched
with whiskers and never has the fill of a fact; a day that still runs has a lighter edge. On phones a second, narrow picture
with the last days stands in for the whole month.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console.pages import money

HEIGHT = 200
DAY_WIDTH = 30
BAR_WIDTH = 22
Y_TICKS = 4
PHONE_BARS = 14
SERIES_MAX = 6
"""Colours; what is beyond them is one series `Others`."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A day (or month) of facts. label: below it, as `5 Nov`. parts: in the currency, one for each series, none negative."""

    label: str
    parts: tuple[float, ...]
    is_partial: bool = False

    @property
    def total(self) -> float:
        """Of all series."""
        return sum(self.parts)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a day, with its 80 % range."""

    label: str
    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CostChart:
    """series: labels of the parts, bottom up."""

    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    expected: tuple[Expected, ...] = ()
    currency: str = "USD"
    description: str = ""


def draw(chart: CostChart) -> SafeString:
    """Both pictures, with their labels."""
    top = _top(chart)
    wide = _picture(chart, chart.bars, chart.expected, top, "hide-s")
    narrow = _picture(chart, chart.bars[-PHONE_BARS:], (), top, "only-s")
    return format_html("{}{}", wide, narrow)


def _picture(
    chart: CostChart, bars: Sequence[Bar], expected: Sequence[Expected], top: float, extra_class: str
) -> SafeString:
    labels = [bar.label for bar in bars] + [one.label for one in expected]
    width = DAY_WIDTH * max(len(labels), 1)
    steps = [top * n / Y_TICKS for n in range(Y_TICKS, -1, -1)]
    grid = format_html_join(
        "", '<line class="gr" x1="0" x2="{}" y1="{}" y2="{}"/>', ((width, y, y) for y in (_y(s, top) for s in steps))
    )
    facts = format_html_join("", "{}", ((_bar(bar, n, top, chart),) for n, bar in enumerate(bars)))
    guesses = format_html_join(
        "", "{}", ((_expected(one, n, top, chart.currency),) for n, one in enumerate(expected, len(bars)))
    )
    hatch = _HATCH if expected else ""
    return format_html(
        '<div class="cost-chart {}"><div class="plot-y" aria-hidden="true">{}</div>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}{}{}</svg>'
        '<div class="plot-days" aria-hidden="true">{}</div></div>',
        extra_class, format_html_join("", "<span>{}</span>", ((_tick(s, top, chart.currency),) for s in steps)),
        width, HEIGHT, chart.description, SafeString(hatch), grid, facts, guesses, _days(labels),
    )  # fmt: skip


_HATCH = (
    '<defs><pattern id="expected" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V6" class="fl"/></pattern></defs>'
)


def _bar(bar: Bar, place: int, top: float, chart: CostChart) -> SafeString:
    x = place * DAY_WIDTH + (DAY_WIDTH - BAR_WIDTH) / 2
    base, pieces = 0.0, []
    for series, part in enumerate(bar.parts):
        if part > 0:
            upper, lower = _y(base + part, top), _y(base, top)
            pieces.append(
                (f"f{series % SERIES_MAX + 1}", f"{x:g}", upper, f"{max(0.4, float(lower) - float(upper)):.1f}")
            )
            base += part
    rects = format_html_join("", '<rect class="{}" x="{}" width="' + str(BAR_WIDTH) + '" y="{}" height="{}"/>', pieces)
    told = ", ".join(
        f"{name} {_money(part, chart.currency)}" for name, part in zip(chart.series, bar.parts, strict=True) if part
    )
    so_far = " so far" if bar.is_partial else ""
    title = f"{bar.label}{so_far}: {_money(bar.total, chart.currency)}" + (
        f" ({told})" if len(chart.series) > 1 and told else ""
    )
    return format_html(
        "<g{}><title>{}</title>{}</g>", SafeString(' class="partial"') if bar.is_partial else "", title, rects
    )


def _expected(one: Expected, place: int, top: float, currency: str) -> SafeString:
    x = place * DAY_WIDTH + (DAY_WIDTH - BAR_WIDTH) / 2
    middle = place * DAY_WIDTH + DAY_WIDTH / 2
    low, high, y = _y(one.low, top), _y(one.high, top), _y(one.middle, top)
    title = (
        f"{one.label}, forecast: {_money(one.middle, currency)}, "
        f"80% likely between {_money(one.low, currency)} and {_money(one.high, currency)}"
    )
    return format_html(
        '<g><title>{}</title><rect class="ff" x="{}" width="{}" y="{}" height="{}"/>'
        '<path class="fw" d="M{} {}V{}M{} {}h8M{} {}h8"/></g>',
        title, f"{x:g}", BAR_WIDTH, y, f"{HEIGHT - float(y):.1f}",
        f"{middle:g}", low, high, f"{middle - 4:g}", high, f"{middle - 4:g}", low,
    )  # fmt: skip


def _days(labels: Sequence[str]) -> SafeString:
    """A cell for each bar; every fifth has words, and the first."""
    shown = {n for n in range(len(labels)) if n == 0 or (n + 1) % 5 == 0}
    if len(labels) <= 7:
        shown = set(range(len(labels)))
    return format_html_join(
        "",
        "<span>{}</span>",
        ((format_html("<b>{}</b>", label) if n in shown else "",) for n, label in enumerate(labels)),
    )


def _y(value: float, top: float) -> str:
    return f"{HEIGHT - min(value, top) / top * HEIGHT:.1f}"


def _top(chart: CostChart) -> float:
    """A round amount above everything that is drawn: quarters of it are short to write."""
    value = max([*(bar.total for bar in chart.bars), *(one.high for one in chart.expected)], default=0.0)
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if value <= factor * power * 1.000_001)


def _tick(value: float, top: float, currency: str) -> str:
    """Whole units where all ticks are; else cents, and below one cent its parts."""
    if top / Y_TICKS >= 1 and top % Y_TICKS == 0:
        return money.money(round(value) * 100, currency).replace(".00", "")
    if top * 100 / Y_TICKS >= 1 or not value:
        return money.money(round(value * 100), currency)
    return f"{value * 100:.2g} ct"


def _money(value: float, currency: str) -> str:
    cents = round(value * 100)
    return money.money(cents, currency) if cents or not value else f"<{money.money(1, currency)}"
