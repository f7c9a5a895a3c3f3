"""Every operation of Firehose, called once as it should be, and in every way that its model forbids."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from apps.base.errors import ServiceError
from apps.delivery.models import DeliveryLog
from apps.delivery.operations import AHEAD, NOT_IMPLEMENTED, OPERATIONS, REQUESTS
from apps.delivery.operations.resources import FIREHOSE_RESOURCES
from apps.gateway.services import ROUTES
from apps.streams.quotas import DELIVERY_RATES
from apps.wire import json11
from apps.wire.model import load
from tests.domain.delivery.operations.conftest import Firehose
from tests.domain.gateway.broken_calls import broken_calls
from tests.domain.gateway.test_generated_calls import ANYWHERE, in_json, send, state, wrong_members
from tests.support import firehose as examples
from tests.support.firehose import MOST, ROLE, S3, configured

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = load("firehose")
ID = "destinationId-000000000001"
TAGS = [{"Key": "a", "Value": "1"}]
MSK = {
    "MSKClusterARN": "arn:aws:kafka:us-east-1:123456789012:cluster/c/1",
    "TopicName": "t",
    "AuthenticationConfiguration": {"RoleARN": ROLE, "Connectivity": "PUBLIC"},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateDeliveryStream": {
        "DeliveryStreamName": "new",
        "DeliveryStreamType": "DirectPut",
        "DirectPutSourceConfiguration": {"ThroughputHintInMBs": 1},
        "DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"},
        "Tags": TAGS,
        **configured("ExtendedS3", examples.EXTENDED_S3),
    },
    "DeleteDeliveryStream": {"DeliveryStreamName": "d", "AllowForceDelete": True},
    "DescribeDeliveryStream": {"DeliveryStreamName": "d", "Limit": 1, "ExclusiveStartDestinationId": "destinationId-0"},
    "ListDeliveryStreams": {
        "Limit": 1,
        "DeliveryStreamType": "DirectPut",
        "ExclusiveStartDeliveryStreamName": "a",
    },
    "ListTagsForDeliveryStream": {"DeliveryStreamName": "d", "ExclusiveStartTagKey": "0", "Limit": 1},
    "PutRecord": {"DeliveryStreamName": "d", "Record": {"Data": b"x"}},
    "PutRecordBatch": {"DeliveryStreamName": "d", "Records": [{"Data": b"x"}]},
    "StartDeliveryStreamEncryption": {
        "DeliveryStreamName": "d",
        "DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"},
    },
    "StopDeliveryStreamEncryption": {"DeliveryStreamName": "d"},
    "TagDeliveryStream": {"DeliveryStreamName": "d", "Tags": TAGS},
    "UntagDeliveryStream": {"DeliveryStreamName": "d", "TagKeys": ["a"]},
    "UpdateDestination": {
        "DeliveryStreamName": "d",
        "CurrentDeliveryStreamVersionId": "1",
        "DestinationId": ID,
        "ExtendedS3DestinationUpdate": {"Prefix": "new/", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}},
    },
}
"""A valid call of each; the destructive one of the delivery stream comes last."""

LAST = ("StopDeliveryStreamEncryption", "DeleteDeliveryStream")


@dataclass(frozen=True)
class World:
    """What the calls of tests/domain/gateway are made with."""

    runtime: Any
    principal: Any


@pytest.fixture
def world(firehose: Firehose) -> World:
    firehose.create()
    return World(firehose.runtime, firehose.principal)


def rows(world: World) -> dict[str, Any]:
    """All that a refused call must not touch."""
    keys = [log.log_key for log in DeliveryLog.objects.order_by("pk")]
    logs = [world.runtime.wait_for(world.runtime.record_log.bounds(key)) for key in keys]
    return {**state(world), "logs": logs}


def test_every_operation_stands_in_every_table():
    assert set(EXAMPLES) == set(MODEL.operations) == set(OPERATIONS)
    assert NOT_IMPLEMENTED == {}
    assert set(FIREHOSE_RESOURCES) == set(OPERATIONS)
    assert set(REQUESTS) == {"PutRecord", "PutRecordBatch"}
    assert set(AHEAD) <= set(OPERATIONS)
    rated = {quota.name.removeprefix("calls/firehose:") for quota in DELIVERY_RATES}
    assert rated == set(OPERATIONS) - set(REQUESTS)


def test_a_valid_call_of_each_succeeds(world, firehose):
    for name in [*(name for name in EXAMPLES if name not in LAST), *LAST]:
        route = ROUTES["firehose", name]
        answer = send(world, route, json.dumps(in_json(EXAMPLES[name])).encode(), json11)
        assert wrong_members(route.operation.output, json.loads(answer)) == [], name
        firehose.settle()


def test_what_is_described_is_in_the_model(world, firehose):
    route = ROUTES["firehose", "DescribeDeliveryStream"]
    for example, (kind, given) in MOST.items():
        name = example.replace(" ", "-")
        firehose.create(name=name, kind=kind, configuration=given)
        answer = json.loads(send(world, route, json.dumps({"DeliveryStreamName": name}).encode(), json11))
        assert wrong_members(route.operation.output, answer) == [], example


def refused(world: World, name: str, example: dict[str, Any]) -> int:
    """Send every broken form of a call; how many there were."""
    route = ROUTES["firehose", name]
    allowed = ANYWHERE | set(route.operation.errors)
    failed, count = [], 0
    for broken in broken_calls(route.operation, example):
        count += 1
        try:
            send(world, route, json.dumps(in_json(broken.params)).encode(), json11)
        except ServiceError as error:
            said = str(error.message)
            if error.code not in broken.code.split("|") or broken.says not in said:
                failed.append(f"{name}: {broken.why}: {error.code} {said[:200]}")
            elif error.code not in allowed:
                failed.append(f"{name}: {broken.why}: {error.code} is not in the model")
        else:
            failed.append(f"{name}: {broken.why}: accepted")
    assert not failed, "\n".join(failed)
    return count


def test_every_broken_call_is_refused_and_changes_nothing(world):
    before = rows(world)
    assert sum(refused(world, name, example) for name, example in sorted(EXAMPLES.items())) > 250
    assert rows(world) == before


def test_every_broken_configuration_is_refused_and_changes_nothing(world):
    before = rows(world)
    for kind, given in MOST.values():
        assert refused(world, "CreateDeliveryStream", {"DeliveryStreamName": "new", **configured(kind, given)}) > 20
    assert rows(world) == before


def test_sources_that_are_not_built_are_looked_at_by_their_model_first(world):
    params = {"DeliveryStreamName": "new", "MSKSourceConfiguration": MSK, **configured("S3", S3)}
    assert refused(world, "CreateDeliveryStream", params) > 20
