"""Channels to S3: what operations answer, and what is in the bucket."""

import base64
import gzip
import json
from typing import Any

import pytest
import zstandard

from apps.billing.models import UsageHour
from apps.delivery.models import DeliveryError, DeliveryStream, Lane
from apps.leases.models import Lease
from tests.domain.delivery.channels.conftest import ROLE, Bench, bucket
from tests.support.runtimes import run_due
from tests.support.s3 import S3Server
from tests.support.teams import make_team


def test_a_channel_from_creation_to_deletion(bench: Bench) -> None:
    arn = bench.stream()
    made = bench("CreateChannel", **bench.request("c", arn, top={"Tags": {"a": "1"}}))["ChannelDescription"]
    assert made["ChannelARN"] == f"arn:aws:kinesis:us-east-1:123456789012:channel/{made['ChannelId']}"
    assert made["ChannelStatus"] == "CREATING"
    bench.settle()
    said = bench.describe(made["ChannelARN"])
    assert said == {
        **made,
        "ChannelStatus": "ACTIVE",
        "ServiceExecutionRoleARN": ROLE,
        "StreamConfigurationList": [
            {
                "StreamARN": arn,
                "StreamCreationTimestamp": said["StreamConfigurationList"][0]["StreamCreationTimestamp"],
                "RecordConfiguration": {"RecordFormatType": "JSON"},
            }
        ],
        "S3DestinationConfiguration": {
            "DataFreshnessInSeconds": 300,
            "DeadLetterQueueS3Configuration": bucket("events", ErrorOutputPrefix=f"errors/c/{made['ChannelId']}/"),
            "StorageConfiguration": bucket(
                "events", CompressionType="NONE", StorageClass="STANDARD",
                OutputKeyTemplate="data/!{channel-name}/!{yyyy}/!{MM}/!{dd}/!{HH}/!{channel-id}-!{mm}!{extension}",
            ),
        },
        "LoggingConfiguration": {
            "CloudWatchLogs": {
                "Enabled": False,
                "LogGroupName": f"/aws/kinesis/c/{made['ChannelId']}",
                "LogStreamName": "DestinationDelivery",
            }
        },
    }  # fmt: skip
    [summary] = bench("ListChannels")["ChannelSummaries"]
    assert (summary["ChannelDestinationType"], summary["Streams"][0]["StreamARN"]) == ("S3", arn)
    assert bench("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]["ChannelCount"] == 1
    assert bench("DescribeLimits")["ChannelCount"] == 1
    code, message = bench.refused("DeleteStream", StreamName="s")
    assert (code, "channels" in message) == ("ResourceInUseException", True)
    bench("DeleteChannel", ChannelARN=made["ChannelARN"])
    assert bench.describe(made["ChannelARN"])["ChannelStatus"] == "DELETING"
    bench("DeleteChannel", ChannelARN=made["ChannelARN"])
    bench.settle()
    assert bench.refused("DescribeChannel", ChannelARN=made["ChannelARN"])[0] == "ResourceNotFoundException"
    assert not DeliveryStream.objects.exists()
    assert not Lane.objects.exists()
    bench("DeleteStream", StreamName="s")


def test_records_arrive_as_they_are_from_the_activation_on(bench: Bench, s3: S3Server) -> None:
    arn = bench.stream()
    bench.put(b'{"before": 1}')
    bench.clock.advance(1_000)
    made = bench("CreateChannel", **bench.request("orders", arn))["ChannelDescription"]
    bench.settle()
    bench.put(b'{"a": 1}', b'{"a": 2}\n', b"not json", b'"text"')
    bench.deliver(299)
    assert s3.keys("events") == []
    bench.deliver(2)
    objects = s3.objects("events", "data/")
    assert b"".join(sorted(objects.values(), key=len)).count(b"a") == 2
    assert sum(len(body) for body in objects.values()) == len(b'{"a": 1}{"a": 2}\n"text"')
    channel_id = made["ChannelId"]
    assert all(key.startswith("data/orders/20") and f"/{channel_id}-" in key for key in objects)
    errors = s3.objects("events", f"errors/orders/{channel_id}/")
    [line] = [json.loads(line) for body in errors.values() for line in body.splitlines()]
    assert (line["errorCode"], base64.b64decode(line["rawData"])) == ("Channel.InvalidJson", b"not json")
    assert DeliveryError.objects.filter(code="Channel.InvalidJson").exists()


@pytest.mark.parametrize(
    ("compression", "record", "extension"),
    [("GZIP", "STRING", ".gz"), ("ZSTD", "BYTE_ARRAY", ".zst")],
)
def test_formats_and_compressions(bench: Bench, s3: S3Server, compression: str, record: str, extension: str) -> None:
    letters = {"DeadLetterQueueS3Configuration": bucket("letters", ErrorOutputPrefix="bad/")}
    bench.channel("c", bench.stream(), record, CompressionType=compression, StorageClass="GLACIER_IR",
                  OutputKeyTemplate="x/!{HH}!{extension}", destination={"DataFreshnessInSeconds": 60, **letters})  # fmt: skip
    bench.put(b"text", b"\xff\x00")
    bench.deliver(61)
    objects = s3.objects("events")
    assert all(key.startswith("x/") and key.endswith(extension) for key in objects)
    unpack = (
        gzip.decompress
        if compression == "GZIP"
        else lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    found = sorted(unpack(body) for body in objects.values())
    bad = s3.objects("letters", "bad/")
    if record == "STRING":
        assert found == [b"text"]
        assert json.loads(next(iter(bad.values())))["errorCode"] == "Channel.InvalidString"
    else:
        assert b"".join(found) in {b"text\xff\x00", b"\xff\x00text"}
        assert bad == {}
    said = s3.client.head_object(Bucket="events", Key=next(iter(objects)))
    assert said["StorageClass"] == "GLACIER_IR"


def test_order_per_shard_and_a_new_owner_of_the_bucket(bench: Bench, s3: S3Server, monkeypatch: Any) -> None:
    asked = []
    from apps.delivery.s3_client import S3

    put = S3.put
    monkeypatch.setattr(
        S3, "put", lambda self, *args, **more: (asked.append(more["expected_owner"]), put(self, *args, **more))
    )
    bench.channel("c", bench.stream(), "BYTE_ARRAY")
    for number in range(50):
        bench("PutRecord", StreamName="s", PartitionKey="same", Data=b"%03d," % number)
    bench.deliver()
    [body] = s3.objects("events").values()
    assert body == b"".join(b"%03d," % number for number in range(50))
    assert asked == ["123456789012"]


def test_an_update_changes_freshness_and_logging_alone(bench: Bench, s3: S3Server) -> None:
    arn = bench.channel("c", bench.stream(), "BYTE_ARRAY")
    said = bench("UpdateChannel", ChannelARN=arn, S3DestinationConfiguration={"DataFreshnessInSeconds": 30},
                 LoggingConfiguration={"CloudWatchLogs": {"Enabled": True}})["ChannelDescription"]  # fmt: skip
    assert said["ChannelStatus"] == "UPDATING"
    assert bench.refused("UpdateChannel", ChannelARN=arn, S3DestinationConfiguration={"DataFreshnessInSeconds": 30})[
        0
    ] == ("ResourceInUseException")
    bench.settle()
    said = bench.describe(arn)
    assert said["ChannelStatus"] == "ACTIVE"
    assert said["S3DestinationConfiguration"]["DataFreshnessInSeconds"] == 30
    assert said["LoggingConfiguration"]["CloudWatchLogs"]["Enabled"] is True
    assert said["LoggingConfiguration"]["CloudWatchLogs"]["LogStreamName"] == "DestinationDelivery"
    bench.put(b"x")
    bench.deliver(31)
    assert len(s3.keys("events")) == 1
    tables = {"S3TablesDestinationConfiguration": {"DataFreshnessInSeconds": 30}}
    assert bench.refused("UpdateChannel", ChannelARN=arn, **tables)[0] == "ValidationException"
    assert bench.refused("UpdateChannel", ChannelARN=arn)[0] == "ValidationException"


def test_what_cannot_be_is_refused_and_stores_nothing(bench: Bench) -> None:
    arn, provisioned = bench.stream(), bench.stream("p", 1)
    good = bench.request("c", arn)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("ValidationException", bench.request("c", provisioned)),
        ("ValidationException", {**good, "StreamConfigurationList": good["StreamConfigurationList"] * 2}),
        ("ValidationException", bench.request("c", arn, "GSR_JSON")),
        ("ValidationException", bench.request("c", arn, CompressionType="GZIP", OutputKeyTemplate="data/x")),
        ("ValidationException", bench.request("c", arn, OutputKeyTemplate="data/!{nonsense}")),
        ("ValidationException", bench.request("c", arn, OutputKeyTemplate="../x")),
        ("ValidationException", bench.request("c", arn, OutputKeyTemplate="a{b")),
        ("ValidationException", bench.request("c", arn, destination={"DataFreshnessInSeconds": 0})),
        ("ValidationException", bench.request("c", arn, destination={"DataFreshnessInSeconds": 3_601})),
        ("ValidationException", {key: value for key, value in good.items() if key != "S3DestinationConfiguration"}),
        ("InvalidArgumentException", {**good, "EncryptionConfiguration": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}}),
        ("InvalidArgumentException", {**good, "Tags": {"aws:x": "1"}}),
        ("ResourceNotFoundException", bench.request("c", arn.replace("stream/s", "stream/nobody"))),
        ("ResourceNotFoundException", bench.request("c", arn.replace("us-east-1", "eu-west-1"))),
    ]  # fmt: skip
    assert [bench.refused("CreateChannel", **request)[0] for _, request in cases] == [code for code, _ in cases]
    assert not DeliveryStream.objects.exists()


def test_quotas_names_and_other_teams(bench: Bench) -> None:
    arn, second = bench.stream(), bench.stream("second")
    channel = bench.channel("c", arn)
    code, message = bench.refused("CreateChannel", **bench.request("d", arn))
    assert (code, "Limit: 1." in message) == ("LimitExceededException", True)
    assert bench.refused("CreateChannel", **bench.request("c", second))[0] == "ResourceInUseException"
    bench.channel("d", second)
    other = bench.of(make_team("999999999999", "other", "AKIDOTHER").principal)
    for operation in ("DescribeChannel", "DeleteChannel"):
        assert other.refused(operation, ChannelARN=channel)[0] == "AccessDeniedException"
    assert other("ListChannels")["ChannelSummaries"] == []
    assert other.refused("TagResource", ResourceARN=channel, Tags={"a": "1"})[0] == "AccessDeniedException"
    missing = channel[:-1] + ("0" if channel[-1] != "0" else "1")
    for operation in ("DescribeChannel", "DeleteChannel"):
        assert bench.refused(operation, ChannelARN=missing)[0] == "ResourceNotFoundException"


def test_lists_in_pages_by_stream(bench: Bench) -> None:
    arns = {name: bench.stream(name) for name in ("a", "b", "e")}
    for name in ("zz", "Z", "m"):
        bench.channel(name, arns[{"zz": "a", "Z": "b", "m": "e"}[name]])
    first = bench("ListChannels", MaxResults=2)
    assert [one["ChannelName"] for one in first["ChannelSummaries"]] == ["Z", "m"]
    rest = bench("ListChannels", NextToken=first["NextToken"])
    assert [one["ChannelName"] for one in rest["ChannelSummaries"]] == ["zz"]
    assert "NextToken" not in rest
    filtered = bench("ListChannels", StreamFilter=[{"StreamARN": arns["b"]}])
    assert [one["ChannelName"] for one in filtered["ChannelSummaries"]] == ["Z"]
    created_ms = filtered["ChannelSummaries"][0]["Streams"][0]["StreamCreationTimestamp"]
    wrong = [{"StreamARN": arns["b"], "StreamCreationTimestamp": created_ms - 5_000}]
    assert bench("ListChannels", StreamFilter=wrong)["ChannelSummaries"] == []
    assert (
        bench.refused("ListChannels", NextToken=first["NextToken"], StreamFilter=wrong)[0] == "InvalidArgumentException"
    )


def test_tags(bench: Bench) -> None:
    arn = bench("CreateChannel", **bench.request("c", bench.stream(), top={"Tags": {"a": "1"}}))["ChannelDescription"][
        "ChannelARN"
    ]
    bench("TagResource", ResourceARN=arn, Tags={"b": "2", "a": "3"})
    assert bench("ListTagsForResource", ResourceARN=arn)["Tags"] == [
        {"Key": "a", "Value": "3"},
        {"Key": "b", "Value": "2"},
    ]
    bench("UntagResource", ResourceARN=arn, TagKeys=["a", "nothing"])
    assert bench("ListTagsForResource", ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_delivery_streams_and_channels_do_not_see_each_other(bench: Bench) -> None:
    bench.channel("c", bench.stream())
    firehose = call_firehose(bench, "ListDeliveryStreams")
    assert firehose["DeliveryStreamNames"] == []


def call_firehose(bench: Bench, operation: str, **params: Any) -> Any:
    from apps.gateway.invoke import invoke_sync

    return invoke_sync(bench.runtime, bench.principal, "firehose", operation, params)


def test_what_is_delivered_is_paid_by_the_commitment_at_its_time(bench: Bench, s3: S3Server) -> None:
    bench.channel(stream=bench.stream())
    bench.put(b"12345", b"678")
    bench.deliver()
    bench("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    bench.put(b"1234")
    Lease.objects.filter(kind="delivery").update(due_at_ms=bench.clock.now_ms())
    bench.deliver()
    Lease.objects.filter(kind="metering", key="delivery").update(due_at_ms=bench.clock.now_ms())
    run_due(bench.runtime, "metering")
    rows = UsageHour.objects.filter(resource="channel/c").values_list("meter", "quantity")
    assert dict(rows) == {"channel-bytes": 8, "advantage-channel-bytes": 4}
