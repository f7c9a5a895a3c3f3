"""Destinations of delivery streams as clients configure them: the least, the most, and an update, of every kind."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:role/firehose"
BUCKET = "arn:aws:s3:::bucket"
S3: Json = {"RoleARN": ROLE, "BucketARN": BUCKET}
LOGGING: Json = {"Enabled": True, "LogGroupName": "/aws/kinesisfirehose/d", "LogStreamName": "DestinationDelivery"}
FULL_S3: Json = {
    **S3,
    "Prefix": "raw/!{timestamp:yyyy}/",
    "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
    "BufferingHints": {"SizeInMBs": 3, "IntervalInSeconds": 90},
    "CompressionFormat": "GZIP",
    "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:us-east-1:123456789012:key/k"}},
    "CloudWatchLoggingOptions": LOGGING,
}
LAMBDA: Json = {
    "Type": "Lambda",
    "Parameters": [
        {"ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:us-east-1:123456789012:function:f:1"},
        {"ParameterName": "NumberOfRetries", "ParameterValue": "2"},
        {"ParameterName": "RoleArn", "ParameterValue": ROLE},
        {"ParameterName": "BufferSizeInMBs", "ParameterValue": "2"},
        {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "90"},
    ],
}
PROCESSING: Json = {"Enabled": True, "Processors": [LAMBDA]}
QUERY: Json = {
    "Type": "MetadataExtraction",
    "Parameters": [
        {
            "ParameterName": "MetadataExtractionQuery",
            "ParameterValue": '{customer:.customer_id, year:.ts|strftime("%Y")}',
        },
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ],
}
PARTITIONED: Json = {
    **S3,
    "Prefix": "!{partitionKeyFromQuery:customer}/!{partitionKeyFromQuery:year}/",
    "ErrorOutputPrefix": "errors/",
    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
    "DynamicPartitioningConfiguration": {"Enabled": True, "RetryOptions": {"DurationInSeconds": 60}},
    "ProcessingConfiguration": {"Enabled": True, "Processors": [QUERY]},
}
SCHEMA: Json = {"RoleARN": ROLE, "DatabaseName": "db", "TableName": "t"}
CONVERTED: Json = {
    **S3,
    "DataFormatConversionConfiguration": {
        "Enabled": True,
        "SchemaConfiguration": SCHEMA,
        "InputFormatConfiguration": {
            "Deserializer": {"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": {"ts": "timestamp"}}}
        },
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "GZIP"}}},
    },
}
TO_ORC: Json = {
    **S3,
    "DataFormatConversionConfiguration": {
        "SchemaConfiguration": SCHEMA,
        "InputFormatConfiguration": {"Deserializer": {"HiveJsonSerDe": {"TimestampFormats": ["millis"]}}},
        "OutputFormatConfiguration": {
            "Serializer": {"OrcSerDe": {"StripeSizeBytes": 8_388_608, "RowIndexStride": 1_000, "PaddingTolerance": 0.5}}
        },
    },
}
EXTENDED_S3: Json = {
    **FULL_S3,
    "ProcessingConfiguration": PROCESSING,
    "S3BackupMode": "Enabled",
    "S3BackupConfiguration": FULL_S3,
    "FileExtension": ".json",
    "CustomTimeZone": "Europe/Berlin",
}
COPY: Json = {"DataTableName": "public.events", "DataTableColumns": "a, b", "CopyOptions": "JSON 'auto' GZIP"}
REDSHIFT: Json = {
    "RoleARN": ROLE,
    "ClusterJDBCURL": "jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/dev",
    "CopyCommand": COPY,
    "Username": "loader",
    "Password": "correct horse",
    "S3Configuration": {**S3, "Prefix": "staging/", "CompressionFormat": "GZIP"},
}
SEARCH: Json = {
    "RoleARN": ROLE,
    "ClusterEndpoint": "https://search.example.com",
    "IndexName": "events",
    "S3Configuration": S3,
}
FULL_SEARCH: Json = {
    **SEARCH,
    "IndexRotationPeriod": "OneHour",
    "TypeName": "t",
    "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 60},
    "RetryOptions": {"DurationInSeconds": 10},
    "S3BackupMode": "AllDocuments",
    "ProcessingConfiguration": PROCESSING,
    "CloudWatchLoggingOptions": LOGGING,
    "DocumentIdOptions": {"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"},
}
SERVERLESS: Json = {
    "RoleARN": ROLE,
    "CollectionEndpoint": "https://c.us-east-1.aoss.example.com",
    "IndexName": "events",
    "S3Configuration": S3,
}
SPLUNK: Json = {
    "HECEndpoint": "https://splunk.example.com:8088",
    "HECEndpointType": "Event",
    "HECToken": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    "S3Configuration": S3,
}
HTTP: Json = {
    "EndpointConfiguration": {"Url": "https://hooks.example.com/in", "Name": "hooks", "AccessKey": "the access key"},
    "S3Configuration": S3,
}
FULL_HTTP: Json = {
    **HTTP,
    "RoleARN": ROLE,
    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
    "CloudWatchLoggingOptions": LOGGING,
    "RequestConfiguration": {
        "ContentEncoding": "GZIP",
        "CommonAttributes": [{"AttributeName": "team", "AttributeValue": "a"}],
    },
    "ProcessingConfiguration": PROCESSING,
    "RetryOptions": {"DurationInSeconds": 0},
    "S3BackupMode": "AllData",
    "SecretsManagerConfiguration": {"Enabled": False},
}
ICEBERG: Json = {
    "RoleARN": ROLE,
    "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:us-east-1:123456789012:catalog"},
    "DestinationTableConfigurationList": [{"DestinationTableName": "t", "DestinationDatabaseName": "db"}],
    "S3Configuration": S3,
}

LEAST: dict[str, Json] = {
    "ExtendedS3": S3,
    "Redshift": REDSHIFT,
    "Elasticsearch": SEARCH,
    "Amazonopensearchservice": SEARCH,
    "AmazonOpenSearchServerless": SERVERLESS,
    "Splunk": SPLUNK,
    "HttpEndpoint": HTTP,
    "Iceberg": ICEBERG,
}
"""By the kind of destination: what a client must give, and no more."""

MOST: dict[str, tuple[str, Json]] = {
    "extended S3": ("ExtendedS3", EXTENDED_S3),
    "partitioned": ("ExtendedS3", PARTITIONED),
    "converted": ("ExtendedS3", CONVERTED),
    "to ORC": ("ExtendedS3", TO_ORC),
    "plain S3": ("S3", FULL_S3),
    "Redshift": (
        "Redshift",
        {
            **REDSHIFT,
            "RetryOptions": {"DurationInSeconds": 60},
            "ProcessingConfiguration": PROCESSING,
            "S3BackupMode": "Enabled",
            "S3BackupConfiguration": FULL_S3,
            "CloudWatchLoggingOptions": LOGGING,
        },
    ),
    "Elasticsearch": ("Elasticsearch", FULL_SEARCH),
    "OpenSearch": ("Amazonopensearchservice", FULL_SEARCH),
    "Serverless": (
        "AmazonOpenSearchServerless",
        {**SERVERLESS, "RetryOptions": {"DurationInSeconds": 9}, "S3BackupMode": "AllDocuments"},
    ),
    "Splunk": (
        "Splunk",
        {
            **SPLUNK,
            "HECAcknowledgmentTimeoutInSeconds": 200,
            "RetryOptions": {"DurationInSeconds": 60},
            "S3BackupMode": "AllEvents",
            "ProcessingConfiguration": PROCESSING,
            "CloudWatchLoggingOptions": LOGGING,
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        },
    ),
    "HTTP": ("HttpEndpoint", FULL_HTTP),
    "Iceberg": (
        "Iceberg",
        {
            **ICEBERG,
            "AppendOnly": True,
            "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 60},
            "RetryOptions": {"DurationInSeconds": 60},
            "S3BackupMode": "FailedDataOnly",
            "CloudWatchLoggingOptions": LOGGING,
        },
    ),
}
"""Configurations with nearly all members that each kind has: member of the request without its ending, and the value."""


def configured(kind: str, configuration: Json) -> Json:
    """The member of CreateDeliveryStream."""
    return {f"{kind}DestinationConfiguration": configuration}
