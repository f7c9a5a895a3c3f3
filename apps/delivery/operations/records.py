"""PutRecord and PutRecordBatch: the data plane of Data Firehose.

A straight line: no ORM, no lock, nothing logged or counted per record. What is answered is durable in the log of the
delivery stream, from which its lanes deliver; so the buffer is in nobody's memory.
"""

from __future__ import annotations

from apps.base.errors import InternalFailure, ServiceError
from apps.billing.spending_hold import PAUSE, THROTTLED_TEXT
from apps.delivery.catalog import DeliveryCatalog, DeliveryStreamView
from apps.delivery.errors import (
    SLOW_DOWN,
    InvalidArgumentException,
    InvalidKMSResourceException,
    ResourceNotFoundException,
    ServiceUnavailableException,
)
from apps.delivery.limits import BATCH_BYTES_MAX, BILLED_BYTES
from apps.delivery.metrics import KEY_METRICS
from apps.delivery.nudge import Nudge
from apps.delivery.record_ids import encode, run
from apps.delivery.shapes import (
    PutRecordAnswer,
    PutRecordBatchAnswer,
    PutRecordBatchRequest,
    PutRecordRequest,
    Refused,
    Stored,
)
from apps.recordlog.interface import (
    Appended,
    DataKey,
    Entry,
    KeyUnavailable,
    LogBusy,
    LogFull,
    RecordLogError,
    ShardClosed,
    UnknownShard,
)
from apps.runtime import Call
from apps.streams.reading import since

REFUSED = Refused(ServiceUnavailableException.code, SLOW_DOWN)
REFUSED_AS_SPENT = Refused(ServiceUnavailableException.code, f"{SLOW_DOWN} {THROTTLED_TEXT}")


async def put_record(call: Call, request: PutRecordRequest) -> PutRecordAnswer:
    """Store one record for delivery; durable when answered.

    Kept from AWS: Direct PUT only; records, bytes and requests per second of the delivery stream, beyond which the
    answer is ServiceUnavailableException; Encrypted. Not kept: a delivery stream takes nothing while it is being deleted
    (AWS may, without delivering it).
    """
    view = await _stream_to_write(call, request.name)
    data, counters = request.record.data, call.runtime.counters
    size_bytes = len(data)
    counters.add(view.team_id, view.series, "PutRecord.Requests", 1)
    _refuse_paused(call, view, 1)
    if _taken(call, view, 1, size_bytes, (size_bytes,)) == 0:
        counters.add(view.team_id, view.series, "ThrottledRecords", 1)
        raise ServiceUnavailableException((REFUSED_AS_SPENT if view.held else REFUSED).error_message)
    view, appended = await _append(call, view, [None, data], 1, size_bytes, -(-size_bytes // BILLED_BYTES) or 1)
    _count(call, view, 1, size_bytes)
    counters.add(view.team_id, view.series, "PutRecord.Bytes", size_bytes)
    counters.add(view.team_id, view.series, "PutRecord.Latency", since(call))
    return PutRecordAnswer(encode(_fixed(view), appended.first), view.encryption is not None)


async def put_record_batch(call: Call, request: PutRecordBatchRequest) -> PutRecordBatchAnswer:
    """Store up to 500 records for delivery; those answered with a RecordId are durable.

    Kept from AWS: one entry per record in the request's order; what the delivery stream may not take this second fails
    alone with ServiceUnavailableException, 200 even if that is all of them; 4 MiB a call. Ours: the records that are
    taken are the first ones, and all later ones are refused, so that resending the failed entries keeps the order.
    Not kept: as PutRecord.
    """
    view = await _stream_to_write(call, request.name)
    blobs: list[bytes | str | None] = [record.data for record in request.records]
    sizes = list(map(len, blobs))  # type: ignore[arg-type]
    count, size_bytes = len(sizes), sum(sizes)
    if size_bytes > BATCH_BYTES_MAX:
        raise InvalidArgumentException("Records size exceeds 4 MB limit")
    counters = call.runtime.counters
    counters.add(view.team_id, view.series, "PutRecordBatch.Requests", 1)
    _refuse_paused(call, view, count)
    taken = _taken(call, view, count, size_bytes, sizes)
    if taken < count:
        counters.add(view.team_id, view.series, "ThrottledRecords", count - taken)
        del blobs[taken:], sizes[taken:]
        size_bytes = sum(sizes)
    responses: list[Stored | Refused] = []
    if taken:
        flat: list[str | bytes | None] = [None] * (2 * taken)
        flat[1::2] = blobs
        view, appended = await _append(call, view, flat, taken, size_bytes, _billed_units(sizes))
        responses += map(Stored, run(_fixed(view), appended.first, taken))
        _count(call, view, taken, size_bytes)
    responses += [REFUSED_AS_SPENT if view.held else REFUSED] * (count - taken)
    counters.add(view.team_id, view.series, "PutRecordBatch.Bytes", size_bytes)
    counters.add(view.team_id, view.series, "PutRecordBatch.Records", taken)
    counters.add(view.team_id, view.series, "PutRecordBatch.Latency", since(call))
    return PutRecordBatchAnswer(count - taken, view.encryption is not None, responses)


def _refuse_paused(call: Call, view: DeliveryStreamView, records: int) -> None:
    """Raises ServiceUnavailableException, counted as throttled. What was put before is delivered all the same."""
    if view.held == PAUSE:
        call.runtime.counters.add(view.team_id, view.series, "ThrottledRecords", records)
        raise ServiceUnavailableException.paused(view.name, view.account_id)


def _fixed(view: DeliveryStreamView) -> str:
    assert view.log is not None
    return view.log.fixed


def _billed_units(sizes: list[int]) -> int:
    """The log keeps a sum of payload units with the records. Where Kinesis sells 25 KiB, Firehose sells 5 KiB: a
    delivery stream's own log counts those."""
    if max(sizes) <= BILLED_BYTES:
        return len(sizes)
    return sum([-(-size // BILLED_BYTES) or 1 for size in sizes])


def _taken(
    call: Call, view: DeliveryStreamView, count: int, size_bytes: int, sizes: tuple[int, ...] | list[int]
) -> int:
    """How many of the records, from the first on, the delivery stream may take now; these are spent."""
    throttle, now_ms = call.runtime.throttle, call.now_ms
    if not throttle.take(view.request_bucket, view.request_budget, 1, 0, now_ms):
        return 0
    bucket, budget = view.data_bucket, view.data_budget
    if throttle.take(bucket, budget, count, size_bytes, now_ms):
        return count
    records_left, bytes_left = throttle.left(bucket, budget, now_ms)
    taken = taken_bytes = 0
    for size in sizes:
        if taken + 1 > records_left or taken_bytes + size > bytes_left:
            break
        taken += 1
        taken_bytes += size
    return taken if taken and throttle.take(bucket, budget, taken, taken_bytes, now_ms) else 0


async def _append(
    call: Call, view: DeliveryStreamView, flat: list[str | bytes | None], count: int, size_bytes: int, units: int
) -> tuple[DeliveryStreamView, Appended]:
    """Append to the log of the delivery stream, or of the one that has its name now if that was deleted within the second.
    Raises ServiceError; nothing was stored then, but for InternalFailure."""
    stored = await _try(call, view, flat, count, size_bytes, units)
    if stored is None:
        view = await _made_again(call, view)
        stored = await _try(call, view, flat, count, size_bytes, units)
    if stored is None:
        raise ResourceNotFoundException.delivery_stream(view.name, view.account_id)
    assert view.log is not None
    call.runtime.part(Nudge).appended(view.log, size_bytes, call.now_ms)
    return view, stored


async def _try(
    call: Call, view: DeliveryStreamView, flat: list[str | bytes | None], count: int, size_bytes: int, units: int
) -> Appended | None:
    """None: the log is gone, and nothing was stored."""
    assert view.log is not None
    data_key = None if view.encryption is None else await _data_key(call, view, size_bytes)
    entry = Entry(view.log.key, flat, count, size_bytes, units, call.principal.meter_key, None, data_key)
    try:
        [answer] = await call.runtime.record_log.append([entry])
    except UnknownShard:
        return None
    except RecordLogError as error:
        raise _service_error(error) from error
    return None if isinstance(answer, ShardClosed) else answer


async def _made_again(call: Call, view: DeliveryStreamView) -> DeliveryStreamView:
    """What has the name now, if it takes records. Raises ResourceNotFoundException."""
    now = await call.runtime.part(DeliveryCatalog).read_anew(view.account_id, view.name)
    if now is None or now.key == view.key or not now.takes_records or now.log is None:
        raise ResourceNotFoundException.delivery_stream(view.name, view.account_id)
    return now


async def _data_key(call: Call, view: DeliveryStreamView, size_bytes: int) -> DataKey:
    """What the records are encrypted with. Raises InvalidKMSResourceException: the whole call fails, as with AWS."""
    assert view.encryption is not None
    try:
        return await call.runtime.data_keys.for_append(view.encryption, size_bytes)
    except InternalFailure:
        raise
    except ServiceError as error:
        if error.code in KEY_METRICS:
            call.runtime.counters.add(view.team_id, view.series, KEY_METRICS[error.code], 1)
        raise InvalidKMSResourceException.of(error) from error


def _service_error(error: RecordLogError) -> ServiceError:
    match error:
        case KeyUnavailable(reason=ServiceError() as reason):
            return InvalidKMSResourceException.of(reason)
        case LogFull():
            return ServiceUnavailableException("The record log is full. Nothing was stored.")
        case LogBusy():
            return ServiceUnavailableException.slow_down()
        case _:
            return InternalFailure()


def _count(call: Call, view: DeliveryStreamView, records: int, size_bytes: int) -> None:
    counters, team, series = call.runtime.counters, view.team_id, view.series
    counters.add(team, series, "IncomingBytes", size_bytes)
    counters.add(team, series, "IncomingRecords", records)
    counters.add(team, series, "IncomingPutRequests", 1)


async def _stream_to_write(call: Call, name: str) -> DeliveryStreamView:
    """A delivery stream that takes records. Raises ResourceNotFoundException, after a look into the database itself, and
    InvalidArgumentException for one that reads a data stream."""
    account_id = call.principal.account_id
    catalog = call.runtime.part(DeliveryCatalog)
    view = catalog.peek(account_id, name, call.now_ms) or await catalog.find(account_id, name, call.now_ms)
    if view is not None and (not view.takes_records or view.log is None):
        view = await catalog.read(account_id, name)
    if view is None:
        raise ResourceNotFoundException.delivery_stream(name, account_id)
    if view.source_type != "DirectPut":
        raise InvalidArgumentException(f"This operation is not permitted on {view.source_type} delivery stream type.")
    if not view.takes_records or view.log is None:
        raise ResourceNotFoundException.delivery_stream(name, account_id)
    return view
