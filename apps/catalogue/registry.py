"""The schema registry for the rest of Tidegate: a schema by its ARN, a version by the name that records carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, QuerySet

from apps.catalogue.errors import EntityNotFoundException
from apps.catalogue.models import Schema, SchemaVersion

SCHEMA_ARN = re.compile(r"arn:aws[-a-z0-9]*:glue:([-a-z0-9]+):(\d{12}):schema/([-a-zA-Z0-9_$#.]+)/([-a-zA-Z0-9_$#.]+)")
REGISTRY_ARN = re.compile(r"arn:aws[-a-z0-9]*:glue:([-a-z0-9]+):(\d{12}):registry/([-a-zA-Z0-9_$#.]+)")

DEFAULT_REGISTRY = "default-registry"
"""AWS's, for schemas that name none."""


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One version of a schema. data_format: AVRO or JSON."""

    registry: str
    name: str
    data_format: str
    version_id: UUID
    number: int
    definition: str


def newest_of(team_id: int, account_id: str, arn: str) -> RegisteredSchema:
    """The newest version of the schema with an ARN. Raises EntityNotFoundException, also for another account's."""
    found = SCHEMA_ARN.fullmatch(arn)
    rows = _versions(team_id).filter(number=F("schema__newest"))
    if found and found[2] == account_id:
        row = rows.filter(schema__registry__name=found[3], schema__name=found[4]).first()
        if row is not None:
            return _shown(row)
    raise EntityNotFoundException(f"Schema is not found. SchemaArn: {arn}")


def version_of(team_id: int, version_id: UUID) -> RegisteredSchema:
    """The version with a name. Versions never change: what was found may be remembered. Raises
    EntityNotFoundException."""
    row = _versions(team_id).filter(version_id=version_id).first()
    if row is None:
        raise EntityNotFoundException(f"Schema version is not found. SchemaVersionId: {version_id}")
    return _shown(row)


def named(team_id: int, registry: str, name: str) -> RegisteredSchema:
    """The newest version of a schema by its names. Raises EntityNotFoundException."""
    rows = _versions(team_id).filter(number=F("schema__newest"))
    row = rows.filter(schema__registry__name=registry, schema__name=name).first()
    if row is None:
        raise EntityNotFoundException(f"Schema is not found. SchemaName: {name}, RegistryName: {registry}")
    return _shown(row)


def names(team_id: int, data_format: str, most: int) -> list[tuple[str, str]]:
    """(registry, schema) of the team's schemas of a format that have a version, by name."""
    rows = Schema.objects.filter(registry__team_id=team_id, data_format=data_format, newest__gt=0)
    return list(rows.order_by("registry__name", "name").values_list("registry__name", "name")[:most])


def registry_arn(region: str, account_id: str, registry: str) -> str:
    """AWS's form."""
    return f"arn:aws:glue:{region}:{account_id}:registry/{registry}"


def schema_arn(region: str, account_id: str, registry: str, name: str) -> str:
    """AWS's form."""
    return f"arn:aws:glue:{region}:{account_id}:schema/{registry}/{name}"


def _versions(team_id: int) -> QuerySet[SchemaVersion]:
    return SchemaVersion.objects.select_related("schema__registry").filter(schema__registry__team_id=team_id)


def _shown(row: SchemaVersion) -> RegisteredSchema:
    schema = row.schema
    return RegisteredSchema(
        schema.registry.name, schema.name, schema.data_format, row.version_id, row.number, row.definition
    )
