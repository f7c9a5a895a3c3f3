"""CreateDatabase, GetDatabase, GetDatabases, UpdateDatabase, DeleteDatabase."""

from __future__ import annotations

from typing import Any

from apps.catalogue.errors import AlreadyExistsException, InvalidInputException, ResourceNumberLimitExceededException
from apps.catalogue.models import Database
from apps.catalogue.paging import made_once, of_own_catalogue, page, refuse, token_after
from apps.catalogue.tables import find_database
from apps.runtime import Call

Json = dict[str, Any]

DATABASES_MAX = 10_000
"""Of an account; AWS's quota."""

EVERYBODY = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
"""What AWS says of a database without Lake Formation, which is how all of Tidegate's are."""


def create_database(call: Call, params: Json) -> Json:
    """Create a database.

    Kept from AWS: names are folded to lower case; 10,000 databases; the errors and their texts.
    Not kept: tags, resource links, federation and Lake Formation's permissions are refused.
    """
    of_own_catalogue(call, params)
    refuse(params, ("Tags",))
    given = _checked(params["DatabaseInput"])
    name, rows = given["Name"].lower(), Database.objects.filter(team_id=call.principal.team_id)
    exists = AlreadyExistsException("Database already exists.")
    if rows.filter(name=name).exists():
        raise exists
    if rows.count() >= DATABASES_MAX:
        raise ResourceNumberLimitExceededException("Number of databases exceeds the limit.")
    with made_once(exists):
        Database.objects.create(
            team_id=call.principal.team_id, name=name, definition=_definition(given), created_at_ms=call.now_ms
        )
    return {}


def get_database(call: Call, params: Json) -> Json:
    """One database.

    Kept from AWS: the name in any case; EntityNotFoundException. Not kept: catalogues of other accounts.
    """
    of_own_catalogue(call, params)
    return {"Database": _shown(call, find_database(call.principal.team_id, params["Name"]))}


def get_databases(call: Call, params: Json) -> Json:
    """The databases, by name.

    Kept from AWS: pages of 100, AttributesToGet. Not kept: shared and federated databases, of which there are none.
    """
    of_own_catalogue(call, params)
    after, size = page(params)
    if params.get("ResourceShareType") in {"FOREIGN", "FEDERATED"}:
        return {"DatabaseList": []}
    rows = Database.objects.filter(team_id=call.principal.team_id, name__gt=after).order_by("name")
    found = list(rows[: size + 1])
    shown = [_shown(call, row) for row in found[:size]]
    if params.get("AttributesToGet"):
        shown = [{"Name": one["Name"]} for one in shown]
    more = {"NextToken": token_after(found[size - 1].name)} if len(found) > size else {}
    return {"DatabaseList": shown, **more}


def update_database(call: Call, params: Json) -> Json:
    """Replace a database's definition.

    Kept from AWS: all but the name is replaced. Not kept: what CreateDatabase refuses; a database is not renamed.
    """
    of_own_catalogue(call, params)
    given = _checked(params["DatabaseInput"])
    row = find_database(call.principal.team_id, params["Name"])
    if given["Name"].lower() != row.name:
        raise InvalidInputException("The name of a database cannot be changed.")
    row.definition = _definition(given)
    row.save(update_fields=["definition"])
    return {}


def delete_database(call: Call, params: Json) -> Json:
    """Delete a database and all its tables.

    Kept from AWS: its tables go with it; EntityNotFoundException. Not kept: AWS removes the tables some time later.
    """
    of_own_catalogue(call, params)
    find_database(call.principal.team_id, params["Name"]).delete()
    return {}


def _checked(given: Json) -> Json:
    refuse(given, ("TargetDatabase", "FederatedDatabase"))
    if given.get("CreateTableDefaultPermissions") not in (None, [], EVERYBODY):
        raise InvalidInputException("CreateTableDefaultPermissions is not supported by Tidegate's catalogue.")
    if not given["Name"].strip():
        raise InvalidInputException("Database name cannot be blank.")
    return given


def _definition(given: Json) -> Json:
    return {name: value for name, value in given.items() if name != "Name"}


def _shown(call: Call, row: Database) -> Json:
    return {
        "CreateTableDefaultPermissions": EVERYBODY,
        **row.definition,
        "Name": row.name,
        "CreateTime": row.created_at_ms,
        "CatalogId": call.principal.account_id,
    }
