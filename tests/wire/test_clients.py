"""boto3 (JSON) and a CBOR client over a real socket: records go in and come out as they were."""

import os
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from botocore.exceptions import ClientError

from tests.wire.conftest import Endpoint, until_active
from tests.wire.raw import CBOR, Milliseconds, call


def in_cbor(endpoint: Endpoint, operation: str, **params: Any) -> Any:
    answer = call(endpoint, operation, cbor2.dumps(params), content_type=CBOR)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == CBOR
    return answer.cbor if answer.body else None


def test_what_boto3_puts_boto3_gets(kinesis: Any, make_stream: Callable[..., str]) -> None:
    name = make_stream("boto3", 2)
    data = [b"", b"\x00\xff", os.urandom(1000), "gr\u00fc\u00dfe \U0001f30a".encode()]
    entries = [{"Data": item, "PartitionKey": f"key-{number}"} for number, item in enumerate(data)]
    put = kinesis.put_records(StreamName=name, Records=entries)
    assert put["FailedRecordCount"] == 0
    one = kinesis.put_record(StreamName=name, Data=b"one", PartitionKey="one")
    found = {}
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in kinesis.get_records(ShardIterator=iterator)["Records"]:
            found[record["PartitionKey"]] = (record["Data"], record["SequenceNumber"])
    expected = {f"key-{number}": (item, put["Records"][number]["SequenceNumber"]) for number, item in enumerate(data)}
    assert found == expected | {"one": (b"one", one["SequenceNumber"])}


def test_what_cbor_puts_cbor_gets(endpoint: Endpoint) -> None:
    in_cbor(endpoint, "CreateStream", StreamName="cbor", ShardCount=1)
    summary = {}
    while summary.get("StreamStatus") != "ACTIVE":
        summary = in_cbor(endpoint, "DescribeStreamSummary", StreamName="cbor")["StreamDescriptionSummary"]
    assert isinstance(summary["StreamCreationTimestamp"], Milliseconds)
    data = os.urandom(500)
    put = in_cbor(endpoint, "PutRecord", StreamName="cbor", Data=data, PartitionKey="k")
    puts = in_cbor(endpoint, "PutRecords", StreamName="cbor", Records=[{"Data": data, "PartitionKey": "k"}] * 2)
    assert puts["FailedRecordCount"] == 0
    iterator = in_cbor(
        endpoint,
        "GetShardIterator",
        StreamName="cbor",
        ShardId=put["ShardId"],
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=cbor2.CBORTag(1, int(summary["StreamCreationTimestamp"])),
    )["ShardIterator"]
    records = in_cbor(endpoint, "GetRecords", ShardIterator=iterator)["Records"]
    assert [record["Data"] for record in records] == [data] * 3
    arrival = records[0]["ApproximateArrivalTimestamp"]
    assert isinstance(arrival, Milliseconds)
    assert 0 <= arrival - summary["StreamCreationTimestamp"] < 60_000


def test_errors_reach_boto3_as_its_exceptions(kinesis: Any, endpoint: Endpoint) -> None:
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException) as caught:
        kinesis.describe_stream_summary(StreamName="nobody-made-me")
    error = caught.value.response["Error"]
    assert error["Message"] == f"Stream nobody-made-me under account {endpoint.account_id} not found."
    with pytest.raises(ClientError) as refused:
        kinesis.put_record(StreamName="nobody-made-me", Data=b"", PartitionKey="k", ExplicitHashKey="x")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_stream_can_be_put_to_as_soon_as_it_is_active(kinesis: Any) -> None:
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.put_record(StreamName="at-once", Data=b"", PartitionKey="k")
    kinesis.create_stream(StreamName="at-once", ShardCount=1)
    until_active(kinesis, "at-once")
    assert kinesis.put_record(StreamName="at-once", Data=b"", PartitionKey="k")["ShardId"] == "shardId-000000000000"
