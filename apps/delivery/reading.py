"""The records of a lane, read from its log in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from apps.delivery.aggregation import deaggregate
from apps.delivery.models import LOG_KEYS_FROM, Lane, SourceType
from apps.delivery.record import Record
from apps.delivery.staged import record_of
from apps.recordlog.interface import RecordLogError, Slice
from apps.runtime import Runtime
from apps.streams import sequence
from apps.streams.models import Shard

PIECE_BYTES = 4 * 1_048_576
PIECE_RECORDS = 20_000
PROCESSED = "processed"
"""In the place of a partition key, which records of Direct PUT have none of: a redriven record that was processed before."""


class RecordsGone(RecordLogError):
    """The log no longer has all records that are to be read: retention took them, or somebody else has done with them."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a log's records are. shard_id and fixed: of a data stream's shard, else empty and 0; aggregates: KPL
    aggregates are taken apart; staged: processed records, or lines for the error prefix."""

    log_key: int
    shard_id: str = ""
    fixed: int = 0
    aggregates: bool = False
    staged: bool = False


def source_of(lane: Lane) -> Source:
    """What the lane reads. Raises Shard.DoesNotExist if a shard's row is gone. (Channels deliver records as they are.)"""
    if lane.log_key >= LOG_KEYS_FROM:
        return Source(lane.log_key, staged=lane.parent_id is not None)
    shard = Shard.objects.get(pk=lane.log_key)
    fixed = sequence.fixed_part(shard.created_s, shard.index)
    return Source(lane.log_key, shard.shard_id, fixed, lane.delivery_stream.source_type != SourceType.CHANNEL)


def pieces(runtime: Runtime, source: Source, first: int, end: int) -> Iterator[list[Record]]:
    """The records at offsets [first, end), KPL aggregates taken apart; in order, in lists of at most PIECE_BYTES of what
    is stored (or one larger record). Raises RecordLogError; RecordsGone before anything is left out, since what a part of a
    batch is made into must never replace what was made of the whole."""
    while first < end:
        wanted = min(PIECE_RECORDS, end - first)
        batch = runtime.wait_for(runtime.record_log.read(source.log_key, first, wanted, PIECE_BYTES))
        if not batch.slices or batch.slices[0].first > first:
            raise RecordsGone(f"Records {first} to {end - 1} of log {source.log_key} are not all there any more.")
        records = [record for part in batch.slices if part.first < end for record in _records(source, part, end)]
        if source.aggregates:
            records = deaggregate(records)
        if records:
            yield records
        first = batch.next_offset


def _records(source: Source, part: Slice, end: int) -> Iterator[Record]:
    flat = iter(part.records)
    pairs = islice(zip(flat, flat, strict=True), end - part.first)
    ordinal = part.first
    if source.staged:
        for key, data in pairs:
            yield record_of(cast("str", key), cast("bytes", data), ordinal)
            ordinal += 1
    elif source.shard_id:
        second = part.arrival_ms // 1000
        for key, data in pairs:
            number = sequence.encode(source.fixed, ordinal, second)
            yield Record(
                cast("bytes", data), part.arrival_ms, ordinal, 0, cast("str | None", key), number, source.shard_id
            )
            ordinal += 1
    else:
        for key, data in pairs:
            yield Record(cast("bytes", data), part.arrival_ms, ordinal, processed=key == PROCESSED)
            ordinal += 1
