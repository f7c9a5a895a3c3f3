"""Which partition of an Iceberg table a row belongs to, by the table's own partitioning.

pyiceberg computes this over Arrow columns, for some transforms only with a further compiled library; here each value goes
through the transform's own function, which pyiceberg has for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyiceberg.partitioning import PartitionField, PartitionSpec, partition_record_value
from pyiceberg.schema import Schema
from pyiceberg.typedef import Record
from pyiceberg.types import NestedField, StructType

Row = list[Any]


class Key:
    """A partition, in the place of pyiceberg's PartitionKey, which wants to compute it again."""

    def __init__(self, values: tuple[Any, ...], spec: PartitionSpec, schema: Schema) -> None:
        self.partition = Record(*values)
        self._spec, self._schema = spec, schema

    def to_path(self) -> str:
        """As folders: `at_hour=2026-07-13-14/customer=7`."""
        return self._spec.partition_to_path(self.partition, self._schema)


class Partitions:
    """Puts rows with their neighbours."""

    def __init__(self, spec: PartitionSpec, schema: Schema) -> None:
        self._spec, self._schema = spec, schema
        self._values = [_value_of(field, schema) for field in spec.fields]

    def apart(self, rows: list[Row]) -> dict[tuple[Any, ...], list[Row]]:
        """The rows by their partition, each partition's in order."""
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            found.setdefault(tuple(value(row) for value in self._values), []).append(row)
        return found

    def key(self, values: tuple[Any, ...]) -> Key:
        """The partition with these values."""
        return Key(values, self._spec, self._schema)


def _value_of(field: PartitionField, schema: Schema) -> Callable[[Row], Any]:
    source = schema.find_field(field.source_id)
    path = _path(schema.fields, field.source_id)
    transform = field.transform.transform(source.field_type)

    def value(row: Row) -> Any:
        found: Any = row[path[0]]
        for name in path[1:]:
            found = None if found is None else found[name]
        if found is None:
            return None
        return transform(partition_record_value(field, found, schema))

    return value


def _path(fields: Sequence[NestedField], source_id: int) -> list[Any]:
    """Where a field is: the place of its column, then the names inside of structs."""
    for place, field in enumerate(fields):
        if field.field_id == source_id:
            return [place]
        if isinstance(field.field_type, StructType):
            inside = _path(field.field_type.fields, source_id)
            if inside:
                return [place, *_names(field.field_type, inside)]
    return []


def _names(kind: StructType, path: list[Any]) -> list[str]:
    return [kind.fields[path[0]].name, *path[1:]]
