"""CreateDeliveryStream and DescribeDeliveryStream: every kind of destination, with what AWS fills in."""

import pytest

from apps.base.errors import ServiceError
from apps.delivery.models import DeliveryStream, DeliveryStreamVersion
from apps.leases.models import Lease
from tests.domain.delivery.operations.conftest import Firehose, destination
from tests.support import firehose as examples
from tests.support.firehose import LEAST, MOST, ROLE, S3, configured
from tests.support.runtimes import call as kinesis
from tests.support.runtimes import run_due
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

NO_ENCRYPTION = {"NoEncryptionConfig": "NoEncryption"}
S3_DEFAULTS = {
    **S3,
    "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
    "CompressionFormat": "UNCOMPRESSED",
    "EncryptionConfiguration": NO_ENCRYPTION,
    "CloudWatchLoggingOptions": {"Enabled": False},
}


def refused(call, *arguments, **named) -> str:
    """The text of an InvalidArgumentException; nothing was stored."""
    before = DeliveryStream.objects.count()
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **named)
    assert caught.value.code == "InvalidArgumentException", (caught.value.code, caught.value.message)
    assert DeliveryStream.objects.count() == before
    return str(caught.value.message)


def test_a_new_one_is_creating_and_then_active(firehose):
    made = firehose("CreateDeliveryStream", DeliveryStreamName="d", **configured("ExtendedS3", S3))
    assert made == {"DeliveryStreamARN": "arn:aws:firehose:us-east-1:123456789012:deliverystream/d"}
    described = firehose.describe()
    assert (described["DeliveryStreamStatus"], described["VersionId"]) == ("CREATING", "1")
    firehose.settle()
    described = firehose.describe()
    assert described == {
        "DeliveryStreamName": "d",
        "DeliveryStreamARN": made["DeliveryStreamARN"],
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
        "DeliveryStreamType": "DirectPut",
        "VersionId": "1",
        "CreateTimestamp": firehose.runtime.clock.now_ms(),
        "Destinations": described["Destinations"],
        "HasMoreDestinations": False,
    }
    assert described["Destinations"] == [
        {
            "DestinationId": "destinationId-000000000001",
            "S3DestinationDescription": S3_DEFAULTS,
            "ExtendedS3DestinationDescription": {
                **S3_DEFAULTS,
                "S3BackupMode": "Disabled",
                "DataFormatConversionConfiguration": {"Enabled": False},
            },
        }
    ]


DEFAULTS = {
    "Redshift": {"RetryOptions": {"DurationInSeconds": 3_600}, "S3BackupMode": "Disabled"},
    "Elasticsearch": {
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "RetryOptions": {"DurationInSeconds": 300},
        "IndexRotationPeriod": "OneDay",
        "S3BackupMode": "FailedDocumentsOnly",
        "DocumentIdOptions": {"DefaultDocumentIdFormat": "FIREHOSE_DEFAULT"},
    },
    "Splunk": {
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
        "HECAcknowledgmentTimeoutInSeconds": 180,
        "S3BackupMode": "FailedEventsOnly",
    },
    "HttpEndpoint": {
        "RequestConfiguration": {"ContentEncoding": "NONE", "CommonAttributes": []},
        "S3BackupMode": "FailedDataOnly",
    },
    "Iceberg": {"AppendOnly": False, "RetryOptions": {"DurationInSeconds": 300}},
}


@pytest.mark.parametrize("kind", LEAST)
def test_the_least_that_a_destination_needs(firehose, kind):
    said = destination(firehose.create(kind=kind))
    for name, value in DEFAULTS.get(kind, {}).items():
        assert said[name] == value, name
    if kind != "ExtendedS3":
        staged = {**S3_DEFAULTS, **LEAST[kind]["S3Configuration"]}
        assert said["S3DestinationDescription"] == staged
        assert "S3Configuration" not in said
    [version] = DeliveryStreamVersion.objects.all()
    assert (version.version_id, version.destination) == (1, firehose.row().destination)


@pytest.mark.parametrize("example", MOST)
def test_all_that_a_destination_may_have_is_described_as_it_was_given(firehose, example):
    kind, given = MOST[example]
    said = destination(firehose.create(kind=kind, configuration=given))
    for name, value in given.items():
        match name:
            case "Password":
                assert name not in said
            case "EndpointConfiguration":
                assert said[name] == {"Url": value["Url"], "Name": value["Name"]}
            case "S3Configuration" | "S3BackupConfiguration":
                shown = said["S3DestinationDescription" if name == "S3Configuration" else "S3BackupDescription"]
                assert value.items() <= shown.items()
            case "ProcessingConfiguration":
                assert in_order(said[name]) == in_order(value)
            case "DataFormatConversionConfiguration":
                assert said[name]["Enabled"] is True
                assert value["SchemaConfiguration"].items() <= said[name]["SchemaConfiguration"].items()
                assert said[name]["SchemaConfiguration"]["VersionId"] == "LATEST"
            case _:
                assert said[name] == value, name


def in_order(processing):
    """The order of parameters means nothing."""
    return [
        (one["Type"], sorted((p["ParameterName"], p["ParameterValue"]) for p in one["Parameters"]))
        for one in processing["Processors"]
    ]


def test_conversion_fills_in_the_serializers_options_and_a_large_buffer(firehose):
    said = destination(firehose.create(configuration=examples.CONVERTED))
    converted = said["DataFormatConversionConfiguration"]
    assert said["BufferingHints"] == {"SizeInMBs": 128, "IntervalInSeconds": 300}
    assert converted["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"] == {
        "BlockSizeBytes": 268_435_456,
        "PageSizeBytes": 1_048_576,
        "Compression": "GZIP",
        "EnableDictionaryCompression": False,
        "MaxPaddingBytes": 0,
        "WriterVersion": "V1",
    }
    assert converted["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"]["CaseInsensitive"] is True


def test_secrets_are_sealed_and_not_told_but_for_splunks_token(firehose):
    for kind in ("HttpEndpoint", "Redshift", "Splunk"):
        firehose.create(name=kind, kind=kind)
        row = firehose.row(kind)
        assert row.sealed_secrets
        kept = str(row.destination) + row.sealed_secrets + str(row.versions.get().destination)
        for secret in ("the access key", "correct horse", LEAST["Splunk"]["HECToken"]):
            assert secret not in kept
    assert destination(firehose.describe("Splunk"))["HECToken"] == LEAST["Splunk"]["HECToken"]


def test_a_stream_as_source(firehose):
    kinesis(firehose.runtime, firehose.principal, "CreateStream", StreamName="s", ShardCount=2)
    run_due(firehose.runtime, "lifecycle")
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s"
    source = {"KinesisStreamARN": arn, "RoleARN": ROLE}
    described = firehose.create(DeliveryStreamType="KinesisStreamAsSource", KinesisStreamSourceConfiguration=source)
    assert described["DeliveryStreamStatus"] == "ACTIVE"
    assert described["Source"] == {
        "KinesisStreamSourceDescription": {**source, "DeliveryStartTimestamp": firehose.runtime.clock.now_ms()}
    }
    assert "DeliveryStreamEncryptionConfiguration" not in described
    with pytest.raises(ServiceError) as caught:
        firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"})
    assert (caught.value.code, caught.value.message) == (
        "InvalidArgumentException",
        "This operation is not permitted on KinesisStreamAsSource delivery stream type.",
    )


def test_a_throughput_hint_is_told(firehose):
    described = firehose.create(DirectPutSourceConfiguration={"ThroughputHintInMBs": 7})
    assert described["Source"] == {"DirectPutSourceDescription": {"ThroughputHintInMBs": 7}}


NOT_CREATED = [
    ({}, "Exactly one destination configuration is supported for a Firehose"),
    ({**configured("S3", S3), **configured("Splunk", LEAST["Splunk"])}, "Exactly one destination"),
    ({"MSKSourceConfiguration": {"MSKClusterARN": "arn:aws:kafka:us-east-1:123456789012:cluster/c/1",
                                 "TopicName": "t", "AuthenticationConfiguration": {"RoleARN": ROLE, "Connectivity": "PUBLIC"}}},
     "Kafka"),
    ({"DeliveryStreamType": "DatabaseAsSource"}, "Databases"),
    ({"KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s",
                                           "RoleARN": ROLE}},
     "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type"),
    ({"DeliveryStreamType": "KinesisStreamAsSource"}, "KinesisStreamSourceConfiguration is required"),
    ({"DeliveryStreamType": "KinesisStreamAsSource",
      "KinesisStreamSourceConfiguration": {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/none",
                                           "RoleARN": ROLE}, **configured("S3", S3)}, "was not found"),
]  # fmt: skip


def test_what_cannot_be_created(firehose):
    for params, says in NOT_CREATED:
        assert says in refused(firehose, "CreateDeliveryStream", DeliveryStreamName="d", **params)


SNOWFLAKE = {
    "AccountUrl": "https://abcdefgh.snowflakecomputing.com", "Database": "d", "Schema": "s", "Table": "t",
    "RoleARN": ROLE, "S3Configuration": S3,
}  # fmt: skip
VPC = {"SubnetIds": ["subnet-1"], "RoleARN": ROLE, "SecurityGroupIds": ["sg-1"]}
SECRET = {
    "SecretsManagerConfiguration": {
        "Enabled": True,
        "SecretARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:s",
    }
}
HINTS_2 = {"BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 100}}
TABLE = {"DestinationTableName": "t", "DestinationDatabaseName": "db"}
CONVERSION = examples.CONVERTED["DataFormatConversionConfiguration"]


REFUSED = [
    ("Snowflake", SNOWFLAKE, "Snowflake"),
    ("Elasticsearch", {**examples.SEARCH, "VpcConfiguration": VPC}, "VpcConfiguration is not supported"),
    ("Splunk", {**examples.SPLUNK, **SECRET}, "Secrets Manager"),
    ("Splunk", {k: v for k, v in examples.SPLUNK.items() if k != "HECToken"}, "HECToken"),
    ("Redshift", {**examples.REDSHIFT, **SECRET}, "Secrets Manager"),
    ("Redshift", {**examples.REDSHIFT, "S3Configuration": {**S3, "CompressionFormat": "Snappy"}}, "GZIP"),
    ("Redshift", {**examples.REDSHIFT, "S3Configuration": {**S3, "Prefix": "!{timestamp:yyyy}/"}}, "Redshift"),
    ("Redshift", {**examples.REDSHIFT, "CopyCommand": {"DataTableName": "t; DROP TABLE t"}}, "DataTableName"),
    ("Iceberg", {**examples.ICEBERG, "S3BackupMode": "AllData"}, "AllData"),
    ("Iceberg", {**examples.ICEBERG, "TableCreationConfiguration": {"Enabled": True}}, "not supported"),
    ("Iceberg", {**examples.ICEBERG, "DestinationTableConfigurationList": [{**TABLE, "UniqueKeys": ["k"]}]}, "UniqueKeys"),
    ("Elasticsearch", {**examples.SEARCH, "IndexName": "UPPER"}, "IndexName"),
    ("Elasticsearch", {k: v for k, v in examples.SEARCH.items() if k != "ClusterEndpoint"}, "ClusterEndpoint or DomainARN"),
    ("ExtendedS3", {**S3, "S3BackupMode": "Enabled"}, "S3BackupConfiguration"),
    ("ExtendedS3", {**S3, "BufferingHints": {"SizeInMBs": 5}}, "together"),
    ("ExtendedS3", {**S3, "CloudWatchLoggingOptions": {"Enabled": True}}, "LogGroupName"),
    ("ExtendedS3", {**S3, "CustomTimeZone": "Atlantis/Capital"}, "Atlantis/Capital"),
    ("ExtendedS3", {**S3, "Prefix": "!{timestamp:yyyy}/"}, "ErrorOutputPrefix"),
    ("ExtendedS3", {**S3, "Prefix": "a/../b/"}, "Prefix"),
    ("ExtendedS3", {**S3, "BucketARN": "arn:aws:s3:::.."}, "BucketARN"),
    ("ExtendedS3", {**S3, "Prefix": "!{partitionKeyFromQuery:a}/", "ErrorOutputPrefix": "e/"}, "dynamic partitioning"),
    ("ExtendedS3", {**S3, "EncryptionConfiguration": {}, "ProcessingConfiguration": {"Enabled": True}}, "processors"),
    ("ExtendedS3", {**S3, "ProcessingConfiguration": {"Enabled": True, "Processors": [examples.QUERY]}}, "dynamic partitioning"),
    ("ExtendedS3", {**examples.PARTITIONED, **HINTS_2}, "must be at least 64"),
    ("ExtendedS3", {**examples.PARTITIONED, "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 59}}, "at least 60"),
    ("ExtendedS3", {**examples.PARTITIONED, "Prefix": "!{partitionKeyFromQuery:other}/"}, "other"),
    ("ExtendedS3", {**examples.PARTITIONED, "Prefix": "none/"}, "partition key"),
    ("ExtendedS3", {**examples.CONVERTED, **HINTS_2}, "must be at least 64"),
    ("ExtendedS3", {**examples.CONVERTED, "CompressionFormat": "GZIP"}, "UNCOMPRESSED"),
    ("ExtendedS3", {**S3, "DataFormatConversionConfiguration": {"Enabled": True}}, "SchemaConfiguration"),
    ("ExtendedS3", {**S3, "DataFormatConversionConfiguration": {
        **CONVERSION, "SchemaConfiguration": {**examples.SCHEMA, "CatalogId": "999999999999"}}}, "own catalog"),
]  # fmt: skip


def test_configurations_that_are_refused(firehose):
    for kind, given, says in REFUSED:
        said = refused(firehose, "CreateDeliveryStream", DeliveryStreamName="d", **configured(kind, given))
        assert says in said, (kind, said)


def test_the_same_name_again(firehose):
    firehose.create()
    with pytest.raises(ServiceError) as caught:
        firehose.create()
    assert (caught.value.code, caught.value.message) == (
        "ResourceInUseException",
        "Firehose d under accountId 123456789012 already exists",
    )


def test_teams_are_apart(firehose, runtime):
    other = Firehose(runtime, make_team("210987654321", "other", "AKIDOTHER").principal)
    firehose.create()
    for operation, more in (
        ("DescribeDeliveryStream", {}),
        ("DeleteDeliveryStream", {}),
        ("ListTagsForDeliveryStream", {}),
        ("PutRecord", {"Record": {"Data": b"x"}}),
        ("StartDeliveryStreamEncryption", {}),
    ):
        with pytest.raises(ServiceError) as caught:
            other(operation, DeliveryStreamName="d", **more)
        assert (caught.value.code, caught.value.message) == (
            "ResourceNotFoundException",
            "Firehose d under account 210987654321 not found.",
        )
    assert other("ListDeliveryStreams")["DeliveryStreamNames"] == []
    assert other.create()["DeliveryStreamARN"] == "arn:aws:firehose:us-east-1:210987654321:deliverystream/d"


def test_deleting(firehose):
    firehose("CreateDeliveryStream", DeliveryStreamName="d", **configured("ExtendedS3", S3))
    with pytest.raises(ServiceError) as caught:
        firehose("DeleteDeliveryStream", DeliveryStreamName="d")
    assert caught.value.code == "ResourceInUseException"
    firehose.settle()
    firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"})
    assert firehose("DeleteDeliveryStream", DeliveryStreamName="d", AllowForceDelete=True) == {}
    assert firehose.describe()["DeliveryStreamStatus"] == "DELETING"
    firehose("DeleteDeliveryStream", DeliveryStreamName="d")
    with pytest.raises(ServiceError) as caught:
        firehose("UpdateDestination", DeliveryStreamName="d", CurrentDeliveryStreamVersionId="1",
                 DestinationId="destinationId-000000000001", ExtendedS3DestinationUpdate={})  # fmt: skip
    assert caught.value.code == "ResourceInUseException"
    firehose.settle()
    assert not DeliveryStream.objects.exists()
    assert not Lease.objects.filter(kind__startswith="delivery").exists()
    with pytest.raises(ServiceError) as caught:
        firehose("PutRecord", DeliveryStreamName="d", Record={"Data": b"x"})
    assert caught.value.code == "ResourceNotFoundException"


def test_listing(firehose):
    for name in ("b", "a", "C", "d"):
        firehose("CreateDeliveryStream", DeliveryStreamName=name, **configured("ExtendedS3", S3))
    assert firehose("ListDeliveryStreams") == {
        "DeliveryStreamNames": ["C", "a", "b", "d"], "HasMoreDeliveryStreams": False,
    }  # fmt: skip
    assert firehose("ListDeliveryStreams", Limit=2) == {
        "DeliveryStreamNames": ["C", "a"], "HasMoreDeliveryStreams": True,
    }  # fmt: skip
    after = firehose("ListDeliveryStreams", ExclusiveStartDeliveryStreamName="aa", DeliveryStreamType="DirectPut")
    assert after == {"DeliveryStreamNames": ["b", "d"], "HasMoreDeliveryStreams": False}
    assert firehose("ListDeliveryStreams", DeliveryStreamType="KinesisStreamAsSource")["DeliveryStreamNames"] == []


def test_destinations_after_the_only_one(firehose):
    firehose.create()
    said = firehose(
        "DescribeDeliveryStream", DeliveryStreamName="d", ExclusiveStartDestinationId="destinationId-000000000001"
    )
    assert said["DeliveryStreamDescription"]["Destinations"] == []
