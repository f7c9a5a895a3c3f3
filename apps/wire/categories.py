r"""Java's `\p{L}` and its like, which Python's patterns have not: as ranges of characters, made when first asked for."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import chain, groupby

_CATEGORY = re.compile(r"\\p\{(\w{1,2})\}")

_ASSIGNED = (range(0x34000), range(0xE0000, 0xE1000))
"""Where Unicode has characters of its own; the rest is empty or private."""


def spelled_out(pattern: str) -> str:
    r"""The pattern with every `\p{…}`, which must stand within brackets, as ranges."""
    return _CATEGORY.sub(lambda found: ranges(found[1]), pattern)


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
