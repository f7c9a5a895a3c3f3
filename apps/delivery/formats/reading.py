"""AWS's InputFormatConfiguration: which deserializer reads the JSON, and how; and what of all it can be refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.delivery.formats.joda import MILLIS, compile_pattern

Json = dict[str, Any]

LATEST = "LATEST"
VERSION = re.compile(r"[0-9]{1,9}")

FORMATS_MAX = 100
MAPPINGS_MAX = 1_000
BLOOM_COLUMNS_MAX = 1_000
"""Bounds of our own: what people write stays far below."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How JSON is read. lenient: OpenX, else Hive. lower: keys are lower-cased before they are looked up. dots: their
    dots become underscores. mappings: JSON key by column. formats: Hive's TimestampFormats."""

    lenient: bool = True
    lower: bool = True
    dots: bool = False
    mappings: Mapping[str, str] = field(default_factory=dict)
    formats: tuple[str, ...] = ()

    def key(self, key: str) -> str:
        """A key as it is looked up."""
        key = key.lower() if self.lower else key
        return key.replace(".", "_") if self.dots else key

    def key_of(self, column: str) -> str:
        """The key that a column is looked up by."""
        mapped = {self.key(name): key for name, key in self.mappings.items()}.get(self.key(column), column)
        return self.key(mapped)


def reading_of(configuration: Json) -> Reading:
    """What a DataFormatConversionConfiguration says of its input. Hive's SerDe finds columns in any case, too."""
    deserializer = configuration["InputFormatConfiguration"]["Deserializer"]
    if deserializer.get("HiveJsonSerDe") is not None:
        return Reading(lenient=False, formats=tuple(deserializer["HiveJsonSerDe"].get("TimestampFormats") or ()))
    options = deserializer.get("OpenXJsonSerDe") or {}
    return Reading(
        lower=options.get("CaseInsensitive", True),
        dots=options.get("ConvertDotsInJsonKeysToUnderscores", False),
        mappings=options.get("ColumnToJsonKeyMappings") or {},
    )


def check_conversion(configuration: Json) -> None:
    """Raise ValueError if a DataFormatConversionConfiguration cannot be carried out; the text says why.

    What is missing is only asked for when the conversion is enabled. Options are checked either way: they are kept, and
    may be enabled later.
    """
    enabled = configuration.get("Enabled", True)
    _check_schema(configuration.get("SchemaConfiguration"), enabled)
    _check_input(configuration.get("InputFormatConfiguration"), enabled)
    _check_output(configuration.get("OutputFormatConfiguration"), enabled)


def _missing(name: str) -> ValueError:
    return ValueError(f"{name} must be specified when data format conversion is enabled.")


def _check_schema(schema: Json | None, enabled: bool) -> None:
    if schema is None:
        if enabled:
            raise _missing("SchemaConfiguration")
        return
    for name in ("RoleARN", "DatabaseName", "TableName"):
        if enabled and not schema.get(name):
            raise _missing(f"SchemaConfiguration.{name}")
    version = schema.get("VersionId", LATEST)
    if version != LATEST and not VERSION.fullmatch(version):
        raise ValueError(f"SchemaConfiguration.VersionId must be {LATEST} or the number of a version.")


def _one_of(given: Json | None, enabled: bool, where: str, names: tuple[str, str]) -> str:
    """Which of two members is there; "" if none may be."""
    chosen = [name for name in names if (given or {}).get(name) is not None]
    if len(chosen) > 1:
        raise ValueError(f"{where} must have only one of {names[0]} and {names[1]}.")
    if not chosen and enabled:
        raise _missing(f"One of {names[0]} and {names[1]} in {where}")
    return chosen[0] if chosen else ""


def _check_input(given: Json | None, enabled: bool) -> None:
    deserializer = (given or {}).get("Deserializer")
    where = "InputFormatConfiguration.Deserializer"
    name = _one_of(deserializer, enabled, where, ("OpenXJsonSerDe", "HiveJsonSerDe"))
    options = (deserializer or {}).get(name) or {}
    formats = options.get("TimestampFormats") or []
    if len(formats) > FORMATS_MAX:
        raise ValueError(f"TimestampFormats must have at most {FORMATS_MAX} formats.")
    for pattern in formats:
        if pattern != MILLIS:
            compile_pattern(pattern)
    if len(options.get("ColumnToJsonKeyMappings") or ()) > MAPPINGS_MAX:
        raise ValueError(f"ColumnToJsonKeyMappings must have at most {MAPPINGS_MAX} columns.")


def _check_output(given: Json | None, enabled: bool) -> None:
    serializer = (given or {}).get("Serializer")
    where = "OutputFormatConfiguration.Serializer"
    name = _one_of(serializer, enabled, where, ("ParquetSerDe", "OrcSerDe"))
    options = (serializer or {}).get(name) or {}
    if options.get("MaxPaddingBytes"):
        raise ValueError("ParquetSerDe.MaxPaddingBytes other than 0 is not supported: row groups are not padded.")
    if options.get("EnablePadding"):
        raise ValueError("OrcSerDe.EnablePadding is not supported: stripes are not padded.")
    if len(options.get("BloomFilterColumns") or ()) > BLOOM_COLUMNS_MAX:
        raise ValueError(f"OrcSerDe.BloomFilterColumns must have at most {BLOOM_COLUMNS_MAX} columns.")
    probability = options.get("BloomFilterFalsePositiveProbability")
    if options.get("BloomFilterColumns") and probability is not None and not 0 < probability < 1:
        raise ValueError("OrcSerDe.BloomFilterFalsePositiveProbability must be between 0 and 1, both excluded.")
