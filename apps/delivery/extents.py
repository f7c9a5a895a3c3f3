"""Is a lane due, and how far does its next batch go? Answered from the log, the checkpoint and the hints alone.

A batch is due when what waits has the hinted size, or when its oldest record has the hinted age; it ends before the record
that would bring it past the size. Sizes are those of data, without partition keys and before compression, as AWS measures.

When delivery lags, batches grow: once the oldest record has waited LAG_INTERVALS intervals and LAG_MS, the size is doubled as
long as so much waits, up to what AWS allows for the destination. AWS's guide: the size is raised when delivery lags.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from apps.base.units import MIB, MINUTE_MS, SECOND_MS
from apps.delivery.aggregation import MAGIC, user_records
from apps.delivery.limits import BILLED_BYTES
from apps.delivery.models import DestinationType, LaneRole
from apps.delivery.reading import PIECE_BYTES, PIECE_RECORDS, Source
from apps.delivery.settings import Hints
from apps.recordlog.interface import Bounds, Slice
from apps.runtime import Runtime

Json = dict[str, Any]

SKEW_MS = MINUTE_MS
"""How far ahead of this clock another machine's may be. What arrived later than that was stamped before the clock was set
back: it is delivered at once, since its time may be days away."""

LAG_INTERVALS = 2
LAG_MS = 30 * SECOND_MS

SIZE_MAX = {
    DestinationType.ELASTICSEARCH: 100 * MIB,
    DestinationType.OPENSEARCH: 100 * MIB,
    DestinationType.OPENSEARCH_SERVERLESS: 100 * MIB,
    DestinationType.SPLUNK: 5 * MIB,
    DestinationType.HTTP: 64 * MIB,
}
"""AWS's largest buffers, from its guide; 128 MiB otherwise."""

SIZE_MAX_OTHERWISE = 128 * MIB


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a lane is, as its lease keeps it. next_offset: the first record that is not done. stored_bytes: keys and
    data that the log ever got before it. look_at_bytes: what the log's total must reach before the size is looked at
    again. arrival_ms: of the last record done. metered: what billing counts, cumulative."""

    next_offset: int
    stored_bytes: int = 0
    look_at_bytes: int = 0
    arrival_ms: int = 0
    metered: Json | None = None

    @classmethod
    def of(cls, kept: Json) -> Checkpoint:
        """From the lease."""
        return cls(
            kept.get("next", 1), kept.get("bytes", 0), kept.get("look_at", 0), kept.get("arrival", 0),
            kept.get("metered") or {},
        )  # fmt: skip

    def kept(self) -> Json:
        """For the lease."""
        return {
            "next": self.next_offset, "bytes": self.stored_bytes, "look_at": self.look_at_bytes,
            "arrival": self.arrival_ms, "metered": self.metered or {},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extent:
    """Stored records [first, end) of a log. count and data_bytes: as they are read, KPL aggregates taken apart;
    stored_bytes: as they are stored, with keys; units: multiples of 5 KiB, each stored record rounded up. full: it has the
    size that was asked for."""

    first: int
    end: int
    count: int
    data_bytes: int
    stored_bytes: int
    units: int
    oldest_ms: int
    newest_ms: int
    full: bool

    def pinned(self) -> Json:
        """What every pin of it holds."""
        return {
            "first": self.first, "end": self.end, "count": self.count, "data": self.data_bytes,
            "stored": self.stored_bytes, "units": self.units, "arrived": [self.oldest_ms, self.newest_ms],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a lane has before it. first: where it goes on; records and bytes (keys and data, roughly); oldest_ms: arrival
    of the first. ended: nothing waits and nothing will come. lost: records that the log dropped before they were done;
    lost_bytes: keys and data of those."""

    first: int
    records: int
    stored_bytes: int
    oldest_ms: int
    ended: bool
    lost: int
    lost_bytes: int = 0


def waiting(runtime: Runtime, log_key: int, checkpoint: Checkpoint, known_oldest_ms: int | None = None) -> Waiting:
    """Look into the log. known_oldest_ms: the arrival of the first waiting record, if it is known from an earlier look.
    Raises UnknownShard and RecordLogError."""
    bounds = runtime.wait_for(runtime.record_log.bounds(log_key))
    return of_bounds(bounds, checkpoint, lambda first: known_oldest_ms or _arrival_of(runtime, log_key, first))


def of_bounds(bounds: Bounds, checkpoint: Checkpoint, arrival_of: Callable[[int], int]) -> Waiting:
    """The same, with the bounds at hand."""
    first = max(checkpoint.next_offset, bounds.first_offset)
    records = bounds.next_offset - first
    lost = first - checkpoint.next_offset
    lost_bytes = max(0, bounds.trimmed_bytes - checkpoint.stored_bytes) if lost else 0
    if records <= 0:
        return Waiting(first, 0, 0, 0, bounds.sealed is not None, lost, lost_bytes)
    stored_bytes = max(0, bounds.totals.size_bytes - checkpoint.stored_bytes - lost_bytes)
    return Waiting(first, records, stored_bytes, arrival_of(first), False, lost, lost_bytes)


def _arrival_of(runtime: Runtime, log_key: int, offset: int) -> int:
    batch = runtime.wait_for(runtime.record_log.read(log_key, offset, 1, 1))
    return batch.slices[0].arrival_ms if batch.slices else runtime.clock.now_ms()


def due_at_ms(found: Waiting, checkpoint: Checkpoint, hints: Hints, now_ms: int) -> int | None:
    """When the lane is to be worked on: now or earlier if it is due (or seems to be: the size is known after a scan), None if
    nothing waits."""
    if found.ended:
        return now_ms
    if not found.records:
        return None
    if (
        found.stored_bytes >= hints.size_bytes
        and checkpoint.stored_bytes + found.stored_bytes >= checkpoint.look_at_bytes
    ):
        return now_ms
    return aged_at_ms(found, hints, now_ms)


def aged_at_ms(found: Waiting, hints: Hints, now_ms: int) -> int:
    """When the oldest record has the hinted age."""
    return now_ms if found.oldest_ms > now_ms + SKEW_MS else found.oldest_ms + hints.interval_ms


def size_bytes(hints: Hints, role: str, destination_type: str, found: Waiting, now_ms: int) -> int:
    """The size of the next batch: the hint, or more when delivery lags."""
    if now_ms - found.oldest_ms < LAG_INTERVALS * hints.interval_ms + LAG_MS:
        return hints.size_bytes
    largest = SIZE_MAX_OTHERWISE
    if role == LaneRole.DELIVER:
        largest = SIZE_MAX.get(DestinationType(destination_type), SIZE_MAX_OTHERWISE)
    size = hints.size_bytes
    while size * 2 <= min(largest, found.stored_bytes):
        size *= 2
    return size


def scan(runtime: Runtime, source: Source, first: int, size: int, records_max: int = 1 << 60) -> Extent | None:
    """Walk the log from first on until size is reached, or to its end. None if there is nothing. Raises RecordLogError."""
    measured = _Measured(size, records_max, source.aggregates)
    at = first
    while not measured.full:
        batch = runtime.wait_for(runtime.record_log.read(source.log_key, at, PIECE_RECORDS, PIECE_BYTES))
        if not batch.slices:
            break
        for part in batch.slices:
            measured.take(part)
            if measured.full:
                break
        at = batch.next_offset
    return measured.extent()


class _Measured:
    """The extent while it grows."""

    def __init__(self, size: int, records_max: int, aggregates: bool) -> None:
        self._size, self._records_max, self._aggregates = size, records_max, aggregates
        self._first = self._end = self._oldest_ms = self._newest_ms = 0
        self._count = self._data = self._stored = self._units = 0
        self.full = False

    def take(self, part: Slice) -> None:
        """As many of the neighbours as fit. The first record of all always does."""
        if not self._count:
            self._first = self._end = part.first
            self._oldest_ms = part.arrival_ms
        flat = part.records
        for at in range(0, len(flat), 2):
            data = cast("bytes", flat[at + 1])
            stored = size = len(data)
            records = 1
            if self._aggregates and data.startswith(MAGIC) and (inside := user_records(data)):
                records, size = len(inside), sum(len(one) for _, one in inside)
            if self._count and (self._data + size > self._size or self._count >= self._records_max):
                self.full = True
                return
            key = flat[at]
            self._count += records
            self._end += 1
            self._data += size
            self._stored += stored + (0 if key is None else len(cast("str", key).encode()))
            self._units += max(1, -(-stored // BILLED_BYTES))
            self._newest_ms = part.arrival_ms
        self.full = self._data >= self._size

    def extent(self) -> Extent | None:
        """What was measured."""
        if not self._count:
            return None
        return Extent(
            self._first, self._end, self._count, self._data, self._stored, self._units, self._oldest_ms,
            self._newest_ms, self.full,
        )  # fmt: skip
