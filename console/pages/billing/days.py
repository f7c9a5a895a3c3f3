"""Days and hours of bills: always of UTC, whatever zone the person has."""

from __future__ import annotations

from apps.base.units import DAY_MS, HOUR_MS
from console.pages import words


def day_text(day_ms: int) -> str:
    """As 2026-11-05, in addresses and files."""
    return f"{words.moment(day_ms):%Y-%m-%d}"


def day_words(day_ms: int) -> str:
    """`5 Nov`."""
    return f"{words.moment(day_ms):%d %b}".lstrip("0")


def date_words(day_ms: int) -> str:
    """`Thursday, 5 November 2026`."""
    moment = words.moment(day_ms)
    return f"{moment:%A}, {moment.day} {moment:%B %Y}"


def clock_words(ms: int) -> str:
    """`14:31 UTC`."""
    return f"{words.moment(ms):%H:%M} UTC"


def hour_words(hour_ms: int) -> str:
    """`14:00 to 15:00`."""
    return f"{words.moment(hour_ms):%H}:00 to {words.moment(hour_ms + HOUR_MS):%H}:00"


def hour_text(hour_ms: int) -> str:
    """As 14, in addresses."""
    return f"{words.moment(hour_ms):%H}"


def time_words(ms: int) -> str:
    """`5 Nov 2026, 14:31:07 UTC`."""
    return f"{words.moment(ms):%d %b %Y, %H:%M:%S} UTC".lstrip("0")


def span_words(from_ms: int, to_ms: int) -> str:
    """`1 to 30 Nov`, `28 Oct to 2 Nov`, `5 Nov`. to_ms: the midnight after the last day."""
    first, last = words.moment(from_ms), words.moment(to_ms - DAY_MS)
    if first == last:
        return day_words(from_ms)
    begin = f"{first.day}" if (first.year, first.month) == (last.year, last.month) else day_words(from_ms)
    return f"{begin} to {day_words(to_ms - DAY_MS)}"
