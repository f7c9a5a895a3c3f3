"""From a stored description to the fields of the forms, and from changed fields to UpdateDestination's members."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

from apps.delivery import settings
from apps.delivery.models import DeliveryStream, DestinationType
from console.pages.delivery import configured
from console.pages.delivery.described import KEYS, bucket_of

Json = dict[str, Any]

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "hints": ("size_mb", "interval_s"),
    "retry": ("retry_s",),
    "backup": ("backup", "backup_bucket", "backup_prefix"),
    "processing": (
        "decompress", "extract", "deaggregate", "deaggregate_by", "transform", "transform_arn", "transform_url",
        "transform_mb", "transform_s", "transform_retries", "jq", "delimiter",
    ),
    "conversion": ("convert", "table", "columns", "serde"),
    "bucket": ("bucket", "prefix", "error_prefix", "compression", "kms_key_arn", "role_arn"),
}  # fmt: skip
"""Fields that make one member of AWS's together: it is sent if one of them was changed, and else left as it is. What a
form cannot say (options of a serializer, say) is thus never lost by changing something else."""


def of_description(row: DeliveryStream) -> Json:
    """What the fields of a DestinationForm hold before somebody changes them."""
    description = row.destination
    kind = next(key for key, value in KEYS.items() if value == row.destination_type)
    bucket = settings.errors_s3(row.destination_type, description)
    hints = bucket if kind == "redshift" else description
    backup = description.get("S3BackupDescription") or {}
    return {
        "kind": kind,
        "bucket": bucket_of(bucket.get("BucketARN", "")),
        "prefix": bucket.get("Prefix", ""),
        "error_prefix": bucket.get("ErrorOutputPrefix", ""),
        "compression": bucket.get("CompressionFormat", "UNCOMPRESSED"),
        "role_arn": description.get("RoleARN") or bucket.get("RoleARN", ""),
        "kms_key_arn": (bucket.get("EncryptionConfiguration") or {})
        .get("KMSEncryptionConfig", {})
        .get("AWSKMSKeyARN", ""),
        "time_zone": description.get("CustomTimeZone", ""),
        "extension": description.get("FileExtension", ""),
        "size_mb": (hints.get("BufferingHints") or {}).get("SizeInMBs"),
        "interval_s": (hints.get("BufferingHints") or {}).get("IntervalInSeconds"),
        "retry_s": (description.get("RetryOptions") or {}).get("DurationInSeconds"),
        "backup": settings.backup_s3(row.destination_type, description) is not None,
        "backup_bucket": bucket_of(backup.get("BucketARN", "")),
        "backup_prefix": backup.get("Prefix", ""),
        "partition": settings.partitions(description),
        **_of_kind(row.destination_type, description),
        **_of_processors(description),
        **_of_conversion(description),
    }


def _of_kind(destination_type: str, description: Json) -> Json:
    match destination_type:
        case DestinationType.HTTP:
            endpoint, request = description["EndpointConfiguration"], description.get("RequestConfiguration") or {}
            attributes = request.get("CommonAttributes") or []
            return {
                "http_url": endpoint.get("Url", ""),
                "http_name": endpoint.get("Name", ""),
                "http_gzip": request.get("ContentEncoding") == "GZIP",
                "http_attributes": "\n".join(f"{one['AttributeName']}={one['AttributeValue']}" for one in attributes),
            }
        case DestinationType.SPLUNK:
            return {
                "splunk_url": description.get("HECEndpoint", ""),
                "splunk_type": description.get("HECEndpointType", "Raw"),
                "splunk_ack_s": description.get("HECAcknowledgmentTimeoutInSeconds"),
            }
        case DestinationType.REDSHIFT:
            copy = description.get("CopyCommand") or {}
            return {
                "redshift_url": description.get("ClusterJDBCURL", ""),
                "redshift_table": copy.get("DataTableName", ""),
                "redshift_columns": copy.get("DataTableColumns", ""),
                "redshift_options": copy.get("CopyOptions", ""),
                "redshift_user": description.get("Username", ""),
            }
        case DestinationType.ICEBERG:
            table = (description.get("DestinationTableConfigurationList") or [{}])[0]
            return {
                "iceberg_database": table.get("DestinationDatabaseName", ""),
                "iceberg_table": table.get("DestinationTableName", ""),
            }
        case _:
            where = description.get("ClusterEndpoint") or description.get("CollectionEndpoint") or ""
            ids = (description.get("DocumentIdOptions") or {}).get("DefaultDocumentIdFormat", "FIREHOSE_DEFAULT")
            return {
                "search_url": where,
                "search_index": description.get("IndexName", ""),
                "search_rotation": description.get("IndexRotationPeriod", "OneDay"),
                "search_ids": ids,
            }


def _of_processors(description: Json) -> Json:
    found: Json = {}
    for processor in settings.processors(description):
        options = settings.parameters(processor)
        match processor["Type"]:
            case "Decompression":
                found["decompress"] = True
            case "CloudWatchLogProcessing":
                found["extract"] = options.get("DataMessageExtraction") == "true"
            case "RecordDeAggregation":
                found |= {
                    "deaggregate": options.get("SubRecordType", ""),
                    "deaggregate_by": _escaped(options.get("Delimiter", "")),
                }
            case "Lambda":
                found |= _of_transform(options)
            case "MetadataExtraction":
                found["jq"] = options.get("MetadataExtractionQuery", "")
            case "AppendDelimiterToRecord":
                found["delimiter"] = True
    return found


def _of_transform(options: dict[str, str]) -> Json:
    arn = options.get("LambdaArn", "")
    is_plain = arn.endswith(f":function:{configured.HTTP_TRANSFORM}")
    return {
        "transform": "http" if is_plain else "lambda",
        "transform_arn": "" if is_plain else arn,
        "transform_mb": options.get("BufferSizeInMBs"),
        "transform_s": options.get("BufferIntervalInSeconds"),
        "transform_retries": options.get("NumberOfRetries"),
    }


def _escaped(delimiter: str) -> str:
    try:
        text = base64.b64decode(delimiter, validate=True).decode()
    except (ValueError, binascii.Error):
        return delimiter
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _of_conversion(description: Json) -> Json:
    if not settings.converts(description):
        return {}
    said = description["DataFormatConversionConfiguration"]
    schema = said.get("SchemaConfiguration") or {}
    output = (said.get("OutputFormatConfiguration") or {}).get("Serializer") or {}
    read = (said.get("InputFormatConfiguration") or {}).get("Deserializer") or {}
    return {
        "convert": "orc" if "OrcSerDe" in output else "parquet",
        "table": f"{schema.get('DatabaseName', '')}.{schema.get('TableName', '')}",
        "serde": "hive" if "HiveJsonSerDe" in read else "openx",
    }


def update(given: Json, changed: Iterable[str], before: Json, *, account_id: str, region: str) -> Json:
    """The <X>DestinationUpdate with what was changed; empty if nothing was. before: the stored description."""
    names = set(changed)
    whole = configured.destination(given, account_id=account_id, region=region)
    kind = given["kind"]
    said: Json = {}
    touched = {group for group, fields in GROUPS.items() if names.intersection(fields)}
    if "role_arn" in names and "RoleARN" in whole:
        said["RoleARN"] = whole["RoleARN"]
    if "hints" in touched and kind != "redshift":
        said |= configured.hints(given)
    if "retry" in touched and "RetryOptions" in whole:
        said["RetryOptions"] = whole["RetryOptions"]
    if "processing" in touched:
        said["ProcessingConfiguration"] = _processing(whole, before)
    if "backup" in touched:
        said |= _backup(whole, kind)
    said |= _bucket(whole, kind, touched)
    if "conversion" in touched and kind == "s3":
        said["DataFormatConversionConfiguration"] = _conversion(whole, names, before)
    if "search_url" in names:
        said |= {name: whole[name] for name in ("ClusterEndpoint", "CollectionEndpoint") if name in whole}
    for field, member in OWN.items():
        if field in names and (member in whole or (kind == "s3" and member in CLEARED)):
            said[member] = whole.get(member, "")
    if "DestinationTableConfigurationList" in said:
        others = (before.get("DestinationTableConfigurationList") or [{}])[1:]
        said["DestinationTableConfigurationList"] = [*said["DestinationTableConfigurationList"], *others]
    return said


OWN: Final = {
    "time_zone": "CustomTimeZone",
    "extension": "FileExtension",
    "http_url": "EndpointConfiguration",
    "http_name": "EndpointConfiguration",
    "http_key": "EndpointConfiguration",
    "http_gzip": "RequestConfiguration",
    "http_attributes": "RequestConfiguration",
    "splunk_url": "HECEndpoint",
    "splunk_type": "HECEndpointType",
    "splunk_token": "HECToken",
    "splunk_ack_s": "HECAcknowledgmentTimeoutInSeconds",
    "search_index": "IndexName",
    "search_rotation": "IndexRotationPeriod",
    "search_ids": "DocumentIdOptions",
    "redshift_url": "ClusterJDBCURL",
    "redshift_table": "CopyCommand",
    "redshift_columns": "CopyCommand",
    "redshift_options": "CopyCommand",
    "redshift_user": "Username",
    "redshift_password": "Password",
    "iceberg_database": "DestinationTableConfigurationList",
    "iceberg_table": "DestinationTableConfigurationList",
}
"""Members that only one kind of destination has, by the fields that they are made of; search_url makes one of two."""

CLEARED: Final = ("CustomTimeZone", "FileExtension")
"""Members that are cleared by an empty text."""


def _processing(whole: Json, before: Json) -> Json:
    """The processors, with the parameters of a transform that no field is for."""
    said: Json = whole.get("ProcessingConfiguration", {"Enabled": False, "Processors": []})
    kept = {one["Type"]: settings.parameters(one).get("RoleArn") for one in settings.processors(before)}
    for processor in said["Processors"]:
        if processor["Type"] == "Lambda" and kept.get("Lambda"):
            processor["Parameters"].append({"ParameterName": "RoleArn", "ParameterValue": kept["Lambda"]})
    return said


def _conversion(whole: Json, names: set[str], before: Json) -> Json:
    """What was changed of the conversion; all of it if there was none. Options of the other parts stay."""
    said = whole.get("DataFormatConversionConfiguration")
    if said is None:
        return {"Enabled": False}
    if not settings.converts(before):
        return dict(said)
    parts: Json = {"Enabled": True}
    if names & {"table", "columns"}:
        parts["SchemaConfiguration"] = said["SchemaConfiguration"]
    if "serde" in names:
        parts["InputFormatConfiguration"] = said["InputFormatConfiguration"]
    if "convert" in names:
        parts["OutputFormatConfiguration"] = said["OutputFormatConfiguration"]
    return parts


def _backup(whole: Json, kind: str) -> Json:
    said: Json = {"S3BackupMode": whole.get("S3BackupMode", "Disabled")}
    if kind in {"s3", "redshift"} and "S3BackupConfiguration" in whole:
        said["S3BackupUpdate"] = whole["S3BackupConfiguration"]
    return said


def _bucket(whole: Json, kind: str, touched: set[str]) -> Json:
    """Members of the bucket: of S3 itself, or as S3Update."""
    if "bucket" not in touched and not (kind == "redshift" and "hints" in touched):
        return {}
    source = whole if kind == "s3" else whole["S3Configuration"]
    plain = {
        "RoleARN": source.get("RoleARN"),
        "BucketARN": source["BucketARN"],
        "Prefix": source.get("Prefix", ""),
        "ErrorOutputPrefix": source.get("ErrorOutputPrefix", ""),
        "CompressionFormat": source.get("CompressionFormat", "UNCOMPRESSED"),
        "EncryptionConfiguration": source.get("EncryptionConfiguration", {"NoEncryptionConfig": "NoEncryption"}),
    }
    if kind == "redshift":
        plain.pop("ErrorOutputPrefix")
        plain |= {name: source[name] for name in ("BufferingHints",) if name in source}
    return plain if kind == "s3" else {"S3Update": plain}
