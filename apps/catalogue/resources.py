"""What the catalogue's operations are about, for policies. AWS asks for a table's action on the catalogue, the database
and the table; so does Tidegate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps.catalogue.operations import OPERATIONS
from apps.catalogue.registry import DEFAULT_REGISTRY
from apps.runtime import Call

Json = dict[str, Any]
Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

ABOUT_ALL = ("GetDatabases",)
ABOUT_REGISTRIES = ("ListRegistries", "CheckSchemaVersionValidity")
"""AWS knows no resource for these."""
ABOUT_REGISTRY = (
    "CreateRegistry", "GetRegistry", "UpdateRegistry", "DeleteRegistry", "ListSchemas",
)  # fmt: skip
ABOUT_SCHEMA = (
    "CreateSchema", "GetSchema", "DeleteSchema", "RegisterSchemaVersion", "GetSchemaVersion", "ListSchemaVersions",
    "GetSchemaByDefinition",
)  # fmt: skip
BY_ARN = ("GetTags",)
ALONE = (*ABOUT_ALL, *ABOUT_REGISTRIES, *ABOUT_REGISTRY, *ABOUT_SCHEMA, *BY_ARN)
"""Operations that are about one thing only."""
ABOUT_DATABASE = ("CreateDatabase", "GetDatabase", "UpdateDatabase", "DeleteDatabase", "GetTables")


def _arn(call: Call, what: str) -> str:
    return f"arn:aws:glue:{call.runtime.config.region}:{call.principal.account_id}:{what}"


def _database(params: Json) -> str:
    given = params.get("DatabaseInput") or {}
    return str(params.get("DatabaseName") or params.get("Name") or given.get("Name", "")).lower()


def _table(params: Json) -> str:
    given = params.get("TableInput") or {}
    named = params.get("TableName") or params.get("Name") or given.get("Name", "*")
    return str(named).lower()


def catalogue(call: Call, _params: Json) -> str:
    """All of the account's."""
    return _arn(call, "catalog")


def database(call: Call, params: Json) -> str:
    """The database that is named."""
    return _arn(call, f"database/{_database(params)}")


def table(call: Call, params: Json) -> str:
    """The table that is named; the first of several."""
    first = next(iter(params.get("TablesToDelete") or ()), None)
    return _arn(call, f"table/{_database(params)}/{first.lower() if first else _table(params)}")


def _anything(_call: Call, _params: Json) -> str:
    return "*"


def _by_arn(_call: Call, params: Json) -> str:
    return str(params["ResourceArn"])


def registry(call: Call, params: Json) -> str:
    """The registry that is named; all, or the default one, if none is."""
    given = params.get("RegistryId") or {}
    name = params.get("RegistryName") or given.get("RegistryName")
    return str(given.get("RegistryArn") or _arn(call, f"registry/{name or '*'}"))


def schema(call: Call, params: Json) -> str:
    """The schema that is named; a version's own id says nothing of its schema."""
    given = params.get("SchemaId") or {}
    if given.get("SchemaArn"):
        return str(given["SchemaArn"])
    if "SchemaName" in params:
        of = params.get("RegistryId") or {}
        name = of.get("RegistryName") or (of.get("RegistryArn") or "").rpartition("/")[2] or DEFAULT_REGISTRY
        return _arn(call, f"schema/{name}/{params['SchemaName']}")
    if not given.get("SchemaName"):
        return "*"
    return _arn(call, f"schema/{given.get('RegistryName') or DEFAULT_REGISTRY}/{given['SchemaName']}")


def _around(action: str, call: Call, params: Json) -> list[tuple[str, str]]:
    """The catalogue, the database, and further tables."""
    others = [_arn(call, f"table/{_database(params)}/{name.lower()}") for name in params.get("TablesToDelete", ())[1:]]
    around = [catalogue(call, params)]
    if action not in ABOUT_DATABASE:
        around.append(database(call, params))
    return [(f"glue:{action}", arn) for arn in (*around, *others)]


def _locate(operation: str) -> Locate:
    if operation in ABOUT_ALL:
        return catalogue
    if operation in BY_ARN:
        return _by_arn
    if operation in ABOUT_REGISTRIES:
        return _anything
    if operation in ABOUT_REGISTRY:
        return registry
    if operation in ABOUT_SCHEMA:
        return schema
    return database if operation in ABOUT_DATABASE else table


GLUE_RESOURCES: dict[str, Locate] = {operation: _locate(operation) for operation in OPERATIONS}

GLUE_ALSO: dict[str, Also] = {
    operation: partial(_around, operation) for operation in OPERATIONS if operation not in ALONE
}
"""What must be allowed beside, as (action, resource)."""
