"""Channels of data streams to S3: the stream's records as they are, one after the other, under keys by a template.

Kept from AWS: JSON, STRING and BYTE_ARRAY; NONE, GZIP and ZSTD; storage class; the expected owner of the bucket is told to
the server with every request, which refuses if it is another. A record that is not what the channel's format says goes to
the dead-letter bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from apps.delivery import channel_keys
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, Remaining, Target
from apps.delivery.formats.compression import COMPRESSIONS
from apps.delivery.formats.plain import PlainWriter
from apps.delivery.objects import Filled, bucket_of, write_object
from apps.delivery.record import Failed, Record

if TYPE_CHECKING:
    from apps.runtime import Runtime

ERROR_TYPE: Final = "delivery-failed"

Json = dict[str, Any]


def problem_of_json(data: bytes) -> str:
    """Why it is no JSON; empty: it is."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return f"The record is not JSON: {error}"[:300]
    return ""


def problem_of_string(data: bytes) -> str:
    """Why it is no text; empty: it is."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"The record is not UTF-8: {error.reason} at byte {error.start}."
    return ""


PROBLEMS: Final[dict[str, Callable[[bytes], str]]] = {
    "JSON": problem_of_json,
    "STRING": problem_of_string,
    "BYTE_ARRAY": lambda _data: "",
}
"""By RecordFormatType."""

CODES: Final = {"JSON": "Channel.InvalidJson", "STRING": "Channel.InvalidString"}


class ChannelS3Destination:
    """See the module's docstring."""

    error_type = ERROR_TYPE

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._runtime = runtime
        self._target = target
        self._description = target.description
        self._channel: Json = target.description["Channel"]
        self._format = self._channel["RecordFormatType"]
        self._problem = PROBLEMS[self._format]

    def plan(self, batch: Batch) -> Json:
        """The key."""
        extension = COMPRESSIONS[self._description["CompressionFormat"]].extension
        seed = f"{self._target.arn}#{batch.identity}"
        try:
            key = channel_keys.object_key(
                self._channel["OutputKeyTemplate"], self._channel["Name"], self._channel["Id"], batch.oldest_ms, seed,
                extension,
            )  # fmt: skip
        except ValueError as error:
            raise DeliveryFailed("S3.InvalidPrefix", str(error), permanent=True) from error
        return {"bucket": bucket_of(self._description), "key": key}

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002 - the interface's
        """Nothing beside the common members."""
        return {}

    def deliver(self, batch: Batch) -> Delivered:
        """One object of the good records; with none, no object. Raises DeliveryFailed."""
        taken = bad = size_bytes = 0

        def fill(file: IO[bytes]) -> Filled | None:
            nonlocal taken, bad, size_bytes
            taken = bad = size_bytes = 0
            writer = PlainWriter(file, self._description)
            for records in batch.pieces():
                good = [record for record in records if not self._problem(record.data)]
                writer.write(good)
                taken += len(good)
                bad += len(records) - len(good)
                size_bytes += sum(len(record.data) for record in good)
            writer.finish()
            return Filled(taken, writer.content_encoding) if taken else None

        written = write_object(self._runtime, self._target, self._description, batch.plan["key"], fill)
        failed: Iterable[Failed] = Remaining(batch, self._judge(batch)) if bad else []
        return Delivered(taken, size_bytes, failed, [written] if written else [])

    def _judge(self, batch: Batch) -> Callable[[Record, int], Failed | None]:
        def one(record: Record, _place: int) -> Failed | None:
            problem = self._problem(record.data)
            if not problem:
                return None
            return Failed(record, ERROR_TYPE, CODES[self._format], problem, batch.attempt, batch.now_ms)

        return one
