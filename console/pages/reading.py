"""How the data viewer reads: through GetShardIterator and GetRecords like any client, at most once a second per shard.

A position is (shard number, ordinal of the next record): ordinals are dense, so any place of a shard can be named by a
sequence number made from it, and a page's address stays short.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apps.base.errors import ServiceError
from apps.base.units import MIB, SECOND_MS
from apps.recordlog.interface import Bounds, UnknownShard
from apps.streams import sequence
from apps.streams.errors import ProvisionedThroughputExceededException
from apps.streams.models import Shard
from apps.streams.retention import horizon_ms
from console import calls
from console.pages.record_filter import Wanted

PAGE_ROWS = 50
SCAN_ROWS = 2_000
"""Records looked at per shard and read when there is a filter."""

SHARDS_MAX = 100
"""Shards read at once; of more, one is chosen."""

BYTES_MAX = 32 * MIB
"""Read for one page; shards that would go beyond it are left for the next."""

READS_KEPT = 10_000
RECENT_BYTES_MAX = 16 * MIB
RECENT_RECORD_BYTES_MAX = 256 * 1024

Positions = dict[int, int]
"""By shard number: the ordinal to go on at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record, and where it is."""

    shard: Shard
    ordinal: int
    number: str
    key: str | None
    data: bytes
    arrival_ms: int

    @property
    def short_shard(self) -> str:
        """0006"""
        return f"{self.shard.index:04d}"

    @property
    def address(self) -> str:
        """As it stands in links: shard number, colon, sequence number."""
        return f"{self.shard.index:04d}:{self.number}"

    @property
    def size_bytes(self) -> int:
        """Key and data, as the shard's limits count."""
        return len(self.data) + len((self.key or "").encode())


@dataclass(slots=True)
class Page:
    """What was read, by arrival. next: where to go on in each shard. scanned: records looked at. more: there is
    something after these. was_read: the shards that were read. left_out: how many were not, because they were read
    within the last second, other readers use up their budget, or the page is full."""

    records: list[Found] = field(default_factory=list)
    next: Positions = field(default_factory=dict)
    scanned: int = 0
    more: bool = False
    was_read: set[int] = field(default_factory=set)
    left_out: int = 0

    def first(self, rows: int) -> Page:
        """The oldest rows; what is cut off comes again on the next page."""
        cut: Positions = {}
        for found in reversed(self.records[rows:]):
            cut[found.shard.index] = found.ordinal
        more = self.more or bool(cut) or self.left_out > 0
        return Page(self.records[:rows], {**self.next, **cut}, self.scanned, more, self.was_read, self.left_out)

    def last(self, rows: int, begins: Positions, ends: Positions) -> Page:
        """The newest rows, newest first, of what was read from begins up to ends; next: where older pages end."""
        shown, cut = self.records[-rows:], self.records[:-rows]
        before = {index: begins[index] if index in self.was_read else end for index, end in ends.items()}
        for found in cut:
            before[found.shard.index] = found.ordinal + 1
        for found in reversed(shown):
            before[found.shard.index] = found.ordinal
        older = any(ordinal > 1 for ordinal in before.values())
        return Page(shown[::-1], before, self.scanned, older, self.was_read, self.left_out)


class Pace:
    """When each shard was last read by this process's viewers: once a second among all web processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_ms: dict[int, int] = {}

    def may_read(self, shard_key: int, now_ms: int, gap_ms: int) -> bool:
        """True, and noted, if the last read is long enough ago."""
        with self._lock:
            last = self._read_ms.get(shard_key)
            if last is not None and 0 <= now_ms - last < gap_ms:
                return False
            if len(self._read_ms) >= READS_KEPT:
                self._read_ms.clear()
            self._read_ms[shard_key] = now_ms
            return True


class Recent:
    """Records listed a moment ago, so that opening one from the list reads nothing again. Records never change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, int], Found] = {}
        self._bytes = 0

    def keep(self, found: Found) -> None:
        """Forget the oldest ones for it. Large ones are not kept."""
        if len(found.data) > RECENT_RECORD_BYTES_MAX:
            return
        place = found.shard.id, found.ordinal
        with self._lock:
            if place not in self._kept:
                self._kept[place] = found
                self._bytes += found.size_bytes
            while self._bytes > RECENT_BYTES_MAX:
                oldest = next(iter(self._kept))
                self._bytes -= self._kept.pop(oldest).size_bytes

    def get(self, shard_key: int, ordinal: int) -> Found | None:
        """The record, if it was listed a moment ago."""
        return self._kept.get((shard_key, ordinal))


pace = Pace()
recent = Recent()


def bounds(shards: Iterable[Shard]) -> dict[int, Bounds]:
    """State of the shards' logs by shard number; a shard without a log yet (or any more) is missing."""
    runtime = calls.runtime()
    found = {}
    for shard in shards:
        try:
            found[shard.index] = runtime.wait_for(runtime.record_log.bounds(shard.id))
        except UnknownShard:
            continue
    return found


def number_at(shard: Shard, ordinal: int, now_ms: int) -> str:
    """A sequence number of the shard that names this ordinal."""
    second = min(shard.created_s, now_ms // SECOND_MS)
    return sequence.encode(sequence.fixed_part(shard.created_s, shard.index), ordinal, second)


def read(
    request: calls.Asker,
    stream_name: str,
    starts: dict[Shard, dict[str, Any]],
    wanted: Wanted,
    limit: int,
    *,
    patient: bool = True,
) -> Page:
    """One GetRecords call of at most limit records for each shard whose turn it is; what passes the filter.

    starts: GetShardIterator's parameters by shard. patient: wait for a shard that was read a moment ago.
    Raises ServiceError.
    """
    page = Page()
    read_bytes = 0
    for shard, start in starts.items():
        if read_bytes > BYTES_MAX or not (_wait_for_turn(shard) if patient else _has_turn(shard)):
            page.left_out += 1
            continue
        answer = _get_records(request, stream_name, shard, start, limit)
        if answer is None:
            page.left_out += 1
            continue
        page.was_read.add(shard.index)
        page.more = page.more or len(answer["Records"]) == limit or answer["MillisBehindLatest"] > 0
        read_bytes += _take(page, shard, answer)
    if wanted:
        good = wanted.which([(found.key, found.data) for found in page.records])
        page.records = [found for found, passes in zip(page.records, good, strict=True) if passes]
    page.records.sort(key=lambda found: (found.arrival_ms, found.shard.index, found.ordinal))
    return page


def _get_records(
    request: calls.Asker, stream_name: str, shard: Shard, start: dict[str, Any], limit: int
) -> dict[str, Any] | None:
    """GetRecords' answer; None if other readers use up the shard's budget: their reads come first."""
    try:
        iterator = calls.call(request, "GetShardIterator", StreamName=stream_name, ShardId=shard.shard_id, **start)
        return calls.call(request, "GetRecords", ShardIterator=iterator["ShardIterator"], Limit=limit)
    except ProvisionedThroughputExceededException:
        return None


def _take(page: Page, shard: Shard, answer: dict[str, Any]) -> int:
    """Add a shard's answer to the page; bytes read."""
    size = 0
    for record in answer["Records"]:
        data, key = record["Data"], record.get("PartitionKey")
        parts = sequence.decode(record["SequenceNumber"])
        assert parts is not None
        size += len(data)
        page.next[shard.index] = parts.ordinal + 1
        arrival_ms = record["ApproximateArrivalTimestamp"]
        page.records.append(Found(shard, parts.ordinal, record["SequenceNumber"], key, data, arrival_ms))
    page.scanned += len(answer["Records"])
    return size


def at_ordinal(shard: Shard, ordinal: int, now_ms: int) -> dict[str, Any]:
    """GetShardIterator's parameters for reading from an ordinal on; it may be the one after the last."""
    return {
        "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "StartingSequenceNumber": number_at(shard, max(ordinal, 1) - 1, now_ms),
    }


def one(request: calls.Asker, stream: Any, shard: Shard, number: str) -> Found | None:
    """The record with this sequence number; None if there is none (any more). Raises ServiceError."""
    parts = sequence.decode(number)
    if parts is None or parts.shard_index != shard.index or parts.created_s != shard.created_s:
        return None
    now_ms = calls.now_ms()
    kept = recent.get(shard.id, parts.ordinal)
    if kept is not None and kept.number == number:
        return kept if kept.arrival_ms >= horizon_ms(stream, now_ms) else None
    start = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number}
    _wait_for_turn(shard)
    try:
        iterator = calls.call(request, "GetShardIterator", StreamName=stream.name, ShardId=shard.shard_id, **start)
        answer = calls.call(request, "GetRecords", ShardIterator=iterator["ShardIterator"], Limit=1)
    except ProvisionedThroughputExceededException:
        raise
    except ServiceError:
        return None
    for record in answer["Records"]:
        if record["SequenceNumber"] == number:
            arrival_ms = record["ApproximateArrivalTimestamp"]
            found = Found(shard, parts.ordinal, number, record.get("PartitionKey"), record["Data"], arrival_ms)
            recent.keep(found)
            return found
    return None


def _has_turn(shard: Shard) -> bool:
    """May the shard be read now? If so, that is noted."""
    gap_ms = SECOND_MS * calls.runtime().config.web_processes
    return pace.may_read(shard.id, calls.now_ms(), gap_ms)


def _wait_for_turn(shard: Shard) -> bool:
    """The same after a second's wait at most for each web process."""
    pause = threading.Event()
    for _ in range(10 * calls.runtime().config.web_processes + 1):
        if _has_turn(shard):
            return True
        pause.wait(0.1)
    return False
