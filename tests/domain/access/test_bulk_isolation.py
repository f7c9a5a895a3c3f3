"""Every operation by every kind of caller who may not: refused as AWS refuses, and nothing is changed.

Made from the table of routes: an operation that is added is tried here by itself. Only what a call must say to be valid
stands below, by member; an operation whose members are not known here fails until they are.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps as installed

from apps.access.models import Identity, ManagedPolicy, PolicyVersion
from apps.accounts.models import AccessKey
from apps.base.errors import ServiceError, UnknownOperationException
from apps.gateway.admission import ALWAYS_ALLOWED
from apps.gateway.invoke import run
from apps.gateway.plain import typed_request
from apps.gateway.request import Request
from apps.gateway.services import ROUTES, Route, UnsupportedOperationException
from apps.queues.models import Queue, QueueStatus
from apps.runtime import Call
from apps.streams import tokens
from apps.streams.iterators import Position, ShardIterators
from apps.streams.models import Shard
from apps.wire import validate
from apps.wire.model import Shape
from tests.domain.access.conftest import HERS, HIS, House
from tests.support.callers import Connection, Keys, document, in_database, make_identity, make_key, says, trusting
from tests.support.delivery_rows import make_delivery
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)

BUILT = sorted(key for key, route in ROUTES.items() if route.function is not None)

QUEUE_ID = "00000000000000000001-abc"

HER_MARKS = (HERS, QUEUE_ID, "ANPAHER")
"""What nothing that another team is told may hold. (Her names are no secret: he may use the same ones.)"""

TEXT = document(says())

SAID = {
    "ExpiredTokenException": ("ExpiredToken",),
    "UnrecognizedClientException": ("InvalidClientTokenId", "UnrecognizedClientException"),
}
"""What other services' protocols call these errors."""

NOT_OF_A_TEAM = {"AuditEntry", "Lease", "Session", "Permission", "ContentType", "Migration"}
"""What every call may touch, or none."""


@dataclass
class Mine:
    """What belongs to her, by AWS's names of members. names: said by name, within the caller's own account."""

    arns: dict[str, Any]
    names: dict[str, Any]
    others: dict[str, Any]


def others() -> dict[str, Any]:
    """Members that say nothing of whose it is."""
    return {
        "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST", "StartingPosition": {"Type": "LATEST"},
        "Data": b"x", "PartitionKey": "k", "Records": [{"Data": b"x", "PartitionKey": "k"}], "ConsumerName": "reader",
        "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "77", "ShardToMerge": "shardId-000000000000",
        "AdjacentShardToMerge": "shardId-000000000001", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING",
        "RetentionPeriodHours": 48, "TagKeys": ["a"], "EncryptionType": "KMS", "ShardLevelMetrics": ["ALL"],
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"}, "WarmThroughputMiBps": 1, "MaxRecordSizeInKiB": 2048,
        "RecordDistributionStrategy": "AUTO", "MinimumThroughputBillingCommitment": {"Status": "DISABLED"},
        "ServiceExecutionRoleARN": f"arn:aws:iam::{HERS}:role/her-role",
        "QueueAttributes": {}, "Record": {"Data": b"x"}, "CurrentDeliveryStreamVersionId": "1",
        "RoleSessionName": "job", "Status": "Inactive", "PolicyDocument": TEXT, "Policy": TEXT, "VersionId": "v1",
        "AssumeRolePolicyDocument": trusting({"AWS": HIS}), "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess",
    }  # fmt: skip


async def mine(house: House) -> Mine:
    """Her things, each made so that a call about it would succeed for her."""
    user, role = await in_database(_people)(house)
    shard = await in_database(Shard.objects.get)(stream=house.stream)
    queue = await in_database(Queue.objects.create)(
        team=house.hers.team, stream=house.stream, region="us-east-1", name="her-queue", queue_id=QUEUE_ID,
        status=QueueStatus.ACTIVE, created_at_ms=house.clock.now_ms(), visibility_timeout_s=30,
    )  # fmt: skip
    channel = await in_database(make_delivery)(
        house.hers, "her-channel", channel_id="her-channel", source_type="Channel", source_stream=house.stream
    )
    key = await house.call("kms", "CreateKey")
    iterators = house.runtime.part(ShardIterators)
    position = Position(house.hers.team.pk, house.stream.pk, shard.pk, 0, 1, house.clock.now_ms(), "orders")
    call = Call(house.runtime, house.hers.principal, "r", house.clock.now_ms())
    arn = house.arn
    return Mine(
        arns={
            "StreamARN": arn, "ConsumerARN": house.consumer_arn, "ResourceARN": arn, "QueueARN": str(queue.arn),
            "RoleArn": role.arn, "PolicyArn": f"arn:aws:iam::{HERS}:policy/her-policy", "KeyId": key["KeyMetadata"]["Arn"],
            "SourceKeyId": key["KeyMetadata"]["Arn"], "TargetKeyId": key["KeyMetadata"]["Arn"],
            "DestinationKeyId": key["KeyMetadata"]["Arn"],
            "ResourceArn": f"arn:aws:glue:us-east-1:{HERS}:database/her_database",
            "StreamConfigurationList": [
                {"StreamARN": arn, "StartingPosition": {"Type": "LATEST"}, "RecordConfiguration": {"RecordFormatType": "JSON"}}
            ],
            "ChannelARN": str(channel.arn),
        },
        names={
            "StreamName": "orders", "ShardIterator": iterators.issue(position), "QueueName": "her-queue",
            "UserName": user.name, "RoleName": role.name, "GroupName": "her-group", "PolicyName": "her-policy",
            "NextToken": tokens.issue(call, "ListShards", stream=house.stream.pk, after=-1),
            "DeliveryStreamName": (await in_database(make_delivery)(house.hers, "her-delivery")).name,
            "AccessKeyId": (await in_database(AccessKey.objects.get)(identity=user)).key_id,
        },
        others=others(),
    )  # fmt: skip


def _people(house: House) -> tuple[Identity, Identity]:
    team = house.hers.team
    user = make_identity(team, "user", "her-user", TEXT)
    make_key(team, user)
    make_identity(team, "group", "her-group")
    policy = ManagedPolicy.objects.create(
        team=team, name="her-policy", name_key="her-policy", unique_id="ANPAHER", created_at_ms=0, updated_at_ms=0
    )
    PolicyVersion.objects.create(policy=policy, number=1, document=TEXT, created_at_ms=0)
    return user, make_identity(
        team, "role", "her-role", TEXT, trust_policy=trusting({"AWS": f"arn:aws:iam::{HERS}:user/her-user"})
    )


def request_for(route: Route, hers: Mine) -> tuple[dict[str, Any], bool]:
    """A valid request about her things: by ARN wherever the operation takes one. Is it by ARN?"""
    shape = route.operation.input
    params: dict[str, Any] = {}
    by_arn = {name: value for name, value in hers.arns.items() if name in shape.members}
    if route.service == "kms" or (route.service, route.name) == ("iam", "GetPolicy"):
        by_arn = {name: value for name, value in by_arn.items() if name in shape.required}
    if route.service == "iam" and {"UserName", "RoleName", "GroupName"} & shape.required:
        return params_by_name(route, hers, by_arn), False
    if "StreamARN" in by_arn and "ConsumerARN" in by_arn:
        del by_arn["StreamARN"]  # either will do, and one that disagrees hides what is tried
    params |= by_arn
    by_name = {name: value for name, value in hers.names.items() if name in shape.members}
    for name, value in by_name.items():
        if name in shape.required or (not by_arn and name != "NextToken" and route.service == "kinesis"):
            params[name] = value
    for name in (shape.required | ({"PartitionKey"} & shape.members.keys())) - params.keys():
        params[name] = hers.others[name] if name in hers.others else made_up(shape.members[name], name)
    if "ConsumerARN" in params:
        params.pop("ConsumerName", None)
    validate.check(route.operation, params)
    return params, bool(by_arn)


def params_by_name(route: Route, hers: Mine, by_arn: dict[str, Any]) -> dict[str, Any]:
    """IAM knows users, roles and groups by name alone: of the caller's own account, whatever else is named by ARN."""
    shape = route.operation.input
    known = {**hers.others, **by_arn, **hers.names}
    params = {name: known[name] if name in known else made_up(shape.members[name], name) for name in shape.required}
    validate.check(route.operation, params)
    return params


def made_up(shape: Shape, name: str) -> Any:
    """The least value of a shape."""
    match shape.type:
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(shape.minimum or 1, 3)
        case "blob":
            return b"x" * max(shape.minimum or 0, 32)
        case "integer" | "long":
            return shape.minimum or 1
        case "float" | "double":
            return 1.0
        case "boolean":
            return False
        case "timestamp":
            return 1_795_163_000_000
        case "map":
            return {"a": "1"}
        case "list":
            assert shape.member is not None
            return [made_up(shape.member, name)] * max(shape.minimum or 0, 1)
        case "structure":
            return {required: made_up(shape.members[required], required) for required in shape.required}
    raise AssertionError(f"{name}: {shape.type}")


def rows_of_all() -> dict[str, list[dict[str, Any]]]:
    """Everything in the database, but what NOT_OF_A_TEAM."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in installed.get_models()
        if model.__name__ not in NOT_OF_A_TEAM
    }


def over_the_wire() -> Request:
    """What tells a call that came signed from one from inside."""

    async def nothing() -> Any:
        return
        yield b""

    return Request("POST", "/", "", {"host": "localhost"}, nothing(), to_end=False, scope=Connection())


async def outcome(house: House, route: Route, principal: Any, params: dict[str, Any]) -> Any:
    """The answer, or the error."""
    typed = typed_request(route, params) if route.request_type is not None else params
    call = Call(house.runtime, principal, "r", house.clock.now_ms(), over_the_wire())
    try:
        return await run(route, call, typed)
    except ServiceError as error:
        return error


async def all_refused(house: House, principal: Any) -> dict[str, tuple[Any, bool]]:
    """Every operation tried once: what came of it, and was it by ARN. After all of them nothing of hers is changed."""
    hers = await mine(house)
    before = await in_database(rows_of_all)()
    found = {}
    for service, name in BUILT:
        route = ROUTES[service, name]
        params, by_arn = request_for(route, hers)
        found[f"{service}:{name}"] = (await outcome(house, route, principal, params), by_arn)
    assert not unchanged(house, before, await in_database(rows_of_all)())
    assert (await house.runtime.record_log.bounds(await in_database(_her_shard)(house))).next_offset == 1
    return found


def _her_shard(house: House) -> int:
    return Shard.objects.get(stream=house.stream).pk


def unchanged(house: House, before: dict[str, list[Any]], after: dict[str, list[Any]]) -> str:
    """Empty if all of her rows are as they were, and none is added. What the other team has is its own to change."""
    team = house.hers.team.pk
    for name, rows in before.items():
        if any(row not in after[name] for row in rows if row.get("team_id", team) == team):
            return f"{name}: a row was changed or is gone"
        mine_before, mine_after = ([r for r in some if r.get("team_id") == team] for some in (rows, after[name]))
        if len(mine_after) > len(mine_before):
            return f"{name}: a row was added"
    return ""


async def test_another_team_s_key_gets_nothing_of_hers(house: House) -> None:
    found = await all_refused(house, house.his.principal)
    for operation, (answer, by_arn) in found.items():
        told = answer.message if isinstance(answer, ServiceError) else json.dumps(answer, default=repr)
        if by_arn:
            assert isinstance(answer, ServiceError), f"{operation} answered {told}"
            assert answer.code == "AccessDeniedException", f"{operation}: {answer.code}: {told}"
        elif not isinstance(answer, ServiceError):
            assert not any(mark in told for mark in HER_MARKS), f"{operation} told {told}"


async def test_the_right_account_with_the_wrong_policy_may_do_nothing(house: House) -> None:
    other = document(says(action=["s3:*", "dynamodb:*"]), says(action="*", resource="arn:aws:s3:::bucket"))
    user = await in_database(make_identity)(house.hers.team, "user", "limited", other)
    principal = await house.principal_of(await in_database(make_key)(house.hers.team, user))
    for operation, (answer, _) in (await all_refused(house, principal)).items():
        if tuple(operation.split(":")) in ALWAYS_ALLOWED - {("sts", "AssumeRole")}:
            assert not isinstance(answer, ServiceError), operation
            continue
        assert isinstance(answer, ServiceError), f"{operation} answered {answer}"
        assert answer.code == "AccessDeniedException", f"{operation}: {answer.code}: {answer.message}"
        assert (answer.message or "").startswith(
            f"User: arn:aws:iam::{HERS}:user/limited is not authorized to perform: "
        )


async def signed_out(house: House) -> dict[str, tuple[Keys, str]]:
    """Callers who are nobody any more, and the code that they are told."""
    team = house.hers.team
    roles = [
        await in_database(make_identity)(team, "role", name, TEXT, trust_policy=trusting({"AWS": HERS}))
        for name in "ab"
    ]
    assumed = []
    for role, lasts_s in zip(roles, (900, 3_600), strict=True):
        params = {"RoleArn": role.arn, "RoleSessionName": "job", "DurationSeconds": lasts_s}
        assumed.append(Keys.of((await house.call("sts", "AssumeRole", **params))["Credentials"]))
    disabled = await in_database(make_key)(team)
    user = await in_database(make_identity)(team, "user", "u", TEXT)
    of_user = await in_database(make_key)(team, user)
    for keys in (*assumed, disabled, of_user):
        assert "StreamNames" in await house.wire(keys, "ListStreams")
    house.clock.advance(900_000)
    await in_database(roles[1].delete)()
    await in_database(AccessKey.objects.filter(key_id=disabled.key_id).update)(is_active=False)
    await in_database(user.delete)()
    house.look_again()
    return {
        "expired session": (assumed[0], "ExpiredTokenException"),
        "session of a deleted role": (assumed[1], "UnrecognizedClientException"),
        "disabled key": (disabled, "UnrecognizedClientException"),
        "deleted user": (of_user, "UnrecognizedClientException"),
    }


async def test_who_is_nobody_any_more_is_told_so_by_every_operation(house: House) -> None:
    callers = await signed_out(house)
    before = await in_database(rows_of_all)()
    for kind, (keys, code) in callers.items():
        kinesis = [name for service, name in BUILT if service == "kinesis"]
        others_too = [ROUTES[key] for key in BUILT if key[0] != "kinesis"]
        answers = await asyncio.gather(*(house.wire(keys, name) for name in kinesis))
        for name, answer in zip(kinesis, answers, strict=True):
            assert answer[0] == code, f"{kind}: {name}: {answer}"
        for route, told in zip(
            others_too, await asyncio.gather(*(house.wire.other(keys, route) for route in others_too)), strict=True
        ):
            assert any(text in told for text in SAID[code]), f"{kind}: {route.service}:{route.name}: {told}"
    assert await in_database(rows_of_all)() == before


async def test_iterators_and_tokens_of_hers_open_nothing_for_him(house: House) -> None:
    hers = await mine(house)
    iterator, token = hers.names["ShardIterator"], hers.names["NextToken"]
    invalid = ("InvalidArgumentException", "Invalid ShardIterator.")
    assert await house.wire(house.his_key, "GetRecords", ShardIterator=iterator) == invalid
    denied = await house.wire(house.his_key, "GetRecords", ShardIterator=iterator, StreamARN=house.arn)
    assert denied[0] == "AccessDeniedException"
    his_arn = house.arn.replace(HERS, HIS)
    assert await house.wire(house.his_key, "GetRecords", ShardIterator=iterator, StreamARN=his_arn) == invalid
    assert await house.wire(house.his_key, "ListShards", NextToken=token) == (
        "InvalidArgumentException", "Invalid NextToken.",
    )  # fmt: skip
    queue = await house.wire(house.his_key, "ReceiveQueueRecords", QueueARN=hers.arns["QueueARN"])
    assert queue[0] == "AccessDeniedException"
    assert (await house.wire(house.her_key, "GetRecords", ShardIterator=iterator))["Records"] == []


async def test_an_iterator_says_by_itself_which_stream_a_user_reads(house: House) -> None:
    """Not what stands beside it: a user of one stream cannot bring another one's iterator."""
    hers = await mine(house)
    user = await in_database(make_identity)(
        house.hers.team, "user", "other", document(says(action="kinesis:*", resource=f"{house.arn}-2"))
    )
    key = await in_database(make_key)(house.hers.team, user)
    for params in ({}, {"StreamARN": f"{house.arn}-2"}):
        answer = await house.wire(key, "GetRecords", ShardIterator=hers.names["ShardIterator"], **params)
        assert answer[0] == "AccessDeniedException", answer
    token = await house.wire(key, "ListShards", NextToken=hers.names["NextToken"])
    assert token[0] == "AccessDeniedException"


async def test_iterators_and_tokens_of_a_stream_that_was_made_again(house: House) -> None:
    hers = await mine(house)
    where = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}
    iterator = (await house.wire(house.her_key, "GetShardIterator", **where))["ShardIterator"]

    def make_again() -> int:
        Queue.objects.all().delete()
        house.consumer.delete()
        Shard.objects.filter(stream=house.stream).delete()
        house.stream.delete()
        again = make_stream(house.hers.team, "orders", now_ms=house.clock.now_ms())
        return Shard.objects.get(stream=again).pk

    await house.runtime.record_log.create(await in_database(make_again)())
    house.look_again()
    for params in ({}, {"StreamARN": house.arn}):
        assert await house.wire(house.her_key, "GetRecords", ShardIterator=iterator, **params) == (
            "ResourceNotFoundException",
            f"Shard shardId-000000000000 in stream orders under account {HERS} does not exist",
        )
    token = await house.wire(house.her_key, "ListShards", NextToken=hers.names["NextToken"])
    assert token[0] == "ResourceNotFoundException"
    subscribe = {
        "ConsumerARN": house.consumer_arn,
        "ShardId": "shardId-000000000000",
        "StartingPosition": {"Type": "LATEST"},
    }
    assert (await house.wire(house.her_key, "SubscribeToShard", **subscribe))[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("service", sorted({service for service, _ in BUILT}))
def test_every_operation_says_what_it_is_about(service: str) -> None:
    from apps.gateway.services import SERVICES

    found = SERVICES[service]
    assert set(found.resources) >= set(found.operations), "what policies are asked about"


async def test_what_is_not_built_is_refused_to_everybody(house: House) -> None:
    missing = sorted(
        name for (service, name), route in ROUTES.items() if service == "kinesis" and route.function is None
    )
    for name in missing:
        assert (await house.wire(house.his_key, name))[0] in {
            UnsupportedOperationException.code, UnknownOperationException.code,
        }  # fmt: skip


async def test_the_test_can_fail(house: House) -> None:
    """She herself may do what the others may not."""
    hers = await mine(house)
    route = ROUTES["kinesis", "PutRecord"]
    params, _ = request_for(route, hers)
    answer = await outcome(house, route, house.hers.principal, params)
    assert not isinstance(answer, ServiceError), answer
