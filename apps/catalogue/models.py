"""A small data catalogue: databases, tables and their versions, as AWS Glue has them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Database(models.Model):
    """A database of a team. parameters: AWS's DatabaseInput but its name."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="catalogue_databases")
    name = models.CharField(max_length=255)
    definition = models.JSONField(default=dict)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "name"], name="one_database_per_team_and_name")
        ]

    def __str__(self) -> str:
        return self.name


class Table(models.Model):
    """A table. definition: AWS's TableInput; version_id rises with every change, TableVersion keeps each."""

    database = models.ForeignKey(Database, on_delete=models.CASCADE, related_name="tables")
    name = models.CharField(max_length=255)
    definition = models.JSONField(default=dict)
    version_id = models.PositiveIntegerField(default=0)
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["database", "name"], name="one_table_per_database_and_name")
        ]

    def __str__(self) -> str:
        return self.name


class TableVersion(models.Model):
    """A table as it was under one VersionId."""

    table = models.ForeignKey(Table, on_delete=models.CASCADE, related_name="versions")
    version_id = models.PositiveIntegerField()
    definition = models.JSONField(default=dict)
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["table", "version_id"], name="one_row_per_table_version")
        ]

    def __str__(self) -> str:
        return f"{self.table_id} version {self.version_id}"


class Registry(models.Model):
    """A schema registry: schemas by name."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="schema_registries")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["team", "name"], name="one_registry_per_team_and_name")
        ]

    def __str__(self) -> str:
        return self.name


class Schema(models.Model):
    """A schema of a registry: its versions share a data format. newest: the number of the last version, 0 if none."""

    registry = models.ForeignKey(Registry, on_delete=models.CASCADE, related_name="schemas")
    name = models.CharField(max_length=255)
    data_format = models.CharField(max_length=8)
    compatibility = models.CharField(max_length=16)
    description = models.TextField(blank=True)
    newest = models.PositiveIntegerField(default=0)
    created_at_ms = models.BigIntegerField()
    updated_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["registry", "name"], name="one_schema_per_registry_and_name")
        ]

    def __str__(self) -> str:
        return self.name


class SchemaVersion(models.Model):
    """A definition under its number. version_id: the name that records carry; never used twice."""

    schema = models.ForeignKey(Schema, on_delete=models.CASCADE, related_name="versions")
    version_id = models.UUIDField(unique=True)
    number = models.PositiveIntegerField()
    definition = models.TextField()
    digest = models.CharField(max_length=64)
    """SHA-256 of the definition without its white space: equal definitions are one version."""
    created_at_ms = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["schema", "number"], name="one_row_per_schema_version"),
            models.UniqueConstraint(fields=["schema", "digest"], name="one_version_per_definition"),
        ]

    def __str__(self) -> str:
        return f"{self.schema_id} version {self.number}"
