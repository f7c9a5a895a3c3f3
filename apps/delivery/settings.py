"""What a stored description says, in the engine's words: pure functions of AWS's members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.base.units import MIB, SECOND_MS
from apps.delivery.models import DestinationType

Json = dict[str, Any]

RETRY_S = {
    DestinationType.REDSHIFT: 3_600,
    DestinationType.ELASTICSEARCH: 300,
    DestinationType.OPENSEARCH: 300,
    DestinationType.OPENSEARCH_SERVERLESS: 300,
    DestinationType.SPLUNK: 300,
    DestinationType.HTTP: 300,
    DestinationType.ICEBERG: 300,
}
"""Seconds; where the description does not say."""

PARTITION_RETRY_S = 300
"""Of dynamic partitioning's own RetryOptions; AWS's default."""

PROCESSED_AT_BYTES = 4 * MIB
"""Processors take records in pieces of about this size (processing/interface.py)."""

PROCESSED_EVERY_MS = SECOND_MS
"""… or when so old, without a transform: soon, but not one by one."""

COPIES_KIND = "redshift-copies"
"""The lease kind of a Redshift destination's COPY, of which a delivery stream has one at a time; key: its row id."""

ALWAYS_BACKED_UP = ("AllData", "AllDocuments", "AllEvents", "Enabled")


@dataclass(frozen=True, slots=True)
class Hints:
    """A batch is due when it has size_bytes, or when its oldest record is interval_ms old."""

    size_bytes: int
    interval_ms: int


def hints(description: Json, default_size_mb: int = 5, default_interval_s: int = 300) -> Hints:
    """BufferingHints of a description."""
    given = description.get("BufferingHints") or {}
    size_mb = given.get("SizeInMBs", default_size_mb)
    return Hints(size_mb * MIB, given.get("IntervalInSeconds", default_interval_s) * SECOND_MS)


def buffering(destination_type: str, description: Json) -> Hints:
    """Hints of the destination. Redshift has its staging bucket's."""
    if destination_type == DestinationType.REDSHIFT:
        return hints(description.get("S3DestinationDescription") or {})
    return hints(description, default_interval_s=60 if destination_type == DestinationType.SPLUNK else 300)


def intake(destination_type: str, description: Json) -> Hints:
    """When somebody should look at what was put."""
    return (processing if processes(description) else buffering)(destination_type, description)


def processing(destination_type: str, description: Json) -> Hints:
    """When processors take what waits: a transform when its own buffer is full or old, others at once."""
    for processor in processors(description):
        if processor["Type"] == "Lambda":
            given = parameters(processor)
            default_mb = 0.25 if destination_type == DestinationType.SPLUNK else 1.0
            size_mb = float(given.get("BufferSizeInMBs", default_mb))
            return Hints(int(size_mb * MIB), int(given.get("BufferIntervalInSeconds", 60)) * SECOND_MS)
    return Hints(PROCESSED_AT_BYTES, PROCESSED_EVERY_MS)


def errors_s3(destination_type: str, description: Json) -> Json:
    """The S3 description whose bucket and error prefix take what failed: for channels the one of their dead letters."""
    if "DeadLetterS3Description" in description:
        dead_letters: Json = description["DeadLetterS3Description"]
        return dead_letters
    if destination_type == DestinationType.S3:
        return description
    found: Json = description.get("S3DestinationDescription") or {}
    return found


def backup_s3(destination_type: str, description: Json) -> Json | None:
    """The S3 description that every source record is copied to; None: no such backup."""
    if description.get("S3BackupMode") not in ALWAYS_BACKED_UP:
        return None
    if destination_type in {DestinationType.S3, DestinationType.REDSHIFT}:
        return description.get("S3BackupDescription")
    return description.get("S3DestinationDescription")


def retry_ms(destination_type: str, description: Json) -> int | None:
    """How long after its first failure a batch is tried again; None: for as long as the records are there (S3, but for
    partitions, whose retry duration is a part of their configuration)."""
    if "Channel" in description:
        return None
    if destination_type != DestinationType.S3:
        given = (description.get("RetryOptions") or {}).get("DurationInSeconds")
        return (RETRY_S[DestinationType(destination_type)] if given is None else given) * SECOND_MS
    partitioning = description.get("DynamicPartitioningConfiguration") or {}
    if not partitioning.get("Enabled"):
        return None
    given = (partitioning.get("RetryOptions") or {}).get("DurationInSeconds")
    return (PARTITION_RETRY_S if given is None else given) * SECOND_MS


def processors(description: Json) -> list[Json]:
    """The processors that are switched on, as AWS's members."""
    configured = description.get("ProcessingConfiguration") or {}
    return list(configured.get("Processors") or []) if configured.get("Enabled") else []


def parameters(processor: Json) -> dict[str, str]:
    """A processor's parameters by name."""
    return {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters") or []}


def partitions(description: Json) -> bool:
    """True with dynamic partitioning."""
    return bool((description.get("DynamicPartitioningConfiguration") or {}).get("Enabled"))


def processes(description: Json) -> bool:
    """True if records are processed into logs of their own before they are delivered."""
    return partitions(description) or bool(processors(description))


def converts(description: Json) -> bool:
    """True if objects are Parquet or ORC."""
    found = description.get("DataFormatConversionConfiguration") or {}
    return bool(found) and found.get("Enabled", True)
