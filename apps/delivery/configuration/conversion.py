"""DataFormatConversionConfiguration: JSON to Parquet or ORC, with a schema from a table of the catalogue."""

from __future__ import annotations

from typing import Any

from apps.delivery.configuration.members import Situation, check
from apps.delivery.errors import InvalidArgumentException
from apps.delivery.formats.reading import check_conversion

Json = dict[str, Any]

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
    "FormatVersion": "V0_12",
}
OPEN_X: Json = {"CaseInsensitive": True, "ConvertDotsInJsonKeysToUnderscores": False}
"""AWS's defaults, by the model's own texts."""

DEFAULTS = {"ParquetSerDe": PARQUET, "OrcSerDe": ORC, "OpenXJsonSerDe": OPEN_X, "HiveJsonSerDe": {}}


def conversion(given: Json | None, situation: Situation) -> Json:
    """The configuration as it is stored; switched off if none is given."""
    if given is None:
        return {"Enabled": False}
    check(check_conversion, given)
    said: Json = {"Enabled": given.get("Enabled", True)}
    schema = given.get("SchemaConfiguration")
    if schema is not None:
        if schema.get("CatalogId", situation.account_id) != situation.account_id:
            raise InvalidArgumentException("SchemaConfiguration.CatalogId must be the account's own catalog.")
        if schema.get("Region", situation.region) != situation.region:
            raise InvalidArgumentException(f"SchemaConfiguration.Region must be {situation.region}.")
        defaults = {"CatalogId": situation.account_id, "Region": situation.region, "VersionId": "LATEST"}
        said["SchemaConfiguration"] = {**defaults, **schema}
    for outer, inner in (("InputFormatConfiguration", "Deserializer"), ("OutputFormatConfiguration", "Serializer")):
        if given.get(outer) is not None:
            said[outer] = {inner: _filled((given[outer].get(inner)) or {})}
    return said


def _filled(chosen: Json) -> Json:
    return {name: {**DEFAULTS[name], **options} for name, options in chosen.items() if options is not None}
