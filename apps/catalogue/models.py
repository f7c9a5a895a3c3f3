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
