"""Put records of our own jobs exactly once, also when a slice is repeated after its worker died.

Each entry carries a producer: a name and the slice's number. The log stores them with the records, so a repeat is
recognised. What makes it hold while the target is resharded:

* A slice is placed on the shards that were open when it was *pinned*, on a repeat too. So its parts are always the same.
* A part that a closed shard refuses goes on to the successors which the refusal names. Each hop adds the shard it came
  from to the producer's name. Two parts that meet in one shard again after a merge thus have names of their own, and
  neither is taken for the other's repeat.

The log forgets a producer when trim has passed its last entry: a slice that is repeated only after the target's whole
retention may be stored twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.base.errors import ServiceError
from apps.encryption.data_keys import EncryptedStream
from apps.recordlog.interface import DataKey, Entry, KeyUnavailable, ShardClosed, UnknownShard
from apps.recordlog.stored_batch import kib_units, payload_units
from apps.runtime import Runtime
from apps.streams.hashkeys import digest_of_data, digest_of_key, digest_of_number
from apps.streams.placement import record_bytes

HOPS_MAX = 16
"""Shards that were closed in their turn, on the way of one part."""

Range = tuple[int, int, int]
"""A shard's key in the log, and its first and last hash."""

Record = tuple[str | None, bytes]


class TargetGone(Exception):
    """The target's shards are gone or closed for good: the stream was deleted."""


@dataclass(slots=True)
class Part:
    """Records of one slice for one shard, and under which producer name."""

    shard: int
    producer: str
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0

    def entry(self, number: int, meter_key: str, data_key: DataKey | None = None) -> Entry:
        """The part as the log takes it."""
        flat: list[str | bytes | None] = [part for record in self.records for part in record]
        sizes = [record_bytes(*record) for record in self.records]
        units = sum(map(payload_units, sizes)), meter_key, (self.producer, number), data_key, sum(map(kib_units, sizes))
        return Entry(self.shard, flat, len(self.records), self.size_bytes, *units)


def divide(records: Sequence[Record], shards: Sequence[Range], producer: str) -> list[Part]:
    """The records by shard, order kept; shards without any are left out. The ranges must hold every key.

    Records without a key (of a stream that distributed them itself) go by their data, on a repeat as at first.
    """
    ordered = sorted(shards, key=lambda shard: shard[1])
    cuts = [digest_of_number(start) for _, start, _ in ordered[1:]]
    parts = [Part(key, f"{producer}>{key}") for key, _, _ in ordered]
    for key, data in records:
        digest = digest_of_data(data) if key is None else digest_of_key(key)
        part = parts[bisect_right(cuts, digest)]
        part.records.append((key, data))
        part.size_bytes += record_bytes(key, data)
    return [part for part in parts if part.records]


def put(
    runtime: Runtime, parts: Sequence[Part], number: int, meter_key: str, covered: EncryptedStream | None = None
) -> None:
    """Store the parts of slice `number`; durable when it returns. Repeating it stores nothing twice. covered: by which
    KMS key, if the stream is encrypted.

    Raises TargetGone, and RecordLogError: then a part may be stored, and the call is to be repeated.
    """
    left = list(parts)
    if not left:
        return
    data_key = None if covered is None else _data_key(runtime, covered, parts)
    for _ in range(HOPS_MAX):
        try:
            answers = runtime.wait_for(
                runtime.record_log.append([part.entry(number, meter_key, data_key) for part in left])
            )
        except UnknownShard as error:
            raise TargetGone from error
        refused = [
            (part, answer.successors)
            for part, answer in zip(left, answers, strict=True)
            if isinstance(answer, ShardClosed)
        ]
        if not refused:
            return
        if not all(successors for _, successors in refused):
            raise TargetGone
        left = [
            piece
            for part, successors in refused
            for piece in divide(part.records, [(s.shard, s.start_hash, s.end_hash) for s in successors], part.producer)
        ]
    raise TargetGone


def _data_key(runtime: Runtime, covered: EncryptedStream, parts: Sequence[Part]) -> DataKey:
    try:
        return runtime.wait_for(runtime.data_keys.for_append(covered, sum(part.size_bytes for part in parts)))
    except ServiceError as error:
        raise KeyUnavailable(error) from error
