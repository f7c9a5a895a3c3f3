"""Records on their way to a destination."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

Json = dict[str, Any]


class Record(msgspec.Struct, gc=False):
    """One record of a lane. arrival_ms: when it arrived at the source, UTC.

    ordinal: its offset in the lane's log; sub: its place among those that one stored record was taken apart into
    (KPL aggregates). Together they name it for ever: `record_id` is the same at every attempt. partition_key,
    sequence_number and shard_id: only of records from a data stream.
    partition_keys: dynamic partitioning's answers. routing: what a transform said of the table of Iceberg.
    processed: it comes back from the error prefix, where it was put when it had been through the processors.
    """

    data: bytes
    arrival_ms: int
    ordinal: int
    sub: int = 0
    partition_key: str | None = None
    sequence_number: str = ""
    shard_id: str = ""
    partition_keys: dict[str, str] | None = None
    routing: dict[str, str] | None = None
    processed: bool = False

    @property
    def record_id(self) -> str:
        """Its name within the lane: for transforms, and in document ids."""
        return f"{self.ordinal:020d}{self.sub:06d}"


class Failed(msgspec.Struct, gc=False):
    """A record that goes to the error prefix instead.

    error_type: AWS's error-output-type (processing-failed, format-conversion-failed, splunk-failed …). code: AWS's error
    code. attempts: how often it was tried; attempt_ended_ms: when the last try ended. raw: what is kept of it, usually
    the record's data as it came. extra: members that this kind of error has beside the common ones.
    """

    record: Record
    error_type: str
    code: str
    message: str
    attempts: int
    attempt_ended_ms: int
    raw: bytes | None = None
    extra: Json = {}

    def line(self) -> bytes:
        """The line under the error prefix, as AWS writes it, with the newline."""
        record = self.record
        said: Json = {
            "attemptsMade": self.attempts,
            "arrivalTimestamp": record.arrival_ms,
            "errorCode": self.code,
            "errorMessage": self.message,
            "attemptEndingTimestamp": self.attempt_ended_ms,
            "rawData": base64.b64encode(record.data if self.raw is None else self.raw).decode(),
        }
        if record.sequence_number:
            said |= {"sequenceNumber": record.sequence_number, "subSequenceNumber": record.sub}
        return msgspec.json.encode(said | self.extra) + b"\n"
