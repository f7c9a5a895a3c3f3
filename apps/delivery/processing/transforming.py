"""The Lambda processor: records go out in batches, and come back changed, dropped or failed.

The contract is AWS's: every recordId comes back once, with Ok, Dropped or ProcessingFailed. A batch whose
invocation fails is tried again, a few times and within one run; then all of it fails. Waiting longer is not the processor's:
what fails here is kept under the error prefix, from where it can be put in once more.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from apps.base.units import MIB, SECOND_MS
from apps.delivery.destinations.interface import Target
from apps.delivery.processing import invocation
from apps.delivery.processing.configuration import Transform
from apps.delivery.processing.invocation import PAYLOAD_BYTES_MAX, InvocationFailed
from apps.delivery.processing.work import Failure, Item, Work
from apps.delivery.record import Record

if TYPE_CHECKING:
    from apps.runtime import Runtime

ERROR_TYPE: Final = "processing-failed"
WAIT_S: Final = 0.1
WAIT_S_MAX: Final = 1.0
"""Between attempts: the first wait, doubled each time, and the longest."""
ATTEMPTS_S_MAX: Final = 1_500.0
"""For all attempts at a batch: no further one begins later. AWS's default of 3 retries of 5 minutes fits in."""
RECORD_BYTES: Final = 512
"""What a record takes in a request beside its data: its members' names, numbers, and the shard's name."""
ENVELOPE_BYTES: Final = 4 * 1024

PARSING: Final = (
    "There was an error parsing returned records from the Lambda function. Ensure that the returned records follow the status"
    " model required by Amazon Data Firehose."
)
FORMAT: Final = (
    "Check your function and make sure the output is in required format. In addition to that, make sure the processed records"
    " contain valid result status of Dropped, Ok, or ProcessingFailed"
)
MISSING: Final = (
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids."
)
DUPLICATED: Final = (
    "Multiple records were returned with the same record ID. Ensure that the Lambda function returns unique record IDs for"
    " each record."
)
FAILED: Final = "ProcessingFailed status set for record"
TOO_LARGE: Final = (
    f"The record is too large for an invocation of the function, which takes {PAYLOAD_BYTES_MAX // MIB} MiB."
)


class _Origin(msgspec.Struct, rename="camel"):
    """kinesisRecordMetadata: of records from a data stream."""

    sequence_number: str
    subsequence_number: int
    partition_key: str
    shard_id: str
    approximate_arrival_timestamp: int


class _Sent(msgspec.Struct, rename="camel"):
    record_id: str
    approximate_arrival_timestamp: int
    data: bytes
    kinesis_record_metadata: _Origin | msgspec.UnsetType = msgspec.UNSET


class _Request(msgspec.Struct, rename="camel"):
    invocation_id: str
    delivery_stream_arn: str
    region: str
    records: list[_Sent]
    source_kinesis_stream_arn: str | msgspec.UnsetType = msgspec.UNSET


class _Returned(msgspec.Struct, rename="camel"):
    record_id: str
    result: Literal["Ok", "Dropped", "ProcessingFailed"]
    data: bytes | None = None
    metadata: Any = None


class _Response(msgspec.Struct):
    records: list[_Returned]


_decode = msgspec.json.Decoder(_Response).decode
_encode = msgspec.json.Encoder().encode


class Transforming:
    """The processor with its function, wherever that is. trial: one short attempt, for a dry run."""

    def __init__(
        self, runtime: Runtime, target: Target, transform: Transform, *, from_stream: bool, trial: bool = False
    ) -> None:
        self._retries = 0 if trial else transform.retries
        self._deadline_s = invocation.TRIAL_S if trial else invocation.INVOCATION_S
        self._runtime = runtime
        self._target = target
        self._transform = transform
        self._from_stream = from_stream
        self._extra = {"lambdaARN": transform.function_arn}

    def run(self, work: Work) -> None:
        """See Step.run."""
        items, work.items = work.items, []
        for batch in self._batches(items, work):
            self._process(batch, work)

    def _batches(self, items: list[Item], work: Work) -> Iterator[list[Item]]:
        """As many as the buffer's size and an invocation's payload allow; a larger one alone."""
        batch: list[Item] = []
        data_bytes, payload_bytes = 0, ENVELOPE_BYTES
        for item in items:
            size, sent = len(item.record.data), _sent_bytes(item.record)
            if sent + ENVELOPE_BYTES > PAYLOAD_BYTES_MAX:
                self._fail(work, [item], "Lambda.RequestTooLarge", TOO_LARGE, attempts=0)
                continue
            if batch and (data_bytes + size > self._transform.size_bytes or payload_bytes + sent > PAYLOAD_BYTES_MAX):
                yield batch
                batch, data_bytes, payload_bytes = [], 0, ENVELOPE_BYTES
            batch.append(item)
            data_bytes, payload_bytes = data_bytes + size, payload_bytes + sent
        if batch:
            yield batch

    def _process(self, batch: list[Item], work: Work) -> None:
        """Attempts, until one is answered or they are used up."""
        ends_s, attempts, wait_s = time.monotonic() + ATTEMPTS_S_MAX, 0, WAIT_S
        while True:
            attempts += 1
            try:
                returned = self._attempt(batch, work)
            except InvocationFailed as error:
                work.done.errors.append((error.code, error.told))
                if not error.again or attempts > self._retries or time.monotonic() > ends_s:
                    self._fail(work, batch, error.code, error.message, attempts)
                    return
                threading.Event().wait(wait_s)
                wait_s = min(2 * wait_s, WAIT_S_MAX)
            else:
                self._take(batch, returned, work, attempts)
                return

    def _attempt(self, batch: list[Item], work: Work) -> list[_Returned]:
        """Each attempt is an invocation with an id of its own; the records keep theirs."""
        began_s = time.monotonic()
        success = 0.0
        try:
            place = invocation.place_for(self._runtime, self._target, self._transform)
            returned = _parsed(invocation.invoke(place, self._payload(batch), self._deadline_s))
            success = 1.0
        finally:
            work.done.metrics += [
                ("ExecuteProcessing.Duration", (time.monotonic() - began_s) * SECOND_MS),
                ("ExecuteProcessing.Success", success),
            ]
        return returned

    def _payload(self, batch: list[Item]) -> bytes:
        source = self._target.source_stream_arn
        request = _Request(
            str(uuid.uuid4()),
            self._target.arn,
            self._target.region,
            [self._sent(item.record) for item in batch],
            source if self._from_stream and source else msgspec.UNSET,
        )
        return _encode(request)

    def _sent(self, record: Record) -> _Sent:
        sent = _Sent(record.record_id, record.arrival_ms, record.data)
        if self._from_stream:
            sent.kinesis_record_metadata = _Origin(
                record.sequence_number, record.sub, record.partition_key or "", record.shard_id, record.arrival_ms
            )
        return sent

    def _take(self, batch: list[Item], returned: list[_Returned], work: Work, attempts: int) -> None:
        by_id: dict[str, _Returned] = {}
        several: set[str] = set()
        for one in returned:
            if one.record_id in by_id:
                several.add(one.record_id)
            by_id[one.record_id] = one
        records = size_bytes = 0
        for item in batch:
            found = by_id.get(item.record.record_id)
            if found is None:
                self._fail(work, [item], "Lambda.MissingRecordId", MISSING, attempts)
            elif found.record_id in several:
                self._fail(work, [item], "Lambda.DuplicatedRecordId", DUPLICATED, attempts)
            elif found.result == "Ok" and found.data is not None:
                work.items.append(_changed(item, found.data, found.metadata))
                records, size_bytes = records + 1, size_bytes + len(item.record.data)
            elif found.result == "Dropped":
                work.done.dropped += 1
            else:
                self._fail(work, [item], "Lambda.ProcessingFailedStatus", FAILED, attempts)
        work.done.metrics += [("SucceedProcessing.Records", records), ("SucceedProcessing.Bytes", size_bytes)]

    def _fail(self, work: Work, items: list[Item], code: str, message: str, attempts: int) -> None:
        why = Failure(ERROR_TYPE, code, message, attempts, self._extra)
        ended_ms = max(work.now_ms, self._runtime.clock.now_ms())
        for item in items:
            work.fail(item, why, ended_ms)


def _sent_bytes(record: Record) -> int:
    """What a record takes in a request, at most: JSON writes some letters of a partition key with six."""
    return (len(record.data) + 2) // 3 * 4 + RECORD_BYTES + 6 * len(record.partition_key or "")


def _parsed(body: bytes) -> list[_Returned]:
    """What is no JSON, or not what was agreed on, cannot get better by asking again."""
    try:
        records = _decode(body).records
    except msgspec.ValidationError as error:
        raise InvocationFailed("Lambda.FunctionError", FORMAT, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvocationFailed("Lambda.JsonProcessingException", PARSING, str(error)) from error
    if any(one.result == "Ok" and one.data is None for one in records):
        raise InvocationFailed("Lambda.FunctionError", FORMAT, "a record is Ok and has no data")
    return records


def _changed(item: Item, data: bytes, metadata: Any) -> Item:
    """The record as the function answered it, with what it said of partitions (partitionKeys) and tables (otfMetadata)."""
    changed = item.with_data(data)
    if isinstance(metadata, dict):
        changed.answered = _strings(metadata.get("partitionKeys"))
        routing = _strings(metadata.get("otfMetadata"))
        if routing:
            changed.record.routing = routing
    return changed


def _strings(said: Any) -> dict[str, str]:
    """The members that have a value a path can have; the others are as if they were missing."""
    if not isinstance(said, dict):
        return {}
    found = {}
    for name, value in said.items():
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)
    return found
