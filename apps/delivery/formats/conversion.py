"""JSON to Parquet or ORC: the writer of a converted object.

Memory stays bounded whatever the buffer is: records are decoded a megabyte at a time, by two threads of a process at
most, and what is decoded goes to Arrow at once.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from typing import IO, Any

import pyarrow as pa

from apps.base.units import MIB
from apps.delivery.formats.columnar import OrcFile, ParquetFile, RowGroups
from apps.delivery.formats.columns import Bad, StructColumn, TooMany
from apps.delivery.formats.hive_types import holds_decimals, parse, size_of
from apps.delivery.formats.reading import reading_of
from apps.delivery.formats.rows import NotJson, NotObjects, Row, decoder
from apps.delivery.record import Failed, Record

Json = dict[str, Any]

ERROR_TYPE = "format-conversion-failed"
PARSE_ERROR = "DataFormatConversion.ParseError"
MALFORMED = "DataFormatConversion.MalformedData"
TOO_MANY = (
    "Data does not match the schema. The record has too many values for one record, counting those that are null."
)

CHUNK_BYTES = MIB
"""Of records' data that are decoded at a time; as Python's objects they take about ten times as much."""

CELLS_MAX = 1_000_000
"""Rows times columns that are built at a time: tiny rows of a wide table take memory, too. columns.CELLS_MAX counts what
structs and arrays add, and is the most that one record may have, which succeeds or fails as a whole."""

DECODING = threading.BoundedSemaphore(2)
"""How many chunks are Python's objects at a time in one process. More threads would wait for the interpreter anyway."""


class ConvertingWriter:
    """A Writer (interface.py) of converted records. See the module's docstring.

    records: how many are in the object so far; an object of none is better not stored.
    """

    content_encoding = ""

    def __init__(self, file: IO[bytes], description: Json, plan: Json, now_ms: int) -> None:
        pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps half as much again for later, per thread
        configured = description["DataFormatConversionConfiguration"]
        columns = [(name, parse(kind)) for name, kind in plan["columns"]]
        self._struct = StructColumn(columns, "", reading_of(configured))
        self._schema = pa.schema(list(self._struct.type))
        self._decode = decoder(any(holds_decimals(kind) for _, kind in columns))
        serializer = configured["OutputFormatConfiguration"]["Serializer"]
        if serializer.get("OrcSerDe") is not None:
            extension = ".orc"
            self._groups = RowGroups(OrcFile(file, self._schema, serializer["OrcSerDe"]))
        else:
            extension = ".parquet"
            self._groups = RowGroups(ParquetFile(file, self._schema, serializer.get("ParquetSerDe") or {}))
        self.extension = description.get("FileExtension") or extension
        self.records = 0
        self._plan, self._now_ms = plan, now_ms
        self._records_max = max(1, CELLS_MAX // sum(size_of(kind) for _, kind in columns))
        self._waiting: list[Record] = []
        self._size_bytes = 0

    def write(self, records: list[Record]) -> list[Failed]:
        """Add records. Answers those of a chunk that is complete, a few records later than they came."""
        failed: list[Failed] = []
        for record in records:
            self._waiting.append(record)
            self._size_bytes += len(record.data)
            if self._size_bytes >= CHUNK_BYTES or len(self._waiting) >= self._records_max:
                failed += self._convert()
        return failed

    def finish(self) -> list[Failed]:
        """Convert what is left, and write the footer."""
        failed = self._convert()
        self._groups.finish()
        pa.default_memory_pool().release_unused()
        return failed

    def _convert(self) -> list[Failed]:
        """Convert the records that wait, as many at a time as have CELLS_MAX."""
        waiting, self._waiting, self._size_bytes = self._waiting, [], 0
        failed: dict[int, tuple[str, str]] = {}
        with DECODING:
            rows: list[Row] = []
            owners: list[int] = []
            for place, record in enumerate(waiting):
                try:
                    found = self._decode(record.data)
                except NotJson as error:
                    failed[place] = (PARSE_ERROR, f"Encountered malformed JSON. {error}")
                except NotObjects as error:
                    failed[place] = (MALFORMED, f"Data does not match the schema. {error}")
                else:
                    rows += found
                    owners += [place] * len(found)
                    if len(rows) >= self._records_max:
                        failed |= self._build(rows, owners)
                        rows, owners = [], []
            failed |= self._build(rows, owners)
        self.records += len(waiting) - len(failed)
        return [self._failed(waiting[place], *failed[place]) for place in sorted(failed)]

    def _build(self, rows: list[Row], owners: list[int]) -> dict[int, tuple[str, str]]:
        """Rows to batches, fewer of them at a time until each has room in memory."""
        if not rows:
            return {}
        try:
            return self._built(rows, owners)
        except TooMany:
            if owners[0] == owners[-1]:
                return {owners[0]: (MALFORMED, TOO_MANY)}
        at = bisect_left(owners, owners[len(owners) // 2]) or bisect_right(owners, owners[0])
        return self._build(rows[:at], owners[:at]) | self._build(rows[at:], owners[at:])

    def _built(self, rows: list[Row], owners: list[int]) -> dict[int, tuple[str, str]]:
        """Rows to a batch without those of records that have one that does not fit. Raises TooMany."""
        bad = Bad()
        arrays = self._struct.fields(rows, owners, bad)
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if bad:
            batch = batch.filter(pa.array([owner not in bad for owner in owners], pa.bool_()))
        if batch.num_rows:
            self._groups.add(batch)
        return {owner: (MALFORMED, f"Data does not match the schema. {why}.") for owner, why in bad.items()}

    def _failed(self, record: Record, code: str, message: str) -> Failed:
        # AWS's guides name the code and the message with and without `last`; readers of either find theirs.
        extra = {
            "lastErrorCode": code,
            "lastErrorMessage": message,
            "dataCatalogTable": self._plan.get("table", {}),
        }
        return Failed(record, ERROR_TYPE, code, message, 1, self._now_ms, extra=extra)
