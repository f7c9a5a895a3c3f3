"""The catalogue of a team (apps/catalogue) as pyiceberg wants to see one: load a table, commit to it.

A commit is one conditional change of the table's row: its metadata location goes from the one that was read to the one
that was written, or nothing happens. Whoever loses that race is told so, and not tried again here: before anything is
committed anew, the table has to be looked at again for the batch, which somebody else may have committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC, PartitionSpec
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import new_table_metadata

from apps.delivery.destinations.iceberg_guard import metadata_of

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.schema import Schema

Json = dict[str, Any]


class Raced(ValidationException):
    """Somebody else committed first. Nothing of this commit happened."""


class Shelf(Protocol):
    """Where the rows of tables are: apps/catalogue, for one team."""

    def location(self, database: str, table: str) -> str:
        """Where the table's newest metadata is. Raises NoSuchTableError."""
        ...

    def swap(self, database: str, table: str, before: str, after: str) -> bool:
        """Change it, if it still is `before`."""
        ...

    def add(self, database: str, table: str, location: str, schema: Schema, table_location: str) -> None:
        """A new table. location: of its metadata; table_location: of all. Raises TableAlreadyExistsError."""
        ...


class TeamCatalogue(NoopCatalog, MetastoreCatalog):
    """See the module's docstring. Tables are made, loaded and committed to; deliveries need nothing else."""

    def __init__(self, shelf: Shelf, files: FileIO, warehouse: str = "") -> None:
        super().__init__("tidegate", **({"warehouse": warehouse} if warehouse else {}))
        self._shelf = shelf
        self._files = files

    def _load_file_io(self, properties: Any = None, location: str | None = None) -> FileIO:  # noqa: ARG002
        return self._files

    def load_table(self, identifier: Any) -> Table:
        """Raises NoSuchTableError."""
        database, name = self.identifier_to_database_and_table(identifier, NoSuchTableError)
        location = self._shelf.location(database, name)
        with self._files.new_input(location).open() as stream:
            metadata = metadata_of(stream.read(), location)
        return Table((database, name), metadata, location, self._files, self)

    def commit_table(self, table: Table, requirements: Any, updates: Any) -> CommitTableResponse:
        """Raises Raced."""
        database, name = table.name()
        current = self.load_table((database, name))
        try:
            staged = self._update_and_stage_table(current, (database, name), requirements, updates)
        except CommitFailedException as error:
            raise Raced(str(error)) from error
        if staged.metadata != current.metadata:
            self._write_metadata(staged.metadata, staged.io, staged.metadata_location)
            if not self._shelf.swap(database, name, current.metadata_location, staged.metadata_location):
                self._files.delete(staged.metadata_location)
                raise Raced(f"{database}.{name} was changed by somebody else")
            self._delete_old_metadata(staged.io, current.metadata, staged.metadata)
        return CommitTableResponse.model_validate(
            {"metadata": staged.metadata, "metadata_location": staged.metadata_location}
        )

    def create(
        self,
        database: str,
        name: str,
        schema: Schema,
        location: str,
        spec: Callable[[Schema], PartitionSpec] | None = None,
        properties: dict[str, str] | None = None,
    ) -> Table:
        """A new, empty table at that location. spec: of the schema with its final field ids. Raises what add raises."""
        from pyiceberg.schema import assign_fresh_schema_ids

        fresh = assign_fresh_schema_ids(schema)
        metadata = new_table_metadata(
            location=location,
            schema=fresh,
            partition_spec=spec(fresh) if spec else UNPARTITIONED_PARTITION_SPEC,
            sort_order=_unsorted(),
            properties=properties or {},
        )
        written_to = load_location_provider(location, properties or {}).new_table_metadata_file_location()
        self._write_metadata(metadata, self._files, written_to)
        self._shelf.add(database, name, written_to, metadata.schema(), location)
        return self.load_table((database, name))


def _unsorted() -> Any:
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

    return UNSORTED_SORT_ORDER
