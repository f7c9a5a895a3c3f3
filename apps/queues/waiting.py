"""Receives that wait for a record to become visible: woken by an append, by a change of deliveries, or by the time at
which a delivery is due; never by polling.

One waiter is woken for each thing that happened, first come, first served, and passes it on if there may be more than it
took. So a hundred idle consumers of a queue do not all run for one record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from apps.queues.changing import UnknownQueue
from apps.queues.deliveries import Glimpse
from apps.recordlog.interface import RecordLog, RecordLogError

WAIT_AGAIN_MS = 60_000
"""How long one wait in the record log lasts; then the next begins."""

DUE_MIN_S = 0.001
DUE_MAX_S = 3_600.0

QUEUES_MAX = 10_000
"""Queues whose changes are counted apart."""

ANY = 0
"""No queue has this key."""

Ends = Mapping[int, int]
"""By shard: the offset that the next appended record gets, as far as the caller has seen."""


class Line:
    """The waiters of a queue for one kind of records, and the timer for the next that is due."""

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[bool]] = deque()
        self.timer: asyncio.TimerHandle | None = None

    def wake_one(self) -> None:
        """The one that has waited longest, if there is one."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return

    def due(self, in_s: float) -> None:
        """Wake one after so long, instead of whenever it was before."""
        self.disarm()
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(min(max(in_s, DUE_MIN_S), DUE_MAX_S), self.wake_one)

    def disarm(self) -> None:
        """Nothing is due."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Watch:
    """All that wait for one queue in this process. Lives while somebody waits."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log
        self.lines = {False: Line(), True: Line()}
        """By "dead letters?"."""
        self._seen: dict[int, int] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def knows_more(self, ends: Ends) -> bool:
        """True if a shard has grown since the caller looked."""
        return any(self._seen.get(shard, 0) > end for shard, end in ends.items())

    def follow(self, ends: Ends) -> None:
        """Watch these shards from now on."""
        for shard, end in ends.items():
            task = self._tasks.get(shard)
            if task is None or task.done():
                self._seen[shard] = end
                self._tasks[shard] = asyncio.create_task(self._follow(shard), name=f"queue watches shard {shard}")

    async def _follow(self, shard: int) -> None:
        """Wake a waiter for each growth; all for what they must see themselves: the shard's end, or a broken log."""
        try:
            while True:
                grown = await self._log.wait(shard, self._seen[shard], WAIT_AGAIN_MS)
                if not grown:
                    continue
                bounds = await self._log.bounds(shard)
                self._seen[shard] = bounds.next_offset
                if bounds.sealed is not None:
                    break
                self.lines[False].wake_one()
        except RecordLogError:
            self.wake_all()  # whoever looks finds out
            return
        self.wake_all()

    def wake_all(self) -> None:
        """Everybody looks."""
        for line in self.lines.values():
            while line.waiters:
                line.wake_one()

    @property
    def is_idle(self) -> bool:
        """True if nobody waits."""
        return not any(line.waiters for line in self.lines.values())

    def end(self) -> None:
        """Nobody waits any more."""
        for task in self._tasks.values():
            task.cancel()
        for line in self.lines.values():
            line.disarm()


class Waiting:
    """The watches of this process. glimpse(queue, dead) looks into the store; now_ms is its clock."""

    def __init__(self, log: RecordLog, glimpse: Callable[[int, bool], Glimpse], now_ms: Callable[[], int]) -> None:
        self._log = log
        self._glimpse = glimpse
        self._now_ms = now_ms
        self._watches: dict[int, Watch] = {}
        self._rings: dict[int, int] = {}

    def rings(self, queue: int) -> int:
        """Changes of its deliveries heard of so far. Who waits says how many there were when it looked."""
        return self._rings.get(queue, 0) + self._rings.get(ANY, 0)

    def rung(self, queue: int) -> None:
        """A queue's deliveries have changed; ANY: any queue's."""
        if len(self._rings) > QUEUES_MAX:
            self._rings = {ANY: sum(self._rings.values())}  # no count may be one that somebody has seen
        self._rings[queue] = self._rings.get(queue, 0) + 1
        for key in [queue] if queue else list(self._watches):
            watch = self._watches.get(key)
            if watch is not None:
                for dead, line in watch.lines.items():
                    if line.waiters:
                        self._look(key, watch, line, dead=dead)

    def _look(self, queue: int, watch: Watch, line: Line, *, dead: bool) -> None:
        try:
            ready, due_ms = self._glimpse(queue, dead)
        except UnknownQueue:
            watch.wake_all()
            return
        if ready:
            line.wake_one()
        elif due_ms:
            line.due((due_ms - self._now_ms()) / 1000)

    async def wait(
        self, queue: int, ends: Ends, rings: int, timeout_s: float, gone: asyncio.Future[None], *, dead: bool
    ) -> bool:
        """Until there may be something to receive: True; False after timeout_s, and when the client is gone. ends and
        rings: what the caller saw when it found nothing. A caller that got True and cannot use it must pass_on()."""
        if rings != self.rings(queue):
            return True
        watch = self._watches.get(queue)
        if watch is None:
            watch = self._watches[queue] = Watch(self._log)
        if watch.knows_more(ends):
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def give_up(_gone: asyncio.Future[None]) -> None:
            if not waiter.done():
                waiter.set_result(False)

        gone.add_done_callback(give_up)
        line = watch.lines[dead]
        line.waiters.append(waiter)
        watch.follow(ends)
        self._look(queue, watch, line, dead=dead)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled() and waiter.result()
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                line.wake_one()
            raise
        finally:
            gone.remove_done_callback(give_up)
            self._leave(queue, watch, line, waiter)

    def _leave(self, queue: int, watch: Watch, line: Line, waiter: asyncio.Future[bool]) -> None:
        if waiter in line.waiters:
            line.waiters.remove(waiter)
        if watch.is_idle and self._watches.get(queue) is watch:
            del self._watches[queue]
            watch.end()

    def pass_on(self, queue: int, *, dead: bool) -> None:
        """There may be more than the caller took: the next one looks."""
        watch = self._watches.get(queue)
        if watch is not None:
            watch.lines[dead].wake_one()

    def stop(self) -> None:
        """Who waits has waited long enough."""
        for watch in self._watches.values():
            for line in watch.lines.values():
                for waiter in line.waiters:
                    if not waiter.done():
                        waiter.set_result(False)

    def close(self) -> None:
        """The process ends."""
        for watch in self._watches.values():
            watch.wake_all()
            watch.end()
        self._watches.clear()
