"""How many rows a page of a list has.

A page has at most 1,500 elements, so that a slow phone lays it out at once (tests/console/test_nodes.py). The frame around
a list takes 350 of them, so the more there is in a row, the fewer rows a page has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

PLAIN_ROWS: Final = 30
"""Of text, up to 30 elements each: the audit log, lanes, causes of errors."""

RICH_ROWS: Final = 25
"""With marks, charts, menus or buttons, up to 40 elements each."""

FEW_ROWS: Final = 10
"""Of a second list on the page, or one whose rows are columns elsewhere on it."""

OFFERED: Final = 400
"""Choices of a select."""

T = TypeVar("T")


def around(found: Sequence[T], place: int) -> Sequence[T]:
    """At most OFFERED of them, the one at that place in the middle: for a select of what a list leads to one by one."""
    first = max(0, min(place - OFFERED // 2, len(found) - OFFERED))
    return found[first : first + OFFERED]
