"""DataFormatConversionConfiguration: JSON to Parquet or ORC, with a schema from a table of the catalogue."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.common import Situation
from apps.delivery.errors import InvalidArgumentException

Json = dict[str, Any]

NEEDED = ("SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration")
SCHEMA_NEEDED = ("RoleARN", "DatabaseName", "TableName")

PARQUET: Json = {
    "BlockSizeBytes": 268_435_456,
    "PageSizeBytes": 1_048_576,
    "Compression": "SNAPPY",
    "EnableDictionaryCompression": False,
    "MaxPaddingBytes": 0,
    "WriterVersion": "V1",
}
ORC: Json = {
    "StripeSizeBytes": 67_108_864,
    "BlockSizeBytes": 268_435_456,
    "RowIndexStride": 10_000,
    "EnablePadding": False,
    "PaddingTolerance": 0.05,
    "Compression": "SNAPPY",
    "BloomFilterFalsePositiveProbability": 0.05,
    "DictionaryKeyThreshold": 0.0,
    "FormatVersion": "V0_12",
}
"""AWS's defaults, by the model's own texts."""


def conversion(given: Json | None, situation: Situation) -> Json:
    """The configuration as it is stored; switched off if none is given."""
    if given is None:
        return {"Enabled": False}
    enabled = given.get("Enabled", True)
    for name in NEEDED if enabled else ():
        if not given.get(name):
            raise InvalidArgumentException(f"{name} is required when data format conversion is enabled.")
    said: Json = {"Enabled": enabled}
    if given.get("SchemaConfiguration"):
        said["SchemaConfiguration"] = _schema(given["SchemaConfiguration"], situation, enabled=enabled)
    if given.get("InputFormatConfiguration"):
        said["InputFormatConfiguration"] = _one_of(given, "InputFormatConfiguration", "Deserializer", _deserializer)
    if given.get("OutputFormatConfiguration"):
        said["OutputFormatConfiguration"] = _one_of(given, "OutputFormatConfiguration", "Serializer", _serializer)
    return said


def _schema(given: Json, situation: Situation, *, enabled: bool) -> Json:
    for name in SCHEMA_NEEDED if enabled else ():
        if not given.get(name):
            raise InvalidArgumentException(f"SchemaConfiguration.{name} is required.")
    defaults = {"CatalogId": situation.account_id, "Region": situation.region, "VersionId": "LATEST"}
    if given.get("CatalogId", situation.account_id) != situation.account_id:
        raise InvalidArgumentException("SchemaConfiguration.CatalogId: only the account's own catalog is supported.")
    return {**defaults, **given}


def _one_of(given: Json, outer: str, inner: str, filled: Any) -> Json:
    choices = given[outer].get(inner) or {}
    if len(choices) != 1:
        raise InvalidArgumentException(f"{outer}.{inner} must have exactly one member.")
    [(name, options)] = choices.items()
    return {inner: {name: filled(name, options)}}


def _deserializer(name: str, options: Json) -> Json:
    if name == "OpenXJsonSerDe":
        return {"CaseInsensitive": True, "ConvertDotsInJsonKeysToUnderscores": False, **options}
    return options


def _serializer(name: str, options: Json) -> Json:
    return {**(PARQUET if name == "ParquetSerDe" else ORC), **options}
