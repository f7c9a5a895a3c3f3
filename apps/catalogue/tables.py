"""The catalogue for the rest of Tidegate: what a table's columns are, which tables there are, and Iceberg's commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.catalogue.errors import ConcurrentModificationException, database_missing, table_missing, version_missing
from apps.catalogue.models import Database, Table, TableVersion

Json = dict[str, Any]

LATEST = "LATEST"
METADATA_LOCATION = "metadata_location"
PREVIOUS_LOCATION = "previous_metadata_location"
"""Parameters of an Iceberg table, by the names that all of its clients use."""

CHANGED = "Update table failed due to concurrent modifications."
"""AWS's text."""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table under one version. columns and partition_keys: name and Hive type, as they were given."""

    database: str
    name: str
    version_id: int
    columns: tuple[tuple[str, str], ...]
    partition_keys: tuple[tuple[str, str], ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    location: str = ""
    table_type: str = ""


def schema_of(team_id: int, database: str, table: str, version: str = LATEST) -> TableSchema:
    """A table of a team, under its newest version or the one that is named. Always as of now: one query.

    Raises EntityNotFoundException with AWS's text if the database, the table or the version is not there.
    """
    found = find(team_id, database, table)
    if version in {"", LATEST}:
        return _schema(found, found.version_id, found.definition)
    row = found.versions.filter(version_id=int(version)).first() if version.isdigit() and len(version) < 10 else None
    if row is None:
        raise version_missing(version)
    return _schema(found, row.version_id, row.definition)


def find(team_id: int, database: str, table: str) -> Table:
    """The row of a table, with its database's. Raises EntityNotFoundException."""
    rows = Table.objects.select_related("database")
    found = rows.filter(database__team_id=team_id, database__name=database.lower(), name=table.lower()).first()
    if found is None:
        find_database(team_id, database)
        raise table_missing(table)
    return found


def find_database(team_id: int, name: str) -> Database:
    """The row of a database. Raises EntityNotFoundException."""
    found = Database.objects.filter(team_id=team_id, name=name.lower()).first()
    if found is None:
        raise database_missing(name)
    return found


def change(table: Table, definition: Json, now_ms: int, *, expected: int, keep_old: bool) -> Table:
    """Give a table another definition and the next version, if it still has the expected one: one conditional UPDATE.

    keep_old: whether the version before stays among the table's versions. Raises ConcurrentModificationException.
    """
    after = expected + 1
    with transaction.atomic():
        rows = Table.objects.filter(pk=table.pk, version_id=expected)
        if not rows.update(definition=definition, version_id=after, updated_at_ms=now_ms):
            raise ConcurrentModificationException(CHANGED)
        if not keep_old:
            TableVersion.objects.filter(table=table, version_id=expected).delete()
        TableVersion.objects.create(table=table, version_id=after, definition=definition, created_at_ms=now_ms)
    table.definition, table.version_id, table.updated_at_ms = definition, after, now_ms
    return table


def swap_metadata(
    team_id: int, database: str, table: str, expected_location: str, new_location: str, now_ms: int
) -> TableSchema:
    """The commit of an Iceberg table: its metadata_location from the expected one to a new one, at once or not at all.

    No old version is kept, as Iceberg keeps its own. Raises ConcurrentModificationException if the location is not (or
    no more) the expected one, EntityNotFoundException.
    """
    found = find(team_id, database, table)
    parameters = found.definition.get("Parameters") or {}
    if parameters.get(METADATA_LOCATION, "") != expected_location:
        raise ConcurrentModificationException(CHANGED)
    moved = {**parameters, METADATA_LOCATION: new_location, PREVIOUS_LOCATION: expected_location}
    definition = {**found.definition, "Parameters": moved}
    changed = change(found, definition, now_ms, expected=found.version_id, keep_old=False)
    return _schema(changed, changed.version_id, definition)


def _schema(table: Table, version_id: int, definition: Json) -> TableSchema:
    storage = definition.get("StorageDescriptor") or {}
    return TableSchema(
        table.database.name,
        table.name,
        version_id,
        columns=_columns(storage.get("Columns")),
        partition_keys=_columns(definition.get("PartitionKeys")),
        parameters=definition.get("Parameters") or {},
        location=storage.get("Location", ""),
        table_type=definition.get("TableType", ""),
    )


def _columns(given: list[Json] | None) -> tuple[tuple[str, str], ...]:
    return tuple((column["Name"], column.get("Type", "")) for column in given or ())
