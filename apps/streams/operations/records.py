"""PutRecord and PutRecords: the data plane's writing half. polling.py has the reading one.

A straight line of about ten calls each: no ORM, no lock, nothing logged or counted per record. Counters get one
observation per call and metric.
"""

from __future__ import annotations

from collections.abc import Sequence

from apps.base.errors import InternalFailure, ServiceError
from apps.billing.plans import keyed
from apps.billing.spending_hold import PAUSE, THROTTLED_TEXT
from apps.encryption.data_keys import EncryptedStream
from apps.recordlog.interface import (
    Appended,
    DataKey,
    Entry,
    RecordLogError,
    ShardClosed,
    Successor,
    UnknownShard,
)
from apps.runtime import Call
from apps.streams import sequence, shard_level
from apps.streams.addressing import Unadmitted, stream_name
from apps.streams.catalog import Catalog, ShardView, StreamView
from apps.streams.covering import TO_WRITE, check_key
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
    rate_exceeded,
)
from apps.streams.faults import Faults, strike, strike_batch, throttle_ms
from apps.streams.limits import (
    PUT_RECORDS_BYTES_MAX,
)
from apps.streams.placement import Group, Placeable, place_all, place_anew, record_bytes, record_too_large, shard_for
from apps.streams.reading import check_arn, service_error, since
from apps.streams.shapes import (
    EncryptedPutRecordAnswer,
    EncryptedPutRecordsAnswer,
    PutRecordAnswer,
    PutRecordRequest,
    PutRecordsAnswer,
    PutRecordsFailure,
    PutRecordsRequest,
    PutRecordsResult,
)
from apps.streams.spreading import shard_in_turn, spread, spread_anew

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


async def put_record(call: Call, request: PutRecordRequest) -> PutRecordAnswer:
    """Store one record; durable when answered.

    Kept from AWS: place by MD5 or ExplicitHashKey; 1 MiB/s and 1,000 records/s per shard; works while UPDATING;
    ResourceNotFoundException while CREATING; SequenceNumberForOrdering is checked, and the number given out is above
    it (all of a shard's numbers rise, with it or without); DryRun; no EncryptionType on unencrypted streams.
    Not kept: StreamId is reserved in the model and means nothing here either. Ours: a spent budget may pause or throttle
    writes (spending_hold.py).
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
    counters.add_latency(team, key, "PutRecord.Latency", since(call))
    counters.add_shard_write(team, key, shard.index, size_bytes, 1)
    if stream.shard_level is not None:
        shard_level.count_stored(counters, stream, shard.index, size_bytes, 1)
        shard_level.count(counters, stream, shard.index, "WriteProvisionedThroughputExceeded", 0)
    number = sequence.encode(shard.fixed, stored.first, stored.arrival_ms // 1000)
    if stream.encryption is not None:
        return EncryptedPutRecordAnswer(shard.shard_id, number)
    return PutRecordAnswer(shard.shard_id, number)


async def _put_one(call: Call, stream: StreamView, request: PutRecordRequest) -> tuple[ShardView, int, Appended]:
    if stream.held == PAUSE:
        _refuse_paused(call, stream, 1)
    size_bytes = record_bytes(request.partition_key, request.data)
    if size_bytes > stream.max_record_bytes:
        raise record_too_large(stream, size_bytes)
    shard = shard_in_turn(stream) if stream.auto else shard_for(stream, request)
    if request.sequence_number_for_ordering is not None:
        await _check_ordering(call, stream, shard, request.sequence_number_for_ordering)
    if request.dry_run:
        raise DryRunOperationException
    struck = stream.faults is not None and await strike(call, stream.faults, size_bytes)
    if struck or not call.runtime.throttle.take(
        shard.write_bucket, stream.write_budget, 1, size_bytes, throttle_ms(call, stream)
    ):
        counters = call.runtime.counters
        counters.add(stream.team_id, stream.key, "WriteProvisionedThroughputExceeded", 1)
        counters.add_shard_write(stream.team_id, stream.key, shard.index, 0, 0, size_bytes, 1)
        if stream.shard_level is not None:
            shard_level.count(counters, stream, shard.index, "WriteProvisionedThroughputExceeded", 1)
        because = THROTTLED_TEXT if stream.held else ""
        raise ProvisionedThroughputExceededException.shard(shard.shard_id, stream.name, stream.account_id, because)
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
    A record without a partition key is taken where the stream distributes records itself (AUTO), and fails the call
    elsewhere.
    Not kept: StreamId is reserved in the model and means nothing.
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
        if stream.held == PAUSE:
            _refuse_paused(call, stream, len(request.records))
        groups, largest = _placed(stream, request)
        before = shard_level.sizes(groups) if stream.shard_level is not None else None
        throttled = 0 if stream.faults is None else await _strike(call, stream, stream.faults, groups, results)
        throttled += _throttle(call, stream, groups, results)
        if before is not None:
            shard_level.count_refused(counters, stream, groups, before)
        groups = [group for group in groups if group.positions]
        stored, failed = await _append(call, stream, groups, largest, request.records) if groups else ([], [])
    except BaseException:
        counters.add(stream.team_id, stream.key, "PutRecords.Success", 0)
        raise
    for group, appended in stored:
        shard_id = group.shard.shard_id
        numbers = sequence.run(group.shard.fixed, appended.first, appended.arrival_ms // 1000, len(group.positions))
        for position, number in zip(group.positions, numbers):  # noqa: B905 - equal by construction; strict costs
            results[position] = PutRecordsResult(number, shard_id)
    lost = _fail(results, failed)
    _count_put_records(call, stream, stored, throttled, lost)
    if stream.encryption is not None:
        return EncryptedPutRecordsAnswer(throttled + lost, results)
    return PutRecordsAnswer(throttled + lost, results)


def _placed(stream: StreamView, request: PutRecordsRequest) -> tuple[list[Group], int]:
    """The records by shard and the size of the largest; everything that fails the whole call fails here."""
    groups, largest = (spread if stream.auto else place_all)(stream, request.records)
    if sum([group.size_bytes for group in groups]) > PUT_RECORDS_BYTES_MAX:
        raise InvalidArgumentException("Records size exceeds 10 MB limit")
    if request.dry_run:
        raise DryRunOperationException
    return groups, largest


def _throttle(
    call: Call, stream: StreamView, groups: list[Group], results: list[PutRecordsResult | PutRecordsFailure]
) -> int:
    """Cut each group down to what its shard may take now, writing the refusals into results; how many there are."""
    throttle, budget, now_ms = call.runtime.throttle, stream.write_budget, throttle_ms(call, stream)
    throttled = 0
    for group in groups:
        shard = group.shard
        if throttle.take(shard.write_bucket, budget, len(group.positions), group.size_bytes, now_ms):
            continue
        sizes = group.sizes
        records_left, bytes_left = throttle.left(shard.write_bucket, budget, now_ms)
        count = taken_bytes = 0
        for size in sizes:
            if count + 1 > records_left or taken_bytes + size > bytes_left:
                break
            count += 1
            taken_bytes += size
        if count and not throttle.take(shard.write_bucket, budget, count, taken_bytes, now_ms):
            count = taken_bytes = 0
        throttled += _refuse(call, stream, group, count, taken_bytes, results)
    return throttled


async def _strike(
    call: Call, stream: StreamView, faults: Faults, groups: list[Group],
    results: list[PutRecordsResult | PutRecordsFailure],
) -> int:  # fmt: skip
    """Throttle as many entries of each shard as the faults ask for; how many in all. Raises InternalFailure."""
    hits = await strike_batch(
        call, faults, [len(group.positions) for group in groups], sum(group.size_bytes for group in groups)
    )
    throttled = 0
    for group, hit in zip(groups, hits, strict=True):
        if hit:
            count = len(group.positions) - hit
            throttled += _refuse(call, stream, group, count, sum(group.sizes[:count]), results)
    return throttled


def _refuse(
    call: Call, stream: StreamView, group: Group, count: int, taken_bytes: int,
    results: list[PutRecordsResult | PutRecordsFailure],
) -> int:  # fmt: skip
    """Throttle all but the first count records of a shard, which have taken_bytes; how many these are."""
    shard, refused_bytes = group.shard, group.size_bytes - taken_bytes
    because = THROTTLED_TEXT if stream.held else ""
    failure = PutRecordsFailure(THROTTLED, rate_exceeded(shard.shard_id, stream.name, stream.account_id, because))
    refused = group.keep(count, taken_bytes)
    for position in refused:
        results[position] = failure
    call.runtime.counters.add_shard_write(stream.team_id, stream.key, shard.index, 0, 0, refused_bytes, len(refused))
    return len(refused)


def _refuse_paused(call: Call, stream: StreamView, records: int) -> None:
    """Raises ProvisionedThroughputExceededException: the whole call, counted as throttled. Reads go on: what was stored can
    still be used."""
    call.runtime.counters.add(stream.team_id, stream.key, "WriteProvisionedThroughputExceeded", records)
    raise ProvisionedThroughputExceededException.paused(stream.name, stream.account_id)


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
    data_key = None if stream.encryption is None else await _data_key(call, stream.encryption, groups)
    plan = stream.plan_at(call.now_ms)
    meter_key = keyed(call.principal.meter_key, plan)
    for _ in range(ROUNDS_MAX):
        try:
            answers = await call.runtime.record_log.append(
                [
                    Entry(
                        group.shard.key, group.records, len(group.positions), group.size_bytes,
                        group.payload_units(largest), meter_key, None, data_key,
                        group.kib_units(largest) if plan else 0,
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
        again = spread_anew if stream.auto or now.auto else place_anew
        groups = [
            part for group, successors in refused for part in again(now, group, successors or _open(now), records)
        ]
        for group in groups:
            # They were granted by the parent's budget; the child's pays as well, so that it starts at the truth.
            call.runtime.throttle.spend(
                group.shard.write_bucket, now.write_budget, len(group.positions), group.size_bytes,
                throttle_ms(call, now),
            )  # fmt: skip
    if stored:
        return stored, groups
    raise InternalFailure


async def _data_key(call: Call, stream: EncryptedStream, groups: list[Group]) -> DataKey:
    """What the records are encrypted with. Raises ServiceError (the KMS… ones): the whole call fails, as with AWS."""
    check_key(call, stream, TO_WRITE)
    return await call.runtime.data_keys.for_append(stream, sum(group.size_bytes for group in groups))


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
        if stream.shard_level is not None:
            shard_level.count_stored(counters, stream, group.shard.index, group.size_bytes, count)
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
    counters.add_latency(team, key, "PutRecords.Latency", since(call))


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
    if stream.resource_policy is not None and not call.admitted:
        raise Unadmitted
    check_arn(stream, arn)
    return stream
