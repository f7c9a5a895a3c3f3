"""Nudges: the hint to the workers that a log of a Direct PUT delivery stream has got enough for its readers to look.

A lane is found by the tick when its interval is over; a nudge is for buffers that fill up before. It is a hint: losing
one costs a tick. What was appended is counted per log, and when a quarter of the size hint has come together the lanes
that read the log are woken, each at most once a second. With an interval of 0 (as soon as possible) every append wakes,
at most one in 200 ms; an append too soon after is made up for when that time is over.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from apps.delivery.catalog import DirectLog
from apps.delivery.trimming import KIND as LANE_KIND
from apps.leases.wake import wake
from apps.runtime import Runtime

SHARE = 4
"""A quarter of the size hint."""

EVERY_MS = 1_000
AT_ONCE_EVERY_MS = 200
"""Between two nudges of one log; the latter with an interval of 0."""

LOGS_MAX = 10_000
"""Counted at one time; the one that was nudged longest ago is forgotten first."""

WAITING_MAX = 1_000
"""Hints that wait for the broker. It may be away, and then they are worth nothing."""


@dataclass(slots=True)
class _Counted:
    """Bytes appended since the last nudge, and when that was. timer: the nudge that is made up for."""

    size_bytes: int = 0
    nudged_ms: int = 0
    timer: asyncio.TimerHandle | None = None


class Nudge:
    """See the module's docstring. One per process, used on its loop: `runtime.part(Nudge)`."""

    def __init__(self, runtime: Runtime) -> None:
        self._clock = runtime.clock
        self._counted: dict[int, _Counted] = {}
        self._sender = ThreadPoolExecutor(1, "nudge")
        self._asked = self._sent = 0  # the one is written by the loop alone, the other by the sender

    def appended(self, log: DirectLog, size_bytes: int, now_ms: int) -> None:
        """Count an append, and wake who reads the log if it is time to. Never waits."""
        counted = self._counted.get(log.key)
        if counted is None:
            counted = self._counted[log.key] = self._new()
        counted.size_bytes += size_bytes
        at_once = log.hints.interval_ms == 0
        if not at_once and counted.size_bytes * SHARE < log.hints.size_bytes:
            return
        every_ms = AT_ONCE_EVERY_MS if at_once else EVERY_MS
        since_ms = now_ms - counted.nudged_ms
        if 0 <= since_ms < every_ms:
            if counted.timer is None:
                loop = asyncio.get_running_loop()
                counted.timer = loop.call_later((every_ms - since_ms) / 1000, self._nudge, log, counted)
            return
        self._nudge(log, counted)

    def close(self) -> None:
        """Send nothing more."""
        for counted in self._counted.values():
            if counted.timer is not None:
                counted.timer.cancel()
        self._sender.shutdown(wait=False, cancel_futures=True)

    def _new(self) -> _Counted:
        while len(self._counted) >= LOGS_MAX:
            gone = self._counted.pop(next(iter(self._counted)))
            if gone.timer is not None:
                gone.timer.cancel()
        return _Counted()

    def _nudge(self, log: DirectLog, counted: _Counted) -> None:
        if counted.timer is not None:
            counted.timer.cancel()
            counted.timer = None
        counted.size_bytes, counted.nudged_ms = 0, self._clock.now_ms()
        for lane in log.lanes:
            if self._asked - self._sent < WAITING_MAX:
                self._asked += 1
                self._sender.submit(self._send, str(lane))

    def _send(self, lane: str) -> None:
        try:
            wake(LANE_KIND, lane)
        finally:
            self._sent += 1
