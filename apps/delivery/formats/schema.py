"""The schema that a batch is converted to: the columns of a table of the catalogue, as they are when it is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.catalogue.errors import EntityNotFoundException
from apps.catalogue.tables import LATEST, TableSchema, schema_of
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.formats.hive_types import BadType, parse, size_of
from apps.delivery.role_limits import why_not

if TYPE_CHECKING:
    from apps.delivery.destinations.interface import Target
    from apps.runtime import Runtime

Json = dict[str, Any]

ERROR_TYPE = "format-conversion-failed"
ACCESS_DENIED = "DataFormatConversion.AccessDenied"
DENIED = (
    "Access was denied when calling Glue. Please ensure that the role specified in the data format conversion "
    "configuration has the necessary permissions."
)
"""AWS's text."""

INVALID_SCHEMA = "DataFormatConversion.InvalidSchema"
NOT_FOUND = "DataFormatConversion.EntityNotFound"
MISSING = (
    "The specified table/database could not be found. Please ensure that the table/database exists and that the values "
    "provided in the schema configuration are correct, especially with regards to casing."
)
"""AWS's text."""

TRIED = "(columns)"
"""Member of a SchemaConfiguration that is tried only: [name, type] of the columns of a table that is still to be made."""

COLUMNS_MAX = 10_000
"""With what is within them, since each field has memory of its own while an object is written. A bound of our own."""

ORC_COLUMNS_MAX = 300
"""The same for ORC, whose writer takes up to 0.8 MB for each, whatever is in them (measured with pyarrow's)."""


def plan_of(runtime: Runtime, target: Target) -> Json:
    """columns: name and Hive type of each; table: what lines under the error prefix say of it. Raises DeliveryFailed,
    never permanent: as with AWS the batch waits until the table is right."""
    configured = target.description["DataFormatConversionConfiguration"]
    schema = configured["SchemaConfiguration"]
    catalogue_id = schema.get("CatalogId") or target.account_id
    found = _found(target, schema, catalogue_id)
    _check(found, configured)
    region = schema.get("Region") or runtime.config.region
    return {
        "columns": [list(column) for column in found.columns],
        "table": {
            "catalogId": catalogue_id,
            "databaseName": found.database,
            "tableName": found.name,
            "region": region,
            "versionId": str(found.version_id),
            "catalogArn": f"arn:aws:glue:{region}:{catalogue_id}:catalog",
        },
    }


def _found(target: Target, schema: Json, catalogue_id: str) -> TableSchema:
    if catalogue_id != target.account_id:
        raise DeliveryFailed(NOT_FOUND, MISSING, error_type=ERROR_TYPE)
    if TRIED in schema:
        columns = tuple((name, kind) for name, kind in schema[TRIED])
        return TableSchema(schema["DatabaseName"], schema["TableName"], 0, columns)
    _check_role(target, schema)
    try:
        return schema_of(target.team_id, schema["DatabaseName"], schema["TableName"], schema.get("VersionId") or LATEST)
    except EntityNotFoundException:
        raise DeliveryFailed(NOT_FOUND, MISSING, error_type=ERROR_TYPE) from None


def _check_role(target: Target, schema: Json) -> None:
    """Raise DeliveryFailed if there is such a role and it may not read the table."""
    around = f"arn:aws:glue:{target.region}:{target.account_id}"
    database, table = schema["DatabaseName"].lower(), schema["TableName"].lower()
    for what in ("catalog", f"database/{database}", f"table/{database}/{table}"):
        denied = why_not(
            target.team_id, target.account_id, schema.get("RoleARN") or "", "glue:GetTableVersions", f"{around}:{what}"
        )
        if denied:
            raise DeliveryFailed(ACCESS_DENIED, f"{DENIED} {denied}", error_type=ERROR_TYPE)


def _check(found: TableSchema, configured: Json) -> None:
    """Raise DeliveryFailed unless objects can have the columns."""
    names = [name.lower() for name, _ in found.columns]
    if not names:
        raise _invalid("The table has no columns.")
    if len(set(names)) != len(names):
        raise _invalid("The table has two columns of one name.")
    orc = (configured["OutputFormatConfiguration"]["Serializer"]).get("OrcSerDe")
    most, fields = (COLUMNS_MAX if orc is None else ORC_COLUMNS_MAX), 0
    for name, kind in found.columns:
        try:
            fields += size_of(parse(kind))
        except BadType as error:
            raise _invalid(f"Error parsing the schema: column {name}: {error}") from None
        if fields > most:
            which = "" if orc is None else " That is the most for ORC."
            raise _invalid(f"The table has more than {most} columns, counting the fields within them.{which}")
    for name in (orc or {}).get("BloomFilterColumns") or ():
        if name.lower() not in names:
            raise _invalid(f"The table has no column {name}, for which a Bloom filter is asked.")


def _invalid(why: str) -> DeliveryFailed:
    return DeliveryFailed(INVALID_SCHEMA, f"The schema is invalid. {why}", error_type=ERROR_TYPE)
