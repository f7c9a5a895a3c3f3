"""Descriptions and writers for conversions, without a catalogue."""

import io
from typing import Any

from apps.delivery.formats import writer_for
from apps.delivery.record import Failed, Record

NOW_MS = 1_800_000_000_000
TABLE = {"databaseName": "d", "tableName": "t", "versionId": "3"}


def converting(
    openx: dict[str, Any] | None = None, hive: dict[str, Any] | None = None, orc: Any = None, parquet: Any = None
) -> dict[str, Any]:
    """An S3 description with a conversion: OpenX to Parquet unless said otherwise."""
    reader = {"HiveJsonSerDe": hive} if hive is not None else {"OpenXJsonSerDe": openx or {}}
    writer = {"OrcSerDe": orc} if orc is not None else {"ParquetSerDe": parquet or {}}
    return {
        "DataFormatConversionConfiguration": {
            "Enabled": True,
            "SchemaConfiguration": {"RoleARN": "arn:aws:iam::1:role/r", "DatabaseName": "d", "TableName": "t"},
            "InputFormatConfiguration": {"Deserializer": reader},
            "OutputFormatConfiguration": {"Serializer": writer},
        }
    }


def records(*data: bytes) -> list[Record]:
    """Records with rising ordinals."""
    return [Record(one, NOW_MS - 5_000, place, sequence_number=f"4{place}") for place, one in enumerate(data)]


def convert(
    columns: list[tuple[str, str]], *data: bytes, description: dict[str, Any] | None = None, pieces: int = 1_000
) -> tuple[bytes, list[Failed]]:
    """The object, and what failed. pieces: how many records are given to the writer at a time."""
    file = io.BytesIO()
    plan = {"columns": [list(column) for column in columns], "table": TABLE}
    writer = writer_for(file, converting() if description is None else description, plan, NOW_MS)
    failed: list[Failed] = []
    given = records(*data)
    for start in range(0, len(given), pieces):
        failed += writer.write(given[start : start + pieces])
    failed += writer.finish()
    assert not file.closed
    return file.getvalue(), failed
