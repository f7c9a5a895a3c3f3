"""A month of UTC: what a bill is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.base.units import DAY_MS, HOUR_MS

_NAME = re.compile(r"(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])")
"""There are no times before 1970 here, and none that a date cannot hold with the month after it."""


class BadMonth(ValueError):
    """Not the name of a month."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """year, number 1 to 12. Its name is 2026-11."""

    year: int
    number: int

    @classmethod
    def named(cls, name: str) -> Month:
        """Raises BadMonth."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise BadMonth(f"{name!r} is no month; write it as 2026-11.")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def at(cls, time_ms: int) -> Month:
        """The month of a time."""
        date = datetime.fromtimestamp(time_ms / 1_000, UTC)
        return cls(date.year, date.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @property
    def title(self) -> str:
        """As November 2026."""
        return datetime(self.year, self.number, 1, tzinfo=UTC).strftime("%B %Y")

    @property
    def start_ms(self) -> int:
        """Its first millisecond."""
        return round(datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()) * 1_000

    @property
    def end_ms(self) -> int:
        """The first millisecond after it."""
        return self.next.start_ms

    @property
    def next(self) -> Month:
        """The month after."""
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> Month:
        """The month before."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

    @property
    def hours(self) -> int:
        """672 to 744: what monthly units are divided by."""
        return (self.end_ms - self.start_ms) // HOUR_MS

    @property
    def days(self) -> int:
        """28 to 31."""
        return (self.end_ms - self.start_ms) // DAY_MS
