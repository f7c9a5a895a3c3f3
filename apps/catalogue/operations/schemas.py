"""CreateSchema, GetSchema, ListSchemas, DeleteSchema, RegisterSchemaVersion, GetSchemaVersion, ListSchemaVersions,
GetSchemaByDefinition, CheckSchemaVersionValidity."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from apps.catalogue import definitions
from apps.catalogue.errors import (
    AlreadyExistsException,
    EntityNotFoundException,
    InvalidInputException,
    ResourceNumberLimitExceededException,
)
from apps.catalogue.models import Registry, Schema, SchemaVersion
from apps.catalogue.operations import registries
from apps.catalogue.operations.registries import PAGE, iso
from apps.catalogue.paging import made_once, place_of, refuse, token_after
from apps.catalogue.registry import DEFAULT_REGISTRY, SCHEMA_ARN, schema_arn
from apps.runtime import Call

Json = dict[str, Any]

SCHEMAS_MAX = 10_000
VERSIONS_MAX = 10_000
"""Of an account: AWS counts versions over all schemas; Tidegate for each."""

COMPATIBILITIES = ("NONE", "DISABLED")


def create_schema(call: Call, params: Json) -> Json:
    """Create a schema, with its first version if a definition is given.

    Kept from AWS: the default registry is made when it is first needed; the answer. Not kept: the data format PROTOBUF,
    compatibilities other than NONE and DISABLED, and tags are refused.
    """
    refuse(params, ("Tags",))
    compatibility = params.get("Compatibility", "NONE")
    if compatibility not in COMPATIBILITIES:
        raise InvalidInputException(f"Compatibility {compatibility} is not supported by Tidegate's schema registry.")
    _check_format(params["DataFormat"], params.get("SchemaDefinition"))
    registry = _registry_for(call, params.get("RegistryId"))
    name = params["SchemaName"]
    exists = AlreadyExistsException(f"Schema already exists. SchemaName: {name}, RegistryName: {registry.name}")
    if registry.schemas.filter(name=name).exists():
        raise exists
    if Schema.objects.filter(registry__team_id=call.principal.team_id).count() >= SCHEMAS_MAX:
        raise ResourceNumberLimitExceededException("More schemas cannot be created. The limit has been reached.")
    with made_once(exists):
        row = Schema.objects.create(
            registry=registry, name=name, data_format=params["DataFormat"], compatibility=compatibility,
            description=params.get("Description", ""), created_at_ms=call.now_ms, updated_at_ms=call.now_ms,
        )  # fmt: skip
    first = {}
    if params.get("SchemaDefinition"):
        version = _add(call, row, params["SchemaDefinition"])
        first = {"SchemaVersionId": str(version.version_id), "SchemaVersionStatus": "AVAILABLE"}
    return {**_shown(call, row), **first}


def get_schema(call: Call, params: Json) -> Json:
    """One schema. Kept from AWS: by ARN or by names. Not kept: nothing is ever PENDING or DELETING."""
    row = find(call, params["SchemaId"])
    return {**_shown(call, row), "CreatedTime": iso(row.created_at_ms), "UpdatedTime": iso(row.updated_at_ms)}


def list_schemas(call: Call, params: Json) -> Json:
    """Schemas of a registry, or of all. Kept from AWS: pages of 25. Not kept: the order is that in which they were made."""
    rows = Schema.objects.select_related("registry").filter(registry__team_id=call.principal.team_id).order_by("pk")
    if params.get("RegistryId"):
        rows = rows.filter(registry=registries.find(call, params["RegistryId"]))
    found, more = _page(params, rows, "pk")
    listed = [
        {
            "RegistryName": row.registry.name, "SchemaName": row.name, "SchemaArn": _arn(call, row), "SchemaStatus": "AVAILABLE",
            "Description": row.description, "CreatedTime": iso(row.created_at_ms), "UpdatedTime": iso(row.updated_at_ms),
        }
        for row in found
    ]  # fmt: skip
    return {"Schemas": listed, **more}


def delete_schema(call: Call, params: Json) -> Json:
    """Delete a schema with its versions. Kept from AWS: the answer. Not kept: AWS takes some time."""
    row = find(call, params["SchemaId"])
    row.delete()
    return {"SchemaArn": _arn(call, row), "SchemaName": row.name, "Status": "DELETING"}


def register_schema_version(call: Call, params: Json) -> Json:
    """Add a version, or answer the one that has the same definition.

    Kept from AWS: equal definitions are one version; DISABLED takes no second version. Not kept: definitions are equal
    when they differ in white space only.
    """
    row = find(call, params["SchemaId"])
    definitions.check(row.data_format, params["SchemaDefinition"])
    row = Schema.objects.select_for_update(of=("self",)).select_related("registry").get(pk=row.pk)
    same = row.versions.filter(digest=definitions.digest(params["SchemaDefinition"])).first()
    if same is None and row.compatibility == "DISABLED" and row.newest:
        raise InvalidInputException(f"Compatibility DISABLED does not allow versioning. SchemaId: {_arn(call, row)}")
    version = same or _add(call, row, params["SchemaDefinition"])
    return {"SchemaVersionId": str(version.version_id), "VersionNumber": version.number, "Status": "AVAILABLE"}


def get_schema_version(call: Call, params: Json) -> Json:
    """One version: by its own id, or by the schema and its number.

    Kept from AWS: LatestVersion; EntityNotFoundException. Not kept: a version is never PENDING.
    """
    version_id, given = params.get("SchemaVersionId"), params.get("SchemaId")
    if bool(version_id) == bool(given):
        raise InvalidInputException("One of SchemaVersionId or SchemaId has to be provided, not both.")
    rows = SchemaVersion.objects.select_related("schema__registry").filter(
        schema__registry__team_id=call.principal.team_id
    )
    if version_id:
        row = rows.filter(version_id=UUID(version_id)).first()
        wanted = f"SchemaVersionId: {version_id}"
    else:
        schema = find(call, given or {})
        number = _number(params.get("SchemaVersionNumber") or {}, schema)
        row = rows.filter(schema=schema, number=number).first()
        wanted = f"VersionNumber: {number}, SchemaArn: {_arn(call, schema)}"
    if row is None:
        raise EntityNotFoundException(f"Schema version is not found. {wanted}")
    return {
        **_version(call, row.schema, row),
        "SchemaDefinition": row.definition,
        "DataFormat": row.schema.data_format,
    }


def list_schema_versions(call: Call, params: Json) -> Json:
    """The versions of a schema, by number. Kept from AWS: pages of 25. Not kept: a version is never PENDING."""
    schema = find(call, params["SchemaId"])
    found, more = _page(params, schema.versions.order_by("number"), "number")
    return {"Schemas": [_version(call, schema, row) for row in found], **more}


def get_schema_by_definition(call: Call, params: Json) -> Json:
    """The version with a definition. Kept from AWS: EntityNotFoundException. Not kept: see RegisterSchemaVersion."""
    schema = find(call, params["SchemaId"])
    definitions.check(schema.data_format, params["SchemaDefinition"])
    row = schema.versions.filter(digest=definitions.digest(params["SchemaDefinition"])).first()
    if row is None:
        raise EntityNotFoundException(
            f"Schema version is not found for the definition. SchemaArn: {_arn(call, schema)}"
        )
    found = _version(call, schema, row)
    del found["VersionNumber"]
    return {**found, "DataFormat": schema.data_format}


def check_schema_version_validity(call: Call, params: Json) -> Json:  # noqa: ARG001 - every operation takes a call
    """Is a definition valid? Kept from AWS: the answer. Not kept: PROTOBUF is refused."""
    _check_format(params["DataFormat"], None)
    why = definitions.problem(params["DataFormat"], params["SchemaDefinition"])
    return {"Valid": False, "Error": why} if why else {"Valid": True}


def find(call: Call, given: Json) -> Schema:
    """The schema that a SchemaId names. Raises InvalidInputException, EntityNotFoundException."""
    arn, registry, name = given.get("SchemaArn"), given.get("RegistryName"), given.get("SchemaName")
    if bool(arn) == bool(name):
        raise InvalidInputException("One of schemaArn or (schemaName and registryName) has to be provided, not both.")
    if arn:
        parsed = SCHEMA_ARN.fullmatch(arn)
        registry, name = (parsed[3], parsed[4]) if parsed and parsed[2] == call.principal.account_id else ("", "")
    rows = Schema.objects.select_related("registry").filter(registry__team_id=call.principal.team_id)
    row = rows.filter(registry__name=registry or DEFAULT_REGISTRY, name=name).first() if name else None
    if row is None:
        wanted = f"SchemaArn: {arn}" if arn else f"SchemaName: {name}, RegistryName: {registry or DEFAULT_REGISTRY}"
        raise EntityNotFoundException(f"Schema is not found. {wanted}")
    return row


def _check_format(data_format: str, definition: str | None) -> None:
    if data_format not in definitions.FORMATS:
        raise InvalidInputException(f"The data format {data_format} is not supported by Tidegate's schema registry.")
    if definition:
        definitions.check(data_format, definition)


def _registry_for(call: Call, given: Json | None) -> Registry:
    if given:
        return registries.find(call, given)
    row = Registry.objects.filter(team_id=call.principal.team_id, name=DEFAULT_REGISTRY).first()
    return row or registries.make(call, DEFAULT_REGISTRY)


def _add(call: Call, schema: Schema, definition: str) -> SchemaVersion:
    """The next version; the schema's row counts them."""
    if schema.newest >= VERSIONS_MAX:
        raise ResourceNumberLimitExceededException("More versions cannot be created. The limit has been reached.")
    schema.newest, schema.updated_at_ms = schema.newest + 1, call.now_ms
    schema.save(update_fields=["newest", "updated_at_ms"])
    return SchemaVersion.objects.create(
        schema=schema, version_id=uuid4(), number=schema.newest, definition=definition,
        digest=definitions.digest(definition), created_at_ms=call.now_ms,
    )  # fmt: skip


def _number(given: Json, schema: Schema) -> int:
    if bool(given.get("LatestVersion")) == bool(given.get("VersionNumber")):
        raise InvalidInputException("One of LatestVersion or VersionNumber has to be provided, not both.")
    return schema.newest if given.get("LatestVersion") else int(given["VersionNumber"])


def _page(params: Json, rows: Any, by: str) -> tuple[list[Any], Json]:
    place, size = place_of(params), params.get("MaxResults") or PAGE
    if place and not (place.isdigit() and len(place) < 18):
        raise InvalidInputException("Invalid next token.")
    found = list((rows.filter(**{f"{by}__gt": int(place)}) if place else rows)[: size + 1])
    more = {"NextToken": token_after(str(getattr(found[size - 1], by)))} if len(found) > size else {}
    return found[:size], more


def _arn(call: Call, row: Schema) -> str:
    return schema_arn(call.runtime.config.region, call.principal.account_id, row.registry.name, row.name)


def _shown(call: Call, row: Schema) -> Json:
    return {
        "RegistryName": row.registry.name,
        "RegistryArn": registries.arn_of(call, row.registry),
        "SchemaName": row.name,
        "SchemaArn": _arn(call, row),
        "Description": row.description,
        "DataFormat": row.data_format,
        "Compatibility": row.compatibility,
        "SchemaCheckpoint": 1,
        "LatestSchemaVersion": max(row.newest, 1),
        "NextSchemaVersion": row.newest + 1,
        "SchemaStatus": "AVAILABLE",
    }


def _version(call: Call, schema: Schema, row: SchemaVersion) -> Json:
    return {
        "SchemaArn": _arn(call, schema),
        "SchemaVersionId": str(row.version_id),
        "VersionNumber": row.number,
        "Status": "AVAILABLE",
        "CreatedTime": iso(row.created_at_ms),
    }
