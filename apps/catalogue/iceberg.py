"""Iceberg tables in the catalogue: where their newest metadata is, and the one way to move it.

A table's row has the parameters `table_type` (ICEBERG) and `metadata_location`, as with AWS.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from apps.catalogue import tables
from apps.catalogue.errors import ConcurrentModificationException, EntityNotFoundException
from apps.catalogue.models import Database, Table, TableVersion

TABLE_TYPE = "table_type"
ICEBERG = "ICEBERG"

Json = dict[str, Any]


class NoIcebergTable(Exception):
    """There is no such table, or it is another kind of table; the text says which."""


def metadata_location(team_id: int, database: str, table: str) -> str:
    """Where the table's newest metadata is. Raises NoIcebergTable."""
    try:
        said = tables.schema_of(team_id, database, table).parameters
    except EntityNotFoundException as error:
        raise NoIcebergTable(f"the catalog does not have it ({error.message})") from error
    location = said.get(tables.METADATA_LOCATION)
    if not location or str(said.get(TABLE_TYPE, "")).upper() != ICEBERG:
        raise NoIcebergTable("it is not an Iceberg table")
    return location


def swap_metadata(team_id: int, database: str, table: str, before: str, after: str, now_ms: int) -> bool:
    """Move the table from one metadata file to the next; False if it was elsewhere by then, or is gone."""
    try:
        tables.swap_metadata(team_id, database, table, before, after, now_ms)
    except (ConcurrentModificationException, EntityNotFoundException):
        return False
    return True


def add_table(
    team_id: int, database: str, table: str, location: str, columns: list[Json], table_location: str, now_ms: int
) -> bool:
    """A new table in a database, which is made too if need be; False if there is one of that name. columns: AWS's."""
    definition = {
        "Name": table,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": {"Columns": columns, "Location": table_location},
        "Parameters": {TABLE_TYPE: ICEBERG, tables.METADATA_LOCATION: location},
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
