"""CreateRegistry, GetRegistry, ListRegistries, UpdateRegistry, DeleteRegistry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apps.catalogue.errors import (
    AlreadyExistsException,
    EntityNotFoundException,
    InvalidInputException,
    ResourceNumberLimitExceededException,
)
from apps.catalogue.models import Registry
from apps.catalogue.paging import made_once, place_of, refuse, token_after
from apps.catalogue.registry import REGISTRY_ARN, registry_arn
from apps.runtime import Call

Json = dict[str, Any]

REGISTRIES_MAX = 100
"""Of an account and region; AWS's quota."""

PAGE = 25
"""What AWS lists without MaxResults."""


def create_registry(call: Call, params: Json) -> Json:
    """Create a registry.

    Kept from AWS: 100 registries, AlreadyExistsException. Not kept: tags are refused.
    """
    refuse(params, ("Tags",))
    row = make(call, params["RegistryName"], params.get("Description", ""))
    return {"RegistryArn": arn_of(call, row), "RegistryName": row.name, "Description": row.description}


def make(call: Call, name: str, description: str = "") -> Registry:
    """A new registry's row. Raises AlreadyExistsException, ResourceNumberLimitExceededException."""
    rows = Registry.objects.filter(team_id=call.principal.team_id)
    exists = AlreadyExistsException(f"Registry already exists. RegistryName: {name}")
    if rows.filter(name=name).exists():
        raise exists
    if rows.count() >= REGISTRIES_MAX:
        raise ResourceNumberLimitExceededException("More registries cannot be created. The limit has been reached.")
    times = {"created_at_ms": call.now_ms, "updated_at_ms": call.now_ms}
    with made_once(exists):
        return Registry.objects.create(team_id=call.principal.team_id, name=name, description=description, **times)


def get_registry(call: Call, params: Json) -> Json:
    """One registry. Kept from AWS: by name or by ARN. Not kept: nothing is ever DELETING."""
    return _shown(call, find(call, params["RegistryId"]))


def list_registries(call: Call, params: Json) -> Json:
    """The registries, by name. Kept from AWS: pages of 25. Not kept: nothing is ever DELETING."""
    rows = Registry.objects.filter(team_id=call.principal.team_id, name__gt=place_of(params)).order_by("name")
    size = params.get("MaxResults") or PAGE
    found = list(rows[: size + 1])
    more = {"NextToken": token_after(found[size - 1].name)} if len(found) > size else {}
    return {"Registries": [_shown(call, row) for row in found[:size]], **more}


def update_registry(call: Call, params: Json) -> Json:
    """Give a registry another description. Kept from AWS: nothing else changes. Not kept: nothing."""
    row = find(call, params["RegistryId"])
    row.description, row.updated_at_ms = params["Description"], call.now_ms
    row.save(update_fields=["description", "updated_at_ms"])
    return {"RegistryName": row.name, "RegistryArn": arn_of(call, row)}


def delete_registry(call: Call, params: Json) -> Json:
    """Delete a registry with its schemas. Kept from AWS: the answer. Not kept: AWS takes some time."""
    row = find(call, params["RegistryId"])
    row.delete()
    return {"RegistryName": row.name, "RegistryArn": arn_of(call, row), "Status": "DELETING"}


def find(call: Call, given: Json) -> Registry:
    """The registry that a RegistryId names. Raises InvalidInputException, EntityNotFoundException."""
    name, arn = given.get("RegistryName"), given.get("RegistryArn")
    if bool(name) == bool(arn):
        raise InvalidInputException("One of registryName or registryArn has to be provided, not both.")
    if arn:
        parsed = REGISTRY_ARN.fullmatch(arn)
        name = parsed[3] if parsed and parsed[2] == call.principal.account_id else None
    row = Registry.objects.filter(team_id=call.principal.team_id, name=name).first() if name else None
    if row is None:
        raise EntityNotFoundException(
            f"Registry is not found. {'RegistryArn: ' + arn if arn else 'RegistryName: ' + str(name)}"
        )
    return row


def arn_of(call: Call, row: Registry) -> str:
    """The registry's ARN."""
    return registry_arn(call.runtime.config.region, call.principal.account_id, row.name)


def iso(time_ms: int) -> str:
    """As the registry's API has times: as texts."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(call: Call, row: Registry) -> Json:
    return {
        "RegistryName": row.name,
        "RegistryArn": arn_of(call, row),
        "Description": row.description,
        "Status": "AVAILABLE",
        "CreatedTime": iso(row.created_at_ms),
        "UpdatedTime": iso(row.updated_at_ms),
    }
