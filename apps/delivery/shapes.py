"""Typed requests and answers of PutRecord and PutRecordBatch. See apps/streams/shapes.py for how they are read and why."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, field

from apps.wire.blobs import decode_all

DATA_BYTES_MAX = 1_024_000
"""1,000 KiB, before base64."""

RECORDS_MAX = 500

DeliveryStreamName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_.-]+\Z")]
Data = Annotated[bytes, Meta(max_length=DATA_BYTES_MAX)]
DataText = Annotated[str, Meta(max_length=-(-DATA_BYTES_MAX // 3) * 4)]


class Record(msgspec.Struct, gc=False):
    """One record."""

    data: Data = field(name="Data")


class TextRecord(msgspec.Struct, gc=False):
    """One record, its data still in base64."""

    data: DataText = field(name="Data")


class PutRecordRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecord's input."""

    name: DeliveryStreamName = field(name="DeliveryStreamName")
    record: Record = field(name="Record")


class PutRecordAnswer(msgspec.Struct, gc=False, frozen=True):
    """PutRecord's output."""

    record_id: str = field(name="RecordId")
    encrypted: bool = field(name="Encrypted")


class PutRecordBatchTextRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecordBatch's input as JSON has it: long records are read quicker in two steps than by msgspec's own base64."""

    name: DeliveryStreamName = field(name="DeliveryStreamName")
    records: Annotated[list[TextRecord], Meta(min_length=1, max_length=RECORDS_MAX)] = field(name="Records")

    def request(self) -> PutRecordBatchRequest:
        """The same with bytes. Raises ValueError for what is not base64, or longer than the model allows."""
        blobs = decode_all([record.data for record in self.records])
        if max(map(len, blobs)) > DATA_BYTES_MAX:
            raise ValueError("too long")
        return PutRecordBatchRequest(self.name, list(map(Record, blobs)))


class PutRecordBatchRequest(msgspec.Struct, gc=False, frozen=True):
    """PutRecordBatch's input."""

    in_text: ClassVar = PutRecordBatchTextRequest
    """See wire/json11.py."""

    name: DeliveryStreamName = field(name="DeliveryStreamName")
    records: Annotated[list[Record], Meta(min_length=1, max_length=RECORDS_MAX)] = field(name="Records")


class Stored(msgspec.Struct, gc=False):
    """One stored record of PutRecordBatch's output."""

    record_id: str = field(name="RecordId")


class Refused(msgspec.Struct, gc=False):
    """One refused record of PutRecordBatch's output."""

    error_code: str = field(name="ErrorCode")
    error_message: str = field(name="ErrorMessage")


class PutRecordBatchAnswer(msgspec.Struct, gc=False):
    """PutRecordBatch's output: an entry per record, in the request's order."""

    failed_put_count: int = field(name="FailedPutCount")
    encrypted: bool = field(name="Encrypted")
    request_responses: list[Stored | Refused] = field(name="RequestResponses")
