"""From the fields of the forms to AWS's members: CreateDeliveryStream's and UpdateDestination's parameters, and the
connections that go with them. Pure functions of cleaned data."""

from __future__ import annotations

import base64
from typing import Any, Final

from apps.delivery.connections import Given
from apps.delivery.formats.hive_types import BadType, parse
from apps.delivery.models import DestinationType
from console.pages.delivery.described import KEYS

Json = dict[str, Any]

SIZE_MB, LARGE_MB, INTERVAL_S = 5, 128, 300
SEARCH: Final = frozenset({"opensearch", "serverless", "elasticsearch"})

BACKUP_MODES: Final = {
    "s3": ("Disabled", "Enabled"),
    "redshift": ("Disabled", "Enabled"),
    "http": ("FailedDataOnly", "AllData"),
    "splunk": ("FailedEventsOnly", "AllEvents"),
    "opensearch": ("FailedDocumentsOnly", "AllDocuments"),
    "serverless": ("FailedDocumentsOnly", "AllDocuments"),
    "elasticsearch": ("FailedDocumentsOnly", "AllDocuments"),
    "iceberg": ("FailedDataOnly", "FailedDataOnly"),
}
"""S3BackupMode without and with a copy of every source record."""

HTTP_TRANSFORM: Final = "http-transform"
"""The function's name where the transform is a plain HTTP endpoint: AWS's member wants an ARN."""

NEWLINE: Final = "\\n"
"""As AWS's AppendDelimiterToRecord wants it written."""


def request(given: Json, *, account_id: str, region: str, stream_arn: str = "") -> Json:
    """CreateDeliveryStream's parameters. stream_arn: of the data stream that is the source."""
    params: Json = {"DeliveryStreamName": given["name"]}
    if given["source"] == "stream":
        params["DeliveryStreamType"] = "KinesisStreamAsSource"
        params["KinesisStreamSourceConfiguration"] = {"KinesisStreamARN": stream_arn, "RoleARN": given["role_arn"]}
    else:
        params["DeliveryStreamType"] = "DirectPut"
        if given.get("encrypt"):
            params["DeliveryStreamEncryptionConfigurationInput"] = {"KeyType": "AWS_OWNED_CMK"}
    kind = DestinationType(KEYS[given["kind"]])
    params[f"{kind.value}DestinationConfiguration"] = destination(given, account_id=account_id, region=region)
    if given.get("tags"):
        params["Tags"] = [{"Key": key, "Value": value} for key, value in given["tags"].items()]
    return params


def destination(given: Json, *, account_id: str, region: str) -> Json:
    """The <X>DestinationConfiguration of the chosen kind."""
    builds = {"s3": _s3, "http": _http, "splunk": _splunk, "redshift": _redshift, "iceberg": _iceberg}
    build = builds.get(given["kind"], _search)
    said = build(given, account_id, region)
    return {name: value for name, value in said.items() if value not in ("", None)}


def _bucket(given: Json, bucket: str, prefix: str, *, buffered: bool, compression: str) -> Json:
    """A plain S3 configuration."""
    said: Json = {"RoleARN": given["role_arn"], "BucketARN": bucket_arn(bucket)}
    if prefix:
        said["Prefix"] = prefix
    if buffered:
        said |= hints(given)
    if compression and compression != "UNCOMPRESSED":
        said["CompressionFormat"] = compression
    if given.get("kms_key_arn"):
        said["EncryptionConfiguration"] = {"KMSEncryptionConfig": {"AWSKMSKeyARN": given["kms_key_arn"]}}
    return said


def bucket_arn(bucket: str) -> str:
    """The ARN of a bucket's name; an ARN stays one."""
    return bucket if bucket.startswith("arn:") else f"arn:aws:s3:::{bucket}"


def hints(given: Json) -> Json:
    """BufferingHints, if one of the two is given; AWS wants both then."""
    size_mb, interval_s = given.get("size_mb"), given.get("interval_s")
    if size_mb is None and interval_s is None:
        return {}
    large = given["kind"] == "s3" and (given.get("convert") or given.get("partition"))
    size_mb = (LARGE_MB if large else SIZE_MB) if size_mb is None else size_mb
    return {
        "BufferingHints": {
            "SizeInMBs": size_mb,
            "IntervalInSeconds": INTERVAL_S if interval_s is None else interval_s,
        }
    }


def _side_bucket(given: Json) -> Json:
    """The bucket of a destination that is no bucket: failed records, and the backup."""
    staged = given["kind"] == "redshift"
    said = _bucket(given, given["bucket"], given["prefix"], buffered=staged, compression=given["compression"])
    if given.get("error_prefix") and not staged:
        said["ErrorOutputPrefix"] = given["error_prefix"]
    return said


def _retry(given: Json) -> Json:
    return {} if given.get("retry_s") is None else {"RetryOptions": {"DurationInSeconds": given["retry_s"]}}


def _backup(given: Json) -> Json:
    """S3BackupMode; S3 and Redshift with a bucket of its own."""
    off, on = BACKUP_MODES[given["kind"]]
    if not given.get("backup"):
        return {"S3BackupMode": off} if given["kind"] not in {"s3", "redshift"} else {}
    said: Json = {"S3BackupMode": on}
    if given["kind"] in {"s3", "redshift"}:
        bucket = _bucket(given, given["backup_bucket"], given["backup_prefix"], buffered=False, compression="")
        bucket.pop("EncryptionConfiguration", None)
        said["S3BackupConfiguration"] = bucket
    return said


def _s3(given: Json, account_id: str, region: str) -> Json:
    compression = "" if given.get("convert") else given["compression"]
    said = _bucket(given, given["bucket"], given["prefix"], buffered=True, compression=compression)
    said |= {
        "ErrorOutputPrefix": given["error_prefix"],
        "CustomTimeZone": given["time_zone"],
        "FileExtension": given["extension"],
        **processing(given, account_id, region),
        **_backup(given),
    }
    if given.get("convert"):
        said["DataFormatConversionConfiguration"] = conversion(given)
    if given.get("partition"):
        said["DynamicPartitioningConfiguration"] = {"Enabled": True}
    return said


def _http(given: Json, account_id: str, region: str) -> Json:
    endpoint = {"Url": given["http_url"]}
    if given["http_name"]:
        endpoint["Name"] = given["http_name"]
    if given["http_key"]:
        endpoint["AccessKey"] = given["http_key"]
    attributes = [{"AttributeName": key, "AttributeValue": value} for key, value in given["http_attributes"].items()]
    return {
        "EndpointConfiguration": endpoint,
        "RequestConfiguration": {
            "ContentEncoding": "GZIP" if given["http_gzip"] else "NONE",
            "CommonAttributes": attributes,
        },
        "RoleARN": given["role_arn"],
        **hints(given),
        **_retry(given),
        **processing(given, account_id, region),
        **_backup(given),
        "S3Configuration": _side_bucket(given),
    }


def _splunk(given: Json, account_id: str, region: str) -> Json:
    return {
        "HECEndpoint": given["splunk_url"],
        "HECEndpointType": given["splunk_type"] or "Raw",
        "HECToken": given["splunk_token"],
        "HECAcknowledgmentTimeoutInSeconds": given["splunk_ack_s"],
        **hints(given),
        **_retry(given),
        **processing(given, account_id, region),
        **_backup(given),
        "S3Configuration": _side_bucket(given),
    }


def _search(given: Json, account_id: str, region: str) -> Json:
    said: Json = {"RoleARN": given["role_arn"], "IndexName": given["search_index"]}
    if given["kind"] == "serverless":
        said["CollectionEndpoint"] = given["search_url"]
    else:
        said["ClusterEndpoint"] = given["search_url"]
        said["IndexRotationPeriod"] = given["search_rotation"] or "OneDay"
        said["DocumentIdOptions"] = {"DefaultDocumentIdFormat": given["search_ids"] or "FIREHOSE_DEFAULT"}
    return {
        **said,
        **hints(given),
        **_retry(given),
        **processing(given, account_id, region),
        **_backup(given),
        "S3Configuration": _side_bucket(given),
    }


def _redshift(given: Json, account_id: str, region: str) -> Json:
    copy = {"DataTableName": given["redshift_table"]}
    if given["redshift_columns"]:
        copy["DataTableColumns"] = given["redshift_columns"]
    if given["redshift_options"]:
        copy["CopyOptions"] = given["redshift_options"]
    return {
        "RoleARN": given["role_arn"],
        "ClusterJDBCURL": given["redshift_url"],
        "CopyCommand": copy,
        "Username": given["redshift_user"],
        "Password": given["redshift_password"],
        **_retry(given),
        **processing(given, account_id, region),
        **_backup(given),
        "S3Configuration": _side_bucket(given),
    }


def _iceberg(given: Json, account_id: str, region: str) -> Json:
    table: Json = {
        "DestinationDatabaseName": given["iceberg_database"],
        "DestinationTableName": given["iceberg_table"],
    }
    catalog = {"CatalogARN": f"arn:aws:glue:{region}:{account_id}:catalog"}
    said: Json = {
        "RoleARN": given["role_arn"],
        "CatalogConfiguration": catalog,
        "DestinationTableConfigurationList": [table],
        **hints(given),
        **_retry(given),
        **processing(given, account_id, region),
        "S3BackupMode": "FailedDataOnly",
        "S3Configuration": _side_bucket(given),
    }
    return said


def processing(given: Json, account_id: str, region: str) -> Json:
    """ProcessingConfiguration, in AWS's order of stages; nothing if nothing is asked for."""
    processors: list[Json] = []
    if given.get("decompress") or given.get("extract"):
        processors.append(_processor("Decompression", CompressionFormat="GZIP"))
    if given.get("extract"):
        processors.append(_processor("CloudWatchLogProcessing", DataMessageExtraction="true"))
    if given.get("deaggregate"):
        options = {"SubRecordType": given["deaggregate"]}
        if given["deaggregate"] == "DELIMITED":
            options["Delimiter"] = base64.b64encode(unescaped(given["deaggregate_by"]).encode()).decode()
        processors.append(_processor("RecordDeAggregation", **options))
    if given.get("transform"):
        processors.append(_transform(given, account_id, region))
    if given.get("jq"):
        processors.append(
            _processor("MetadataExtraction", MetadataExtractionQuery=given["jq"], JsonParsingEngine="JQ-1.6")
        )
    if given.get("delimiter"):
        processors.append(_processor("AppendDelimiterToRecord", Delimiter=NEWLINE))
    return {"ProcessingConfiguration": {"Enabled": True, "Processors": processors}} if processors else {}


def unescaped(text: str) -> str:
    r"""A separator as people write it: \n, \r and \t mean the signs."""
    return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")


def _transform(given: Json, account_id: str, region: str) -> Json:
    arn = given["transform_arn"]
    if given["transform"] == "http":
        arn = f"arn:aws:lambda:{region}:{account_id}:function:{HTTP_TRANSFORM}"
    options = {"LambdaArn": arn}
    if given.get("transform_retries") is not None:
        options["NumberOfRetries"] = str(given["transform_retries"])
    if given.get("transform_mb") is not None:
        options["BufferSizeInMBs"] = f"{given['transform_mb'].normalize():f}"
    if given.get("transform_s") is not None:
        options["BufferIntervalInSeconds"] = str(given["transform_s"])
    return _processor("Lambda", **options)


def _processor(kind: str, **options: str) -> Json:
    listed = [{"ParameterName": name, "ParameterValue": value} for name, value in options.items()]
    return {"Type": kind, "Parameters": listed}


def conversion(given: Json) -> Json:
    """DataFormatConversionConfiguration with the chosen table, or the one that is made of the columns."""
    database, _, table = (given.get("table") or "").partition(".")
    if not table:
        database, table = new_table(given["name"])
    serializer = "OrcSerDe" if given["convert"] == "orc" else "ParquetSerDe"
    deserializer = "HiveJsonSerDe" if given.get("serde") == "hive" else "OpenXJsonSerDe"
    return {
        "Enabled": True,
        "SchemaConfiguration": {"RoleARN": given["role_arn"], "DatabaseName": database, "TableName": table},
        "InputFormatConfiguration": {"Deserializer": {deserializer: {}}},
        "OutputFormatConfiguration": {"Serializer": {serializer: {}}},
    }


DATABASE: Final = "delivery"
"""Of tables that are made of columns written in a form."""


def new_table(name: str) -> tuple[str, str]:
    """Database and table of a delivery stream's own schema: its name in the signs that SQL takes."""
    plain = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in name.lower())
    return DATABASE, plain or "records"


def columns_of(lines: list[str]) -> list[Json]:
    """`name type` a line, or `name: type`, with an optional comma behind. Raises ValueError with a sentence."""
    columns = []
    for line in lines:
        name, _, kind = line.rstrip(",").replace(":", " ", 1).strip().partition(" ")
        if not kind.strip():
            raise ValueError(f"{line!r} has no type. Write the column's name, a space and its type: price double.")
        try:
            parse(kind.strip().lower())
        except BadType as error:
            raise ValueError(f"{line!r}: {error}") from error
        columns.append({"Name": name.strip('`"'), "Type": kind.strip().lower()})
    return columns


def connections(given: Json) -> dict[str, Given]:
    """The connections by part, as far as the form says something of them."""
    found = {}
    for part in ("s3", "backup", "lambda", "destination"):
        one = Given(
            given.get(f"{part}_endpoint", ""),
            given.get(f"{part}_region", ""),
            given.get(f"{part}_key", ""),
            given.get(f"{part}_secret") or None,
        )
        if not one.is_empty:
            found[part] = one
    if given.get("transform") == "http":
        before = found.get("lambda", Given())
        found["lambda"] = Given(given["transform_url"], before.region, before.access_key_id, before.secret)
    return found


def shown(value: Any) -> Any:
    """Parameters as they may be shown: secrets left out."""
    if isinstance(value, dict):
        return {
            key: "…" if key in {"AccessKey", "HECToken", "Password"} and one else shown(one)
            for key, one in value.items()
        }
    return [shown(one) for one in value] if isinstance(value, list) else value
