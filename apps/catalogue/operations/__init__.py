"""The Glue-compatible catalogue, operation by operation: the index a reader opens first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.catalogue.operations import databases, tables, versions

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
}

_PARTITIONS = "Tidegate's catalogue holds schemas of tables; partitions are found by the prefixes of objects."

NOT_IMPLEMENTED = dict.fromkeys(
    (
        "BatchCreatePartition", "BatchDeletePartition", "BatchGetPartition", "BatchUpdatePartition", "CreatePartition",
        "DeletePartition", "GetPartition", "GetPartitions", "UpdatePartition", "CreatePartitionIndex",
        "DeletePartitionIndex", "GetPartitionIndexes",
    ),
    _PARTITIONS,
)  # fmt: skip

OTHERWISE = "Tidegate's catalogue has databases, tables and their versions: what delivery streams take schemas from."
"""Why not, for every other operation of AWS's model."""
