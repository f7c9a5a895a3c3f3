"""What GetRecords and SubscribeToShard share: read a shard from a position on, and put what is read into AWS's shapes.

The unit of work is the stored batch: all its records have one arrival, so numbers and times are made per batch and
the records by C loops over its columns.
"""

from __future__ import annotations

from itertools import repeat

from apps.base.errors import InternalFailure, ServiceError, ServiceUnavailable
from apps.recordlog.interface import Batch, KeyUnavailable, LogBusy, LogFull, RecordLog, RecordLogError
from apps.recordlog.stored_batch import flat_bytes
from apps.runtime import Call
from apps.streams import sequence
from apps.streams.addressing import Unadmitted
from apps.streams.catalog import Catalog, ShardView, StreamView
from apps.streams.errors import ResourceNotFoundException
from apps.streams.shapes import ChildShard, EncryptedRecord, HashKeyRange, Record


async def find_shard(call: Call, name: str, index: int) -> tuple[StreamView, ShardView]:
    """A shard that can be read, by its stream's name and its number.

    Raises ResourceNotFoundException, after a look into the database itself.
    """
    account_id = call.principal.account_id
    catalog = call.runtime.part(Catalog)
    stream = catalog.peek(account_id, name, call.now_ms) or await catalog.find(account_id, name, call.now_ms)
    shard = stream.shard(index) if stream is not None and stream.gives_records else None
    if shard is None and stream is not None:
        stream = await catalog.read(account_id, name)
        shard = stream.shard(index) if stream is not None and stream.gives_records else None
    if stream is None or shard is None:
        raise ResourceNotFoundException.shard(f"shardId-{index:012d}", name, account_id)
    if stream.resource_policy is not None and not call.admitted:
        raise Unadmitted
    return stream, shard


async def find_shard_anew(call: Call, name: str, index: int) -> tuple[StreamView, ShardView]:
    """The same after a look into the database, whatever the snapshot says: what a shard is looked for with tells that
    the snapshot may be of an earlier stream of the same name."""
    await call.runtime.part(Catalog).read(call.principal.account_id, name)
    return await find_shard(call, name, index)


async def read(
    log: RecordLog, stream: StreamView, shard: ShardView, start: int, now_ms: int, limits: tuple[int, int]
) -> Batch:
    """Records from ordinal start on that the retention still shows; limits is (records, bytes).

    What is past the horizon but not trimmed yet is skipped: records of one shard never run back in time, so a look
    at the first one tells.
    """
    try:
        batch = await log.read(shard.key, start, *limits)
    except KeyUnavailable:
        # What is not shown any more needs no key.
        first_shown = await log.find(shard.key, stream.horizon_ms(now_ms))
        if first_shown <= start:
            raise
        return await log.read(shard.key, first_shown, *limits)
    if batch.slices and batch.slices[0].arrival_ms < (horizon_ms := stream.horizon_ms(now_ms)):
        first_shown = await log.find(shard.key, horizon_ms)
        batch = await log.read(shard.key, max(start, first_shown), *limits)
    return batch


def records_of(shard: ShardView, batch: Batch) -> tuple[list[Record], int]:
    """The records of a batch as readers get them, and their bytes (keys and data)."""
    records: list[Record] = []
    size_bytes = 0
    for part in batch.slices:
        flat = part.records
        numbers = sequence.run(shard.fixed, part.first, part.arrival_ms // 1000, len(flat) // 2)
        columns = (numbers, repeat(part.arrival_ms / 1000), flat[1::2], flat[::2])
        if part.encrypted:
            records += map(EncryptedRecord, *columns, repeat("KMS"))  # type: ignore[arg-type]
        else:
            records += map(Record, *columns)  # type: ignore[arg-type]
        size_bytes += flat_bytes(flat)
    return records, size_bytes


def millis_behind(batch: Batch, now_ms: int) -> int:
    """MillisBehindLatest: 0 at the tip, else the age of the last record handed out."""
    if batch.next_offset >= batch.end_offset or not batch.slices:
        return 0
    return max(0, now_ms - batch.slices[-1].arrival_ms)


def children(stream: StreamView, shard: ShardView) -> list[ChildShard]:
    """ChildShards, told at the end of a closed shard."""
    return [
        ChildShard(child.shard_id, child.parents, HashKeyRange(str(child.start_hash), str(child.end_hash)))
        for child in stream.children_of(shard)
    ]


def check_arn(stream: StreamView, arn: str | None) -> None:
    """Raises ResourceNotFoundException for the ARN of a stream of the same name elsewhere."""
    if arn is not None and arn != stream.arn:
        raise ResourceNotFoundException.stream(stream.name, stream.account_id)


def since(call: Call) -> int:
    """Milliseconds since the call began."""
    return max(0, call.runtime.clock.now_ms() - call.now_ms)


def service_error(error: RecordLogError) -> ServiceError:
    """What a caller is told of an engine in trouble. Clients retry all of them."""
    match error:
        case LogFull():
            return ServiceUnavailable("The record log is full. Nothing was stored.")
        case KeyUnavailable(reason=ServiceError() as reason):
            return reason
        case LogBusy():
            return ServiceUnavailable("Too many records are waiting to be stored. Nothing was stored; retry.")
        case _:
            return InternalFailure()
