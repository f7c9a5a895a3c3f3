"""Channels to streaming tables: the columns come from a registered JSON schema, the table is made by a worker."""

from __future__ import annotations

from typing import Any

from apps.catalogue import registry
from apps.catalogue.definitions import JSON
from apps.catalogue.errors import EntityNotFoundException
from apps.delivery.channel_schema import is_timestamptz, schema_of
from apps.runtime import Call
from apps.streams.errors import InvalidArgumentException, ResourceNotFoundException, ValidationException

CODECS = {"NONE": "uncompressed", "ZSTD": "zstd", "SNAPPY": "snappy"}
"""CompressionType in Iceberg's words."""

Json = dict[str, Any]


def build(call: Call, given: Json, record: Json, channel_id: str) -> tuple[Json, Json]:
    """What is described of a destination of streaming tables, and what the engine needs beside the dead letters.

    Raises ValidationException, ResourceNotFoundException, InvalidArgumentException."""
    table = _only_table(given)
    schema = _schema(call, record)
    hours = _hours(table, schema)
    bucket = table["TableBucketARN"].rpartition("/")[2]
    described = {
        "DeadLetterQueueS3Configuration": given["DeadLetterQueueS3Configuration"],
        "S3TablesConfigurationList": [table],
    }
    return described, {
        "DestinationTableConfigurationList": [
            {"DestinationDatabaseName": table["Namespace"], "DestinationTableName": table["TableName"]}
        ],
        "AppendOnly": True,
        "Channel": {
            "Schema": schema,
            "SchemaARN": record["GSRSchemaARN"],
            "Hours": hours,
            "Codec": CODECS[table["CompressionType"]],
            "Location": f"s3://{bucket}/{table['Namespace']}/{table['TableName']}/{channel_id}",
        },
    }


def _only_table(given: Json) -> Json:
    tables = given["S3TablesConfigurationList"]
    if len(tables) != 1:
        raise ValidationException(
            "S3TablesConfigurationList must contain exactly one entry, because a channel delivers to a single table. The "
            f"request contains {len(tables)}."
        )
    only: Json = tables[0]
    return only


def _schema(call: Call, record: Json) -> Json:
    arn = record.get("GSRSchemaARN")
    if not arn:
        raise ValidationException("GSRSchemaARN must be specified for destinations of type S3_TABLES.")
    try:
        found = registry.newest_of(call.principal.team_id, call.principal.account_id, arn)
    except EntityNotFoundException as error:
        raise ResourceNotFoundException(f"Schema {arn} under account {call.principal.account_id} not found.") from error
    if found.data_format != JSON:
        raise InvalidArgumentException(f"Schema {arn} is of the data format {found.data_format}; a channel needs JSON.")
    try:
        return schema_of(found.definition)
    except ValueError as error:
        raise InvalidArgumentException(f"Schema {arn} does not make a table: {error}") from error


def _hours(table: Json, schema: Json) -> list[str]:
    """The columns that the table is partitioned by, each by the hour."""
    names = [one["SourceName"] for one in (table.get("PartitionSpec") or {}).get("PartitionFields") or ()]
    for name in names:
        if not is_timestamptz(schema, name):
            raise ValidationException(
                f"The partition source {name} must be a column of type timestamptz (a string of format date-time)."
            )
    if len(set(names)) < len(names):
        raise ValidationException("A column can be a partition source only once.")
    return names
