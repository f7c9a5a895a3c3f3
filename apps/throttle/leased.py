"""One budget for several processes: spent locally, settled with Redis many times a second by one Lua call.

Redis keeps the true bucket of each name. A process spends from its own view of it and never waits:

* between two settlements it may spend its share (1 / processes) of what Redis said was left, and of what flows in;
* the first take after a settlement may go up to all that was left, so that one large call is not refused by a share;
* a settlement reports what was spent since the last, for all names in use in one call, and learns what is left.

Redis lets a bucket go into debt, so whatever several processes spent at once is paid back before more is granted: over
time the sum is the budget, exactly; what a process has not yet heard of is a tenth of a second's worth. While Redis is
away each process goes on with its share of the rates alone; nothing of that is reported later, because the shares
together were the budget.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from math import inf
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.throttle.interface import Budget
from apps.throttle.local import BUCKETS_MAX, IDLE_MS, LATE_MS

logger = logging.getLogger(__name__)

SETTLE_EVERY_MS = 100
"""While a name is in use."""

SETTLE_SOON_MS = 5
"""After a refusal, and after more than half of what was in hand is spent."""

AWAY_S = 1.0
"""After a failed settlement nothing is tried for so long."""

TIMEOUT_S = 0.5
NAMES_PER_CALL = 200
KEY_PREFIX = "tidegate:throttle:"
KEY_LIFE_MS = 60_000
"""A bucket untouched for so long is full; the deepest debt is paid back in a tenth of it."""

SETTLE: Final = """
local now, life = tonumber(ARGV[1]), ARGV[2]
local left = {}
for i, key in ipairs(KEYS) do
  local a = 2 + (i - 1) * 7
  local per_s = {tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])}
  local burst = {tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])}
  local spent = {tonumber(ARGV[a + 5]), tonumber(ARGV[a + 6])}
  local since = math.min(now, tonumber(ARGV[a + 7]))
  local kept = redis.call('HMGET', key, '1', '2', 'at')
  local at = tonumber(kept[3]) or since
  if at - now > 2000 then at = now end
  local before, after = math.max(0, since - at) / 1000, math.max(0, now - math.max(at, since)) / 1000
  for d = 1, 2 do
    local had = tonumber(kept[d]) or burst[d]
    local has = math.min(burst[d], had + per_s[d] * before) - spent[d]
    has = math.min(burst[d], has + per_s[d] * after)
    redis.call('HSET', key, d, string.format('%.6f', has))
    left[#left + 1] = string.format('%.6f', has)
  end
  redis.call('HSET', key, 'at', string.format('%d', math.max(at, now)))
  redis.call('PEXPIRE', key, life)
end
return left
"""
"""KEYS: names. ARGV: now_ms, life_ms, then seven per name: rates, bursts, spent (records and bytes each), and the time
the spending began, up to which the bucket could fill to the brim. Answers what is left, records and bytes per name.
A clock a little behind another process's gives nothing; one that is far ahead of this one's was wrong."""


class _View:
    """What this process knows of one bucket. hand: what it may spend; left: what Redis last said; spent: not yet
    reported, since since_ms. Each is records and bytes."""

    __slots__ = (
        "at_ms", "budget", "hand_bytes", "hand_records", "left_bytes", "left_records", "settled_ms", "since_ms",
        "spent_bytes", "spent_records",
    )  # fmt: skip

    def __init__(self, budget: Budget, processes: int, now_ms: int) -> None:
        self.budget = budget
        self.at_ms = now_ms
        self.settled_ms = now_ms - SETTLE_EVERY_MS
        self.left_records, self.left_bytes = budget.burst_records, budget.burst_bytes
        self.hand_records, self.hand_bytes = budget.burst_records / processes, budget.burst_bytes / processes
        self.spent_records = self.spent_bytes = 0.0
        self.since_ms = now_ms


class LeasedThrottle:
    """See Throttle and the module's docstring. Used on one event loop; without a running one it never settles."""

    def __init__(self, redis_url: str, processes: int) -> None:
        self._url = redis_url
        self._processes = max(1, processes)
        self._views: dict[str, _View] = {}
        self._due: set[str] = set()
        self._client: Any = None
        self._settling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._away_until = float("-inf")
        self._away = False

    def take(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> bool:
        """See Throttle.take."""
        view = self._view(name, budget, now_ms)
        granted = self._fits(view, budget, records, size_bytes)
        if granted:
            self._spend(view, records, size_bytes)
        self._settle_when_due(name, view, now_ms, wanting=not granted)
        return granted

    def spend(self, name: str, budget: Budget, records: float, size_bytes: float, now_ms: int) -> None:
        """See Throttle.spend."""
        view = self._view(name, budget, now_ms)
        self._spend(view, records, size_bytes)
        self._settle_when_due(name, view, now_ms, wanting=True)

    def left(self, name: str, budget: Budget, now_ms: int) -> tuple[float, float]:
        """See Throttle.left."""
        view = self._view(name, budget, now_ms)
        records, size_bytes = self._in_hand(view)
        return (records if budget.records_per_s else inf, size_bytes if budget.bytes_per_s else inf)

    def forget_before(self, idle_since_ms: int) -> int:
        """See Throttle.forget_before."""
        idle = [name for name, view in self._views.items() if view.at_ms < idle_since_ms]
        for name in idle:
            del self._views[name]
        return len(idle)

    def __len__(self) -> int:
        return len(self._views)

    async def close(self) -> None:
        """Report what is left to report, if that goes quickly; then let Redis go."""
        if self._timer is not None:
            self._timer.cancel()
        await self.settled()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def settled(self) -> None:
        """Wait for the settlement under way, if any."""
        if self._settling is not None:
            await asyncio.wait([self._settling])

    def _fits(self, view: _View, budget: Budget, records: float, size_bytes: float) -> bool:
        hand_records, hand_bytes = self._in_hand(view)
        if records > hand_records and budget.records_per_s:
            return False
        return not (size_bytes > hand_bytes and budget.bytes_per_s)

    def _in_hand(self, view: _View) -> tuple[float, float]:
        """What one take may have now: the share, or all that was left if nothing was spent since."""
        if view.spent_records or view.spent_bytes or self._away:
            return view.hand_records, view.hand_bytes
        return max(view.hand_records, view.left_records), max(view.hand_bytes, view.left_bytes)

    def _spend(self, view: _View, records: float, size_bytes: float) -> None:
        view.hand_records -= records
        view.hand_bytes -= size_bytes
        if not self._away:
            if not view.spent_records and not view.spent_bytes:
                view.since_ms = view.at_ms
            view.spent_records += records
            view.spent_bytes += size_bytes

    def _view(self, name: str, budget: Budget, now_ms: int) -> _View:
        view = self._views.get(name)
        if view is None:
            return self._made(name, budget, now_ms)
        elapsed_ms = now_ms - view.at_ms
        if elapsed_ms > 0:
            self._refill(view, budget, elapsed_ms / 1000)
            view.at_ms = now_ms
        elif elapsed_ms < -LATE_MS:
            view.at_ms = now_ms
        view.budget = budget
        return view

    def _refill(self, view: _View, budget: Budget, seconds: float) -> None:
        """This process's share of what flows in. With Redis away it may save up a whole burst: the largest record
        must get through."""
        share = 1 / self._processes
        cap = 1.0 if self._away else share
        records = view.hand_records + budget.records_per_s * seconds * share
        size_bytes = view.hand_bytes + budget.bytes_per_s * seconds * share
        view.hand_records = min(records, max(view.hand_records, budget.burst_records * cap))
        view.hand_bytes = min(size_bytes, max(view.hand_bytes, budget.burst_bytes * cap))

    def _made(self, name: str, budget: Budget, now_ms: int) -> _View:
        if len(self._views) >= BUCKETS_MAX:
            self.forget_before(now_ms - IDLE_MS)
        while len(self._views) >= BUCKETS_MAX:
            del self._views[next(iter(self._views))]
        view = self._views[name] = _View(budget, self._processes, now_ms)
        return view

    def _settle_when_due(self, name: str, view: _View, now_ms: int, *, wanting: bool) -> None:
        since_ms = now_ms - view.settled_ms
        low = view.hand_records * 2 < view.spent_records or view.hand_bytes * 2 < view.spent_bytes
        self._due.add(name)
        if not 0 <= since_ms < (SETTLE_SOON_MS if wanting or low else SETTLE_EVERY_MS):
            self._begin_to_settle(now_ms)
        elif self._timer is None:
            # Nobody may come again: what was spent is reported all the same.
            with suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(SETTLE_EVERY_MS / 1000, self._begin_to_settle, None)

    def _begin_to_settle(self, now_ms: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._settling is not None and not self._settling.done():
            return
        with suppress(RuntimeError):  # no loop runs: nothing is settled
            loop = asyncio.get_running_loop()
            if self._due and loop.time() >= self._away_until:
                if now_ms is None:
                    now_ms = max((view.at_ms for name in self._due if (view := self._views.get(name))), default=0)
                self._settling = loop.create_task(self._settle(now_ms), name="throttle")

    async def _settle(self, now_ms: int) -> None:
        # Names that come up meanwhile wait for the next time: busy takers would keep this going for ever.
        names, self._due = [name for name in self._due if name in self._views], set()
        for first in range(0, len(names), NAMES_PER_CALL):
            if not await self._settle_some(names[first : first + NAMES_PER_CALL], now_ms):
                return

    async def _settle_some(self, names: list[str], now_ms: int) -> bool:
        views = [self._views[name] for name in names]
        arguments: list[float | int] = [now_ms, KEY_LIFE_MS]
        reported: list[tuple[float, float]] = []
        for view in views:
            budget, spent = view.budget, (view.spent_records, view.spent_bytes)
            arguments += (
                budget.records_per_s, budget.bytes_per_s, budget.burst_records, budget.burst_bytes, *spent,
                view.since_ms if any(spent) else now_ms,
            )  # fmt: skip
            reported.append(spent)
        try:
            left = await self._script()(keys=[KEY_PREFIX + name for name in names], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return False
        if self._away:
            logger.info("throttle_redis_back")
            self._away = False
        for i, (view, spent) in enumerate(zip(views, reported, strict=True)):
            self._learn(view, spent, (float(left[2 * i]), float(left[2 * i + 1])), now_ms)
        return True

    def _learn(self, view: _View, reported: tuple[float, float], left: tuple[float, float], now_ms: int) -> None:
        view.spent_records = max(0.0, view.spent_records - reported[0])
        view.spent_bytes = max(0.0, view.spent_bytes - reported[1])
        view.left_records, view.left_bytes = left
        # What was spent while Redis answered is not in its answer.
        view.hand_records = left[0] / self._processes - view.spent_records
        view.hand_bytes = left[1] / self._processes - view.spent_bytes
        view.settled_ms = view.since_ms = now_ms

    def _lost(self, error: Exception) -> None:
        if not self._away:
            logger.warning("throttle_redis_away error=%r: each process takes its share alone", error)
        self._away = True
        for view in self._views.values():
            view.spent_records = view.spent_bytes = 0.0
        self._away_until = asyncio.get_running_loop().time() + AWAY_S

    def _script(self) -> redis.commands.core.AsyncScript:
        if self._client is None:
            self._client = redis.asyncio.Redis.from_url(
                self._url,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
                max_connections=2,
            )
            self._registered = self._client.register_script(SETTLE)
        script: redis.commands.core.AsyncScript = self._registered
        return script
