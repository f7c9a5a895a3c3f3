"""Iceberg tables in the catalogue: where their newest metadata is, and the one way to move it.

A table's row has AWS's parameters `table_type` (ICEBERG) and `metadata_location`. A commit changes the location only if it
still is the one that the writer began with: a single conditional statement on the row's VersionId.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from apps.catalogue.models import Database, Table, TableVersion

METADATA_LOCATION = "metadata_location"
PREVIOUS_LOCATION = "previous_metadata_location"
TABLE_TYPE = "table_type"
ICEBERG = "ICEBERG"

Json = dict[str, Any]


class NoIcebergTable(Exception):
    """There is no such table, or it is another kind of table; the text says which."""


def metadata_location(team_id: int, database: str, table: str) -> str:
    """Where the table's newest metadata is. Raises NoIcebergTable."""
    row = _find(team_id, database, table)
    if row is None:
        raise NoIcebergTable("the catalog has no such table")
    said = row.definition.get("Parameters") or {}
    location = said.get(METADATA_LOCATION)
    if not location or str(said.get(TABLE_TYPE, "")).upper() != ICEBERG:
        raise NoIcebergTable("it is not an Iceberg table")
    return str(location)


def swap_metadata(team_id: int, database: str, table: str, before: str, after: str, now_ms: int) -> bool:
    """Move the table from one metadata file to the next, as a version of its own; False if it was elsewhere by then."""
    row = _find(team_id, database, table)
    if row is None or (row.definition.get("Parameters") or {}).get(METADATA_LOCATION) != before:
        return False
    parameters = {**row.definition["Parameters"], METADATA_LOCATION: after, PREVIOUS_LOCATION: before}
    definition = {**row.definition, "Parameters": parameters}
    with transaction.atomic():
        rows = Table.objects.filter(pk=row.pk, version_id=row.version_id)
        if not rows.update(definition=definition, version_id=row.version_id + 1, updated_at_ms=now_ms):
            return False
        TableVersion.objects.create(
            table_id=row.pk, version_id=row.version_id + 1, definition=definition, created_at_ms=now_ms
        )
        TableVersion.objects.filter(table_id=row.pk, version_id__lte=row.version_id + 1 - VERSIONS_KEPT).delete()
    return True


VERSIONS_KEPT = 100
"""Of an Iceberg table, whose every commit is one; its own metadata keeps its history."""


def add_table(
    team_id: int, database: str, table: str, location: str, columns: list[Json], table_location: str, now_ms: int
) -> bool:
    """A new table in a database, which is made too if need be; False if there is one of that name. columns: AWS's."""
    definition = {
        "Name": table,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": {"Columns": columns, "Location": table_location},
        "Parameters": {TABLE_TYPE: ICEBERG, METADATA_LOCATION: location},
    }
    try:
        with transaction.atomic():
            found, _ = Database.objects.get_or_create(
                team_id=team_id, name=database, defaults={"created_at_ms": now_ms, "definition": {}}
            )
            row = Table.objects.create(
                database=found, name=table, definition=definition, created_at_ms=now_ms, updated_at_ms=now_ms
            )
            TableVersion.objects.create(table=row, version_id=0, definition=definition, created_at_ms=now_ms)
    except IntegrityError:
        return False
    return True


def _find(team_id: int, database: str, table: str) -> Table | None:
    """By name, which the catalogue keeps in lower case, as AWS's does."""
    rows = Table.objects.filter(database__team_id=team_id, database__name=database.lower(), name=table.lower())
    return rows.first()
