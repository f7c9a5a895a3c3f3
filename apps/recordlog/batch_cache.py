"""A small cache of decoded batches, for readers at the tip and for readers who take a batch in several bites."""

from __future__ import annotations

import threading

from apps.recordlog.interface import Offset, ShardKey
from apps.recordlog.stored_batch import Records

CACHE_BYTES = 8 * 1_048_576
RECORD_OVERHEAD_BYTES = 120
"""What CPython adds to a key and its data."""


class BatchCache:
    """The oldest goes first. Used by the loop and by reader threads."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._batches: dict[tuple[ShardKey, Offset], tuple[Records, int]] = {}

    def get(self, shard: ShardKey, first: Offset) -> Records | None:
        """The batch's records, None if they are not here."""
        found = self._batches.get((shard, first))
        return None if found is None else found[0]

    def keep(self, shard: ShardKey, first: Offset, records: Records, size_bytes: int) -> None:
        """Remember a batch."""
        key = (shard, first)
        with self._lock:
            if key in self._batches:
                return
            cost = size_bytes + len(records) // 2 * RECORD_OVERHEAD_BYTES
            self._batches[key] = (records, cost)
            self._bytes += cost
            while self._bytes > self._max_bytes:
                _, freed = self._batches.pop(next(iter(self._batches)))
                self._bytes -= freed

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._batches.clear()
            self._bytes = 0
