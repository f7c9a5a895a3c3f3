"""How values stand in a file: exact, and as text that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

CHUNK = 500
"""Lines that are sent at once."""

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that spreadsheets run."""


def text(value: str) -> str:
    """What people wrote: names, tags, notes."""
    return f"'{value}" if value.startswith(FORMULAS) else value


def money(cents: int) -> str:
    """`806.12`: what is rounded has two places."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"


def time(ms: int) -> str:
    """`2026-11-01T00:00:00Z`."""
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(ms: int) -> str:
    """`2026-11-01`."""
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%d")


def lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """A CSV file piece by piece: RFC 4180, UTF-8, with a header, which is sent before the first row is made."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(header)
    yield _taken(target)
    for n, row in enumerate(rows, 1):
        writer.writerow(row)
        if n % CHUNK == 0:
            yield _taken(target)
    yield _taken(target)


def _taken(target: io.StringIO) -> bytes:
    piece = target.getvalue().encode(errors="replace")
    target.seek(0)
    target.truncate()
    return piece
