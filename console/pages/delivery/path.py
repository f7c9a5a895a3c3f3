"""The way of a record through a delivery stream, as a picture made of words: source, processing, buffer, destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apps.base.units import MIB, SECOND_MS
from apps.delivery import settings
from apps.delivery.models import DeliveryStream, DestinationType, SourceType
from console.pages.delivery import described

PROCESSORS: Final = {
    "Decompression": "decompress",
    "CloudWatchLogProcessing": "extract log messages",
    "RecordDeAggregation": "de-aggregate",
    "Lambda": "transform",
    "MetadataExtraction": "jq",
    "AppendDelimiterToRecord": "append delimiter",
}

COMPRESSIONS: Final = {"GZIP": "gzip", "ZIP": "zip", "Snappy": "Snappy", "HADOOP_SNAPPY": "Hadoop Snappy"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One box of the path: its heading, its main line, and what else is to be said. figure: which rate stands on the way
    out of it (in, out)."""

    heading: str
    title: str
    note: str = ""
    stream: str = ""
    """A data stream's name, to link to."""


def path_of(row: DeliveryStream) -> list[Step]:
    """The steps in order."""
    steps = [_source(row)]
    if row.destination.get("ProcessingConfiguration") and settings.processes(row.destination):
        steps.append(Step("Processing", _processing(row.destination), _partitioning(row.destination)))
    steps.append(Step("Buffer", buffer_words(row.destination_type, row.destination), _format(row.destination)))
    where = described.address(row.destination_type, row.destination)
    steps.append(Step(described.DESTINATIONS[row.destination_type], where))
    return steps


def _source(row: DeliveryStream) -> Step:
    if row.source_type == SourceType.DIRECT_PUT:
        return Step("Source", "Direct PUT", "PutRecord, PutRecordBatch")
    linked = row.source_stream.name if row.source_stream is not None else ""
    return Step("Source", described.source(row), "data stream", linked)


def _processing(description: Json) -> str:
    found: list[str] = [PROCESSORS.get(one["Type"]) or one["Type"] for one in settings.processors(description)]
    return ", ".join(found) or "partition"


def _partitioning(description: Json) -> str:
    return "dynamic partitioning" if settings.partitions(description) else ""


def buffer_words(destination_type: str, description: Json) -> str:
    """`5 MiB or 300 s`."""
    hints = settings.buffering(destination_type, description)
    if hints.interval_ms == 0:
        return "as soon as possible"
    return f"{hints.size_bytes // MIB} MiB or {hints.interval_ms // SECOND_MS} s"


def _format(description: Json) -> str:
    if settings.converts(description):
        output = (description["DataFormatConversionConfiguration"].get("OutputFormatConfiguration") or {}).get(
            "Serializer"
        ) or {}
        return "to ORC" if "OrcSerDe" in output else "to Parquet"
    return COMPRESSIONS.get(description.get("CompressionFormat", ""), "")


def aside_of(row: DeliveryStream) -> list[tuple[str, str]]:
    """What else goes where: backup and failed records, as (heading, address)."""
    answer = []
    backup = settings.backup_s3(row.destination_type, row.destination)
    if backup is not None:
        answer.append(("Every source record also to", described.s3_address(backup)))
    failed = settings.errors_s3(row.destination_type, row.destination)
    prefix = failed.get("ErrorOutputPrefix") or f"{failed.get('Prefix') or ''}<error type>/yyyy/MM/dd/HH/"
    if row.destination_type != DestinationType.REDSHIFT:
        answer.append(("Failed records to", f"s3://{described.bucket_of(failed.get('BucketARN', ''))}/{prefix}"))
    return answer
