"""GetShardIterator and GetRecords: the data plane's polling readers. No ORM, no lock, nothing counted per record."""

from __future__ import annotations

from apps.base.errors import InternalFailure
from apps.base.units import DAY_MS
from apps.billing.meters import LONG_TERM_BYTES_OUT
from apps.billing.plans import Plan
from apps.recordlog.interface import Batch, RecordLogError, UnknownShard
from apps.recordlog.stored_batch import flat_bytes
from apps.runtime import Call
from apps.streams import shard_level
from apps.streams.addressing import Unadmitted, shard_index, stream_name
from apps.streams.catalog import Catalog, ShardView, StreamView
from apps.streams.covering import TO_READ, check_key
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
)
from apps.streams.faults import Faults, strike, throttle_ms
from apps.streams.iterators import Position, ShardIterators
from apps.streams.limits import (
    GET_RECORDS_BYTES_MAX,
    GET_RECORDS_MAX,
    ITERATORS,
    LARGE_READ,
    READ_BYTES_PER_S,
    READ_CALLS,
)
from apps.streams.positions import Start, begin, check, to_ms
from apps.streams.read_meters import GIVEN, ReadMeters, of_stream
from apps.streams.reading import (
    check_arn,
    children,
    find_shard,
    find_shard_anew,
    millis_behind,
    read,
    records_of,
    service_error,
    since,
)
from apps.streams.shapes import GetRecordsAnswer, GetRecordsRequest, GetShardIteratorAnswer, GetShardIteratorRequest

LONG_TERM_MS = 7 * DAY_MS
"""Data older than this costs extra to keep and to get."""


async def get_shard_iterator(call: Call, request: GetShardIteratorRequest) -> GetShardIteratorAnswer:
    """A position in a shard, good for five minutes.

    Kept from AWS: all five types and the order of its checks (the id's form before the stream's existence); LATEST is
    fixed now; trimmed numbers and old timestamps move to the horizon; a shard's starting number is good, and the
    ending one of a closed shard; 5 calls/s per shard. Refused: a Timestamp where none belongs.
    Not kept: AWS answers HTTP 500 to the number 0; here it is invalid like others from elsewhere.
    """
    account_id, runtime = call.principal.account_id, call.runtime
    name = stream_name(account_id, request.stream_name, request.stream_arn)
    index = shard_index(request.shard_id, name, account_id)
    stream, shard = await find_shard(call, name, index)
    check_arn(stream, request.stream_arn)
    start = Start(request.shard_iterator_type, request.starting_sequence_number, to_ms(request.timestamp))
    check(start, call.now_ms)
    if stream.faults is not None and not request.dry_run and await strike(call, stream.faults):
        raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, account_id)
    now_ms = throttle_ms(call, stream)
    if not request.dry_run and not runtime.throttle.take(shard.iterator_bucket, ITERATORS, 1, 0, now_ms):
        raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, account_id)
    try:
        stream, shard, ordinal = await begin(call, start, stream, shard, "GetShardIterator")
    except UnknownShard:
        raise ResourceNotFoundException.shard(shard.shard_id, stream.name, account_id) from None
    except RecordLogError as error:
        raise service_error(error) from error
    if request.dry_run:
        raise DryRunOperationException
    position = Position(stream.team_id, stream.key, shard.key, shard.index, ordinal, call.now_ms, stream.name)
    return GetShardIteratorAnswer(runtime.part(ShardIterators).issue(position))


async def get_records(call: Call, request: GetRecordsRequest) -> GetRecordsAnswer:
    """Records from an iterator on: at most 10,000 and 10 MiB.

    Kept from AWS: 5 calls/s and 2 MiB/s per shard, shared by all who poll it, a 10 MiB answer closes the shard for
    5 s; a new iterator with every answer, also an empty one; at the end of a closed shard none, but ChildShards;
    MillisBehindLatest; records past the retention are not shown, trimmed or not; EncryptionType in records that are
    encrypted, and the key service's errors for those whose key may not be used.
    Not kept: AWS may answer empty pages although there is more; here an empty page means the tip.
    """
    runtime, account_id = call.runtime, call.principal.account_id
    position = runtime.part(ShardIterators).open(request.shard_iterator, call.now_ms)
    if position.team_id != call.principal.team_id:
        if request.stream_arn is not None and not call.admitted:
            raise Unadmitted
        raise InvalidArgumentException("Invalid ShardIterator.")
    if request.stream_arn is not None:
        stream_name(account_id, position.name, request.stream_arn)
    stream, shard = await find_shard(call, position.name, position.shard_index)
    check_arn(stream, request.stream_arn)
    if shard.key != position.shard_key:
        stream, shard = await find_shard_anew(call, position.name, position.shard_index)
    if shard.key != position.shard_key:
        raise ResourceNotFoundException.shard(shard.shard_id, position.name, account_id)
    if stream.encryption is not None:
        check_key(call, stream.encryption, TO_READ)
    if request.dry_run:
        raise DryRunOperationException
    _take_read(
        call, stream, shard, struck=stream.faults is not None and await _strike_read(call, stream, stream.faults)
    )
    try:
        limits = (request.limit or GET_RECORDS_MAX, GET_RECORDS_BYTES_MAX)
        batch = await read(runtime.record_log, stream, shard, position.ordinal, call.now_ms, limits)
        records, size_bytes = records_of(shard, batch)
    except RecordLogError as error:
        runtime.counters.add(stream.team_id, stream.key, "GetRecords.Success", 0)
        if isinstance(error, UnknownShard):
            raise ResourceNotFoundException.shard(shard.shard_id, stream.name, account_id) from None
        raise service_error(error) from error
    _spend_read(call, stream, shard, size_bytes)
    behind_ms = millis_behind(batch, call.now_ms)
    _count_get_records(call, stream, shard, batch, len(records), size_bytes)
    if batch.at_end:
        stream, shard = await _closed(call, stream, shard)
    _meter(call, stream, batch, size_bytes)
    if batch.at_end and shard.closed_at_ms is not None:
        return GetRecordsAnswer(records, behind_ms, child_shards=children(stream, shard))
    following = position._replace(ordinal=batch.next_offset, issued_ms=call.now_ms)
    return GetRecordsAnswer(records, behind_ms, runtime.part(ShardIterators).issue(following))


async def _closed(call: Call, stream: StreamView, shard: ShardView) -> tuple[StreamView, ShardView]:
    """The log says that the shard has ended; the rows say so a moment later, and only then can clients find its
    children. Until they do, readers get an iterator once more, as they may with AWS.

    Raises ResourceNotFoundException if it ended because the stream is being deleted: there are no children to go on to.
    """
    if shard.closed_at_ms is not None:
        return stream, shard
    now = await call.runtime.part(Catalog).refresh(stream)
    if now is None or not now.gives_records or shard.key not in now.by_key:
        raise ResourceNotFoundException.shard(shard.shard_id, stream.name, stream.account_id)
    return now, now.by_key[shard.key]


async def _strike_read(call: Call, stream: StreamView, faults: Faults) -> bool:
    try:
        return await strike(call, faults)
    except InternalFailure:
        call.runtime.counters.add(stream.team_id, stream.key, "GetRecords.Success", 0)
        raise


def _take_read(call: Call, stream: StreamView, shard: ShardView, *, struck: bool) -> None:
    throttle, counters, now_ms = call.runtime.throttle, call.runtime.counters, throttle_ms(call, stream)
    if (
        not struck
        and throttle.take(shard.large_read_bucket, LARGE_READ, 0, 0, now_ms)
        and throttle.take(shard.read_bucket, READ_CALLS, 1, 0, now_ms)
    ):
        counters.add(stream.team_id, stream.key, "ReadProvisionedThroughputExceeded", 0)
        if stream.shard_level is not None:
            shard_level.count(counters, stream, shard.index, "ReadProvisionedThroughputExceeded", 0)
        return
    counters.add(stream.team_id, stream.key, "ReadProvisionedThroughputExceeded", 1)
    counters.add(stream.team_id, stream.key, "GetRecords.Success", 0)
    if stream.shard_level is not None:
        shard_level.count(counters, stream, shard.index, "ReadProvisionedThroughputExceeded", 1)
    raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, stream.account_id)


def _spend_read(call: Call, stream: StreamView, shard: ShardView, size_bytes: int) -> None:
    throttle, now_ms = call.runtime.throttle, throttle_ms(call, stream)
    throttle.spend(shard.read_bucket, READ_CALLS, 0, size_bytes, now_ms)
    if size_bytes > READ_BYTES_PER_S:
        throttle.spend(shard.large_read_bucket, LARGE_READ, 0, size_bytes, now_ms)


def _meter(call: Call, stream: StreamView, batch: Batch, size_bytes: int) -> None:
    """What the caller gets is what is paid. Of provisioned streams what is older than seven days is paid once more."""
    meters, key, now_ms = call.runtime.part(ReadMeters), call.principal.meter_key, call.now_ms
    plan = stream.plan_at(now_ms)
    meters.add(of_stream(stream, GIVEN[plan], key, now_ms), size_bytes)
    long_ago_ms = now_ms - LONG_TERM_MS
    if batch.slices and batch.slices[0].arrival_ms < long_ago_ms and plan is Plan.PROVISIONED:
        old = [flat_bytes(part.records) for part in batch.slices if part.arrival_ms < long_ago_ms]
        meters.add(of_stream(stream, LONG_TERM_BYTES_OUT, key, now_ms), sum(old))


def _count_get_records(
    call: Call, stream: StreamView, shard: ShardView, batch: Batch, records: int, size_bytes: int
) -> None:
    counters, team, key = call.runtime.counters, stream.team_id, stream.key
    age_ms = max(0, call.now_ms - batch.slices[-1].arrival_ms) if batch.slices else 0
    counters.add(team, key, "GetRecords.Bytes", size_bytes)
    counters.add(team, key, "GetRecords.Records", records)
    if call.principal.user_id is None:  # a person who looks at old records is no consumer that lags
        counters.add(team, key, "GetRecords.IteratorAgeMilliseconds", age_ms)
        counters.note_reader(team, key, call.principal.meter_key, call.now_ms, age_ms)
    counters.add(team, key, "GetRecords.Success", 1)
    counters.add_latency(team, key, "GetRecords.Latency", since(call))
    counters.add_shard_read(team, key, shard.index, size_bytes, records)
    if stream.shard_level is not None:
        shard_level.count_read(counters, stream, shard.index, size_bytes, records)
        if call.principal.user_id is None:
            shard_level.count(counters, stream, shard.index, "IteratorAgeMilliseconds", age_ms)
