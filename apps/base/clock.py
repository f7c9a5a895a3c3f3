"""The one place that knows what time it is. All times are int, UTC milliseconds since the epoch."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; injected everywhere, so that a test can turn the hands."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch. May go backwards when the machine's clock is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """See Clock.now_ms."""
        return time.time_ns() // 1_000_000


class FakeClock:
    """A clock that moves only when told to: for tests."""

    def __init__(self, now_ms: int = 1_795_163_467_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """See Clock.now_ms."""
        return self._now_ms

    def advance(self, delta_ms: int) -> None:
        """Move by delta_ms; negative steps back, as a corrected clock would."""
        self._now_ms += delta_ms

    def set(self, now_ms: int) -> None:
        """Jump to now_ms."""
        self._now_ms = now_ms
