"""Databases, tables, registries and schemas as the audit trail keeps them before and after a change."""

from __future__ import annotations

from typing import Any

from apps.catalogue.models import Database, Registry, Schema, Table

State = dict[str, Any]


def database(account_id: str, name: str) -> State | None:
    """A database's definition; None: there is none."""
    row = Database.objects.filter(team__account_id=account_id, name=name).first()
    return dict(row.definition) if row is not None else None


def table(account_id: str, path: str) -> State | None:
    """A table's definition and version. path: DATABASE/TABLE."""
    of, _, name = path.partition("/")
    row = Table.objects.filter(database__team__account_id=account_id, database__name=of, name=name).first()
    return {**row.definition, "VersionId": str(row.version_id)} if row is not None else None


def registry(account_id: str, name: str) -> State | None:
    """A schema registry."""
    row = Registry.objects.filter(team__account_id=account_id, name=name).first()
    return {"Description": row.description} if row is not None else None


def schema(account_id: str, path: str) -> State | None:
    """A schema with its newest definition. path: REGISTRY/SCHEMA."""
    of, _, name = path.partition("/")
    row = Schema.objects.filter(registry__team__account_id=account_id, registry__name=of, name=name).first()
    if row is None:
        return None
    newest = row.versions.order_by("-number").values_list("definition", flat=True).first()
    return {
        "DataFormat": row.data_format,
        "Compatibility": row.compatibility,
        "Description": row.description,
        "LatestSchemaVersion": row.newest,
        "SchemaDefinition": newest,
    }
