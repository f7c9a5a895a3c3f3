"""The rows of a team's tables in apps/catalogue, for iceberg_catalogue.py; and what pyiceberg's failures are to AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from pyiceberg.exceptions import NoSuchTableError, TableAlreadyExistsError

from apps.catalogue import iceberg
from apps.delivery.destinations.iceberg_catalogue import Raced, TeamCatalogue
from apps.delivery.destinations.iceberg_files import S3Files
from apps.delivery.destinations.iceberg_objects import S3Objects
from apps.delivery.destinations.interface import DeliveryFailed, Target

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.types import IcebergType

    from apps.runtime import Runtime

log = structlog.get_logger(__name__)

Json = dict[str, Any]


class TeamShelf:
    """`iceberg_catalogue.Shelf` of one team."""

    def __init__(self, runtime: Runtime, team_id: int) -> None:
        self._runtime = runtime
        self._team_id = team_id

    def location(self, database: str, table: str) -> str:
        """Where the table's newest metadata is. Raises NoSuchTableError."""
        try:
            return iceberg.metadata_location(self._team_id, database, table)
        except iceberg.NoIcebergTable as error:
            raise NoSuchTableError(str(error)) from error

    def swap(self, database: str, table: str, before: str, after: str) -> bool:
        """Change it, if it still is `before`."""
        return iceberg.swap_metadata(self._team_id, database, table, before, after, self._runtime.clock.now_ms())

    def add(self, database: str, table: str, location: str, schema: Schema, table_location: str) -> None:
        """A new table. Raises TableAlreadyExistsError."""
        columns = columns_of(schema)
        now_ms = self._runtime.clock.now_ms()
        if not iceberg.add_table(self._team_id, database, table, location, columns, table_location, now_ms):
            raise TableAlreadyExistsError(f"{database}.{table} exists already")


def columns_of(schema: Schema) -> list[Json]:
    """The columns as a catalogue tells them: names and Hive's types."""
    return [{"Name": field.name, "Type": _hive_type(field.field_type)} for field in schema.fields]


def _hive_type(kind: IcebergType) -> str:
    from pyiceberg import types

    match kind:
        case types.StructType():
            return f"struct<{','.join(f'{one.name}:{_hive_type(one.field_type)}' for one in kind.fields)}>"
        case types.ListType():
            return f"array<{_hive_type(kind.element_type)}>"
        case types.MapType():
            return f"map<{_hive_type(kind.key_type)},{_hive_type(kind.value_type)}>"
        case types.DecimalType():
            return f"decimal({kind.precision},{kind.scale})"
    return HIVE_TYPES.get(str(kind), "string" if not isinstance(kind, types.FixedType) else "binary")


HIVE_TYPES = {
    "boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double", "date": "date",
    "timestamp": "timestamp", "timestamptz": "timestamp", "binary": "binary",
}  # fmt: skip
"""By Iceberg's names; all others are string there."""


def catalogue_for(runtime: Runtime, target: Target) -> TeamCatalogue:
    """The catalogue of the target's team, with its files in the S3 of the target."""
    files = S3Files(S3Objects(runtime, target), runtime.config.data_path)
    return TeamCatalogue(TeamShelf(runtime, target.team_id), files)


@contextmanager
def told() -> Iterator[None]:
    """What pyiceberg raises inside the block, as a delivery's failure. Raises DeliveryFailed, and lets pass what the caller
    has an answer for."""
    try:
        yield
    except (DeliveryFailed, NoSuchTableError, Raced):
        raise
    except FileNotFoundError as error:
        raise DeliveryFailed("Iceberg.MetadataNotFound", f"A file of the table is missing: {error}") from error
    except (
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        OverflowError,
    ) as error:  # RuntimeError: what pyiceberg has not got
        log.warning("iceberg_failed", exc_info=True)
        text = f"The table cannot be written to: {type(error).__name__}: {error}"[:500]
        raise DeliveryFailed("Iceberg.InvalidTable", text) from error
