"""Epoch seconds, as JSON and typed structs carry them, and the milliseconds everybody else counts in."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

TIME_S_MAX: Final = 253_402_300_799
"""The last second of the year 9999. Later times are clamped to it, in the manner of AWS's numbers."""
TIME_S_MIN: Final = -TIME_S_MAX
TIME_MS_MAX: Final = TIME_S_MAX * 1000
TIME_MS_MIN: Final = -TIME_MS_MAX

EpochSeconds = Annotated[float, msgspec.Meta(ge=TIME_S_MIN, le=TIME_S_MAX)]
"""The type of a timestamp in a typed request: what does not fit comes back clamped from the slow way."""


def seconds(time_ms: int) -> float:
    """Seconds with a fraction of three digits; exact to the millisecond for any date there will be."""
    return time_ms / 1000


def milliseconds(time_s: float) -> int:
    """The nearest millisecond."""
    return round(time_s * 1000)
