"""Parquet and ORC files out of Arrow's batches, with the options of AWS's serializers.

Batches are kept until there are ROW_GROUP_BYTES of them, and then written as one row group; ORC buffers its stripes
itself. So an object of any size needs the memory of one row group.
"""

from __future__ import annotations

from typing import IO, Any, Protocol

import pyarrow as pa

from apps.base.units import MIB

Json = dict[str, Any]

ROW_GROUP_BYTES = 32 * MIB
"""Of Arrow's arrays, which each object that is being written keeps; a process writes two at a time (objects.py). AWS's
BlockSizeBytes, which bounds a row group from above, is never less than 64 MiB."""

ARRAYS_MAX = 50_000
"""Of batches that are kept: each takes half a kilobyte, however few values it has. A wide table's are put together."""

PARQUET_PAGE_BYTES = MIB
ORC_STRIPE_BYTES = 64 * MIB
ORC_ROW_INDEX_STRIDE = 10_000
ORC_DICTIONARY_THRESHOLD = 0.8
"""Hive's own default, for which AWS's model has none."""
ORC_BLOOM_FALSE_POSITIVES = 0.05
"""AWS's defaults."""


class ColumnarFile(Protocol):
    """A file of one schema."""

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        ...

    def finish(self) -> None:
        """Write the footer; the file below stays open."""
        ...


class ParquetFile:
    """A Parquet file. Times are INT96, as Hive's writer has them, which every engine on AWS reads."""

    def __init__(self, file: IO[bytes], schema: pa.Schema, options: Json) -> None:
        import pyarrow.parquet as pq

        second = options.get("WriterVersion") == "V2"
        compression = options.get("Compression", "SNAPPY")
        self._writer = pq.ParquetWriter(
            pa.PythonFile(file, "w"),
            schema,
            version="2.6" if second else "1.0",
            data_page_version="2.0" if second else "1.0",
            compression="NONE" if compression == "UNCOMPRESSED" else compression,
            use_dictionary=bool(options.get("EnableDictionaryCompression", False)),
            data_page_size=options.get("PageSizeBytes", PARQUET_PAGE_BYTES),
            use_deprecated_int96_timestamps=True,
            store_schema=False,
        )

    def __del__(self) -> None:
        # Given up before its end: pyarrow would write the footer now, into a file that is closed by then.
        if hasattr(self, "_writer"):
            self._writer.is_open = False

    def write(self, table: pa.Table) -> None:
        """Write a row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()


class OrcFile:
    """An ORC file."""

    def __init__(self, file: IO[bytes], schema: pa.Schema, options: Json) -> None:
        from pyarrow import orc

        compression = options.get("Compression", "SNAPPY")
        self._schema = schema
        self._writer = orc.ORCWriter(
            pa.PythonFile(file, "w"),
            file_version=options.get("FormatVersion", "V0_12")[1:].replace("_", "."),
            stripe_size=options.get("StripeSizeBytes", ORC_STRIPE_BYTES),
            compression="uncompressed" if compression == "NONE" else compression.lower(),
            row_index_stride=options.get("RowIndexStride", ORC_ROW_INDEX_STRIDE),
            dictionary_key_size_threshold=options.get("DictionaryKeyThreshold", ORC_DICTIONARY_THRESHOLD),
            bloom_filter_columns=bloom_columns(schema, options),
            bloom_filter_fpp=options.get("BloomFilterFalsePositiveProbability", ORC_BLOOM_FALSE_POSITIVES),
        )
        self._empty = True

    def write(self, table: pa.Table) -> None:
        """Add rows; ORC's writer ends stripes by itself."""
        self._writer.write(table)
        self._empty = False

    def finish(self) -> None:
        """Write the footer."""
        if self._empty:
            self._writer.write(self._schema.empty_table())
        self._writer.close()


def bloom_columns(schema: pa.Schema, options: Json) -> list[int] | None:
    """The columns that have Bloom filters, as ORC numbers types: depth first, from 1. Raises ValueError for one that is
    not in the schema."""
    wanted = options.get("BloomFilterColumns") or []
    numbers, number = {}, 1
    for column in schema:
        numbers[column.name.lower()] = number
        number += _types(column.type)
    for name in wanted:
        if name.lower() not in numbers:
            raise ValueError(f"The schema has no column {name!r}, for which a Bloom filter is asked.")
    return [numbers[name.lower()] for name in wanted] or None


def _types(kind: pa.DataType) -> int:
    """How many types of ORC a type of Arrow is made of, itself included."""
    if pa.types.is_map(kind):
        return 1 + _types(kind.key_type) + _types(kind.item_type)
    return 1 + sum(_types(kind.field(place).type) for place in range(kind.num_fields))


class RowGroups:
    """Collects batches, and writes them as row groups of about one size."""

    def __init__(self, below: ColumnarFile) -> None:
        self._below = below
        self._batches: list[pa.RecordBatch] = []
        self._size_bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._batches.append(batch)
        self._size_bytes += batch.nbytes
        if self._size_bytes >= ROW_GROUP_BYTES:
            self._write()
        elif len(self._batches) * _types(pa.struct(list(batch.schema))) > ARRAYS_MAX and len(self._batches) > 1:
            self._batches = pa.Table.from_batches(self._batches).combine_chunks().to_batches()

    def finish(self) -> None:
        """Write what is left, and the footer."""
        self._write()
        self._below.finish()

    def _write(self) -> None:
        if self._batches:
            self._below.write(pa.Table.from_batches(self._batches))
            self._batches, self._size_bytes = [], 0
