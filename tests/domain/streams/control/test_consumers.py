"""Enhanced fan-out consumers: registered, described, listed, gone."""

import pytest

from apps.leases.models import Lease
from apps.queues.models import Queue
from apps.streams.models import Consumer

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"


@pytest.fixture
def s(control):
    control.arn = str(control.create("s").arn)
    return control


def register(control, name="c"):
    return control("RegisterStreamConsumer", StreamARN=control.arn, ConsumerName=name)["Consumer"]


def described(control, **params):
    return control("DescribeStreamConsumer", **params)["ConsumerDescription"]


def test_a_consumer_is_creating_and_then_active(s):
    seconds = s.clock.now_ms() // 1000
    consumer = register(s)
    assert consumer == {
        "ConsumerName": "c",
        "ConsumerARN": f"{s.arn}/consumer/c:{seconds}",
        "ConsumerStatus": "CREATING",
        "ConsumerCreationTimestamp": s.clock.now_ms(),
    }
    assert described(s, ConsumerARN=consumer["ConsumerARN"]) == {**consumer, "StreamARN": s.arn}
    s.settle()
    assert described(s, StreamARN=s.arn, ConsumerName="c")["ConsumerStatus"] == "ACTIVE"
    listed = s("ListStreamConsumers", StreamARN=s.arn)
    assert listed == {"Consumers": [{**consumer, "ConsumerStatus": "ACTIVE"}]}


def test_a_consumer_made_while_the_stream_is_resharded_does_not_wait_for_the_end(s, monkeypatch):
    from apps.leases import hold
    from apps.streams import lifecycle

    s("UpdateShardCount", StreamName="s", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    register(s)
    held = hold.take("lifecycle", str(s.stream().pk), "test", 30_000)
    lifecycle.advance(s.runtime, held, until_ms=s.clock.now_ms())
    assert s.status() == "UPDATING"
    assert Consumer.objects.get().status == "ACTIVE"


def test_names_are_unique_per_stream_also_while_one_is_deleted(s):
    register(s)
    text = ("ResourceInUseException", f"Consumer c under account {ACCOUNT} already exists.")
    assert s.refused("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="c") == text
    s("DeregisterStreamConsumer", StreamARN=s.arn, ConsumerName="c")
    assert s.refused("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="c") == text
    other = str(s.create("t").arn)
    s("RegisterStreamConsumer", StreamARN=other, ConsumerName="c")


def test_a_consumer_made_again_has_another_arn(s):
    first = register(s)["ConsumerARN"]
    s.settle()
    assert s("DeregisterStreamConsumer", ConsumerARN=first) is None
    assert described(s, ConsumerARN=first)["ConsumerStatus"] == "DELETING"
    s.settle()
    assert Consumer.objects.exists(), "it stays for the rest of the second that its ARN carries"
    assert Lease.objects.get(kind="lifecycle").due_at_ms == s.clock.now_ms() // 1000 * 1000 + 1000
    s.clock.advance(1_000)
    s.settle()
    assert not Consumer.objects.exists()
    second = register(s)["ConsumerARN"]
    assert second != first
    assert s.refused("DescribeStreamConsumer", ConsumerARN=first) == (
        "ResourceNotFoundException",
        f"Consumer {first}, account {ACCOUNT} not found.",
    )


def test_quotas(s):
    for number in range(5):
        register(s, f"c{number}")
    code, message = s.refused("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="c5")
    assert (code, "CREATING" in message) == ("LimitExceededException", True)
    for number in range(5, 20):
        s.settle()
        register(s, f"c{number}")
    s.settle()
    code, message = s.refused("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="c20")
    assert (code, "Limit: 20" in message) == ("LimitExceededException", True)


def test_a_stream_that_is_not_in_service_takes_none(control):
    control("CreateStream", StreamName="s", ShardCount=1)
    arn = str(control.stream().arn)
    assert control.refused("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c") == (
        "ResourceInUseException",
        f"Stream s under account {ACCOUNT} not ACTIVE, instead in state CREATING",
    )


def test_a_consumer_may_have_tags_from_the_beginning(s):
    consumer = s("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="c", Tags={"b": "2", "a": "1"})["Consumer"]
    assert s("ListTagsForResource", ResourceARN=consumer["ConsumerARN"])["Tags"] == [
        {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"},
    ]  # fmt: skip
    code, message = s.refused("RegisterStreamConsumer", StreamARN=s.arn, ConsumerName="d", Tags={"a;": "b"})
    assert (code, "invalid characters" in message) == ("InvalidArgumentException", True)
    assert Consumer.objects.count() == 1


def test_how_a_consumer_may_be_named(s):
    arn = register(s)["ConsumerARN"]
    register(s, "d")
    assert described(s, ConsumerARN=arn, StreamARN=s.arn, ConsumerName="c")["ConsumerName"] == "c"
    for params in ({}, {"StreamARN": s.arn}, {"ConsumerName": "c"}):
        assert s.refused("DescribeStreamConsumer", **params)[0] == "InvalidArgumentException"
    assert s.refused("DescribeStreamConsumer", ConsumerARN=arn, ConsumerName="d")[0] == "InvalidArgumentException"
    assert s.refused("DescribeStreamConsumer", ConsumerARN=arn, StreamARN=s.arn + "x")[0] == (
        "InvalidArgumentException"
    )
    assert s.refused("DescribeStreamConsumer", StreamARN=s.arn, ConsumerName="none") == (
        "ResourceNotFoundException",
        f"Consumer none, account {ACCOUNT} not found.",
    )
    for wrong in (arn[:-1], arn.replace("us-east-1", "us-east-2"), arn.replace("/c:", "/e:")):
        assert s.refused("DeregisterStreamConsumer", ConsumerARN=wrong)[0] == "ResourceNotFoundException"
    assert Consumer.objects.filter(status="DELETING").count() == 0


def test_pages_by_name(s):
    for name in ("b", "a", "C"):
        register(s, name)
    first = s("ListStreamConsumers", StreamARN=s.arn, MaxResults=2)
    assert [c["ConsumerName"] for c in first["Consumers"]] == ["C", "a"]
    second = s("ListStreamConsumers", StreamARN=s.arn, NextToken=first["NextToken"])
    assert [c["ConsumerName"] for c in second["Consumers"]] == ["b"]
    assert "NextToken" not in second
    other = str(s.create("t").arn)
    assert s.refused("ListStreamConsumers", StreamARN=other, NextToken=first["NextToken"])[0] == (
        "InvalidArgumentException"
    )
    assert (
        s.refused("ListStreamConsumers", StreamARN=s.arn, NextToken=first["NextToken"], StreamCreationTimestamp=5)[0]
        == "InvalidArgumentException"
    )
    s.clock.advance(300_001)
    assert s.refused("ListStreamConsumers", StreamARN=s.arn, NextToken=first["NextToken"])[0] == (
        "ExpiredNextTokenException"
    )


def test_deregistering_twice_is_no_error(s):
    register(s)
    for _ in range(2):
        assert s("DeregisterStreamConsumer", StreamARN=s.arn, ConsumerName="c") is None


def test_queues_share_the_number(control):
    stream = control.create("s", shards=None)
    control.allow(consumers=2)
    Queue.objects.create(
        team=stream.team, stream=stream, region=stream.region, name="q", queue_id="q" * 24, created_at_ms=1,
        visibility_timeout_s=30,
    )  # fmt: skip
    control("RegisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName="a")
    code, message = control.refused("RegisterStreamConsumer", StreamARN=str(stream.arn), ConsumerName="b")
    assert (code, "Limit: 2" in message) == ("LimitExceededException", True)
