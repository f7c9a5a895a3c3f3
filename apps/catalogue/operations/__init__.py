"""The Glue-compatible catalogue, operation by operation: the index a reader opens first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.catalogue.operations import absent, databases, registries, schemas, tables, versions

OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateDatabase": databases.create_database,
    "GetDatabase": databases.get_database,
    "GetDatabases": databases.get_databases,
    "UpdateDatabase": databases.update_database,
    "DeleteDatabase": databases.delete_database,
    "CreateTable": tables.create_table,
    "GetTable": tables.get_table,
    "GetTables": tables.get_tables,
    "UpdateTable": tables.update_table,
    "DeleteTable": tables.delete_table,
    "BatchDeleteTable": tables.batch_delete_table,
    "GetTableVersion": versions.get_table_version,
    "GetTableVersions": versions.get_table_versions,
    "DeleteTableVersion": versions.delete_table_version,
    "BatchDeleteTableVersion": versions.batch_delete_table_version,
    "GetPartitions": absent.get_partitions,
    "GetPartitionIndexes": absent.get_partition_indexes,
    "GetTags": absent.get_tags,
    "CreateRegistry": registries.create_registry,
    "GetRegistry": registries.get_registry,
    "ListRegistries": registries.list_registries,
    "UpdateRegistry": registries.update_registry,
    "DeleteRegistry": registries.delete_registry,
    "CreateSchema": schemas.create_schema,
    "GetSchema": schemas.get_schema,
    "ListSchemas": schemas.list_schemas,
    "DeleteSchema": schemas.delete_schema,
    "RegisterSchemaVersion": schemas.register_schema_version,
    "GetSchemaVersion": schemas.get_schema_version,
    "ListSchemaVersions": schemas.list_schema_versions,
    "GetSchemaByDefinition": schemas.get_schema_by_definition,
    "CheckSchemaVersionValidity": schemas.check_schema_version_validity,
}

_PARTITIONS = "Tidegate's catalogue holds schemas of tables; partitions are found by the prefixes of objects."

NOT_IMPLEMENTED = dict.fromkeys(
    (
        "BatchCreatePartition", "BatchDeletePartition", "BatchGetPartition", "BatchUpdatePartition", "CreatePartition",
        "DeletePartition", "GetPartition", "UpdatePartition", "CreatePartitionIndex", "DeletePartitionIndex",
    ),
    _PARTITIONS,
)  # fmt: skip

OTHERWISE = (
    "Tidegate's catalogue has what delivery streams and channels take schemas from: tables and a schema registry."
)
"""Why not, for every other operation of AWS's model."""
