"""ListShards with its filters and tokens, DescribeStream's pages, ListStreams."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.streams.models import Stream

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"
HALF = str(2**127)


@pytest.fixture
def lived(control):
    """0 → (1, 2) after one hour, (1, 2) → 3 after two; now it is three hours after creation."""
    control.create("s")
    control.created_ms = control.clock.now_ms()
    control.clock.advance(HOUR_MS)
    control("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey=HALF)
    control.settle()
    control.clock.advance(HOUR_MS)
    control("MergeShards", StreamName="s", ShardToMerge="1", AdjacentShardToMerge="2")
    control.settle()
    control.clock.advance(HOUR_MS)
    return control


def filtered(control, kind, **members):
    return control.listed("s", ShardFilter={"Type": kind, **members})


def test_filters_without_a_time(lived):
    assert lived.listed("s") == [0, 1, 2, 3]
    assert filtered(lived, "FROM_TRIM_HORIZON") == [0, 1, 2, 3]
    assert filtered(lived, "AT_TRIM_HORIZON") == [0]
    assert filtered(lived, "AT_LATEST") == [3]
    assert filtered(lived, "AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2, 3]
    assert filtered(lived, "AFTER_SHARD_ID", ShardId="shardId-000000000099") == []


@pytest.mark.parametrize(
    ("minutes", "at", "since"),
    [
        (-9_999, [0], [0, 1, 2, 3]),
        (30, [0], [0, 1, 2, 3]),
        (60, [0, 1, 2], [0, 1, 2, 3]),
        (90, [1, 2], [1, 2, 3]),
        (120, [1, 2, 3], [1, 2, 3]),
        (150, [3], [3]),
        (9_999, [3], [3]),
    ],
)
def test_filters_by_time(lived, minutes, at, since):
    at_ms = lived.created_ms + minutes * 60_000
    assert filtered(lived, "AT_TIMESTAMP", Timestamp=at_ms) == at
    assert filtered(lived, "FROM_TIMESTAMP", Timestamp=at_ms) == since


def test_closed_shards_leave_when_their_records_must_be_gone_whether_trimmed_or_not(lived):
    lived.clock.set(lived.created_ms + HOUR_MS + DAY_MS)
    assert lived.listed("s") == [0, 1, 2, 3]
    lived.clock.advance(1_001)
    assert lived.listed("s") == [1, 2, 3]
    assert filtered(lived, "AT_TRIM_HORIZON") == [1, 2]
    lived.clock.advance(HOUR_MS)
    assert lived.listed("s") == [3]
    assert filtered(lived, "AT_TIMESTAMP", Timestamp=lived.created_ms) == [3]
    assert lived.refused("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77") == (
        "ResourceNotFoundException",
        f"Could not find shard shardId-000000000000 in stream s under account {ACCOUNT}.",
    )


@pytest.mark.parametrize(
    "shard_filter",
    [
        {"Type": "AFTER_SHARD_ID"},
        {"Type": "AT_TIMESTAMP"},
        {"Type": "FROM_TIMESTAMP"},
        {"Type": "AT_LATEST", "ShardId": "shardId-000000000000"},
        {"Type": "AT_TRIM_HORIZON", "Timestamp": 5},
        {"Type": "AFTER_SHARD_ID", "ShardId": "0", "Timestamp": 5},
    ],
)
def test_a_filter_takes_just_what_it_needs(control, shard_filter):
    control.create("s")
    code, message = control.refused("ListShards", StreamName="s", ShardFilter=shard_filter)
    assert code == "InvalidArgumentException"
    assert shard_filter["Type"] in message


def test_what_list_shards_wants_to_know(control):
    control.create("s", shards=2)
    token = control("ListShards", StreamName="s", MaxResults=1)["NextToken"]
    assert control.refused("ListShards") == (
        "InvalidArgumentException",
        "Either NextToken or StreamName should be provided.",
    )
    assert control.refused("ListShards", StreamName="s", NextToken=token) == (
        "InvalidArgumentException",
        "NextToken and StreamName cannot be provided together.",
    )
    for name, value in {"ExclusiveStartShardId": "shardId-0", "StreamCreationTimestamp": 5}.items():
        assert control.refused("ListShards", NextToken=token, **{name: value}) == (
            "InvalidArgumentException",
            f"NextToken and {name} cannot be provided together.",
        )
    assert control.refused("ListShards", StreamName="none", ExclusiveStartShardId="zzz") == (
        "ResourceNotFoundException",
        f"Could not find shard zzz in stream none under account {ACCOUNT}.",
    )


def test_pages_of_shards_without_loss_or_repetition(control):
    control.create("s", shards=7)
    arn = str(control.stream().arn)
    answer = control("ListShards", StreamARN=arn, MaxResults=3, ShardFilter={"Type": "AT_LATEST"})
    seen = [s["ShardId"][-1] for s in answer["Shards"]]
    while "NextToken" in answer:
        answer = control("ListShards", NextToken=answer["NextToken"], MaxResults=2, StreamARN=arn)
        seen += [s["ShardId"][-1] for s in answer["Shards"]]
    assert seen == list("0123456")
    assert control.listed("s", ExclusiveStartShardId="shardId-000000000004") == [5, 6]
    assert "NextToken" not in control("ListShards", StreamName="s", MaxResults=7)


def test_a_thousand_shards_a_page(control):
    control.create("s", shards=1_001)
    answer = control("ListShards", StreamName="s", MaxResults=10_000)
    assert len(answer["Shards"]) == 1_000
    assert len(control("ListShards", NextToken=answer["NextToken"])["Shards"]) == 1


def test_a_token_lives_five_minutes_belongs_to_one_team_and_one_call(control, stranger):
    control.create("s", shards=2)
    stranger.create("s", shards=2)
    token = control("ListShards", StreamName="s", MaxResults=1)["NextToken"]
    assert stranger.refused("ListShards", NextToken=token) == ("InvalidArgumentException", "Invalid NextToken.")
    assert control.refused("ListStreams", NextToken=token)[0] == "InvalidArgumentException"
    broken = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    for bad in (broken, "x", "ü", "A" * 400, token[:8] + "!" + token[8:], token + "A", f" {token}"):
        assert control.refused("ListShards", NextToken=bad) == ("InvalidArgumentException", "Invalid NextToken.")
    control.clock.advance(300_000)
    assert len(control("ListShards", NextToken=token)["Shards"]) == 1
    control.clock.advance(1)
    assert control.refused("ListShards", NextToken=token)[0] == "ExpiredNextTokenException"


def test_a_token_holds_its_filter_and_its_stream(control):
    control.create("s", shards=3)
    control.create("t", shards=3)
    token = control("ListShards", StreamName="s", MaxResults=1, ShardFilter={"Type": "AT_LATEST"})["NextToken"]
    assert control.refused("ListShards", NextToken=token, ShardFilter={"Type": "AT_TRIM_HORIZON"})[0] == (
        "InvalidArgumentException"
    )
    assert control.refused("ListShards", NextToken=token, StreamARN=str(control.stream("t").arn))[0] == (
        "InvalidArgumentException"
    )
    control("DeleteStream", StreamName="s")
    control.settle()
    control.create("s", shards=3)
    assert control.refused("ListShards", NextToken=token)[0] == "ResourceNotFoundException"


def test_a_creation_time_tells_streams_of_one_name_apart(control):
    control.create("s")
    at_ms = control.stream().created_at_ms
    assert control.listed("s", StreamCreationTimestamp=at_ms) == [0]
    assert control.listed("s", StreamCreationTimestamp=at_ms // 1000 * 1000) == [0]
    assert control.refused("ListShards", StreamName="s", StreamCreationTimestamp=at_ms - 60_000)[0] == (
        "ResourceNotFoundException"
    )


@pytest.mark.parametrize("status", ["CREATING", "DELETING"])
def test_kcl_waits_while_a_stream_is_not_in_service(control, status):
    control.create("s")
    Stream.objects.update(status=status)
    assert control.refused("ListShards", StreamName="s") == (
        "ResourceInUseException",
        f"Stream s under account {ACCOUNT} not ACTIVE, instead in state {status}",
    )


def test_describe_stream_has_at_most_100_shards_a_page(control):
    control.create("s", shards=101)
    for limit in ({}, {"Limit": 100}, {"Limit": 10_000}):
        described = control("DescribeStream", StreamName="s", **limit)["StreamDescription"]
        assert len(described["Shards"]) == 100
        assert described["HasMoreShards"] is True
    rest = control("DescribeStream", StreamName="s", ExclusiveStartShardId="shardId-000000000099")
    assert [s["ShardId"] for s in rest["StreamDescription"]["Shards"]] == ["shardId-000000000100"]
    assert rest["StreamDescription"]["HasMoreShards"] is False
    few = control("DescribeStream", StreamName="s", Limit=2, ExclusiveStartShardId="5")["StreamDescription"]
    assert [s["ShardId"][-1] for s in few["Shards"]] == ["6", "7"]
    assert control.refused("DescribeStream", StreamName="none", ExclusiveStartShardId="x-y")[1].startswith(
        "Could not find shard x-y"
    )


def test_streams_by_name_in_code_point_order_with_summaries(control):
    for name in ("b", "a", "B", "a-1", "a.1", "_"):
        control.create(name)
    answer = control("ListStreams")
    assert answer["StreamNames"] == ["B", "_", "a", "a-1", "a.1", "b"]
    assert answer["HasMoreStreams"] is False
    assert "NextToken" not in answer
    assert answer["StreamSummaries"][0] == {
        "StreamName": "B",
        "StreamARN": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/B",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "StreamCreationTimestamp": control.clock.now_ms(),
    }


def test_pages_of_streams_by_name_or_by_token(control):
    for number in range(5):
        control.create(f"s{number}")
    first = control("ListStreams", Limit=2)
    assert (first["StreamNames"], first["HasMoreStreams"]) == (["s0", "s1"], True)
    assert control("ListStreams", Limit=2, NextToken=first["NextToken"])["StreamNames"] == ["s2", "s3"]
    assert control("ListStreams", ExclusiveStartStreamName="s1a")["StreamNames"] == ["s2", "s3", "s4"]
    assert control("ListStreams", ExclusiveStartStreamName="zzz")["StreamNames"] == []
    assert control.refused("ListStreams", ExclusiveStartStreamName="s1", NextToken=first["NextToken"])[0] == (
        "InvalidArgumentException"
    )


def test_a_hundred_streams_a_page(control, monkeypatch):
    from apps.streams.operations import stream

    monkeypatch.setattr(stream, "STREAMS_PER_PAGE", 3)
    for number in range(4):
        control.create(f"s{number}")
    assert len(control("ListStreams", Limit=10_000)["StreamNames"]) == 3


def test_the_number_of_queries_does_not_grow_with_the_streams(control, django_assert_max_num_queries):
    for number in range(8):
        control.create(f"s{number}")
    with django_assert_max_num_queries(6):
        assert len(control("ListStreams")["StreamSummaries"]) == 8
    control.create("many", shards=300)
    with django_assert_max_num_queries(6):
        control("ListShards", StreamName="many")


@pytest.mark.parametrize("at_ms", [-(2**80), -1, 0, 2**62, 2**63, 2**80])
def test_times_of_any_size(lived, at_ms):
    latest = [3] if at_ms > lived.clock.now_ms() else [0]
    assert filtered(lived, "AT_TIMESTAMP", Timestamp=at_ms) == latest
    assert filtered(lived, "FROM_TIMESTAMP", Timestamp=at_ms)[-1] == 3
    shard_filter = {"Type": "FROM_TIMESTAMP", "Timestamp": at_ms}
    lived.create("t", shards=2)
    page = lived("ListShards", StreamName="t", MaxResults=1, ShardFilter=shard_filter)
    assert len(lived("ListShards", NextToken=page["NextToken"], ShardFilter=shard_filter)["Shards"]) == 1
    assert lived.refused("ListShards", StreamName="s", StreamCreationTimestamp=at_ms)[0] == "ResourceNotFoundException"
