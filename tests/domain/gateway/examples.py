"""A valid call of every operation of Kinesis Data Streams, and a world in which they are valid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.queues.receiving import Receiving
from apps.runtime import Runtime
from apps.streams.models import Stream
from tests.support.runtimes import call, run_due

SECOND_S = 0.01
"""What a second of waiting for a queue takes here."""

POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"},'
    ' "Action": "kinesis:DescribeStreamSummary", "Resource": "%s"}]}'
)


@dataclass
class World:
    """One team with streams, consumers and queues for every operation to work on; names by what they are for."""

    runtime: Runtime
    principal: Any
    arns: dict[str, str] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)

    def __call__(self, operation: str, **params: Any) -> Any:
        return call(self.runtime, self.principal, operation, **params)

    def settle(self) -> None:
        """Let the workers do what is due."""
        for kind, module in (("lifecycle", ""), ("queues", ""), ("delivery-streams", "delivery")):
            run_due(self.runtime, kind, module)

    def build(self) -> World:
        """Make everything."""

        async def hurry() -> None:
            self.runtime.part(Receiving).second_s = SECOND_S

        self.runtime.wait_for(hurry())
        self("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
        for name in ("s", "split", "merge", "count", "delete", "mode", "plain"):
            self._stream(name, ShardCount=2)
        for name in ("d", "strategy", "warm", "secret"):
            self._stream(name)
        self._encrypt()
        for name in ("c", "leaving", "policed"):
            answer = self("RegisterStreamConsumer", StreamARN=self.arns["s"], ConsumerName=name)
            self.arns[f"consumer {name}"] = answer["Consumer"]["ConsumerARN"]
        self.settle()
        for name in ("q", "dead", "changing", "going"):
            self.arns[f"queue {name}"] = self._queue(name)
        for name, stream in (("c", "strategy"), ("going", "warm")):
            self.arns[f"channel {name}"] = self._channel(name, stream)
        self("PutRecords", StreamName="d", Records=[{"PartitionKey": f"k{n}", "Data": b"x"} for n in range(4)])
        self.handles["q"] = self._handle("ReceiveQueueRecords", "q")
        for _ in range(3):  # received too often, these become dead letters
            self("ReceiveQueueRecords", QueueARN=self.arns["queue dead"], WaitTimeSeconds=1, VisibilityTimeoutSeconds=0)
        self.settle()
        self.handles["dead"] = self._handle("ReceiveDeadLetterQueueRecords", "dead")
        return self

    def iterator(self) -> str:
        return self(
            "GetShardIterator", StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def _stream(self, name: str, **params: Any) -> None:
        self("CreateStream", StreamName=name, **params)
        self.settle()
        self.arns[name] = str(Stream.objects.select_related("team").get(name=name).arn)

    def _encrypt(self) -> None:
        self("StartStreamEncryption", StreamName="secret", EncryptionType="KMS", KeyId="alias/aws/kinesis")
        self.settle()

    def _queue(self, name: str) -> str:
        answer = self(
            "CreateQueue",
            QueueName=name,
            StreamConfigurationList=[{"StreamARN": self.arns["d"], "StartingPosition": {"Type": "TRIM_HORIZON"}}],
            QueueAttributes={"DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 1}}
            if name == "dead"
            else {},
        )
        self.settle()
        return answer["QueueDescription"]["QueueARN"]

    def _channel(self, name: str, stream: str) -> str:
        answer = self("CreateChannel", **new_channel(name, self.arns[stream]))
        self.settle()
        return answer["ChannelDescription"]["ChannelARN"]

    def _handle(self, operation: str, queue: str, **params: Any) -> str:
        """A record's receipt handle."""
        found = self(operation, QueueARN=self.arns[f"queue {queue}"], Limit=1, WaitTimeSeconds=1, **params)
        return found["QueueRecords"][0]["ReceiptHandle"]


STREAM_ID = "abcdefghij0123456789-abc"
ROLE = "arn:aws:iam::123456789012:role/r"
BUCKET = {"BucketARN": "arn:aws:s3:::bucket", "ExpectedBucketOwner": "123456789012"}

Params = dict[str, Any]


def new_channel(name: str, stream_arn: str) -> Params:
    """A CreateChannel request."""
    storage = {
        **BUCKET,
        "CompressionType": "GZIP",
        "StorageClass": "STANDARD",
        "OutputKeyTemplate": "data/!{channel-id}!{extension}",
    }
    return {
        "ChannelName": name,
        "ServiceExecutionRoleARN": ROLE,
        "StreamConfigurationList": [{"StreamARN": stream_arn, "RecordConfiguration": {"RecordFormatType": "JSON"}}],
        "S3DestinationConfiguration": {
            "DataFreshnessInSeconds": 60,
            "StorageConfiguration": storage,
            "DeadLetterQueueS3Configuration": {**BUCKET, "ErrorOutputPrefix": "bad/"},
        },
    }


EXAMPLES: dict[str, Callable[[World], Params]] = {
    "CreateStream": lambda _: {
        "StreamName": "new",
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "Tags": {"a": "1"},
        "WarmThroughputMiBps": 5,
        "MaxRecordSizeInKiB": 2_048,
        "RecordDistributionStrategy": "AUTO",
    },
    "DescribeStream": lambda w: {
        "StreamName": "s",
        "StreamARN": w.arns["s"],
        "StreamId": STREAM_ID,
        "Limit": 1,
        "ExclusiveStartShardId": "shardId-000000000000",
    },
    "DescribeStreamSummary": lambda w: {"StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID},
    "ListStreams": lambda _: {"Limit": 1, "ExclusiveStartStreamName": "a"},
    "ListShards": lambda w: {
        "StreamName": "s",
        "StreamARN": w.arns["s"],
        "StreamId": STREAM_ID,
        "MaxResults": 1,
        "ExclusiveStartShardId": "shardId-000000000000",
        "ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": 1_000_000},
    },
    "IncreaseStreamRetentionPeriod": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "RetentionPeriodHours": 48,
    },
    "DecreaseStreamRetentionPeriod": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "RetentionPeriodHours": 24,
    },
    "EnableEnhancedMonitoring": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "ShardLevelMetrics": ["IncomingBytes"],
    },
    "DisableEnhancedMonitoring": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "ShardLevelMetrics": ["ALL"],
    },
    "AddTagsToStream": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "Tags": {"a": "1"},
    },
    "ListTagsForStream": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "Limit": 1, "ExclusiveStartTagKey": "0",
    },
    "RemoveTagsFromStream": lambda w: {
        "StreamName": "s", "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "TagKeys": ["a"],
    },
    "TagResource": lambda w: {"ResourceARN": w.arns["s"], "StreamId": STREAM_ID, "Tags": {"a": "1"}},
    "ListTagsForResource": lambda w: {"ResourceARN": w.arns["s"], "StreamId": STREAM_ID},
    "UntagResource": lambda w: {"ResourceARN": w.arns["s"], "StreamId": STREAM_ID, "TagKeys": ["a"]},
    "PutResourcePolicy": lambda w: {
        "ResourceARN": w.arns["s"], "StreamId": STREAM_ID, "Policy": POLICY % w.arns["s"],
    },
    "GetResourcePolicy": lambda w: {"ResourceARN": w.arns["s"], "StreamId": STREAM_ID},
    "DeleteResourcePolicy": lambda w: {"ResourceARN": w.arns["s"], "StreamId": STREAM_ID},
    "PutRecord": lambda w: {
        "StreamName": "s",
        "StreamARN": w.arns["s"],
        "StreamId": STREAM_ID,
        "Data": b"x",
        "PartitionKey": "k",
        "ExplicitHashKey": "0",
        "DryRun": False,
    },
    "PutRecords": lambda w: {
        "StreamName": "s",
        "StreamARN": w.arns["s"],
        "StreamId": STREAM_ID,
        "Records": [{"Data": b"x", "PartitionKey": "k", "ExplicitHashKey": "0"}],
        "DryRun": False,
    },
    "GetShardIterator": lambda w: {
        "StreamName": "s",
        "StreamARN": w.arns["s"],
        "StreamId": STREAM_ID,
        "ShardId": "shardId-000000000000",
        "ShardIteratorType": "AT_TIMESTAMP",
        "Timestamp": 1_000_000,
        "DryRun": False,
    },
    "GetRecords": lambda w: {
        "ShardIterator": w.iterator(), "Limit": 1, "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "DryRun": False,
    },
    "SubscribeToShard": lambda w: {
        "ConsumerARN": w.arns["consumer c"],
        "StreamId": STREAM_ID,
        "ShardId": "shardId-000000000000",
        "StartingPosition": {"Type": "AT_TIMESTAMP", "Timestamp": 1_000_000},
        "DryRun": False,
    },
    "RegisterStreamConsumer": lambda w: {
        "StreamARN": w.arns["s"], "ConsumerName": "new", "StreamId": STREAM_ID, "Tags": {"a": "1"},
    },
    "DescribeStreamConsumer": lambda w: {
        "StreamARN": w.arns["s"], "ConsumerName": "c", "ConsumerARN": w.arns["consumer c"], "StreamId": STREAM_ID,
    },
    "ListStreamConsumers": lambda w: {
        "StreamARN": w.arns["s"], "MaxResults": 1, "StreamId": STREAM_ID,
    },
    "DeregisterStreamConsumer": lambda w: {
        "StreamARN": w.arns["s"],
        "ConsumerName": "leaving",
        "ConsumerARN": w.arns["consumer leaving"],
        "StreamId": STREAM_ID,
    },
    "SplitShard": lambda w: {
        "StreamName": "split",
        "StreamARN": w.arns["split"],
        "StreamId": STREAM_ID,
        "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": "77",
    },
    "MergeShards": lambda w: {
        "StreamName": "merge",
        "StreamARN": w.arns["merge"],
        "StreamId": STREAM_ID,
        "ShardToMerge": "shardId-000000000000",
        "AdjacentShardToMerge": "shardId-000000000001",
    },
    "UpdateShardCount": lambda w: {
        "StreamName": "count",
        "StreamARN": w.arns["count"],
        "StreamId": STREAM_ID,
        "TargetShardCount": 4,
        "ScalingType": "UNIFORM_SCALING",
    },
    "UpdateStreamMode": lambda w: {
        "StreamARN": w.arns["mode"],
        "StreamId": STREAM_ID,
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
        "WarmThroughputMiBps": 4,
    },
    "UpdateStreamWarmThroughput": lambda w: {
        "StreamName": "warm", "StreamARN": w.arns["warm"], "StreamId": STREAM_ID, "WarmThroughputMiBps": 6,
    },
    "UpdateStreamRecordDistributionStrategy": lambda w: {
        "StreamARN": w.arns["strategy"], "StreamId": STREAM_ID, "RecordDistributionStrategy": "AUTO",
    },
    "UpdateMaxRecordSize": lambda w: {
        "StreamARN": w.arns["s"], "StreamId": STREAM_ID, "MaxRecordSizeInKiB": 10_240,
    },
    "StartStreamEncryption": lambda w: {
        "StreamName": "plain",
        "StreamARN": w.arns["plain"],
        "StreamId": STREAM_ID,
        "EncryptionType": "KMS",
        "KeyId": "alias/aws/kinesis",
    },
    "StopStreamEncryption": lambda w: {
        "StreamName": "secret",
        "StreamARN": w.arns["secret"],
        "StreamId": STREAM_ID,
        "EncryptionType": "KMS",
        "KeyId": "alias/aws/kinesis",
    },
    "DescribeLimits": lambda _: {},
    "DescribeAccountSettings": lambda _: {},
    "UpdateAccountSettings": lambda _: {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}},
    "CreateQueue": lambda w: {
        "QueueName": "new",
        "StreamConfigurationList": [
            {"StreamARN": w.arns["d"], "StartingPosition": {"Type": "AT_TIMESTAMP", "Timestamp": 1_000_000}}
        ],
        "QueueAttributes": {
            "VisibilityTimeoutSeconds": 5,
            "DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 3},
        },
        "Tags": {"a": "1"},
    },
    "DescribeQueue": lambda w: {"QueueARN": w.arns["queue q"]},
    "ListQueues": lambda w: {"MaxResults": 1, "StreamFilter": [{"StreamARN": w.arns["d"]}]},
    "UpdateQueue": lambda w: {
        "QueueARN": w.arns["queue changing"],
        "QueueAttributes": {
            "VisibilityTimeoutSeconds": 6,
            "DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 4},
        },
    },
    "ReceiveQueueRecords": lambda w: {
        "QueueARN": w.arns["queue q"], "Limit": 1, "WaitTimeSeconds": 1, "VisibilityTimeoutSeconds": 60,
    },
    "UpdateQueueRecordsVisibility": lambda w: {
        "QueueARN": w.arns["queue q"],
        "Entries": [{"ReceiptHandle": w.handles["q"], "VisibilityTimeoutSeconds": 60}],
    },
    "AcknowledgeQueueRecords": lambda w: {
        "QueueARN": w.arns["queue q"], "Entries": [{"ReceiptHandle": w.handles["q"]}],
    },
    "ReceiveDeadLetterQueueRecords": lambda w: {
        "QueueARN": w.arns["queue dead"], "Limit": 1, "WaitTimeSeconds": 1, "VisibilityTimeoutSeconds": 60,
    },
    "UpdateDeadLetterQueueRecordsVisibility": lambda w: {
        "QueueARN": w.arns["queue dead"],
        "Entries": [{"ReceiptHandle": w.handles["dead"], "VisibilityTimeoutSeconds": 60}],
    },
    "RestoreDeadLetterQueueRecords": lambda w: {
        "QueueARN": w.arns["queue dead"], "Entries": [{"ReceiptHandle": w.handles["dead"]}],
    },
    "AcknowledgeDeadLetterQueueRecords": lambda w: {
        "QueueARN": w.arns["queue dead"], "Entries": [{"ReceiptHandle": w.handles["dead"]}],
    },
    "DeleteQueue": lambda w: {"QueueARN": w.arns["queue going"]},
    "CreateChannel": lambda w: {
        **new_channel("new", w.arns["d"]),
        "EncryptionConfiguration": {"EncryptionType": "KMS", "KeyId": "alias/mine"},
        "LoggingConfiguration": {"CloudWatchLogs": {"Enabled": True, "LogGroupName": "/g", "LogStreamName": "s"}},
        "Tags": {"a": "1"},
    },
    "DescribeChannel": lambda w: {"ChannelARN": w.arns["channel c"]},
    "ListChannels": lambda w: {"MaxResults": 1, "StreamFilter": [{"StreamARN": w.arns["d"]}]},
    "UpdateChannel": lambda w: {
        "ChannelARN": w.arns["channel c"],
        "S3DestinationConfiguration": {"DataFreshnessInSeconds": 300},
        "LoggingConfiguration": {"CloudWatchLogs": {"Enabled": True}},
    },
    "DeleteChannel": lambda w: {"ChannelARN": w.arns["channel going"]},
    "DeleteStream": lambda w: {
        "StreamName": "delete", "StreamARN": w.arns["delete"], "StreamId": STREAM_ID, "EnforceConsumerDeletion": True,
    },
}  # fmt: skip
"""A valid call by operation, in an order in which all of them succeed one after the other in one world."""
