"""Which records of a call go to which shard: pure, and quick, because every record passes through here."""

from __future__ import annotations

import _md5  # hashlib's own fallback; without the wrapper a key costs half
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter, itemgetter

from apps.base.units import KIB, PAYLOAD_UNIT_BYTES
from apps.recordlog.interface import Successor
from apps.streams.catalog import ShardView, StreamView
from apps.streams.errors import InvalidArgumentException, ValidationException
from apps.streams.hashkeys import digest_of_explicit, digest_of_key, digest_of_number
from apps.streams.shapes import PutRecordRequest, PutRecordsEntry

Placeable = PutRecordRequest | PutRecordsEntry
"""A record as a caller sends it."""


KIB_UNITS = b"\x01" + b"".join(bytes([units]) * KIB for units in range(1, 256))
"""Units of 1 KiB by a record's bytes, as far as a unit is a byte: looked up in C, half the price of reckoning each record's."""


class Group:
    """What one call puts into one shard: flat records [key, data, …] and their positions in the call, in order."""

    __slots__ = ("positions", "records", "shard", "size_bytes", "sizes")

    def __init__(self, shard: ShardView) -> None:
        self.shard = shard
        self.records: list[str | bytes | None] = []
        self.positions: list[int] = []
        self.sizes: list[int] = []
        """Bytes of key and data of each record; size_bytes: of all."""
        self.size_bytes = 0

    def add(self, position: int, key: str | None, data: bytes, size_bytes: int) -> None:
        """One more record. (place_all does this in place, to save the call.)"""
        self.records += (key, data)
        self.positions.append(position)
        self.sizes.append(size_bytes)
        self.size_bytes += size_bytes

    def keep(self, count: int, size_bytes: int) -> list[int]:
        """Cut down to the first count records, of size_bytes; answers the positions of the others."""
        refused = self.positions[count:]
        del self.positions[count:], self.sizes[count:], self.records[2 * count :]
        self.size_bytes = size_bytes
        return refused

    def payload_units(self, largest: int) -> int:
        """PUT payload units of all its records; largest is the size of the call's largest record."""
        if largest <= PAYLOAD_UNIT_BYTES:
            return len(self.positions)
        return sum([-(-size // PAYLOAD_UNIT_BYTES) or 1 for size in self.sizes])

    def kib_units(self, largest: int) -> int:
        """Units of 1 KiB of all its records, by which on-demand streams are paid; largest as before."""
        sizes = self.sizes
        if largest <= KIB:
            return len(sizes)
        if largest < len(KIB_UNITS) and len(sizes) > 1:  # of one alone, itemgetter answers no tuple
            return sum(itemgetter(*sizes)(KIB_UNITS))
        # As stored_batch.kib_units, without a call for each; the shift is by a KiB, and a quarter quicker than its name.
        return sum([(size + 1_023 >> 10) or 1 for size in sizes])


def record_bytes(key: str | None, data: bytes) -> int:
    """What a record counts against every limit: UTF-8 of the key, and the data."""
    if key is None:
        return len(data)
    return (len(key) if key.isascii() else len(key.encode())) + len(data)


def digest_of(record: Placeable) -> bytes:
    """The record's place in the hash space. Raises InvalidArgumentException for a hash key outside of it."""
    if record.explicit_hash_key is not None:
        return digest_of_explicit(record.explicit_hash_key)
    assert record.partition_key is not None
    return digest_of_key(record.partition_key)


def shard_for(stream: StreamView, record: Placeable) -> ShardView:
    """The open shard of one record. Raises InvalidArgumentException, and ValidationException (no partition key)."""
    if record.partition_key is None:
        raise no_partition_key()
    if not stream.cuts and record.explicit_hash_key is None:
        return stream.open_shards[0]
    return stream.open_shards[bisect_right(stream.cuts, digest_of(record))]


def place_all(stream: StreamView, records: Sequence[Placeable]) -> tuple[list[Group], int]:
    """The groups that get at least one record, and the size of the largest record.

    Raises InvalidArgumentException (a hash key outside the space, a record too large for the stream) and
    ValidationException (no partition key): the whole call fails, as with AWS.
    """
    groups = [Group(shard) for shard in stream.open_shards]
    cuts = stream.cuts
    bisect, md5 = bisect_right, _md5.md5
    largest = 0
    for position, record in enumerate(records):
        key = record.partition_key
        data = record.data
        if key is None:
            raise no_partition_key(position)
        encoded = key.encode()
        size = len(encoded) + len(data)
        if size > largest:  # noqa: PLR1730 - max() would be a call for every record
            largest = size
        if record.explicit_hash_key is not None:
            group = groups[bisect(cuts, digest_of_explicit(record.explicit_hash_key))]
        elif cuts:
            group = groups[bisect(cuts, md5(encoded).digest())]
        else:
            group = groups[0]
        flat = group.records
        flat.append(key)
        flat.append(data)
        group.positions.append(position)
        group.sizes.append(size)
    if largest > stream.max_record_bytes:
        raise record_too_large(stream, largest)
    for group in groups:
        group.size_bytes = sum(group.sizes)
    return [group for group in groups if group.positions], largest


def place_anew(
    stream: StreamView, group: Group, successors: Sequence[Successor], records: Sequence[Placeable]
) -> list[Group]:
    """A group whose shard refused, divided among the shards that took over its keys; order is kept."""
    heirs = sorted(successors, key=attrgetter("start_hash"))
    cuts = [digest_of_number(heir.start_hash) for heir in heirs[1:]]
    groups = [Group(stream.by_key[heir.shard]) for heir in heirs]
    for position in group.positions:
        record = records[position]
        key, data = record.partition_key, record.data
        assert key is not None
        groups[bisect_right(cuts, digest_of(record))].add(position, key, data, record_bytes(key, data))
    return [part for part in groups if part.positions]


def no_partition_key(position: int | None = None) -> ValidationException:
    """The model lets puts leave the key out where the stream distributes records itself (spreading.py); elsewhere it is
    needed. position: in PutRecords."""
    member = "partitionKey" if position is None else f"records.{position + 1}.member.partitionKey"
    return ValidationException(
        f"1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    )


def record_too_large(stream: StreamView, size_bytes: int) -> InvalidArgumentException:
    """AWS's present text is not known; this one says what to do."""
    return InvalidArgumentException(
        f"Record size of {size_bytes} bytes exceeds the maximum of {stream.max_record_bytes} bytes "
        f"for records of stream {stream.name} under account {stream.account_id}."
    )
