"""How fast one client takes what it is sent. A browser cannot slow a websocket down, so it acknowledges instead."""

from __future__ import annotations

from collections import deque

LATE_MS = 5_000
LATER_MS = 10_000
DEAD_MS = 30_000
INTERVALS_MS = (250, 1_000, 5_000)
"""Between two messages with data: on time, late, later."""

IN_FLIGHT_BYTES_MAX = 262_144


class Pace:
    """What is sent and not acknowledged: at most one message per interval for half a minute, so it stays small."""

    def __init__(self) -> None:
        self._unacked: deque[tuple[int, int, int]] = deque()
        self._bytes = 0
        self._level = 0

    def sent(self, seq: int, size: int, now_ms: int) -> None:
        """A message of that many bytes left."""
        self._unacked.append((seq, size, now_ms))
        self._bytes += size

    def acked(self, seq: int) -> None:
        """The client has everything up to seq."""
        while self._unacked and self._unacked[0][0] <= seq:
            self._bytes -= self._unacked.popleft()[1]

    def late_ms(self, now_ms: int) -> int:
        """Age of the oldest message without an answer."""
        return now_ms - self._unacked[0][2] if self._unacked else 0

    def is_dead(self, now_ms: int) -> bool:
        """Nothing was heard for too long."""
        return self.late_ms(now_ms) >= DEAD_MS

    @property
    def is_full(self) -> bool:
        """Send no data until some of it is acknowledged."""
        return self._bytes >= IN_FLIGHT_BYTES_MAX

    def changed(self, now_ms: int) -> bool:
        """True once when the client fell behind another mark, or caught up."""
        late_ms = self.late_ms(now_ms)
        level = (late_ms >= LATE_MS) + (late_ms >= LATER_MS)
        before, self._level = self._level, level
        return level != before

    @property
    def interval_ms(self) -> int:
        """Between two messages with data, as of the last changed()."""
        return INTERVALS_MS[self._level]
