"""AWS's errors at the fields they speak of: a member named in the text leads to the field that it was made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from apps.base.errors import ServiceError, ValidationException
from apps.delivery.connections import ConnectionRefused

if TYPE_CHECKING:
    from django import forms

MEMBERS: Final[dict[str, str]] = {
    "DeliveryStreamName": "name",
    "KinesisStreamARN": "stream",
    "Kinesis stream": "stream",
    "BucketARN": "bucket",
    "ErrorOutputPrefix": "error_prefix",
    "Prefix": "prefix",
    "CustomTimeZone": "time_zone",
    "time zone": "time_zone",
    "pattern letter": "prefix",
    "Pattern ends": "prefix",
    "Pattern includes": "prefix",
    "Pattern invalid": "prefix",
    "timestamp expression": "prefix",
    "FileExtension": "extension",
    "CompressionFormat": "compression",
    "SizeInMBs": "size_mb",
    "IntervalInSeconds": "interval_s",
    "BufferingHints": "size_mb",
    "BufferingHints.IntervalInSeconds": "interval_s",
    "RoleARN": "role_arn",
    "AWSKMSKeyARN": "kms_key_arn",
    "DurationInSeconds": "retry_s",
    "S3BackupConfiguration": "backup_bucket",
    "S3BackupMode": "backup",
    "EndpointConfiguration.Url": "http_url",
    "Url.EndpointConfiguration": "http_url",
    "AccessKey": "http_key",
    "CommonAttributes": "http_attributes",
    "HECEndpoint": "splunk_url",
    "HECToken": "splunk_token",
    "HECAcknowledgmentTimeoutInSeconds": "splunk_ack_s",
    "ClusterEndpoint": "search_url",
    "CollectionEndpoint": "search_url",
    "IndexName": "search_index",
    "ClusterJDBCURL": "redshift_url",
    "DataTableName": "redshift_table",
    "DataTableColumns": "redshift_columns",
    "CopyOptions": "redshift_options",
    "Username": "redshift_user",
    "Password": "redshift_password",
    "DestinationDatabaseName": "iceberg_database",
    "DestinationTableName": "iceberg_table",
    "DestinationTableConfigurationList": "iceberg_table",
    "CatalogARN": "iceberg_table",
    "LambdaArn": "transform_arn",
    "NumberOfRetries": "transform_retries",
    "BufferSizeInMBs": "transform_mb",
    "BufferIntervalInSeconds": "transform_s",
    "MetadataExtractionQuery": "jq",
    "Dynamic Partitioning": "partition",
    "DataPartitioning": "partition",
    "SubRecordType": "deaggregate",
    "Delimiter": "deaggregate_by",
    "DataMessageExtraction": "extract",
    "SchemaConfiguration": "table",
    "TableInput": "columns",
    "Tags": "tags",
}
"""From what stands in a text to the form's field; the first one that stands in it, and of those the longest, wins."""

CODES: Final = {"ResourceInUseException": "name", "AlreadyExistsException": "columns"}

_NAMED = re.compile("|".join(sorted(map(re.escape, MEMBERS), key=len, reverse=True)), re.IGNORECASE)
_BY_LOWER = {member.lower(): field for member, field in MEMBERS.items()}
_VALUE_AT = re.compile(r"at '([A-Za-z0-9.]+)' failed to satisfy constraint: (.+)", re.DOTALL)


def put_error(form: forms.Form, error: ServiceError) -> None:
    """Write an AWS error at its field, or above the form."""
    text = error.message or error.code
    field = CODES.get(error.code)
    if isinstance(error, ValidationException):
        found = _VALUE_AT.search(text)
        if found:
            field, text = field_of(".".join(reversed(found[1].split(".")))), found[2]
    _add(form, field or field_of(text), text)


def field_of(text: str) -> str | None:
    """The field of the first member that the text names."""
    found = _NAMED.search(text)
    return _BY_LOWER[found[0].lower()] if found else None


def put_refusal(form: forms.Form, part: str, error: ConnectionRefused) -> None:
    """Write what is wrong with a connection at its field."""
    names = {"endpoint_url": "endpoint", "access_key_id": "key", "secret": "secret", "region": "region"}
    field = f"{part}_{names.get(error.member, 'endpoint')}"
    _add(
        form,
        "transform_url" if field == "lambda_endpoint" and form.data.get("transform") == "http" else field,
        error.text,
    )


def _add(form: forms.Form, field: str | None, text: str) -> None:
    form.add_error(field if field in form.fields else None, text)
