"""Capacity operations by boto3, over a real socket."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.support.processes import eventually
from tests.wire.conftest import until_active

MIB = 2**20


def test_records_of_10_mib_after_the_stream_was_told(kinesis: Any, make_stream: Callable[..., str]) -> None:
    name = make_stream("capacity-large")
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    data = bytes(range(256)) * (10 * MIB // 256)
    data = data[:-1]  # the key counts
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="exceeds the maximum of 1048576 bytes"):
        kinesis.put_record(StreamName=name, PartitionKey="k", Data=data[:MIB])
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=10_240)
    put = until(lambda: kinesis.put_record(StreamName=name, PartitionKey="k", Data=data), kinesis)
    iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    [record] = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert record["Data"] == data


def until(call: Callable[[], Any], kinesis: Any) -> Any:
    """The call's answer, once the change has reached the server's snapshot, a second later at most."""
    answers: list[Any] = []

    def answered() -> bool:
        with suppress(kinesis.exceptions.InvalidArgumentException):
            answers.append(call())
        return bool(answers)

    eventually(answered)
    return answers[0]


def test_records_without_a_key(kinesis: Any) -> None:
    name = "capacity-auto"
    kinesis.create_stream(StreamName=name, RecordDistributionStrategy="AUTO")
    summary = until_active(kinesis, name)
    assert (summary["RecordDistributionStrategy"], summary["OpenShardCount"]) == ("AUTO", 4)
    answer = kinesis.put_records(StreamName=name, Records=[{"Data": bytes([n])} for n in range(40)])
    assert answer["FailedRecordCount"] == 0
    assert len({record["ShardId"] for record in answer["Records"]}) == 4
    kinesis.put_record(StreamName=name, Data=b"alone")
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId="shardId-000000000001", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert len(records) >= 10
    assert all("PartitionKey" not in record for record in records)


def test_modes_limits_and_settings_have_their_shapes(kinesis: Any, make_stream: Callable[..., str]) -> None:
    name = make_stream("capacity-mode", 2)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    before = kinesis.describe_limits()
    settings = kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    commitment = settings["MinimumThroughputBillingCommitment"]
    lasts = commitment["EarliestAllowedEndAt"] - commitment["StartedAt"]
    assert (commitment["Status"], lasts.days, lasts.seconds) == ("ENABLED", 1, 0)
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"}, WarmThroughputMiBps=3)
    summary = until_active(kinesis, name)
    assert summary["WarmThroughput"] == {"TargetMiBps": 3, "CurrentMiBps": 3}
    after = kinesis.describe_limits()
    assert after["OnDemandStreamCount"] == before["OnDemandStreamCount"] + 1
    assert after["OpenShardCount"] == before["OpenShardCount"] - 2
    kinesis.update_stream_warm_throughput(StreamARN=arn, WarmThroughputMiBps=0)
    until_active(kinesis, name)
    kinesis.tag_resource(ResourceARN=arn, Tags={"a": "1"})
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["a"])
    ended = kinesis.update_account_settings(MinimumThroughputBillingCommitment={"Status": "DISABLED"})
    assert ended["MinimumThroughputBillingCommitment"]["Status"] == "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
