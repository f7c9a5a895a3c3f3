"""What belongs to one team is not there for another."""

import pytest

from apps.streams.models import Consumer, Stream

pytestmark = pytest.mark.django_db

HIS = "210987654321"
HERS = "123456789012"

BY_NAME = {
    "DeleteStream": {},
    "DescribeStream": {},
    "DescribeStreamSummary": {},
    "ListShards": {},
    "SplitShard": {"ShardToSplit": "0", "NewStartingHashKey": "77"},
    "MergeShards": {"ShardToMerge": "0", "AdjacentShardToMerge": "1"},
    "UpdateShardCount": {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
    "IncreaseStreamRetentionPeriod": {"RetentionPeriodHours": 48},
    "DecreaseStreamRetentionPeriod": {"RetentionPeriodHours": 24},
    "AddTagsToStream": {"Tags": {"a": "b"}},
    "RemoveTagsFromStream": {"TagKeys": ["a"]},
    "ListTagsForStream": {},
}
BY_ARN = {"RegisterStreamConsumer": {"ConsumerName": "d"}, "ListStreamConsumers": {}}


def rows():
    return list(Stream.objects.order_by("pk").values()), list(Consumer.objects.order_by("pk").values())


@pytest.fixture
def hers(control):
    control.arn = str(control.create("s", shards=2, Tags={"a": "1"}).arn)
    control.consumer_arn = control("RegisterStreamConsumer", StreamARN=control.arn, ConsumerName="c")["Consumer"][
        "ConsumerARN"
    ]
    control.settle()
    return control


@pytest.mark.parametrize("operation", BY_NAME)
def test_by_name(hers, stranger, operation):
    before = rows()
    assert stranger.refused(operation, StreamName="s", **BY_NAME[operation]) == (
        "ResourceNotFoundException",
        f"Stream s under account {HIS} not found.",
    )
    assert rows() == before


@pytest.mark.parametrize("operation", [*BY_NAME, *BY_ARN])
def test_by_arn(hers, stranger, operation):
    params = BY_NAME.get(operation) or BY_ARN.get(operation) or {}
    before = rows()
    assert stranger.refused(operation, StreamARN=hers.arn, **params) == (
        "AccessDeniedException",
        (
            f"User: arn:aws:iam::{HIS}:root is not authorized to perform: kinesis:{operation} on resource: {hers.arn} "
            f"because no resource-based policy allows the kinesis:{operation} action"
        ),
    )
    there_is_none = stranger.refused(operation, StreamARN=f"{hers.arn}-2", **params)
    assert there_is_none[0] == "AccessDeniedException", "whether it exists is nobody's business"
    assert rows() == before


@pytest.mark.parametrize("operation", ["DescribeStreamConsumer", "DeregisterStreamConsumer"])
def test_consumers(hers, stranger, operation):
    before = rows()
    for params in (
        {"ConsumerARN": hers.consumer_arn},
        {"StreamARN": hers.arn, "ConsumerName": "c"},
        {"ConsumerARN": hers.consumer_arn, "StreamARN": hers.arn, "ConsumerName": "c"},
    ):
        assert stranger.refused(operation, **params)[0] == "AccessDeniedException"
    stranger.create("s")
    assert stranger.refused(operation, ConsumerARN=hers.consumer_arn)[0] == "AccessDeniedException"
    assert stranger.refused(operation, ConsumerARN=hers.consumer_arn.replace(HERS, HIS))[0] == (
        "ResourceNotFoundException"
    )
    assert rows()[1] == before[1]


def test_the_same_name_is_two_streams(hers, stranger):
    stranger.create("s", shards=1)
    stranger("AddTagsToStream", StreamName="s", Tags={"mine": "1"})
    assert hers.listed() == [0, 1]
    assert stranger.listed() == [0]
    assert [t["Key"] for t in hers("ListTagsForStream", StreamName="s")["Tags"]] == ["a"]
    stranger("DeleteStream", StreamName="s")
    stranger.settle()
    assert hers.status() == "ACTIVE"


def test_lists_and_quotas_are_each_ones_own(hers, stranger):
    stranger.allow(shards=2)
    assert stranger("ListStreams")["StreamNames"] == []
    stranger.create("t", shards=2)
    assert hers("ListStreams")["StreamNames"] == ["s"]
    for number in range(5):
        with pytest.raises(Exception, match="shard limit"):
            stranger("CreateStream", StreamName=f"u{number}", ShardCount=1)
