"""S3: one object for a batch, and the objects that lines about failed records go to.

Kept from AWS: the names, the prefixes, the compressions and their Content-Encoding, one object per batch, records one after
the other without a separator, rows that cannot be converted under the error prefix while the others are delivered. Not kept:
objects are written in one request and never in parts, so that none can be left half written; a batch has 128 MiB at most.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final

from apps.base.units import MIB
from apps.delivery import formats, prefixes
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, Target
from apps.delivery.models import Lane
from apps.delivery.objects import Filled, bucket_of, write_object
from apps.delivery.prefixes import Moment
from apps.delivery.record import Failed, Record
from apps.delivery.settings import converts

if TYPE_CHECKING:
    from apps.runtime import Runtime

Json = dict[str, Any]

FAILED_RECORDS_KEPT: Final = 10_000
FAILED_BYTES_KEPT: Final = 8 * MIB
"""Of rows that were not converted: when there are more, they are found anew as they are written."""


def moment_of(target: Target, description: Json, batch: Batch, error_type: str = "") -> Moment:
    """What the names of a batch's objects are made of."""
    seed = f"{target.arn}#{target.part}#{error_type}#{batch.identity}"
    zone = description.get("CustomTimeZone") or ""
    return Moment(batch.oldest_ms, zone, seed, batch.partition_keys, error_type)


class S3Destination:
    """One object for each batch, in the destination's bucket or the backup's."""

    error_type = "processing-failed"

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._runtime = runtime
        self._target = target
        self._description = target.description

    def plan(self, batch: Batch) -> Json:
        """The key without its extension, and what the format must keep."""
        moment = moment_of(self._target, self._description, batch)
        try:
            key = prefixes.object_prefix(self._description, moment)
            key = prefixes.checked_key(key + prefixes.object_name(self._target.name, self._target.version_id, moment))
        except ValueError as error:
            raise DeliveryFailed("S3.InvalidPrefix", str(error), permanent=True) from error
        return {"bucket": bucket_of(self._description), "key": key, "format": self._format_plan()}

    def _format_plan(self) -> Json:
        return formats.plan_for(self._runtime, self._target) if self._target.part == "destination" else {}

    def deliver(self, batch: Batch) -> Delivered:
        """Assemble and put the object; with no row that could be converted, none."""
        failed = _Failed(self, batch)

        def fill(file: IO[bytes]) -> Filled | None:
            writer = formats.writer_for(file, self._description, batch.plan["format"], batch.now_ms)
            for records in batch.pieces():
                failed.add(writer.write(records))
            failed.add(writer.finish())
            left = batch.count - failed.records
            return Filled(left, writer.content_encoding) if left > 0 else None

        written = write_object(self._runtime, self._target, self._description, self._key(batch), fill)
        return Delivered(
            batch.count - failed.records,
            batch.size_bytes - failed.size_bytes,
            failed.found(),
            [written] if written else [],
            self._metrics(batch, failed),
        )

    def _key(self, batch: Batch) -> str:
        """With the extension, which belongs to the pinned description as much as the key does."""
        writer = formats.writer_for(io.BytesIO(), self._description, batch.plan["format"], batch.now_ms)
        return str(batch.plan["key"]) + writer.extension

    def convert_again(self, batch: Batch) -> Iterator[Failed]:
        """The rows of a batch that cannot be converted, one after the other, without an object."""
        writer = formats.writer_for(_Nowhere(), self._description, batch.plan["format"], batch.now_ms)  # type: ignore[arg-type]
        for records in batch.pieces():
            yield from writer.write(records)
        yield from writer.finish()

    def _metrics(self, batch: Batch, failed: _Failed) -> list[tuple[str, float]]:
        if self._target.part != "destination" or not converts(self._description):
            return []
        return [
            ("SucceedConversion.Records", batch.count - failed.records),
            ("SucceedConversion.Bytes", batch.size_bytes - failed.size_bytes),
            ("FailedConversion.Records", failed.records),
            ("FailedConversion.Bytes", failed.size_bytes),
        ]

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002 - the interface's
        """Nothing beside the common members."""
        return {}


class _Failed:
    """Rows of a batch that could not be converted: kept while they are few, else found once more when they are wanted."""

    def __init__(self, destination: S3Destination, batch: Batch) -> None:
        self._destination, self._batch = destination, batch
        self._kept: list[Failed] = []
        self.records = 0
        self.size_bytes = 0

    def add(self, failed: list[Failed]) -> None:
        """Count them, and keep them if there is room."""
        self.records += len(failed)
        self.size_bytes += sum(len(one.record.data) for one in failed)
        if self._fits:
            self._kept += failed
        else:
            self._kept = []

    @property
    def _fits(self) -> bool:
        return self.records <= FAILED_RECORDS_KEPT and self.size_bytes <= FAILED_BYTES_KEPT

    def found(self) -> Iterable[Failed]:
        """All of them, in order."""
        return self._kept if self._fits else _Again(self._destination, self._batch)


class _Again:
    """Can be iterated as often as anybody likes."""

    def __init__(self, destination: S3Destination, batch: Batch) -> None:
        self._destination, self._batch = destination, batch

    def __iter__(self) -> Iterator[Failed]:
        return self._destination.convert_again(self._batch)


class _Nowhere(io.RawIOBase):
    """A file that forgets what is written."""

    _size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Count."""
        size = memoryview(data).nbytes
        self._size += size
        return size

    def tell(self) -> int:
        return self._size


class ErrorLines(S3Destination):
    """What the processors gave up: the lane's records are the lines, and its label says which error-output-type."""

    def __init__(self, runtime: Runtime, target: Target) -> None:
        super().__init__(runtime, target)
        self._description = plain(target.description)

    def plan(self, batch: Batch) -> Json:
        """The key under the error prefix, without its extension."""
        from apps.delivery.error_objects import error_key

        error_type = Lane.objects.values_list("label", flat=True).get(pk=batch.lane_id) or self.error_type
        moment = moment_of(self._target, self._description, batch, error_type)
        return {"bucket": bucket_of(self._description), "key": error_key(self._target, moment), "format": {}}


def plain(description: Json) -> Json:
    """The description for objects of lines: the compression holds for them, conversion and FileExtension do not."""
    return {
        name: value
        for name, value in description.items()
        if name not in {"DataFormatConversionConfiguration", "FileExtension"}
    }
