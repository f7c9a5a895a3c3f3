"""PutRecord, PutRecords, GetShardIterator, GetRecords: the data plane.

A straight line of about ten calls each: no ORM, no lock, nothing logged or counted per record. Counters get one
observation per call and metric.
"""

from __future__ import annotations

from collections.abc import Sequence

from apps.base.errors import InternalFailure, ServiceError
from apps.recordlog.interface import (
    Appended,
    Batch,
    Entry,
    RecordLogError,
    ShardClosed,
    Successor,
    UnknownShard,
)
from apps.runtime import Call
from apps.streams import sequence
from apps.streams.addressing import shard_index, stream_name
from apps.streams.catalog import Catalog, ShardView, StreamView
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
    rate_exceeded,
)
from apps.streams.iterators import Position, ShardIterators
from apps.streams.limits import (
    GET_RECORDS_BYTES_MAX,
    GET_RECORDS_MAX,
    ITERATORS,
    LARGE_READ,
    PUT_RECORDS_BYTES_MAX,
    READ_BYTES_PER_S,
    READ_CALLS,
)
from apps.streams.placement import Group, Placeable, place_all, place_anew, record_bytes, record_too_large, shard_for
from apps.streams.positions import Start, begin, check, to_ms
from apps.streams.reading import (
    children,
    find_shard,
    find_shard_anew,
    millis_behind,
    read,
    records_of,
    service_error,
)
from apps.streams.shapes import (
    GetRecordsAnswer,
    GetRecordsRequest,
    GetShardIteratorAnswer,
    GetShardIteratorRequest,
    PutRecordAnswer,
    PutRecordRequest,
    PutRecordsAnswer,
    PutRecordsFailure,
    PutRecordsRequest,
    PutRecordsResult,
)

ROUNDS_MAX = 16
"""How often the rest of a call is handed on to children that were closed in their turn before it is given up."""

THROTTLED = "ProvisionedThroughputExceededException"


class StreamReplaced(ResourceNotFoundException):
    """The snapshot's stream is gone, and nothing was stored; but there is another one of its name: on with that one.

    Only a stream that is deleted and made again within a second is met like this, and so only once in a call.
    """

    def __init__(self, stream: StreamView) -> None:
        super().__init__(f"Stream {stream.name} under account {stream.account_id} not found.")
        self.by = stream


# --- writing ---------------------------------------------------------------------------------------------------------


async def put_record(call: Call, request: PutRecordRequest) -> PutRecordAnswer:
    """Store one record; durable when answered.

    Kept from AWS: place by MD5 or ExplicitHashKey; 1 MiB/s and 1,000 records/s per shard; works while UPDATING;
    ResourceNotFoundException while CREATING; SequenceNumberForOrdering is checked, and the number given out is above
    it (all of a shard's numbers rise, with it or without); DryRun; no EncryptionType on unencrypted streams.
    Not kept: StreamId is reserved in the model and means nothing here either.
    """
    stream = await _stream_to_write(call, request.stream_name, request.stream_arn)
    try:
        return await _put_record(call, stream, request)
    except StreamReplaced as replaced:
        return await _put_record(call, replaced.by, request)


async def _put_record(call: Call, stream: StreamView, request: PutRecordRequest) -> PutRecordAnswer:
    counters, team, key = call.runtime.counters, stream.team_id, stream.key
    try:
        shard, size_bytes, stored = await _put_one(call, stream, request)
    except BaseException:
        counters.add(team, key, "PutRecord.Success", 0)
        raise
    counters.add(team, key, "IncomingBytes", size_bytes)
    counters.add(team, key, "IncomingRecords", 1)
    counters.add(team, key, "WriteProvisionedThroughputExceeded", 0)
    counters.add(team, key, "PutRecord.Bytes", size_bytes)
    counters.add(team, key, "PutRecord.Success", 1)
    counters.add(team, key, "PutRecord.Latency", _since(call))
    counters.add_shard_write(team, key, shard.index, size_bytes, 1)
    return PutRecordAnswer(shard.shard_id, sequence.encode(shard.fixed, stored.first, stored.arrival_ms // 1000))


async def _put_one(call: Call, stream: StreamView, request: PutRecordRequest) -> tuple[ShardView, int, Appended]:
    size_bytes = record_bytes(request.partition_key, request.data)
    if size_bytes > stream.max_record_bytes:
        raise record_too_large(stream, size_bytes)
    shard = shard_for(stream, request)
    if request.sequence_number_for_ordering is not None:
        await _check_ordering(call, stream, shard, request.sequence_number_for_ordering)
    if request.dry_run:
        raise DryRunOperationException
    if not call.runtime.throttle.take(shard.write_bucket, stream.write_budget, 1, size_bytes, call.now_ms):
        counters = call.runtime.counters
        counters.add(stream.team_id, stream.key, "WriteProvisionedThroughputExceeded", 1)
        counters.add_shard_write(stream.team_id, stream.key, shard.index, 0, 0, size_bytes, 1)
        raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, stream.account_id)
    group = Group(shard)
    group.add(0, request.partition_key, request.data, size_bytes)
    stored, failed = await _append(call, stream, [group], size_bytes, [request])
    if failed:
        raise InternalFailure
    group, appended = stored[0]
    return group.shard, size_bytes, appended


async def put_records(call: Call, request: PutRecordsRequest) -> PutRecordsAnswer:
    """Store up to 500 records; those answered with a sequence number are durable.

    Kept from AWS: one result per record in the request's order; throttling and internal failures fail single
    entries, a bad or too large record fails the whole call; 200 even if all were throttled; neighbouring numbers for
    the records of one shard. Ours: once a record of a shard is throttled, all later ones of that shard in the call
    are too, so that resending the failed entries in their order keeps the order per key.
    Not kept: records without a partition key (AWS takes them where it distributes them itself). StreamId is reserved
    in the model and means nothing.
    """
    stream = await _stream_to_write(call, request.stream_name, request.stream_arn)
    try:
        return await _put_records(call, stream, request)
    except StreamReplaced as replaced:
        return await _put_records(call, replaced.by, request)


async def _put_records(call: Call, stream: StreamView, request: PutRecordsRequest) -> PutRecordsAnswer:
    counters = call.runtime.counters
    results: list[PutRecordsResult | PutRecordsFailure] = [None] * len(request.records)  # type: ignore[list-item]
    try:
        groups, largest = _placed(stream, request)
        throttled = _throttle(call, stream, groups, results)
        groups = [group for group in groups if group.positions]
        stored, failed = await _append(call, stream, groups, largest, request.records) if groups else ([], [])
    except BaseException:
        counters.add(stream.team_id, stream.key, "PutRecords.Success", 0)
        raise
    for group, appended in stored:
        shard_id = group.shard.shard_id
        numbers = sequence.run(
            group.shard.fixed, appended.first, appended.arrival_ms // 1000, len(group.positions)
        )
        for position, number in zip(group.positions, numbers):  # noqa: B905 - equal by construction; strict costs
            results[position] = PutRecordsResult(number, shard_id)
    lost = _fail(results, failed)
    _count_put_records(call, stream, stored, throttled, lost)
    return PutRecordsAnswer(throttled + lost, results)


def _placed(stream: StreamView, request: PutRecordsRequest) -> tuple[list[Group], int]:
    """The records by shard and the size of the largest; everything that fails the whole call fails here."""
    groups, largest = place_all(stream, request.records)
    if sum([group.size_bytes for group in groups]) > PUT_RECORDS_BYTES_MAX:
        raise InvalidArgumentException("Records size exceeds 10 MB limit")
    if request.dry_run:
        raise DryRunOperationException
    return groups, largest


def _throttle(
    call: Call, stream: StreamView, groups: list[Group], results: list[PutRecordsResult | PutRecordsFailure]
) -> int:
    """Cut each group down to what its shard may take now, writing the refusals into results; how many there are."""
    throttle, budget, now_ms = call.runtime.throttle, stream.write_budget, call.now_ms
    throttled = 0
    for group in groups:
        shard = group.shard
        if throttle.take(shard.write_bucket, budget, len(group.positions), group.size_bytes, now_ms):
            continue
        sizes = group.sizes()
        records_left, bytes_left = throttle.left(shard.write_bucket, budget, now_ms)
        count = taken_bytes = 0
        for size in sizes:
            if count + 1 > records_left or taken_bytes + size > bytes_left:
                break
            count += 1
            taken_bytes += size
        if count and not throttle.take(shard.write_bucket, budget, count, taken_bytes, now_ms):
            count = taken_bytes = 0
        refused_bytes = group.size_bytes - taken_bytes
        failure = PutRecordsFailure(THROTTLED, rate_exceeded(shard.shard_id, stream.name, stream.account_id))
        refused = group.keep(count, taken_bytes)
        for position in refused:
            results[position] = failure
        throttled += len(refused)
        call.runtime.counters.add_shard_write(
            stream.team_id, stream.key, shard.index, 0, 0, refused_bytes, len(refused)
        )
    return throttled


def _fail(results: list[PutRecordsResult | PutRecordsFailure], groups: list[Group]) -> int:
    failure = PutRecordsFailure("InternalFailure", "Internal service failure.")
    for group in groups:
        for position in group.positions:
            results[position] = failure
    return sum(len(group.positions) for group in groups)


async def _append(
    call: Call, stream: StreamView, groups: list[Group], largest: int, records: Sequence[Placeable]
) -> tuple[list[tuple[Group, Appended]], list[Group]]:
    """Append the groups, and what closed shards refuse to their successors at once: (stored, failed).

    Raises ServiceError if nothing at all was stored; a failure after a part was stored fails the rest alone.
    """
    stored: list[tuple[Group, Appended]] = []
    for _ in range(ROUNDS_MAX):
        try:
            answers = await call.runtime.record_log.append(
                [
                    Entry(
                        group.shard.key, group.records, len(group.positions), group.size_bytes,
                        group.payload_units(largest), call.principal.meter_key,
                    )
                    for group in groups
                ]
            )  # fmt: skip
            refused: list[tuple[Group, tuple[Successor, ...]]] = []
            for group, answer in zip(groups, answers, strict=True):
                if isinstance(answer, ShardClosed):
                    refused.append((group, answer.successors))
                else:
                    stored.append((group, answer))
        except UnknownShard:
            # The snapshot is older than a deletion. Whatever the stream is now decides.
            refused = [(group, ()) for group in groups]
        except RecordLogError as error:
            if stored:
                return stored, groups
            raise service_error(error) from error
        if not refused:
            return stored, []
        now = await _read_anew(call, stream)
        if isinstance(now, ServiceError):
            if stored:
                return stored, [group for group, _ in refused]
            raise now
        groups = [
            part
            for group, successors in refused
            for part in place_anew(now, group, successors or _open(now), records)
        ]
        for group in groups:
            # They were granted by the parent's budget; the child's pays as well, so that it starts at the truth.
            call.runtime.throttle.spend(
                group.shard.write_bucket, now.write_budget, len(group.positions), group.size_bytes, call.now_ms
            )
    if stored:
        return stored, groups
    raise InternalFailure


async def _read_anew(call: Call, stream: StreamView) -> StreamView | ServiceError:
    """The stream as its rows have it now, or why the call cannot go on."""
    catalog = call.runtime.part(Catalog)
    try:
        now = await catalog.refresh(stream)
        replaced_by = await catalog.read(stream.account_id, stream.name) if now is None else None
    except Exception as error:  # noqa: BLE001 - whatever ails the database: a part of the call may be stored already
        failure = InternalFailure()
        failure.__cause__ = error
        return failure
    if replaced_by is not None and replaced_by.takes_records:
        return StreamReplaced(replaced_by)
    if now is None or not now.takes_records:
        return ResourceNotFoundException.stream(stream.name, stream.account_id)
    return now


def _open(stream: StreamView) -> list[Successor]:
    return [Successor(shard.key, shard.start_hash, shard.end_hash) for shard in stream.open_shards]


def _count_put_records(
    call: Call, stream: StreamView, stored: list[tuple[Group, Appended]], throttled: int, lost: int
) -> None:
    counters, team, key = call.runtime.counters, stream.team_id, stream.key
    size_bytes = records = 0
    for group, _ in stored:
        count = len(group.positions)
        size_bytes += group.size_bytes
        records += count
        counters.add_shard_write(team, key, group.shard.index, group.size_bytes, count)
    if records:
        counters.add(team, key, "IncomingBytes", size_bytes)
        counters.add(team, key, "IncomingRecords", records)
    counters.add(team, key, "WriteProvisionedThroughputExceeded", throttled)
    counters.add(team, key, "PutRecords.Bytes", size_bytes)
    counters.add(team, key, "PutRecords.Success", 1 if records else 0)
    counters.add(team, key, "PutRecords.TotalRecords", records + throttled + lost)
    counters.add(team, key, "PutRecords.SuccessfulRecords", records)
    counters.add(team, key, "PutRecords.FailedRecords", lost)
    counters.add(team, key, "PutRecords.ThrottledRecords", throttled)
    counters.add(team, key, "PutRecords.Latency", _since(call))


async def _check_ordering(call: Call, stream: StreamView, shard: ShardView, number: str) -> None:
    """Raises InvalidArgumentException for a number that was never given out by this stream."""
    parsed = sequence.decode(number)
    good = parsed is not None and parsed.version > 0 and parsed.second <= call.now_ms // 1000
    if good and parsed is not None and (parsed.created_s, parsed.shard_index) == (shard.created_s, shard.index):
        try:
            bounds = await call.runtime.record_log.bounds(shard.key)
        except UnknownShard:
            now = await _read_anew(call, stream)
            raise now if isinstance(now, ServiceError) else InternalFailure from None
        except RecordLogError as error:
            raise service_error(error) from error
        good = parsed.ordinal < bounds.next_offset
    if not good:
        raise InvalidArgumentException(
            f"ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {stream.name} "
            f"under account {stream.account_id} is invalid."
        )


# --- reading ---------------------------------------------------------------------------------------------------------


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
    _check_arn(stream, request.stream_arn)
    start = Start(request.shard_iterator_type, request.starting_sequence_number, to_ms(request.timestamp))
    check(start, call.now_ms)
    if not request.dry_run and not runtime.throttle.take(shard.iterator_bucket, ITERATORS, 1, 0, call.now_ms):
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
    MillisBehindLatest; records past the retention are not shown, trimmed or not; no EncryptionType.
    Not kept: AWS may answer empty pages although there is more; here an empty page means the tip.
    """
    runtime, account_id = call.runtime, call.principal.account_id
    position = runtime.part(ShardIterators).open(request.shard_iterator, call.now_ms)
    if position.team_id != call.principal.team_id:
        raise InvalidArgumentException("Invalid ShardIterator.")
    if request.stream_arn is not None:
        stream_name(account_id, position.name, request.stream_arn)
    stream, shard = await find_shard(call, position.name, position.shard_index)
    _check_arn(stream, request.stream_arn)
    if shard.key != position.shard_key:
        stream, shard = await find_shard_anew(call, position.name, position.shard_index)
    if shard.key != position.shard_key:
        raise ResourceNotFoundException.shard(shard.shard_id, position.name, account_id)
    if request.dry_run:
        raise DryRunOperationException
    _take_read(call, stream, shard)
    try:
        limits = (request.limit or GET_RECORDS_MAX, GET_RECORDS_BYTES_MAX)
        batch = await read(runtime.record_log, stream, shard, position.ordinal, call.now_ms, limits)
        records, size_bytes = records_of(shard, batch)
    except RecordLogError as error:
        runtime.counters.add(stream.team_id, stream.key, "GetRecords.Success", 0)
        if isinstance(error, UnknownShard):
            raise ResourceNotFoundException.shard(shard.shard_id, stream.name, account_id) from None
        raise service_error(error) from error
    _spend_read(call, shard, size_bytes)
    behind_ms = millis_behind(batch, call.now_ms)
    _count_get_records(call, stream, shard, batch, len(records), size_bytes)
    if batch.at_end:
        stream, shard = await _closed(call, stream, shard)
        if shard.closed_at_ms is not None:
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


def _take_read(call: Call, stream: StreamView, shard: ShardView) -> None:
    throttle, counters = call.runtime.throttle, call.runtime.counters
    if throttle.take(shard.large_read_bucket, LARGE_READ, 0, 0, call.now_ms) and throttle.take(
        shard.read_bucket, READ_CALLS, 1, 0, call.now_ms
    ):
        counters.add(stream.team_id, stream.key, "ReadProvisionedThroughputExceeded", 0)
        return
    counters.add(stream.team_id, stream.key, "ReadProvisionedThroughputExceeded", 1)
    counters.add(stream.team_id, stream.key, "GetRecords.Success", 0)
    raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, stream.account_id)


def _spend_read(call: Call, shard: ShardView, size_bytes: int) -> None:
    throttle = call.runtime.throttle
    throttle.spend(shard.read_bucket, READ_CALLS, 0, size_bytes, call.now_ms)
    if size_bytes > READ_BYTES_PER_S:
        throttle.spend(shard.large_read_bucket, LARGE_READ, 0, size_bytes, call.now_ms)


def _count_get_records(
    call: Call, stream: StreamView, shard: ShardView, batch: Batch, records: int, size_bytes: int
) -> None:
    counters, team, key = call.runtime.counters, stream.team_id, stream.key
    age_ms = max(0, call.now_ms - batch.slices[-1].arrival_ms) if batch.slices else 0
    counters.add(team, key, "GetRecords.Bytes", size_bytes)
    counters.add(team, key, "GetRecords.Records", records)
    if call.principal.user_id is None:  # a person who looks at old records is no consumer that lags
        counters.add(team, key, "GetRecords.IteratorAgeMilliseconds", age_ms)
    counters.add(team, key, "GetRecords.Success", 1)
    counters.add(team, key, "GetRecords.Latency", _since(call))
    counters.add_shard_read(team, key, shard.index, size_bytes, records)


# --- both ------------------------------------------------------------------------------------------------------------


async def _stream_to_write(call: Call, name: str | None, arn: str | None) -> StreamView:
    """A stream that takes records. Raises ResourceNotFoundException, after a look into the database itself."""
    account_id = call.principal.account_id
    name = stream_name(account_id, name, arn)
    catalog = call.runtime.part(Catalog)
    stream = catalog.peek(account_id, name, call.now_ms) or await catalog.find(account_id, name, call.now_ms)
    if stream is not None and not stream.takes_records:
        stream = await catalog.read(account_id, name)
    if stream is None or not stream.takes_records:
        raise ResourceNotFoundException.stream(name, account_id)
    _check_arn(stream, arn)
    return stream


def _check_arn(stream: StreamView, arn: str | None) -> None:
    """Raises ResourceNotFoundException for the ARN of a stream of the same name elsewhere."""
    if arn is not None and arn != stream.arn:
        raise ResourceNotFoundException.stream(stream.name, stream.account_id)


def _since(call: Call) -> int:
    """Milliseconds since the call began."""
    return max(0, call.runtime.clock.now_ms() - call.now_ms)
