"""Extended S3 destinations, and the plain S3 configuration that backups, staging and errors of all others have."""

from __future__ import annotations

from typing import Any

from apps.delivery import settings
from apps.delivery.configuration.conversion import conversion
from apps.delivery.configuration.members import SIZE_MB, Situation, buffering, copied, encryption, logging
from apps.delivery.configuration.prefixes import check_prefixes
from apps.delivery.configuration.processing import partition_names, processing
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.models import DestinationType

Json = dict[str, Any]

LARGE_SIZE_MB = 128
"""Default with conversion or partitioning."""

LARGE_SIZE_MIN_MB = 64
PARTITIONED_INTERVAL_MIN_S = 60
COMMON = (
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
)
"""Members of a plain S3DestinationDescription."""


def plain(given: Json, *, expressions_allowed: bool = True) -> Json:
    """A plain S3 configuration."""
    check_prefixes(given, expressions_allowed=expressions_allowed)
    return _bucket(given)


def _bucket(given: Json, size_mb: int = SIZE_MB) -> Json:
    if given["BucketARN"].rpartition(":")[2] in {".", ".."}:
        raise InvalidArgumentException("BucketARN does not name a bucket.")  # it would be a step up in the URL
    return {
        **copied(given, "RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix"),
        "BufferingHints": buffering(given.get("BufferingHints"), size_mb, both=True),
        "CompressionFormat": given.get("CompressionFormat") or "UNCOMPRESSED",
        "EncryptionConfiguration": encryption(given.get("EncryptionConfiguration")),
        "CloudWatchLoggingOptions": logging(given.get("CloudWatchLoggingOptions")),
    }


def extended(given: Json, situation: Situation) -> Json:
    """An extended S3 configuration."""
    converted = conversion(given.get("DataFormatConversionConfiguration"), situation)
    converts, partitions = converted.get("Enabled", False), settings.partitions(given)
    description = {
        **_bucket(given, LARGE_SIZE_MB if converts or partitions else SIZE_MB),
        **copied(given, "FileExtension", "CustomTimeZone"),
        **processing(given, DestinationType.S3),
        **backup(given),
        "DataFormatConversionConfiguration": converted,
        **_partitioning(given),
    }
    check_prefixes(description, partition_names=partition_names(description) if partitions else None)
    if converts:
        _check_converting(description)
    if partitions:
        _check_partitioning(description)
    return description


def backup(given: Json) -> Json:
    """S3BackupMode and S3BackupDescription of S3 and Redshift destinations."""
    mode, configured = given.get("S3BackupMode") or "Disabled", given.get("S3BackupConfiguration")
    if mode == "Enabled" and not configured:
        raise InvalidArgumentException("S3BackupConfiguration must be specified when S3BackupMode is Enabled.")
    return {"S3BackupMode": mode, **({"S3BackupDescription": plain(configured)} if configured else {})}


def _partitioning(given: Json) -> Json:
    configured = given.get("DynamicPartitioningConfiguration")
    if configured is None:
        return {}
    enabled = bool(configured.get("Enabled"))
    duration_s = (configured.get("RetryOptions") or {}).get("DurationInSeconds", settings.PARTITION_RETRY_S)
    said: Json = {"Enabled": enabled}
    if enabled:
        said["RetryOptions"] = {"DurationInSeconds": duration_s}
    return {"DynamicPartitioningConfiguration": said}


def _check_converting(description: Json) -> None:
    if description["BufferingHints"]["SizeInMBs"] < LARGE_SIZE_MIN_MB:
        raise InvalidArgumentException(
            f"BufferingHints.SizeInMBs must be at least {LARGE_SIZE_MIN_MB} when data format conversion is enabled."
        )
    if description["CompressionFormat"] != "UNCOMPRESSED":
        raise InvalidArgumentException(
            "CompressionFormat must be UNCOMPRESSED when data format conversion is enabled: the serializer compresses."
        )


def _check_partitioning(description: Json) -> None:
    hints = description["BufferingHints"]
    if hints["SizeInMBs"] < LARGE_SIZE_MIN_MB:
        raise InvalidArgumentException(
            f"BufferingHints.SizeInMBs must be at least {LARGE_SIZE_MIN_MB} when Dynamic Partitioning is enabled."
        )
    if hints["IntervalInSeconds"] < PARTITIONED_INTERVAL_MIN_S:
        raise InvalidArgumentException(
            f"BufferingHints.IntervalInSeconds must be at least {PARTITIONED_INTERVAL_MIN_S} seconds when Dynamic "
            "Partitioning is enabled."
        )
    kinds = {processor["Type"] for processor in settings.processors(description)}
    if not kinds & {"MetadataExtraction", "Lambda"}:
        raise InvalidArgumentException(
            "Processing Configuration is not enabled when DataPartitioning is enabled: partition keys come from a "
            "MetadataExtraction or a Lambda processor."
        )
