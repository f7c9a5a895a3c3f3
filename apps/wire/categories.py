r"""What Java's patterns have and Python's have not: `\p{L}` and its like, as ranges of characters that are made when first
asked for, and characters beyond the first 65,536 as two halves."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import chain, groupby

_CATEGORY = re.compile(r"\\p\{(\w{1,2})\}")

_HALVES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_ASSIGNED = (range(0x34000), range(0xE0000, 0xE1000))
"""Where Unicode has characters of its own; the rest is empty or private."""


def spelled_out(pattern: str) -> str:
    r"""The pattern with every `\p{…}`, which must stand within brackets, as ranges, and every pair of halves as one
    character."""
    return _CATEGORY.sub(lambda found: ranges(found[1]), _HALVES.sub(_whole, pattern))


def _whole(found: re.Match[str]) -> str:
    high, low = int(found[1], 16), int(found[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


@cache
def ranges(category: str) -> str:
    """All characters of a Unicode category (`L`, `Zs`) as the inside of a bracket expression."""
    found = []
    for name, run in _runs():
        if name.startswith(category):
            found.append(f"\\U{run[0]:08x}-\\U{run[1]:08x}")
    return "".join(found)


@cache
def _runs() -> list[tuple[str, tuple[int, int]]]:
    """Neighbours of one category: (category, (first, last))."""
    runs = []
    for name, numbers in groupby(chain(*_ASSIGNED), lambda number: unicodedata.category(chr(number))):
        run = list(numbers)
        runs.append((name, (run[0], run[-1])))
    return runs
