"""Queues as resources: made, described, listed, changed, deleted; what is refused and with which words."""

import json
from dataclasses import replace
from typing import Any

import pytest

from apps.access.policy.document import Kind, parse
from apps.access.policy.evaluation import Grants
from apps.base.errors import ServiceError
from apps.capacity.models import QuotaOverride
from apps.leases.models import Lease
from apps.queues.models import Queue, QueueTag
from apps.queues.store import QueueStore
from tests.domain.queues.conftest import Bench
from tests.support.runtimes import run_due
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

HERS, HIS = "123456789012", "210987654321"
NOWHERE = f"arn:aws:kinesis:us-east-1:{HERS}:queue/0123456789abcdef01234567"


def create(bench: Bench, name: str = "q", **params):
    stream = params.pop("stream", None) or bench.stream_arn
    configuration = params.pop("configuration", [{"StreamARN": stream}])
    return bench("CreateQueue", QueueName=name, StreamConfigurationList=configuration, **params)["QueueDescription"]


@pytest.fixture
def made(bench: Bench) -> Bench:
    bench.stream_arn = str(bench.stream().arn)
    return bench


def describe(bench: Bench, arn: str):
    return bench("DescribeQueue", QueueARN=arn)["QueueDescription"]


def test_a_queue_is_made_with_aws_defaults(made: Bench):
    said = create(made)
    arn = said["QueueARN"]
    assert arn.startswith(f"arn:aws:kinesis:us-east-1:{HERS}:queue/")
    assert arn.rpartition("/")[2] != "q"
    assert said == {
        "QueueName": "q",
        "QueueARN": arn,
        "QueueStatus": "CREATING",
        "QueueCreationTimestamp": made.clock.now_ms(),
        "StreamConfigurationList": [{"StreamARN": made.stream_arn, "StartingPosition": {"Type": "LATEST"}}],
        "QueueAttributes": {
            "VisibilityTimeoutSeconds": 30,
            "DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 6},
        },
    }
    code, text = made.refused("ReceiveQueueRecords", QueueARN=arn)
    assert (code, "CREATING" in text) == ("ResourceNotFoundException", True)
    made.work()
    now = describe(made, arn)
    assert now["QueueStatus"] == "ACTIVE"
    assert now["StreamConfigurationList"][0]["StartingPosition"]["Timestamp"] == made.clock.now_ms() + 1
    assert made.receive(arn) == []


def test_attributes_and_tags_are_kept(made: Bench):
    attributes = {"VisibilityTimeoutSeconds": 0, "DeadLetterConfiguration": {"TargetType": "NONE"}}
    early_ms = made.clock.now_ms() - 10**9
    configuration = [
        {"StreamARN": made.stream_arn, "StartingPosition": {"Type": "AT_TIMESTAMP", "Timestamp": early_ms}}
    ]
    said = create(made, QueueAttributes=attributes, Tags={"a": "b"}, configuration=configuration)
    assert said["QueueAttributes"] == attributes
    assert said["StreamConfigurationList"] == configuration
    made.work()
    position = describe(made, said["QueueARN"])["StreamConfigurationList"][0]["StartingPosition"]
    assert position["Timestamp"] == made.clock.now_ms()
    assert made("ListTagsForResource", ResourceARN=said["QueueARN"])["Tags"] == [{"Key": "a", "Value": "b"}]
    made("TagResource", ResourceARN=said["QueueARN"], Tags={"a": "c", "d": ""})
    made("UntagResource", ResourceARN=said["QueueARN"], TagKeys=["a"])
    assert list(QueueTag.objects.values_list("key", "value")) == [("d", "")]


NO_QUEUES: list[tuple[dict[str, Any], str]] = [
    ({"configuration": []}, "ValidationException"),
    ({"configuration": [{"StreamARN": "S"}, {"StreamARN": "S"}]}, "ValidationException"),
    ({"configuration": [{"StreamARN": "S", "StartingPosition": {"Type": "AT_TIMESTAMP"}}]}, "ValidationException"),
    (
        {"configuration": [{"StreamARN": "S", "StartingPosition": {"Type": "LATEST", "Timestamp": 1}}]},
        "ValidationException",
    ),
    (
        {"configuration": [{"StreamARN": "S", "StartingPosition": {"Type": "AT_TIMESTAMP", "Timestamp": 2**50}}]},
        "ValidationException",
    ),
    ({"configuration": [{"StreamARN": "S/none"}]}, "ResourceNotFoundException"),
    ({"configuration": [{"StreamARN": "HIS"}]}, "AccessDeniedException"),
    ({"QueueAttributes": {"DeadLetterConfiguration": {"TargetType": "BUILT_IN"}}}, "ValidationException"),
    (
        {"QueueAttributes": {"DeadLetterConfiguration": {"TargetType": "NONE", "MaxReceiveCount": 2}}},
        "ValidationException",
    ),
    (
        {"QueueAttributes": {"DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 1_001}}},
        "ValidationException",
    ),
    ({"QueueAttributes": {"VisibilityTimeoutSeconds": 43_201}}, "ValidationException"),
    ({"name": "with space"}, "ValidationException"),
    ({"name": "taken"}, "ResourceInUseException"),
    ({"Tags": {"aws:a": ""}}, "InvalidArgumentException"),
    ({"Tags": {f"k{i}": "" for i in range(51)}}, "InvalidArgumentException"),
]


def test_what_is_no_queue(made: Bench):
    create(made, "taken")
    stream = {"S": made.stream_arn, "S/none": made.stream_arn + "none", "HIS": made.stream_arn.replace(HERS, HIS)}
    for params, code in NO_QUEUES:
        given = dict(params)
        if "configuration" in params:
            given["configuration"] = [{**one, "StreamARN": stream[one["StreamARN"]]} for one in params["configuration"]]
        with pytest.raises(ServiceError) as caught:
            create(made, given.pop("name", "q"), **given)
        assert caught.value.code == code, params
        assert caught.value.message, params
        assert Queue.objects.count() == 1, params


def test_whoever_creates_a_queue_must_be_allowed_to_associate_its_stream(made: Bench):
    user = f"arn:aws:iam::{HERS}:user/u"

    def allowed(*actions: str) -> Bench:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = parse(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), Kind.USER)
        return made.of(replace(made.principal, grants=Grants(HERS, user, user, {}, (policy,))))

    params = {"QueueName": "q", "StreamConfigurationList": [{"StreamARN": made.stream_arn}]}
    text = (
        f"User: {user} is not authorized to perform: kinesis:AssociateStreamsWithQueue on resource: {made.stream_arn} "
        "because no identity-based policy allows the kinesis:AssociateStreamsWithQueue action"
    )
    assert allowed("kinesis:CreateQueue").refused("CreateQueue", **params) == ("AccessDeniedException", text)
    assert not Queue.objects.exists()
    assert allowed("kinesis:CreateQueue", "kinesis:Associate*")("CreateQueue", **params)


def test_a_provisioned_stream_has_no_queues(bench: Bench):
    stream = bench.stream(shards=1)
    code, text = bench.refused("CreateQueue", QueueName="q", StreamConfigurationList=[{"StreamARN": str(stream.arn)}])
    assert (code, "ON_DEMAND" in text) == ("ValidationException", True)


def test_quotas(made: Bench):
    create(made, "a")
    create(made, "b")
    QuotaOverride.objects.create(team_id=made.principal.team_id, name="queues-between", value=2)
    params = {"QueueName": "c", "StreamConfigurationList": [{"StreamARN": made.stream_arn}]}
    code, text = made.refused("CreateQueue", **params)
    assert (code, "2 queues in state CREATING or DELETING" in text) == ("LimitExceededException", True)
    made.work()
    create(made, "c")
    made.work()
    made("RegisterStreamConsumer", StreamARN=made.stream_arn, ConsumerName="d")
    QuotaOverride.objects.create(team_id=made.principal.team_id, name="consumers", value=4)
    assert made.refused("CreateQueue", **params | {"QueueName": "e"})[0] == "LimitExceededException"
    code, _ = made.refused("RegisterStreamConsumer", StreamARN=made.stream_arn, ConsumerName="e")
    assert code == "LimitExceededException"


def test_queues_are_listed_by_name(made: Bench):
    other = str(made.stream("other").arn)
    made_ms = made.clock.now_ms()
    for name in ("c", "a", "b"):
        create(made, name)
    create(made, "z", stream=other)
    first = made("ListQueues", MaxResults=2)
    assert [queue["QueueName"] for queue in first["QueueSummaries"]] == ["a", "b"]
    assert first["QueueSummaries"][0]["Streams"] == [{"StreamARN": made.stream_arn, "StreamCreationTimestamp": made_ms}]
    second = made("ListQueues", MaxResults=2, NextToken=first["NextToken"])
    assert [queue["QueueName"] for queue in second["QueueSummaries"]] == ["c", "z"]
    assert "NextToken" not in second
    of_other = made("ListQueues", StreamFilter=[{"StreamARN": other}])
    assert [queue["QueueName"] for queue in of_other["QueueSummaries"]] == ["z"]
    filters = [{"StreamARN": other, "StreamCreationTimestamp": made_ms - 5_000}]
    assert made("ListQueues", StreamFilter=filters)["QueueSummaries"] == []
    code, _ = made.refused("ListQueues", NextToken=first["NextToken"], StreamFilter=[{"StreamARN": other}])
    assert code == "InvalidArgumentException"
    made.clock.advance(300_001)
    assert made.refused("ListQueues", NextToken=first["NextToken"])[0] == "ExpiredNextTokenException"


def test_an_update_is_for_later_receives(made: Bench):
    arn = made.queue()
    made.put(b"a", b"b")
    made.receive(arn, 1)
    said = made("UpdateQueue", QueueARN=arn, QueueAttributes={"VisibilityTimeoutSeconds": 5})["QueueDescription"]
    assert said["QueueStatus"] == "UPDATING"
    assert said["QueueAttributes"]["VisibilityTimeoutSeconds"] == 5
    assert said["QueueAttributes"]["DeadLetterConfiguration"]["MaxReceiveCount"] == 6
    assert made.refused("UpdateQueue", QueueARN=arn, QueueAttributes={"VisibilityTimeoutSeconds": 6})[0] == (
        "ResourceInUseException"
    )
    made.work()
    assert describe(made, arn)["QueueStatus"] == "ACTIVE"
    made.receive(arn, 1)
    made.clock.advance(5_000)
    assert len(made.receive(arn)) == 1
    made.clock.advance(25_000)
    assert len(made.receive(arn)) == 2


def test_a_lower_max_receive_count_makes_dead_letters(made: Bench):
    arn = made.queue()
    made.put(b"a", b"b")
    both = made.receive(arn, VisibilityTimeoutSeconds=0)
    made.visible_in(arn, 60, both[0])
    dead_letters = {"TargetType": "BUILT_IN", "MaxReceiveCount": 1}
    made("UpdateQueue", QueueARN=arn, QueueAttributes={"DeadLetterConfiguration": dead_letters})
    made.work()
    assert [record["RecordId"] for record in made.receive(arn, dead=True)] == [both[1]["RecordId"]]
    made.clock.advance(60_000)
    assert made.receive(arn) == []
    assert len(made.receive(arn, dead=True)) == 2


def test_an_update_must_say_something(made: Bench):
    arn = made.queue()
    assert made.refused("UpdateQueue", QueueARN=arn, QueueAttributes={})[0] == "ValidationException"


def test_deleting_ends_handles_at_once_and_frees_the_name(made: Bench):
    arn = made.queue()
    made.put(b"a")
    [got] = made.receive(arn)
    assert made("DeleteQueue", QueueARN=arn) is None
    assert describe(made, arn)["QueueStatus"] == "DELETING"
    entries = [{"ReceiptHandle": got["ReceiptHandle"]}]
    missing = ("ResourceNotFoundException", f"Queue {arn} under account {HERS} not found.")
    assert made.refused("AcknowledgeQueueRecords", QueueARN=arn, Entries=entries) == missing
    assert made.refused("ReceiveQueueRecords", QueueARN=arn) == missing
    made("DeleteQueue", QueueARN=arn)
    assert made.refused("UpdateQueue", QueueARN=arn, QueueAttributes={"VisibilityTimeoutSeconds": 1})[0] == (
        "ResourceInUseException"
    )
    made.work()
    assert made.refused("DescribeQueue", QueueARN=arn) == missing
    assert not Lease.objects.filter(kind="queues").exists()
    again = made.queue()
    assert again != arn
    assert [record["RecordId"] for record in made.receive(again)] == [got["RecordId"]]


def test_a_stream_with_queues_stays(made: Bench):
    arn = made.queue()
    summary = made("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]
    assert (summary["QueueCount"], summary["ConsumerCount"]) == (1, 0)
    code, text = made.refused("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
    assert (code, "queues" in text) == ("ResourceInUseException", True)
    mode = {"StreamARN": made.stream_arn, "StreamModeDetails": {"StreamMode": "PROVISIONED"}}
    assert made.refused("UpdateStreamMode", **mode)[0] == "ResourceInUseException"
    made("DeleteQueue", QueueARN=arn)
    made.work()
    made("DeleteStream", StreamName="s")
    run_due(made.runtime, "lifecycle")
    assert made.refused("DescribeStreamSummary", StreamName="s")[0] == "ResourceNotFoundException"


def test_a_queue_whose_store_was_lost_begins_again(made: Bench):
    arn = made.queue()
    made.put(b"a")
    made.acknowledge(arn, *made.receive(arn))
    key = made.row(arn).pk

    async def lose() -> None:
        def drop(changing) -> None:
            changing.close(key)
            assert not changing.drop(key, 1_000)

        await made.runtime.part(QueueStore).change(drop)

    made.runtime.wait_for(lose())
    assert made.refused("ReceiveQueueRecords", QueueARN=arn)[0] == "ResourceNotFoundException"
    made.work_again()
    assert [record["Data"] for record in made.receive(arn)] == [b"a"]


ON_A_QUEUE = {
    "DescribeQueue": {},
    "DeleteQueue": {},
    "UpdateQueue": {"QueueAttributes": {"VisibilityTimeoutSeconds": 1}},
    "ReceiveQueueRecords": {"WaitTimeSeconds": 1},
    "ReceiveDeadLetterQueueRecords": {"WaitTimeSeconds": 1},
    "AcknowledgeQueueRecords": {"Entries": [{"ReceiptHandle": "x"}]},
    "AcknowledgeDeadLetterQueueRecords": {"Entries": [{"ReceiptHandle": "x"}]},
    "RestoreDeadLetterQueueRecords": {"Entries": [{"ReceiptHandle": "x"}]},
    "UpdateQueueRecordsVisibility": {"Entries": [{"ReceiptHandle": "x", "VisibilityTimeoutSeconds": 1}]},
    "UpdateDeadLetterQueueRecordsVisibility": {"Entries": [{"ReceiptHandle": "x", "VisibilityTimeoutSeconds": 1}]},
}


def test_another_teams_queue_is_not_there(made: Bench):
    arn = made.queue()
    made.put(b"a")
    before = Queue.objects.values().get()
    stranger = made.of(make_team(HIS, "stranger", "AKIDSTRANGER").principal)
    for operation, params in ON_A_QUEUE.items():
        # Another account's queue is refused before anybody looks whether it exists.
        code, _ = stranger.refused(operation, QueueARN=arn, **params)
        assert code in {"AccessDeniedException", "ResourceNotFoundException"}, operation
        his = arn.replace(HERS, HIS)
        missing = ("ResourceNotFoundException", f"Queue {his} under account {HIS} not found.")
        assert stranger.refused(operation, QueueARN=his, **params) == missing, operation
        elsewhere = arn.replace("us-east-1", "eu-west-1")
        assert made.refused(operation, QueueARN=elsewhere, **params)[0] == "ResourceNotFoundException"
        assert made.refused(operation, QueueARN=NOWHERE, **params)[0] == "ResourceNotFoundException"
    assert stranger("ListQueues")["QueueSummaries"] == []
    assert Queue.objects.values().get() == before
    assert len(made.receive(arn)) == 1
