"""CreateStream and DeleteStream, and what the lifecycle makes of them."""

import itertools

import pytest

from apps.accounts.models import Team
from apps.leases.models import Lease
from apps.recordlog.interface import UnknownShard
from apps.streams.models import Consumer, Shard, Stream, Tag
from apps.streams.topology import even_ranges

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"


def test_a_stream_is_creating_without_shards_and_then_active_with_them(control):
    assert control("CreateStream", StreamName="s", ShardCount=3) is None
    described = control("DescribeStream", StreamName="s")["StreamDescription"]
    assert (described["StreamStatus"], described["Shards"], described["HasMoreShards"]) == ("CREATING", [], False)
    assert control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]["OpenShardCount"] == 0
    control.settle()
    described = control("DescribeStream", StreamName="s")["StreamDescription"]
    assert described["StreamStatus"] == "ACTIVE"
    assert [s["ShardId"] for s in described["Shards"]] == [f"shardId-{i:012d}" for i in range(3)]
    assert [
        (int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"]))
        for s in described["Shards"]
    ] == even_ranges(3)
    for shard in Shard.objects.all():
        assert control.bounds(shard).next_offset == 1


def test_what_describe_stream_answers(control):
    control.create("s", shards=1)
    created_ms = control.clock.now_ms()
    assert control("DescribeStream", StreamName="s") == {
        "StreamDescription": {
            "StreamName": "s",
            "StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s",
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "StreamCreationTimestamp": created_ms,
            "RetentionPeriodHours": 24,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "HasMoreShards": False,
            "Shards": [
                {
                    "ShardId": "shardId-000000000000",
                    "HashKeyRange": {
                        "StartingHashKey": "0",
                        "EndingHashKey": "340282366920938463463374607431768211455",
                    },
                    "SequenceNumberRange": {
                        "StartingSequenceNumber": control("ListShards", StreamName="s")["Shards"][0][
                            "SequenceNumberRange"
                        ]["StartingSequenceNumber"]
                    },
                }
            ],
        }
    }


def test_starting_numbers_of_neighbours_differ_as_recorded_and_lie_before_the_call(control):
    control.create("s", shards=3)
    numbers = [
        int(s["SequenceNumberRange"]["StartingSequenceNumber"]) for s in control("ListShards", StreamName="s")["Shards"]
    ]
    assert len(str(numbers[0])) == 56
    assert {b - a for a, b in itertools.pairwise(numbers)} == {22300745198530623141535718272648361505980432}
    created_s = numbers[0] >> 148 & 2**36 - 1
    assert 2 <= control.clock.now_ms() // 1000 - created_s <= 7


def test_what_describe_stream_summary_answers(control):
    control.create("s", shards=2, MaxRecordSizeInKiB=2048)
    control("RegisterStreamConsumer", StreamARN=str(control.stream().arn), ConsumerName="c")
    summary = control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 2
    assert summary["ConsumerCount"] == 1
    assert summary["MaxRecordSizeInKiB"] == 2048
    assert "Shards" not in summary
    assert len(summary["StreamId"]) == 24
    assert summary["StreamId"][20] == "-"
    assert summary["StreamId"].replace("-", "").isalnum()


def test_without_a_count_or_a_mode_it_is_on_demand_with_four_shards(control):
    control("CreateStream", StreamName="s")
    control("CreateStream", StreamName="t", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    control.settle()
    for name in ("s", "t"):
        described = control("DescribeStream", StreamName=name)["StreamDescription"]
        assert described["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
        assert len(described["Shards"]) == 4


def test_modes_and_counts_that_do_not_go_together(control):
    assert control.refused(
        "CreateStream", StreamName="s", ShardCount=1, StreamModeDetails={"StreamMode": "ON_DEMAND"}
    ) == ("ValidationException", "ShardCount is not expected when StreamMode=ON_DEMAND")
    assert control.refused("CreateStream", StreamName="s", StreamModeDetails={"StreamMode": "PROVISIONED"})[0] == (
        "ValidationException"
    )
    assert not Stream.objects.exists()


@pytest.mark.parametrize(
    "params",
    [
        {"WarmThroughputMiBps": 1},
        {"WarmThroughputMiBps": 1, "ShardCount": 1},
        {"WarmThroughputMiBps": 0, "ShardCount": 1},
        {"RecordDistributionStrategy": "AUTO", "ShardCount": 1},
    ],
)
def test_what_only_some_streams_may_have_is_refused(control, params):
    code, message = control.refused("CreateStream", StreamName="s", **params)
    assert code == ("ValidationException" if len(params) == 2 and "Warm" in str(params) else "InvalidArgumentException")
    assert next(iter(params)) in message
    assert not Stream.objects.exists()


def test_the_strategy_that_is_built_may_be_named(control):
    control.create("s", RecordDistributionStrategy="USER_PARTITION_KEY")
    assert control.status() == "ACTIVE"


def test_a_taken_name(control):
    control.create("s")
    assert control.refused("CreateStream", StreamName="s", ShardCount=1) == (
        "ResourceInUseException",
        f"Stream s under account {ACCOUNT} already exists.",
    )


def test_the_shard_quota_counts_open_shards_of_provisioned_streams(control):
    control("CreateStream", StreamName="on-demand")
    control.create("s", shards=5)
    assert control.refused("CreateStream", StreamName="t", ShardCount=100_000) == (
        "LimitExceededException",
        (
            f"This request would exceed the shard limit for the account {ACCOUNT} in us-east-1. Current shard count for "
            "the account: 5. Limit: 20000. Number of additional shards that would have resulted from this request: "
            "100000. Refer to the AWS Service Limits page "
            "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to "
            "request higher limits."
        ),
    )
    assert control.refused("CreateStream", StreamName="t", ShardCount=19_996)[0] == "LimitExceededException"
    assert Shard.objects.count() == 9


def test_five_streams_may_be_creating_at_once(control):
    for number in range(5):
        control("CreateStream", StreamName=f"s{number}", ShardCount=1)
    assert control.refused("CreateStream", StreamName="s5", ShardCount=1)[0] == "LimitExceededException"
    control.settle()
    control("CreateStream", StreamName="s5", ShardCount=1)


def test_fifty_on_demand_streams(control):
    control.allow(on_demand_streams=2)
    control.create("a", shards=None)
    control.create("b", shards=None)
    code, message = control.refused("CreateStream", StreamName="c")
    assert (code, "Limit: 2" in message) == ("LimitExceededException", True)
    control.create("c", shards=1)


def test_many_shards_are_made_in_rounds(control):
    control.create("s", shards=450)
    assert Shard.objects.filter(opened_at_ms__isnull=False).count() == 450
    assert control.status() == "ACTIVE"
    assert Lease.objects.filter(kind="retention").count() == 450


def test_tags_are_set_at_creation_and_checked_before(control):
    control.create("s", Tags={"team": "web", "empty": ""})
    assert control("ListTagsForStream", StreamName="s")["Tags"] == [
        {"Key": "empty", "Value": ""},
        {"Key": "team", "Value": "web"},
    ]
    assert control.refused("CreateStream", StreamName="t", ShardCount=1, Tags={"a;b": ""})[0] == (
        "InvalidArgumentException"
    )
    many = {f"k{i}": "" for i in range(51)}
    assert control.refused("CreateStream", StreamName="t", ShardCount=1, Tags=many)[0] == "InvalidArgumentException"
    assert Stream.objects.count() == 1


def test_a_deleted_stream_is_deleting_and_then_gone_with_all_it_had(control):
    stream = control.create("s", shards=3, Tags={"a": "b"})
    control.append(control.shard(1), b"x" * 100)
    keys = list(stream.shards.values_list("pk", flat=True))
    assert control("DeleteStream", StreamName="s") is None
    assert control.status() == "DELETING"
    assert control("DescribeStream", StreamName="s")["StreamDescription"]["Shards"] == []
    assert control.refused("CreateStream", StreamName="s", ShardCount=1)[0] == "ResourceInUseException"
    control("DeleteStream", StreamName="s")
    control.settle()
    assert control.refused("DescribeStream", StreamName="s") == (
        "ResourceNotFoundException",
        f"Stream s under account {ACCOUNT} not found.",
    )
    assert (Stream.objects.count(), Shard.objects.count(), Tag.objects.count()) == (0, 0, 0)
    assert not Lease.objects.filter(kind__in=["lifecycle", "retention"]).exists()
    for key in keys:
        with pytest.raises(UnknownShard):
            control.bounds(key)
    assert Team.objects.get().account_id == ACCOUNT


def test_a_stream_of_the_same_name_is_another_one(control):
    first = control.create("s")
    first_shard = control.shard()
    control("DeleteStream", StreamName="s")
    control.settle()
    second = control.create("s")
    assert second.pk != first.pk
    assert second.stream_id != first.stream_id
    assert control.shard().pk > first_shard.pk, "a shard's key is never used again"


def test_a_stream_may_be_deleted_while_it_is_creating(control):
    control("CreateStream", StreamName="s", ShardCount=2)
    control("DeleteStream", StreamName="s")
    assert control.status() == "DELETING"
    control.settle()
    assert not Stream.objects.exists()


def test_a_stream_may_be_deleted_while_it_is_resharded(control):
    control.create("s", shards=2)
    control("UpdateShardCount", StreamName="s", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    control("DeleteStream", StreamName="s")
    control.settle()
    assert not Stream.objects.exists()
    assert not Shard.objects.exists()


def test_consumers_must_be_let_go_explicitly(control):
    stream = control.create("s")
    control("RegisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName="c")
    text = (
        f"DeleteStream can't delete {ACCOUNT}:s because there are consumers associated with this data stream. To "
        "delete s anyway, set the EnforceConsumerDeletion parameter to true to force the deletion of all the "
        "consumers that are associated with it."
    )
    assert control.refused("DeleteStream", StreamName="s") == ("ResourceInUseException", text)
    assert control.refused("DeleteStream", StreamName="s", EnforceConsumerDeletion=False)[1] == text
    assert control.status() == "ACTIVE"
    control("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
    control.settle()
    assert not Stream.objects.exists()
    assert not Consumer.objects.exists()


def test_a_large_stream_is_dropped_in_bounded_pieces(control, monkeypatch):
    from apps.leases import hold
    from apps.leases.progress import Progress
    from apps.streams import lifecycle, retirement

    monkeypatch.setattr(retirement, "RECORDS_PER_DROP", 2)
    control.create("s", shards=2)
    for index in (0, 1):
        for _ in range(7):
            control.append(control.shard(index), b"x")
            control.clock.advance(10)
    control("DeleteStream", StreamName="s")
    held = hold.take("lifecycle", str(control.stream().pk), "test", 30_000)
    slices = 0
    while lifecycle.advance(control.runtime, held, until_ms=control.clock.now_ms()) is Progress.MORE:
        slices += 1
        assert slices < 50
    assert slices > 4
    assert not Stream.objects.exists()


def test_the_arn_does_as_well_and_must_agree_with_the_name(control):
    arn = str(control.create("s").arn)
    assert control("DescribeStream", StreamARN=arn)["StreamDescription"]["StreamName"] == "s"
    assert control("DescribeStream", StreamARN=arn, StreamName="s")["StreamDescription"]["StreamName"] == "s"
    assert control.refused("DescribeStream", StreamARN=arn, StreamName="t")[0] == "InvalidArgumentException"
    assert control.refused("DescribeStream")[0] == "InvalidArgumentException"


@pytest.mark.parametrize(
    ("arn", "account", "name"),
    [
        (f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/wrong-stream-name", ACCOUNT, "wrong-stream-name"),
        (f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/s", ACCOUNT, "s"),
        (f"arn:aws-cn:kinesis:us-east-1:{ACCOUNT}:stream/s", ACCOUNT, "s"),
        (f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s/consumer/c:1", ACCOUNT, "s/consumer/c:1"),
    ],
)
def test_an_arn_of_elsewhere_is_not_found_and_the_text_has_the_plain_name(control, arn, account, name):
    control.create("s")
    assert control.refused("DescribeStreamSummary", StreamARN=arn) == (
        "ResourceNotFoundException",
        f"Stream {name} under account {account} not found.",
    )
