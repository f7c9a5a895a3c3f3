"""Record batches, the stored unit: how entries grow into them, and how a read takes from them."""

from __future__ import annotations

from collections.abc import Iterator

from apps.base.units import KIB, PAYLOAD_UNIT_BYTES
from apps.recordlog.interface import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    Appended,
    DataKey,
    Entry,
    Offset,
    Slice,
)
from apps.recordlog.shard_state import ShardState, Sums, meter

Records = list[str | bytes | None]
"""Flat: [key, data, key, data, …]."""


class StoredBatch:
    """Neighbouring records with one arrival, as stored.

    bytes_before, units_before: the shard's sums before this batch; with them a trim knows what it removed
    without reading it. key: what it is encrypted with, None if it is not.
    """

    __slots__ = (
        "arrival_ms",
        "bytes_before",
        "count",
        "first",
        "key",
        "payload_units",
        "records",
        "size_bytes",
        "units_before",
    )

    def __init__(
        self, first: Offset, arrival_ms: int, bytes_before: int, units_before: int, key: DataKey | None = None
    ) -> None:
        self.first = first
        self.key = key
        self.arrival_ms = arrival_ms
        self.bytes_before = bytes_before
        self.units_before = units_before
        self.count = 0
        self.size_bytes = 0
        self.payload_units = 0
        self.records: Records = []

    def add(self, records: Records, count: int, size_bytes: int, payload_units: int) -> None:
        """Append copies of the references, so that the caller's list stays his own."""
        self.records += records
        self.count += count
        self.size_bytes += size_bytes
        self.payload_units += payload_units


class GrowingShard:
    """One shard within one commit: its state, and the batches that its entries grow into.

    The state stays as it was until book() is called at the end.
    """

    __slots__ = ("_meters", "arrival_ms", "batches", "next_offset", "open", "state")

    def __init__(self, state: ShardState, now_ms: int) -> None:
        self.state = state
        self.open = state.successors is None
        self.arrival_ms = state.arrival_at(now_ms)
        self.next_offset = state.next_offset
        self.batches: list[StoredBatch] = []
        self._meters: dict[str, Sums] = {}

    def take(self, entry: Entry) -> Appended:
        """Store an entry after what is there. The shard is open."""
        first, count, size_bytes, units = self.next_offset, entry.count, entry.size_bytes, entry.payload_units
        if self.batches:
            batch = self.batches[-1]
            if (
                batch.count + count > MAX_BATCH_RECORDS
                or batch.size_bytes + size_bytes > MAX_BATCH_BYTES
                or batch.key is not entry.key
            ):
                self._open_batches(entry)
            else:
                batch.add(entry.records, count, size_bytes, units)
        else:
            self._open_batches(entry)
        self.next_offset = first + count
        self._meter(entry)
        return Appended(first, self.arrival_ms)

    def _meter(self, entry: Entry) -> None:
        row = self._meters.get(entry.meter_key)
        if row is None:
            self._meters[entry.meter_key] = [entry.count, entry.size_bytes, entry.payload_units, entry.kib_units]
        else:
            meter(row, entry.count, entry.size_bytes, entry.payload_units, entry.kib_units)

    def _open_batches(self, entry: Entry) -> None:
        """The entry does not fit into the open batch: open another, or several if it is larger than one may be."""
        if entry.count <= MAX_BATCH_RECORDS and entry.size_bytes <= MAX_BATCH_BYTES:
            batch = self._next_batch(self.next_offset, entry.key)
            batch.add(entry.records, entry.count, entry.size_bytes, entry.payload_units)
            return
        offset = self.next_offset
        for records, size_bytes, units in pieces(entry.records):
            count = len(records) // 2
            self._next_batch(offset, entry.key).add(records, count, size_bytes, units)
            offset += count

    def _next_batch(self, first: Offset, key: DataKey | None) -> StoredBatch:
        if self.batches:
            last = self.batches[-1]
            before = last.bytes_before + last.size_bytes, last.units_before + last.payload_units
        else:
            before = self.state.totals[1], self.state.totals[2]
        batch = StoredBatch(first, self.arrival_ms, *before, key)
        self.batches.append(batch)
        return batch

    def book(self) -> None:
        """Count in the state what was taken. Its hour must be the arrival's."""
        self.state.book(self.next_offset, self.arrival_ms, self._meters)


def pieces(records: Records) -> Iterator[tuple[Records, int, int]]:
    """Cut an entry that is too large for one batch: (records, size_bytes, payload_units) of each part."""
    begin = size_bytes = units = 0
    for i in range(0, len(records), 2):
        record_size = record_bytes(records, i)
        if i > begin and (size_bytes + record_size > MAX_BATCH_BYTES or i - begin >= 2 * MAX_BATCH_RECORDS):
            yield records[begin:i], size_bytes, units
            begin, size_bytes, units = i, 0, 0
        size_bytes += record_size
        units += payload_units(record_size)
    yield records[begin:], size_bytes, units


def payload_units(record_size: int) -> int:
    """PUT payload units of one record of that many bytes."""
    return max(1, -(-record_size // PAYLOAD_UNIT_BYTES))


def kib_units(record_size: int) -> int:
    """Units of 1 KiB of one record of that many bytes."""
    return max(1, -(-record_size // KIB))


def record_bytes(records: Records, i: int) -> int:
    """UTF-8 bytes of the key at i, if any, and of the data after it."""
    key, data = records[i], records[i + 1]
    assert isinstance(data, bytes)
    if key is None:
        return len(data)
    assert isinstance(key, str)
    return (len(key) if key.isascii() else len(key.encode())) + len(data)


def flat_bytes(records: Records) -> int:
    """UTF-8 bytes of all keys, and of all data: the sum of record_bytes, quicker."""
    keys = "".join(filter(None, records[0::2]))  # type: ignore[arg-type]
    return (len(keys) if keys.isascii() else len(keys.encode())) + sum(map(len, records[1::2]))  # type: ignore[arg-type]


class Gathering:
    """What a read has gathered so far, and how much more it may take. late: its time was over before it was done.
    needs_key: the number of the data key without which it cannot go on."""

    __slots__ = ("bytes_left", "late", "needs_key", "next_offset", "records_left", "slices")

    def __init__(self, start: Offset, max_records: int, max_bytes: int) -> None:
        self.next_offset = start
        self.records_left = max_records
        self.bytes_left = max_bytes
        self.slices: list[Slice] = []
        self.late = False
        self.needs_key: int | None = None

    def take(
        self, first: Offset, arrival_ms: int, count: int, size_bytes: int, records: Records, encrypted: bool = False
    ) -> bool:
        """Take from the next stored batch what may be taken. True: there may be room for more."""
        skip = max(0, self.next_offset - first)
        if not skip and count <= self.records_left and size_bytes <= self.bytes_left:
            self._keep(first, arrival_ms, records, size_bytes, encrypted)
            return self.records_left > 0
        end = min(count, skip + self.records_left)
        if size_bytes > self.bytes_left:
            end = self._last_that_fits(records, skip, end)
        if end == skip:
            return False
        part = records[2 * skip : 2 * end]
        self._keep(first + skip, arrival_ms, part, flat_bytes(part), encrypted)
        return end == count and self.records_left > 0

    def _keep(self, first: Offset, arrival_ms: int, records: Records, size_bytes: int, encrypted: bool) -> None:
        count = len(records) // 2
        self.slices.append(Slice(first, arrival_ms, records, encrypted))
        self.next_offset = first + count
        self.records_left -= count
        self.bytes_left -= size_bytes

    def _last_that_fits(self, records: Records, skip: int, end: int) -> int:
        left = self.bytes_left
        for i in range(skip, end):
            left -= record_bytes(records, 2 * i)
            # A first record larger than all that may be answered comes alone, or the reader would never pass it.
            if left < 0:
                return i if self.slices or i > skip else i + 1
        return end
