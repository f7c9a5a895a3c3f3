"""CreateTable, GetTable, GetTables, UpdateTable, DeleteTable, BatchDeleteTable."""

from __future__ import annotations

import re
from typing import Any

from apps.base.errors import ServiceError
from apps.catalogue.errors import (
    AlreadyExistsException,
    InvalidInputException,
    ResourceNumberLimitExceededException,
)
from apps.catalogue.models import Table, TableVersion
from apps.catalogue.paging import made_once, of_own_catalogue, page, refuse, token_after
from apps.catalogue.tables import change, find, find_database
from apps.runtime import Call

Json = dict[str, Any]

TABLES_MAX = 200_000
VERSIONS_MAX = 100_000
"""Of a database, and of a table; AWS's quotas."""

NOT_OURS = ("TargetTable", "FederatedTable", "ViewDefinition")
STORAGE = {"Compressed": False, "NumberOfBuckets": 0, "SortColumns": [], "StoredAsSubDirectories": False}
"""What AWS shows of a StorageDescriptor where nothing was given."""


def create_table(call: Call, params: Json) -> Json:
    """Create a table.

    Kept from AWS: names are folded to lower case, versions begin at 0, 200,000 tables, the errors and their texts.
    Not kept: partition indexes, transactions, Iceberg tables made by Glue itself, schemas of the registry, views and
    links are refused; types of columns are looked at by who reads them, as with AWS.
    """
    of_own_catalogue(call, params)
    refuse(params, ("PartitionIndexes", "TransactionId", "OpenTableFormatInput", "Name"))
    given = _checked(params.get("TableInput"))
    database = find_database(call.principal.team_id, params["DatabaseName"])
    name = given["Name"].lower()
    exists = AlreadyExistsException("Table already exists.")
    if database.tables.filter(name=name).exists():
        raise exists
    if database.tables.count() >= TABLES_MAX:
        raise ResourceNumberLimitExceededException("Number of tables in the database exceeds the limit.")
    times = {"created_at_ms": call.now_ms, "updated_at_ms": call.now_ms}
    with made_once(exists):
        row = Table.objects.create(database=database, name=name, definition=_definition(given), **times)
        TableVersion.objects.create(table=row, version_id=0, definition=row.definition, created_at_ms=call.now_ms)
    return {}


def get_table(call: Call, params: Json) -> Json:
    """One table, under its newest version.

    Kept from AWS: names in any case; EntityNotFoundException. Not kept: transactions, and tables as of an earlier time.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId", "QueryAsOfTime"))
    row = find(call.principal.team_id, params["DatabaseName"], params["Name"])
    return {"Table": shown(call, row)}


def get_tables(call: Call, params: Json) -> Json:
    """The tables of a database, by name.

    Kept from AWS: pages of 100, AttributesToGet. Not kept: Expression knows `*`, `.*` and `|`, and no more of regular
    expressions; transactions, and tables as of an earlier time, are refused.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId", "QueryAsOfTime"))
    after, size = page(params)
    database = find_database(call.principal.team_id, params["DatabaseName"])
    rows = database.tables.select_related("database").filter(name__gt=after).order_by("name")
    form = _names(params.get("Expression") or "*")
    found = []
    for row in rows.iterator(chunk_size=200):
        if form.fullmatch(row.name):
            found.append(row)
            if len(found) > size:
                break
    listed = [shown(call, row) for row in found[:size]]
    if wanted := params.get("AttributesToGet"):
        listed = [_attributes(one, wanted) for one in listed]
    more = {"NextToken": token_after(found[size - 1].name)} if len(found) > size else {}
    return {"TableList": listed, **more}


def update_table(call: Call, params: Json) -> Json:
    """Replace a table's definition; the one before stays as an archived version.

    Kept from AWS: VersionId, if given, must be the newest (ConcurrentModificationException); SkipArchive keeps no old
    version; 100,000 versions. Not kept: what CreateTable refuses, ViewUpdateAction and UpdateOpenTableFormatInput.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId", "ViewUpdateAction", "UpdateOpenTableFormatInput", "Force", "Name"))
    given = _checked(params.get("TableInput"))
    row = find(call.principal.team_id, params["DatabaseName"], given["Name"])
    expected = params.get("VersionId")
    if expected is not None and not (expected.isdigit() and len(expected) < 10):
        raise InvalidInputException("Version ID must be a number.")
    skips = bool(params.get("SkipArchive"))
    if not skips and row.versions.count() >= VERSIONS_MAX:
        raise ResourceNumberLimitExceededException("Number of versions of the table exceeds the limit.")
    version = row.version_id if expected is None else int(expected)
    change(row, _definition(given), call.now_ms, expected=version, keep_old=not skips)
    return {}


def delete_table(call: Call, params: Json) -> Json:
    """Delete a table and its versions.

    Kept from AWS: EntityNotFoundException. Not kept: transactions are refused.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId",))
    find(call.principal.team_id, params["DatabaseName"], params["Name"]).delete()
    return {}


def batch_delete_table(call: Call, params: Json) -> Json:
    """Delete several tables of a database.

    Kept from AWS: those that fail are answered with their errors. Not kept: transactions are refused.
    """
    of_own_catalogue(call, params)
    refuse(params, ("TransactionId",))
    find_database(call.principal.team_id, params["DatabaseName"])
    errors = []
    for name in params["TablesToDelete"]:
        try:
            find(call.principal.team_id, params["DatabaseName"], name).delete()
        except ServiceError as error:
            errors.append({"TableName": name, "ErrorDetail": {"ErrorCode": error.code, "ErrorMessage": error.message}})
    return {"Errors": errors}


def shown(call: Call, row: Table, version_id: int | None = None, definition: Json | None = None) -> Json:
    """A table in AWS's members, under its newest version or another."""
    found = dict(row.definition if definition is None else definition)
    if "StorageDescriptor" in found:
        found["StorageDescriptor"] = {**STORAGE, "Columns": [], **found["StorageDescriptor"]}
    return {
        "Retention": 0,
        "PartitionKeys": [],
        **found,
        "Name": row.name,
        "DatabaseName": row.database.name,
        "CreateTime": row.created_at_ms,
        "UpdateTime": row.updated_at_ms,
        "CreatedBy": f"arn:aws:iam::{call.principal.account_id}:root",
        "IsRegisteredWithLakeFormation": False,
        "CatalogId": call.principal.account_id,
        "VersionId": str(row.version_id if version_id is None else version_id),
    }


def _checked(given: Json | None) -> Json:
    if given is None:
        raise InvalidInputException("TableInput must be specified.")
    refuse(given, NOT_OURS)
    refuse(given.get("StorageDescriptor") or {}, ("SchemaReference",))
    if not given["Name"].strip():
        raise InvalidInputException("Table name cannot be blank.")
    columns = [*((given.get("StorageDescriptor") or {}).get("Columns") or ()), *(given.get("PartitionKeys") or ())]
    names = [column["Name"].lower() for column in columns]
    if len(set(names)) != len(names):
        raise InvalidInputException("Column names must be unique.")
    return given


def _definition(given: Json) -> Json:
    return {name: value for name, value in given.items() if name != "Name"}


def _names(expression: str) -> re.Pattern[str]:
    """A form for names: wildcards and alternatives only, and what stands between two wildcards is looked for once (the
    first place is as good as any later one), so that no expression takes long."""
    return re.compile("|".join(map(_alternative, expression.lower().strip("^$").split("|"))))


def _alternative(one: str) -> str:
    first, *further = (re.escape(part) for part in re.sub(r"\*+", "*", one.replace(".*", "*")).split("*"))
    if not further:
        return f"(?:{first})"
    *between, last = further
    return f"(?:{first}{''.join(f'(?>.*?{part})' for part in between)}.*{last})"


def _attributes(table: Json, wanted: list[str]) -> Json:
    kept = {"Name", "DatabaseName", *(["TableType"] if "TABLE_TYPE" in wanted else [])}
    return {name: value for name, value in table.items() if name in kept}
