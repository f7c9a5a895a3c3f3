"""How numbers and times are written for people: units always, three figures at most, times in the person's zone
(console/zones.py), which is UTC unless chosen.

Sizes and rates are binary (KiB, MiB), as limits and AWS's hints are, so that a figure beside its limit is in the same unit; prices
alone go by AWS's GB, which is a GiB (pages/money.py). A value that is not known is None and written as such.
"""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

UTC_NAME = "UTC"

_SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def figures(value: float) -> str:
    """At most three figures: 3.61 -> 3.6, 36.82 -> 36.8, 368.2 -> 368."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}".removesuffix(".0")


def size_parts(size_bytes: float) -> tuple[str, str]:
    """The figure and its unit: (`4.7`, `MiB`)."""
    for factor, unit in _SIZES:
        if size_bytes >= factor * 0.9995:
            return figures(size_bytes / factor), unit
    return f"{size_bytes:.0f}", "B"


def size(size_bytes: float) -> str:
    """`412 B`, `1.2 KiB`, `310 KiB`, `4.7 MiB`."""
    return " ".join(size_parts(size_bytes))


def rate(bytes_per_second: float) -> str:
    """`4.7 MiB/s`."""
    return f"{size(bytes_per_second)}/s"


def duration(ms: float) -> str:
    """`240 ms`, `38.2 s`, `12 min`, `3 h`, `2 d`."""
    if ms < SECOND_MS:
        return f"{ms:.0f} ms"
    if ms < MINUTE_MS:
        return f"{figures(ms / SECOND_MS)} s"
    if ms < HOUR_MS:
        return f"{ms / MINUTE_MS:.0f} min"
    if ms < 2 * DAY_MS:
        return f"{ms / HOUR_MS:.0f} h"
    return f"{ms / DAY_MS:.0f} d"


def retention(hours: int) -> str:
    """`24 h`, `48 h`, `7 d`."""
    return f"{hours // 24} d" if hours % 24 == 0 and hours > 48 else f"{hours} h"


def retention_words(hours: int) -> str:
    """`24 hours`, `7 days`."""
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"


def middle(text: str) -> str:
    """A long number with its middle left out: `4965…0217378`."""
    return text if len(text) <= 16 else f"{text[:4]}…{text[-7:]}"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 shard`, `5 shards`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(ms: int) -> datetime:
    """The time as an aware datetime in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def local(ms: int) -> datetime:
    """The time in the person's zone."""
    return moment(ms).astimezone(timezone.get_current_timezone())


def zone(ms: int) -> str:
    """What the person's zone is called at that time: `UTC`, `CET`, `+03`."""
    return local(ms).tzname() or UTC_NAME


def iso(ms: int) -> str:
    """`2026-11-20T14:31:07.412Z`."""
    return moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date(ms: int) -> str:
    """`12 Mar 2026`."""
    return f"{local(ms):%d %b %Y}".lstrip("0")


def date_time(ms: int) -> str:
    """`12 Mar 2026, 14:31:07 UTC`."""
    return f"{date(ms)}, {local(ms):%H:%M:%S} {zone(ms)}"


def clock_time(ms: int) -> str:
    """`14:31:07.412`."""
    return f"{local(ms):%H:%M:%S}.{ms % 1000:03d}"


def clock_minutes(ms: int) -> str:
    """`14:31`."""
    return f"{local(ms):%H:%M}"


def ago(ms: int, now_ms: int) -> str:
    """`just now`, `5 s ago`, `3 min ago`, `2 h ago`, `4 d ago`; a date beyond a month."""
    passed = now_ms - ms
    if passed < 2 * SECOND_MS:
        return "just now"
    if passed > 30 * DAY_MS:
        return date(ms)
    return f"{duration(passed // SECOND_MS * SECOND_MS)} ago"
