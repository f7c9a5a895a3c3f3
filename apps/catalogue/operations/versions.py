"""GetTableVersion, GetTableVersions, DeleteTableVersion, BatchDeleteTableVersion."""

from __future__ import annotations

from typing import Any

from apps.base.errors import ServiceError
from apps.catalogue.errors import InvalidInputException, version_missing
from apps.catalogue.models import Table, TableVersion
from apps.catalogue.operations.tables import shown
from apps.catalogue.paging import PAGE_MAX, of_own_catalogue, place_of, token_after
from apps.catalogue.tables import find
from apps.runtime import Call

Json = dict[str, Any]


def get_table_version(call: Call, params: Json) -> Json:
    """A table under one of its versions; without VersionId, the newest.

    Kept from AWS: EntityNotFoundException. Not kept: catalogues of other accounts.
    """
    table = _table(call, params)
    version = params.get("VersionId") or str(table.version_id)
    row = _version(table, version)
    return {"TableVersion": _shown(call, table, row)}


def get_table_versions(call: Call, params: Json) -> Json:
    """The versions of a table, the newest first.

    Kept from AWS: pages of 100. Not kept: catalogues of other accounts.
    """
    table = _table(call, params)
    place, size = place_of(params), min(params.get("MaxResults") or PAGE_MAX, PAGE_MAX)
    if place and not place.isdigit():
        raise InvalidInputException("Invalid next token.")
    rows = table.versions.order_by("-version_id")
    found = list((rows.filter(version_id__lt=int(place)) if place else rows)[: size + 1])
    more = {"NextToken": token_after(str(found[size - 1].version_id))} if len(found) > size else {}
    return {"TableVersions": [_shown(call, table, row) for row in found[:size]], **more}


def delete_table_version(call: Call, params: Json) -> Json:
    """Delete an archived version.

    Kept from AWS: EntityNotFoundException. Not kept: the newest version is the table, and is not deleted.
    """
    _delete(_table(call, params), params["VersionId"])
    return {}


def batch_delete_table_version(call: Call, params: Json) -> Json:
    """Delete several archived versions.

    Kept from AWS: those that fail are answered with their errors. Not kept: the newest version is not deleted.
    """
    table, errors = _table(call, params), []
    for version in params["VersionIds"]:
        try:
            _delete(table, version)
        except ServiceError as error:
            detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
            errors.append({"TableName": table.name, "VersionId": version, "ErrorDetail": detail})
    return {"Errors": errors}


def _table(call: Call, params: Json) -> Table:
    of_own_catalogue(call, params)
    return find(call.principal.team_id, params["DatabaseName"], params["TableName"])


def _version(table: Table, version: str) -> TableVersion:
    row = table.versions.filter(version_id=int(version)).first() if version.isdigit() and len(version) < 10 else None
    if row is None:
        raise version_missing(version)
    return row


def _delete(table: Table, version: str) -> None:
    row = _version(table, version)
    if row.version_id == table.version_id:
        raise InvalidInputException("The newest version of a table cannot be deleted.")
    row.delete()


def _shown(call: Call, table: Table, row: TableVersion) -> Json:
    return {"Table": shown(call, table, row.version_id, row.definition), "VersionId": str(row.version_id)}
