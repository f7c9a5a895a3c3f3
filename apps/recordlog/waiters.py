"""Who waits for which shard to grow: futures on the engine's loop, woken right after a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apps.recordlog.interface import Offset, ShardKey

Waiter = tuple[Offset, "asyncio.Future[bool]"]


class Waiters:
    """Used on the loop's thread only."""

    def __init__(self) -> None:
        self._by_shard: dict[ShardKey, set[Waiter]] = {}

    def __len__(self) -> int:
        return len(self._by_shard)

    def shards(self) -> list[ShardKey]:
        """Shards that somebody waits for."""
        return list(self._by_shard)

    async def wait(
        self, shard: ShardKey, past: Offset, timeout_ms: int, passed: Callable[[ShardKey, Offset], bool]
    ) -> bool:
        """RecordLog.wait. passed(shard, past) looks at the log itself; it is asked after the waiter has joined,
        so that no append can slip in between."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = (past, loop.create_future())
        group = self._by_shard.setdefault(shard, set())
        group.add(waiter)
        timer = None
        try:
            if passed(shard, past):
                return True
            if timeout_ms <= 0:
                return False
            timer = loop.call_later(timeout_ms / 1000, _settle, waiter[1], False)
            return await waiter[1]
        finally:
            if timer is not None:
                timer.cancel()
            group.discard(waiter)
            if not group and self._by_shard.get(shard) is group:
                del self._by_shard[shard]

    def wake(self, shard: ShardKey, next_offset: Offset, sealed: bool) -> None:
        """The shard's next offset or seal has become this."""
        for past, future in self._by_shard.get(shard, ()):
            if sealed or next_offset > past:
                _settle(future, True)

    def fail(self, shard: ShardKey, error: Exception) -> None:
        """The shard is gone: whoever waits for it gets the error."""
        for _, future in self._by_shard.get(shard, ()):
            if not future.done():
                future.set_exception(error)

    def fail_all(self, error: Exception) -> None:
        """The log closes."""
        for shard in self.shards():
            self.fail(shard, error)


def _settle(future: asyncio.Future[bool], answer: bool) -> None:
    if not future.done():
        future.set_result(answer)
