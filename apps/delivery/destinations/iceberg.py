"""Apache Iceberg tables, appended to through pyiceberg.

Which table a record goes to is said by the configuration (one table), or by the record's routing (MetadataExtraction with jq,
or a Lambda's otfMetadata). For each table the batch is one snapshot that carries the batch's name, so every record that
is a row of its table is in it exactly once. Records that are none go to the error prefix as `iceberg-failed`; which they
are is found again when they are asked for, by the schema that the rows were written with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from apps.delivery.destinations.iceberg_rows import BadRow, Rows
from apps.delivery.destinations.interface import Batch, Delivered, DeliveryFailed, Remaining, Target
from apps.delivery.objects import assembling
from apps.delivery.record import Failed, Record

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

    from apps.runtime import Runtime

log = structlog.get_logger(__name__)

ERROR_TYPE: Final = "iceberg-failed"
NO_SUCH_TABLE: Final = "Iceberg.NoSuchTable"

TABLES_AT_ONCE: Final = 8
"""Whose files are written while the batch is read once; with more tables it is read more than once."""

COMMITS_MAX: Final = 8
"""In one attempt, when other lanes commit to the same table at the same time."""

INSERT: Final = "insert"

Json = dict[str, Any]


class Route(NamedTuple):
    """A table by name."""

    database: str
    table: str

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"


class _NoRoute(Exception):
    """A record that no table can be found for. code: AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(slots=True)
class _Outcome:
    """What became of the batch in one table. schema: what rows were told from others by; failure: why nothing was
    committed."""

    schema: Schema | None = None
    rows: int = 0
    size_bytes: int = 0
    failure: DeliveryFailed | None = None


@dataclass(slots=True)
class _Attempt:
    """One attempt at a batch. reported: of records that are no rows, so far."""

    batch: Batch
    name: str
    outcomes: dict[Route, _Outcome] = field(default_factory=dict)

    def done(self) -> Json:
        """What an earlier attempt committed: by table, [rows, bytes, schema id]."""
        found: Json = self.batch.state.get("done") or {}
        return found


def check(description: Json) -> None:
    """See that nothing is asked for that is not done. Raises ValueError, with a text for whoever asked."""
    catalogue = description.get("CatalogConfiguration") or {}
    if ":catalog/" in (catalogue.get("CatalogARN") or ""):
        raise ValueError("CatalogARN must name the catalog of the account; catalogs inside of it are not supported.")
    if catalogue.get("WarehouseLocation"):
        raise ValueError("WarehouseLocation is used for the creation of tables, which is not supported.")
    for member in ("TableCreationConfiguration", "SchemaEvolutionConfiguration"):
        if (description.get(member) or {}).get("Enabled"):
            raise ValueError(f"{member} is not supported: tables are created, and changed, in the catalog.")
    for table in description.get("DestinationTableConfigurationList") or []:
        _check_table(table)


def _check_table(table: Json) -> None:
    name = f"{table['DestinationDatabaseName']}.{table['DestinationTableName']}"
    if table.get("UniqueKeys"):
        raise ValueError(
            f"UniqueKeys of {name} are not supported: records are inserted into Iceberg tables, never updated or deleted."
        )
    if table.get("PartitionSpec"):
        raise ValueError(f"PartitionSpec of {name} is used for the creation of tables, which is not supported.")
    if table.get("S3ErrorOutputPrefix"):
        raise ValueError(
            f"S3ErrorOutputPrefix of {name} is not supported; that of S3Configuration holds for all tables."
        )


class IcebergDestination:
    """See the module's docstring."""

    error_type = ERROR_TYPE

    def __init__(self, runtime: Runtime, target: Target) -> None:
        self._runtime = runtime
        self._target = target
        tables = target.description.get("DestinationTableConfigurationList") or []
        self._configured = [Route(one["DestinationDatabaseName"], one["DestinationTableName"]) for one in tables]

    def plan(self, batch: Batch) -> Json:  # noqa: ARG002 - the batch's name is all, and it has one
        """Nothing: names of files derive from the batch, and what was committed stands in the table."""
        return {}

    def failed_extra(self, batch: Batch, record: Record) -> Json:  # noqa: ARG002
        """No further members."""
        return {}

    def deliver(self, batch: Batch) -> Delivered:
        """A snapshot in each table that the batch has records for. Raises DeliveryFailed."""
        attempt = _Attempt(batch, f"{self._target.arn}/{batch.identity}")
        routes, records = self._routes(batch)
        for at in range(0, len(routes), TABLES_AT_ONCE):
            self._deliver_to(attempt, routes[at : at + TABLES_AT_ONCE])
        rows = sum(one.rows for one in attempt.outcomes.values())
        size_bytes = sum(one.size_bytes for one in attempt.outcomes.values())
        failures = [one.failure for one in attempt.outcomes.values() if one.failure is not None]
        if failures:
            raise self._partly(attempt, failures[0], (rows, size_bytes))
        failed: Iterable[Failed] = Remaining(batch, self._judge(attempt)) if rows < records else []
        return Delivered(rows, size_bytes, failed, metrics=self._metrics(rows, records - rows))

    # --- which table ------------------------------------------------------------------------------------------------

    def _routes(self, batch: Batch) -> tuple[list[Route], int]:
        """The tables of the batch in order of their names, and how many records it has."""
        found: set[Route] = set()
        records = 0
        for records, record in enumerate(_records(batch), 1):  # noqa: B007 - the last number is the count
            try:
                found.add(self._route(record))
            except _NoRoute:
                continue
        return sorted(found), records

    def _route(self, record: Record) -> Route:
        said = record.routing or {}
        operation = (said.get("operation") or INSERT).lower()
        if operation != INSERT:
            raise _NoRoute(
                "Iceberg.OperationNotSupported", f"The operation {operation[:40]} is not supported, only insert."
            )
        only = self._configured[0] if len(self._configured) == 1 else Route("", "")
        database = said.get("destinationDatabaseName") or only.database
        table = said.get("destinationTableName") or only.table
        if not database or not table:
            raise _NoRoute(NO_SUCH_TABLE, "The record does not say which table it belongs to.")
        return Route(database, table)

    # --- the tables ---------------------------------------------------------------------------------------------------

    def _deliver_to(self, attempt: _Attempt, routes: list[Route]) -> None:
        """Write and commit for a few tables, reading the batch once."""
        from apps.delivery.destinations.iceberg_writing import TableFiles

        writing: dict[Route, TableFiles] = {}
        try:
            for route in routes:
                outcome = attempt.outcomes[route] = _Outcome()
                try:
                    table = self._load(route)
                    if not self._was_committed(attempt, route, outcome, table):
                        outcome.schema = table.schema()
                        writing[route] = TableFiles(table, attempt.name, self._rows(table.schema()))
                except DeliveryFailed as failure:
                    outcome.failure = failure
            if writing:
                with assembling():
                    self._write(attempt.batch, writing)
            for route, files in writing.items():
                try:
                    self._commit(attempt, route, files)
                except DeliveryFailed as failure:
                    attempt.outcomes[route].failure = failure
        finally:
            for files in writing.values():
                files.abandon()

    def _load(self, route: Route) -> Table:
        from pyiceberg.exceptions import NoSuchTableError

        try:
            with self._told():
                return self._catalogue().load_table(tuple(route))
        except NoSuchTableError as error:
            if "Channel" in self._target.description:
                from apps.delivery.channel_tables import fail

                fail(self._target.delivery_stream_key, f"The table {route} of the channel is gone.")
            raise DeliveryFailed(NO_SUCH_TABLE, f"The table {route} cannot be written to: {error}") from error

    def _was_committed(self, attempt: _Attempt, route: Route, outcome: _Outcome, table: Table) -> bool:
        """Look for what an earlier attempt did, in the pin and in the table."""
        from apps.delivery.destinations.iceberg_writing import committed

        schemas = table.schemas()
        done = attempt.done().get(str(route))
        if done is not None:
            outcome.rows, outcome.size_bytes = done[0], done[1]
            outcome.schema = schemas.get(done[2], table.schema())
            return True
        snapshot = committed(table, attempt.name)
        if snapshot is None:
            return False
        summary = snapshot.summary
        outcome.rows = int((summary.get("added-records") if summary else None) or 0)
        outcome.schema = schemas.get(snapshot.schema_id or 0, table.schema())
        return True

    def _write(self, batch: Batch, writing: dict[Route, Any]) -> None:
        for piece in batch.pieces():
            by_route: dict[Route, list[Record]] = {}
            for record in piece:
                try:
                    route = self._route(record)
                except _NoRoute:
                    continue
                if route in writing:
                    by_route.setdefault(route, []).append(record)
            with self._told():
                for route, records in by_route.items():
                    writing[route].write(records)

    def _commit(self, attempt: _Attempt, route: Route, files: Any) -> None:
        """One snapshot, unless there is nothing to bring or it was brought meanwhile by somebody else."""
        from apps.delivery.destinations.iceberg_catalogue import Raced
        from apps.delivery.destinations.iceberg_writing import commit, committed

        outcome = attempt.outcomes[route]
        with self._told():
            data_files = files.finish()
        table = files.table
        for _ in range(COMMITS_MAX):
            if not data_files or committed(table, attempt.name) is not None:
                break
            try:
                with self._told():
                    commit(table, data_files, attempt.name)
                break
            except Raced:
                table = self._load(route)
        else:
            raise DeliveryFailed("Iceberg.CommitConflict", f"Other writers kept changing the table {route}.")
        outcome.rows, outcome.size_bytes = files.rows, files.size_bytes
        self._remember(attempt, route, outcome)

    def _remember(self, attempt: _Attempt, route: Route, outcome: _Outcome) -> None:
        schema_id = outcome.schema.schema_id if outcome.schema else 0
        done = {**attempt.done(), str(route): [outcome.rows, outcome.size_bytes, schema_id]}
        state = {**attempt.batch.state, "done": done}
        attempt.batch.remember(state)
        attempt.batch.state = state

    def _catalogue(self) -> Any:
        from apps.delivery.destinations.iceberg_shelf import catalogue_for

        return catalogue_for(self._runtime, self._target)

    def _told(self) -> Any:
        from apps.delivery.destinations.iceberg_shelf import told

        return told()

    # --- what was not delivered -----------------------------------------------------------------------------------------

    def _partly(self, attempt: _Attempt, failure: DeliveryFailed, delivered: tuple[int, int]) -> DeliveryFailed:
        """The failure of the attempt: of the first table that failed; what is in other tables is not remaining."""
        remaining = Remaining(attempt.batch, self._judge(attempt)) if delivered[0] else None
        return DeliveryFailed(
            failure.code, failure.message, permanent=failure.permanent, remaining=remaining, delivered=delivered
        )

    def _judge(self, attempt: _Attempt) -> Any:
        """What decides of each record whether it was delivered: Remaining's `one`."""
        readers = {
            route: self._rows(outcome.schema)
            for route, outcome in attempt.outcomes.items()
            if outcome.schema is not None
        }
        batch = attempt.batch

        def one(record: Record, _place: int) -> Failed | None:
            try:
                route = self._route(record)
                outcome = attempt.outcomes[route]
                if outcome.failure is not None:
                    return _failed(batch, record, outcome.failure.code, outcome.failure.message)
                readers[route].row(record.data)
            except (_NoRoute, BadRow) as error:
                return _failed(batch, record, error.code, error.message)
            return None

        return one

    def _rows(self, schema: Schema) -> Rows:
        if "Channel" in self._target.description:
            from apps.delivery.destinations.channel_rows import ChannelRows

            return ChannelRows(schema, self._target)
        return Rows(schema)

    def _metrics(self, rows: int, bad: int) -> list[tuple[str, float]]:
        return [
            ("DeliveryToIceberg.IncomingRowCount", rows + bad),
            ("DeliveryToIceberg.SuccessfulRowCount", rows),
            ("DeliveryToIceberg.FailedRowCount", bad),
        ]


def _records(batch: Batch) -> Iterator[Record]:
    for piece in batch.pieces():
        yield from piece


def _failed(batch: Batch, record: Record, code: str, message: str) -> Failed:
    return Failed(record, ERROR_TYPE, code, message, batch.attempt, batch.now_ms)
