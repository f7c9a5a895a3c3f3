"""What changed, in the trail's entry of the call that changed it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.access import changes
from apps.access.models import AuditEntry
from apps.base.errors import ServiceError
from apps.gateway import states
from apps.gateway.services import ROUTES
from tests.domain.access.conftest import HERS, House
from tests.support.callers import document, in_database, says

pytestmark = pytest.mark.django_db(transaction=True)

State = dict[str, Any] | None


async def last() -> tuple[str, State, State]:
    """Resource, before and after of the newest entry."""
    entry = await in_database(lambda: AuditEntry.objects.latest("id"))()
    return entry.resource, *(json.loads(text) if text else None for text in (entry.before, entry.after))


def difference(before: State, after: State) -> dict[str, tuple[Any, Any]]:
    old, new = before or {}, after or {}
    return {name: (old.get(name), new.get(name)) for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


async def test_a_stream_before_and_after(house: House) -> None:
    await house.wire(house.her_key, "AddTagsToStream", StreamName="orders", Tags={"a": "1", "b": "2"})
    assert difference(*(await last())[1:]) == {"Tags": ({}, {"a": "1", "b": "2"})}
    await house.wire(house.her_key, "IncreaseStreamRetentionPeriod", StreamName="orders", RetentionPeriodHours=48)
    assert difference(*(await last())[1:]) == {"RetentionPeriodHours": (24, 48)}
    policy = document(says(action="kinesis:PutRecord", resource=house.arn, Principal={"AWS": HERS}))
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.arn, Policy=policy)
    assert difference(*(await last())[1:]) == {"ResourcePolicy": (None, policy)}
    await house.call("kinesis", "RegisterStreamConsumer", StreamARN=house.arn, ConsumerName="ann")
    assert difference(*(await last())[1:]) == {
        "Consumers": ({"reader": "ACTIVE"}, {"ann": "CREATING", "reader": "ACTIVE"})
    }
    await house.call(
        "kinesis", "UpdateShardCount", StreamName="orders", TargetShardCount=2, ScalingType="UNIFORM_SCALING"
    )
    changed = difference(*(await last())[1:])
    assert changed.keys() >= {"Resharding", "StreamStatus"}
    assert changed["Resharding"] == ([], ["uniform 2"])


async def test_what_is_made_has_no_before_and_what_is_deleted_no_after(house: House) -> None:
    await house.call("kinesis", "CreateStream", StreamName="made", ShardCount=3)
    resource, before, after = await last()
    assert resource.endswith("stream/made")
    assert before is None
    assert after is not None
    assert after["StreamStatus"] == "CREATING"
    await house.call("iam", "CreateUser", UserName="ann")
    await house.call("iam", "DeleteUser", UserName="ann")
    _, before, after = await last()
    assert before is not None
    assert before["Name"] == "ann"
    assert after is None


async def test_a_user_its_keys_and_its_new_name(house: House) -> None:
    await house.call("iam", "CreateUser", UserName="ann")
    made = await house.call("iam", "CreateAccessKey", UserName="ann")
    key = made["AccessKey"]
    _, before, after = await last()
    assert difference(before, after) == {"AccessKeys": ({}, {key["AccessKeyId"]: "Active"})}
    assert key["SecretAccessKey"] not in json.dumps(after)
    policy = document(says(action="kinesis:*"))
    await house.call("iam", "PutUserPolicy", UserName="ann", PolicyName="all", PolicyDocument=policy)
    assert difference(*(await last())[1:]) == {"InlinePolicies": ({}, {"all": json.loads(policy)})}
    await house.call("iam", "UpdateUser", UserName="ann", NewUserName="eve")
    assert difference(*(await last())[1:]) == {"Name": ("ann", "eve")}


async def test_a_key_is_named_once_it_is_made(house: House) -> None:
    made = await house.call("kms", "CreateKey", Description="for orders")
    resource, before, after = await last()
    assert resource == made["KeyMetadata"]["Arn"]
    assert before is None
    assert after is not None
    assert after["Description"] == "for orders"
    await house.call("kms", "DisableKey", KeyId=made["KeyMetadata"]["KeyId"])
    assert difference(*(await last())[1:]) == {"KeyState": ("Enabled", "Disabled")}
    await house.call("kms", "CreateAlias", AliasName="alias/a", TargetKeyId=made["KeyMetadata"]["KeyId"])
    assert difference(*(await last())[1:]) == {"Aliases": ([], ["alias/a"])}


async def test_several_at_once_are_told_apart(house: House) -> None:
    alarm = {
        "Namespace": "AWS/Kinesis", "MetricName": "IncomingBytes", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
    }  # fmt: skip
    for name in ("a", "b"):
        await house.call("cloudwatch", "PutMetricAlarm", AlarmName=name, **alarm)
    await house.call("cloudwatch", "DeleteAlarms", AlarmNames=["a", "b"])
    _, before, after = await last()
    assert [arn.rpartition(":")[2] for arn in before or ()] == ["a", "b"]
    assert after is None


async def test_tables_of_the_catalogue_and_not_what_is_around_them(house: House) -> None:
    await house.call("glue", "CreateDatabase", DatabaseInput={"Name": "d"})
    await house.call("glue", "CreateTable", DatabaseName="d", TableInput={"Name": "t", "Description": "one"})
    resource, before, after = await last()
    assert resource.endswith("table/d/t")
    assert before is None
    assert after is not None
    assert after["Description"] == "one"


async def test_looks_have_no_states_and_failures_neither(house: House) -> None:
    await house.wire(house.her_key, "DescribeStreamSummary", StreamName="orders")
    assert (await last())[1:] == (None, None)
    with pytest.raises(ServiceError):
        await house.call("kinesis", "DecreaseStreamRetentionPeriod", StreamName="orders", RetentionPeriodHours=48)
    assert (await last())[1:] == (None, None)


def test_secrets_are_masked_wherever_they_stand() -> None:
    text = changes.state_text(
        {
            "HECToken": "t0p", "SecretAccessKey": "t0p", "a": [{"Password": "t0p"}], "SecretARN": "arn:x", "n": 1,
            "AccessKeyId": "AKIA1", "url": "https://ann:t0p@example.com/x",
        }
    )  # fmt: skip
    assert "t0p" not in (text or "")
    assert json.loads(text or "")["SecretARN"] == "arn:x"
    assert json.loads(text or "")["AccessKeyId"] == "AKIA1"


def test_every_changing_operation_of_the_control_plane_has_a_state_or_is_named() -> None:
    """A new operation needs a kind of resource that is known, or a place among those that change none."""
    without = {"UpdateAccountSettings"}  # about the account, which is no resource
    named = {f"{kind[0]}:{kind[1].rstrip('/:')}" for kind in states._KINDS}
    assert len(named) == len(states._KINDS)
    services = {service for service, _ in states._KINDS}
    for (service, name), found in ROUTES.items():
        if found.function is None or found.on_loop or found.only_reads or name in without | states._CHANGE_NOTHING:
            continue
        assert service in services, name
