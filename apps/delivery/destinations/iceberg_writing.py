"""Rows of one batch for one Iceberg table: into data files, then into one snapshot that names the batch.

A repeat finds the batch's name in the snapshots of the table and commits nothing twice. Files are named after the batch,
the table's schema and its partitioning, so a repeat writes the same files again and leaves none behind.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from pyiceberg.io.fileformat import FileFormatFactory, FileFormatWriter
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import sanitize_column_names
from pyiceberg.table import TableProperties
from pyiceberg.typedef import Record as Values
from pyiceberg.utils.properties import property_as_bool

from apps.delivery.destinations.iceberg_partitions import Key, Partitions
from apps.delivery.destinations.iceberg_rows import BadRow, Rows, table_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.partitioning import PartitionKey
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from apps.delivery.record import Record

BATCH: Final = "tidegate.batch"
"""In a snapshot's summary: which batch it brought."""

OPEN_MAX: Final = 64
"""Files that are written at the same time, each for a partition; more are closed, and further ones begun."""

_NAMESPACE: Final = uuid.UUID("6f0b8b0e-6a54-5a1c-9b51-1f6d6d1c7e11")


def committed(table: Table, batch: str) -> Snapshot | None:
    """The snapshot that brought the batch, if there is one."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.get(BATCH) == batch:
            return snapshot
    return None


class TableFiles:
    """The data files of a batch for one table, while they are written. rows and size_bytes: of the records taken; the
    argument rows takes them apart."""

    def __init__(self, table: Table, batch: str, rows: Rows) -> None:
        self.table, self.rows, self.size_bytes = table, 0, 0
        self._schema = sanitize_column_names(table.schema())
        self._arrow = schema_to_pyarrow(self._schema, include_field_ids=True)
        self._rows = rows
        self._spec = table.spec()
        self._partitions = Partitions(self._spec, table.schema())
        made_of = f"{table.metadata.table_uuid}/{batch}/{table.schema().schema_id}/{self._spec.spec_id}"
        self._name = uuid.uuid5(_NAMESPACE, made_of)
        self._open: dict[Any, _File] = {}
        self._begun = 0
        self._finished: list[DataFile] = []

    def write(self, records: list[Record]) -> None:
        """Add those of the records that are rows of the table."""
        rows: list[list[Any]] = []
        for record in records:
            try:
                rows.append(self._rows.row(record.data))
            except BadRow:
                continue
            self.size_bytes += len(record.data)
        if not rows:
            return
        self.rows += len(rows)
        for values, some in self._partitions.apart(rows).items():
            self._write_to(values, table_of(some, self._arrow))

    def finish(self) -> list[DataFile]:
        """Close the files, in the order they were begun; what a snapshot needs to know of them."""
        self._close_all()
        return self._finished

    def abandon(self) -> None:
        """Write nothing of what is still open."""
        for file in self._open.values():
            file.abandon()
        self._open = {}

    def _write_to(self, values: tuple[Any, ...], table: pa.Table) -> None:
        file = self._open.get(values)
        if file is None:
            if len(self._open) >= OPEN_MAX:
                self._close_all()
            file = self._open[values] = self._begin(self._partitions.key(values) if values else None)
        file.writer.write(table)

    def _begin(self, key: Key | None) -> _File:
        file_name = f"{self._begun:05d}-{self._name}.parquet"
        self._begun += 1
        path = self.table.location_provider().new_data_location(file_name, cast("PartitionKey | None", key))
        output = self.table.io.new_output(path)
        properties = self.table.metadata.properties
        writer = FileFormatFactory.get(FileFormat.PARQUET).create_writer(output, self._schema, properties)
        return _File(path, output, writer, key)

    def _close_all(self) -> None:
        for file in self._open.values():
            self._finished.append(file.close(self.table.metadata.default_spec_id))
        self._open = {}


class _File:
    """One data file while it is written."""

    def __init__(self, path: str, output: Any, writer: FileFormatWriter, key: Key | None) -> None:
        self.writer = writer
        self._path, self._output, self._key = path, output, key

    def close(self, spec_id: int) -> DataFile:
        statistics = self.writer.close()
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self._path,
            file_format=FileFormat.PARQUET,
            partition=self._key.partition if self._key else Values(),
            file_size_in_bytes=len(self._output),
            sort_order_id=None,
            spec_id=spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )

    def abandon(self) -> None:
        stream = getattr(self.writer, "_fos", None)
        if stream is not None:
            stream.abandon()


def commit(table: Table, files: list[DataFile], batch: str) -> None:
    """One snapshot with these files, which names the batch. Raises iceberg_catalogue.Raced."""
    with table.transaction() as transaction:
        update = transaction.update_snapshot(snapshot_properties={BATCH: batch})
        merges = property_as_bool(
            table.metadata.properties,
            TableProperties.MANIFEST_MERGE_ENABLED,
            TableProperties.MANIFEST_MERGE_ENABLED_DEFAULT,
        )
        with update.merge_append() if merges else update.fast_append() as append:
            for file in files:
                append.append_data_file(file)
