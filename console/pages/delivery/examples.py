"""What the prefixes of a configuration become: keys as the engine will name them, for the moment and made-up partition keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apps.delivery import prefixes, settings
from apps.delivery.configuration.processing import partition_names
from apps.delivery.java_time import zone_of
from apps.delivery.prefixes import Moment
from console.pages.delivery.described import bucket_of

Json = dict[str, Any]

EXAMPLE_VALUE: Final = "example"
EXTENSIONS: Final = {"GZIP": ".gz", "ZIP": ".zip", "Snappy": ".snappy", "HADOOP_SNAPPY": ".snappy"}
ERROR_TYPE: Final = "processing-failed"


@dataclass(frozen=True, slots=True)
class Example:
    """Where an object goes; problem: why none could."""

    address: str = ""
    problem: str = ""


def delivered(description: Json, name: str, now_ms: int) -> Example:
    """An object with records, now. description: an S3 configuration."""
    try:
        moment = _moment(description, now_ms)
        key = prefixes.object_prefix(description, moment) + prefixes.object_name(name or "name", 1, moment)
    except ValueError as error:
        return Example(problem=str(error))
    return Example(f"s3://{bucket_of(description.get('BucketARN', ''))}/{key}{extension(description)}")


def failed(description: Json, name: str, now_ms: int) -> Example:
    """An object with failed records, now."""
    try:
        moment = _moment(description, now_ms, ERROR_TYPE)
        key = prefixes.error_prefix(description, moment) + prefixes.object_name(name or "name", 1, moment)
    except ValueError as error:
        return Example(problem=str(error))
    return Example(f"s3://{bucket_of(description.get('BucketARN', ''))}/{key}")


def extension(description: Json) -> str:
    """At the end of the key."""
    if description.get("FileExtension"):
        return str(description["FileExtension"])
    if settings.converts(description):
        output = description["DataFormatConversionConfiguration"].get("OutputFormatConfiguration") or {}
        return ".orc" if "OrcSerDe" in (output.get("Serializer") or {}) else ".parquet"
    return EXTENSIONS.get(description.get("CompressionFormat", ""), "")


def _moment(description: Json, now_ms: int, error_type: str = "") -> Moment:
    names = partition_names(description) if settings.partitions(description) else {}
    known = {name for found in names.values() for name in found}
    known |= {
        expression.partition(":")[2]
        for expression in prefixes.expressions(description.get("Prefix") or "")
        if expression.startswith((prefixes.FROM_QUERY, prefixes.FROM_LAMBDA)) and names
    }
    zone = description.get("CustomTimeZone") or ""
    zone_of(zone)
    return Moment(now_ms, zone, "example", dict.fromkeys(known, EXAMPLE_VALUE) or None, error_type)
