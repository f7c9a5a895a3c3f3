"""Joda-Time's patterns of dates and times, as HiveJsonSerDe.TimestampFormats has them: compiled to a parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import groupby

MILLIS = "millis"
"""Not a pattern: milliseconds since 1970."""

PATTERN_MAX = 200
"""Characters."""

TEXT_MAX = 500
"""Characters of a value that a pattern is tried on."""

PIVOT_YEAR = 1950
"""Two digits mean the year from here on: a fixed one, so that a repeat reads the same."""

YEAR_DIGITS_MAX = 9

MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
          "december")  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Parse = Callable[[str], datetime | None]

_NUMBERS = {
    "y": ("year", YEAR_DIGITS_MAX), "Y": ("year", YEAR_DIGITS_MAX), "M": ("month", 2),
    "d": ("day", 2), "D": ("day_of_year", 3), "H": ("hour", 2),
    "k": ("hour24", 2), "K": ("hour12", 2), "h": ("clock12", 2), "m": ("minute", 2), "s": ("second", 2),
}  # fmt: skip
"""Group and largest number of digits by letter; x, w, e and C (weeks, centuries) and names of zones are not read."""


def compile_pattern(pattern: str) -> Parse:
    """A parser: from text to UTC without a zone, None where the text does not match. Raises ValueError for patterns that
    are wrong, or have letters that are not supported."""
    if len(pattern) > PATTERN_MAX:
        raise ValueError(f"A timestamp format has at most {PATTERN_MAX} characters.")
    form = re.compile(_expression(pattern), re.IGNORECASE | re.ASCII)

    def read(text: str) -> datetime | None:
        found = form.fullmatch(text) if len(text) <= TEXT_MAX else None
        try:
            return _instant({name: value for name, value in found.groupdict().items() if value}) if found else None
        except (ValueError, OverflowError):
            return None

    return read


def _expression(pattern: str) -> str:
    out, seen = [], set()
    runs = _runs(pattern)
    following = [letter for letter, _ in runs[1:]] + [""]
    for (letter, run), after in zip(runs, following, strict=False):
        if not ("a" <= letter.lower() <= "z"):
            out.append(re.escape(run))
            continue
        # A year of any length, but not right before another number: yyyyMMdd.
        name, expression = _field(letter, len(run), pattern, widest=len(run) if after in _NUMBERS else YEAR_DIGITS_MAX)
        if name in seen:
            raise ValueError(f"The timestamp format {pattern!r} has {letter!r} twice.")
        seen.add(name)
        out.append(f"(?P<{name}>{expression})")
    if not seen:
        raise ValueError(f"The timestamp format {pattern!r} has no fields.")
    return "".join(out)


def _runs(pattern: str) -> list[tuple[str, str]]:
    """The pattern in pieces: (letter, the run of it), or ("'", text) for what is quoted."""
    out: list[tuple[str, str]] = []
    for index, part in enumerate(re.split(r"'((?:[^']|'')*)'", pattern)):
        if index % 2:
            out.append(("'", part.replace("''", "'") or "'"))
        elif "'" in part:
            raise ValueError(f"The timestamp format {pattern!r} has an open quote.")
        else:
            out += [(letter, "".join(run)) for letter, run in groupby(part)]
    return out


def _field(letter: str, count: int, pattern: str, widest: int) -> tuple[str, str]:
    if letter == "M" and count >= 3:
        return "month_name", "|".join((*MONTHS, *(name[:3] for name in MONTHS)))
    if letter in "yY" and count == 2:
        return "year2", r"\d\d"
    if letter in _NUMBERS:
        name, digits = _NUMBERS[letter]
        if name == "year":
            return name, rf"[+-]?\d{{1,{widest}}}"
        return name, rf"\d{{1,{digits}}}"
    if letter == "S":
        return "fraction", rf"\d{{1,{max(count, 1)}}}"
    if letter == "a":
        return "half", "am|pm"
    if letter == "E":
        return "day_name", "|".join((*DAYS, *(name[:3] for name in DAYS)))
    if letter == "Z" and count <= 2:
        return "zone", r"Z|[+-]\d\d:?\d\d"
    raise ValueError(f"The timestamp format {pattern!r} has {letter * count!r}, which is not supported.")


def _instant(found: dict[str, str]) -> datetime:
    day = _day(found)
    hour = int(found.get("hour", 0))
    if "hour24" in found:
        hour = int(found["hour24"]) % 24
    if "clock12" in found or "hour12" in found:
        hour = int(found.get("clock12", found.get("hour12", "0")))
        if hour > (12 if "clock12" in found else 11):
            raise ValueError
        hour = hour % 12 + (12 if found.get("half", "").lower() == "pm" else 0)
    micros = int(found.get("fraction", "0").ljust(6, "0")[:6])
    at = datetime(
        day.year, day.month, day.day, hour, int(found.get("minute", 0)), int(found.get("second", 0)), micros, tzinfo=UTC
    )
    return (at - _offset(found.get("zone", "Z"))).replace(tzinfo=None)


def _day(found: dict[str, str]) -> date:
    year = int(found.get("year", 1970))
    if "year2" in found:
        year = PIVOT_YEAR + (int(found["year2"]) - PIVOT_YEAR) % 100
    if "day_of_year" in found:
        days = int(found["day_of_year"])
        day = date(year, 1, 1) + timedelta(days - 1)
        if day.year != year:
            raise ValueError
        return day
    month = int(found.get("month", 1))
    if "month_name" in found:
        month = 1 + next(i for i, name in enumerate(MONTHS) if name.startswith(found["month_name"].lower()[:3]))
    return date(year, month, int(found.get("day", 1)))


def _offset(zone: str) -> timedelta:
    if zone in {"Z", "z"}:
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if zone[0] == "-" else offset).utcoffset(None)
