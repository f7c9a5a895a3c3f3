"""Resource policies: what the owner opens to other accounts, and shuts to everybody."""

from typing import Any

import pytest

from apps.base.errors import ServiceError
from apps.streams.models import Stream
from apps.streams.operations.resources import ACROSS_ACCOUNTS, RESOURCES
from tests.domain.access.conftest import HERS, HIS, House
from tests.support.callers import document, in_database, make_identity, make_key, says

pytestmark = pytest.mark.django_db(transaction=True)

DATA = "aGk="


async def put(house: House, *statements: dict[str, Any], arn: str = "") -> None:
    text = document(*statements)
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=arn or house.arn, Policy=text)
    house.look_again()


def opens(house: House, *actions: str, principal: Any = None, **more: Any) -> dict[str, Any]:
    return says("Allow", list(actions), house.arn, Principal=principal or {"AWS": HIS}, **more)


async def record_of_his(house: House, keys: Any = None) -> Any:
    return await house.wire(keys or house.his_key, "PutRecord", StreamARN=house.arn, Data=DATA, PartitionKey="k")


async def test_writing_and_reading_across_accounts(house: House) -> None:
    assert (await record_of_his(house))[0] == "AccessDeniedException"
    await put(
        house,
        opens(house, "kinesis:PutRecord", "kinesis:PutRecords", "kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
    )
    assert (await record_of_his(house))["ShardId"] == "shardId-000000000000"
    many = [{"Data": DATA, "PartitionKey": "k"}] * 3
    assert (await house.wire(house.his_key, "PutRecords", StreamARN=house.arn, Records=many))["FailedRecordCount"] == 0
    shards = await house.wire(house.his_key, "ListShards", StreamARN=house.arn)
    assert [shard["ShardId"] for shard in shards["Shards"]] == ["shardId-000000000000"]
    where = {"StreamARN": house.arn, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = (await house.wire(house.his_key, "GetShardIterator", **where))["ShardIterator"]
    got = await house.wire(house.his_key, "GetRecords", ShardIterator=iterator, StreamARN=house.arn)
    assert [record["Data"] for record in got["Records"]] == [DATA] * 4
    assert (await house.wire(house.his_key, "GetRecords", ShardIterator=iterator))[1] == "Invalid ShardIterator."
    assert (await house.wire(house.her_key, "GetRecords", ShardIterator=iterator))["Records"]
    mine = {**where, "StreamARN": house.arn.replace(HERS, HIS)}
    own = (await house.wire(house.his_key, "GetShardIterator", **mine))["ShardIterator"]
    assert (await house.wire(house.his_key, "GetRecords", ShardIterator=own))["Records"] == []


async def test_the_name_alone_means_one_s_own_stream(house: House) -> None:
    await put(house, opens(house, "kinesis:*"))
    await house.wire(house.his_key, "PutRecord", StreamName="orders", Data=DATA, PartitionKey="k")
    where = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    hers = (await house.wire(house.her_key, "GetShardIterator", **where))["ShardIterator"]
    assert (await house.wire(house.her_key, "GetRecords", ShardIterator=hers))["Records"] == []


async def test_whoever_is_restricted_needs_his_own_account_s_word_too(house: House) -> None:
    user = await in_database(make_identity)(house.his.team, "user", "he")
    key = await in_database(make_key)(house.his.team, user)
    await put(house, opens(house, "kinesis:PutRecord"))
    assert (await record_of_his(house, key))[1].endswith(
        "because no identity-based policy allows the kinesis:PutRecord action"
    )
    allowed = document(says(action="kinesis:PutRecord", resource=house.arn))
    await house.call("iam", "PutUserPolicy", house.his.principal, UserName="he", PolicyName="p", PolicyDocument=allowed)
    house.look_again()
    assert "SequenceNumber" in await record_of_his(house, key)
    by_arn = opens(house, "kinesis:PutRecord", principal={"AWS": f"arn:aws:iam::{HIS}:user/somebody-else"})
    await put(house, by_arn)
    assert (await record_of_his(house, key))[1].endswith(
        "because no resource-based policy allows the kinesis:PutRecord action"
    )


async def test_it_opens_use_and_never_rule(house: House) -> None:
    await put(house, opens(house, "kinesis:*"))
    calls = {
        "DeleteStream": {"StreamARN": house.arn},
        "AddTagsToStream": {"StreamARN": house.arn, "Tags": {"a": "b"}},
        "IncreaseStreamRetentionPeriod": {"StreamARN": house.arn, "RetentionPeriodHours": 48},
        "PutResourcePolicy": {"ResourceARN": house.arn, "Policy": "{}"},
        "GetResourcePolicy": {"ResourceARN": house.arn},
        "DeleteResourcePolicy": {"ResourceARN": house.arn},
    }
    for operation, params in calls.items():
        assert (await house.wire(house.his_key, operation, **params))[0] == "AccessDeniedException", operation
    assert set(RESOURCES) > ACROSS_ACCOUNTS
    assert not {name for name in ACROSS_ACCOUNTS if name.startswith(("Update", "Delete", "Create", "Increase"))} - {
        "UpdateQueueRecordsVisibility", "UpdateDeadLetterQueueRecordsVisibility",
    }  # fmt: skip


async def test_a_deny_holds_for_keys_of_the_team_too_but_never_locks_them_out(house: House) -> None:
    by_name = {"StreamName": "orders", "Data": DATA, "PartitionKey": "k"}
    assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", **by_name)
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    await put(house, says("Deny", "kinesis:*", house.arn, Principal="*", Condition=elsewhere))
    denied = await house.wire(house.her_key, "PutRecord", **by_name)
    assert denied == (
        "AccessDeniedException",
        (
            f"User: arn:aws:iam::{HERS}:root is not authorized to perform: kinesis:PutRecord on resource: {house.arn} "
            "with an explicit deny in a resource-based policy"
        ),
    )
    assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", {"peer": "10.1.2.3:5"}, **by_name)
    records = [{"Data": DATA, "PartitionKey": "k"}]
    assert (await house.wire(house.her_key, "PutRecords", StreamName="orders", Records=records))[0] == denied[0]
    where = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}
    assert (await house.wire(house.her_key, "GetShardIterator", **where))[0] == denied[0]
    assert (await house.wire(house.her_key, "DeleteStream", StreamName="orders"))[0] == denied[0]
    assert await house.wire(house.her_key, "DeleteResourcePolicy", ResourceARN=house.arn) is None
    house.look_again()
    assert "SequenceNumber" in await house.wire(house.her_key, "PutRecord", **by_name)


async def test_within_the_account_it_may_grant_to_a_user(house: House) -> None:
    user = await in_database(make_identity)(house.hers.team, "user", "ann")
    key = await in_database(make_key)(house.hers.team, user)
    put_it = {"StreamName": "orders", "Data": DATA, "PartitionKey": "k"}
    assert (await house.wire(key, "PutRecord", **put_it))[0] == "AccessDeniedException"
    await put(house, opens(house, "kinesis:PutRecord", principal={"AWS": f"arn:aws:iam::{HERS}:user/ann"}))
    assert "SequenceNumber" in await house.wire(key, "PutRecord", **put_it)
    tagged = {"StringEquals": {"aws:ResourceTag/stage": "test"}}
    await put(
        house, opens(house, "kinesis:PutRecord", principal={"AWS": f"arn:aws:iam::{HERS}:user/ann"}, Condition=tagged)
    )
    assert (await house.wire(key, "PutRecord", **put_it))[0] == "AccessDeniedException"
    await house.call("kinesis", "AddTagsToStream", StreamName="orders", Tags={"stage": "test"})
    house.look_again()
    assert "SequenceNumber" in await house.wire(key, "PutRecord", **put_it)


async def test_consumers_have_policies_of_their_own(house: House) -> None:
    where = {"ConsumerARN": house.consumer_arn}
    assert (await house.wire(house.his_key, "DescribeStreamConsumer", **where))[0] == "AccessDeniedException"
    statement = says(
        "Allow",
        ["kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard"],
        house.consumer_arn,
        Principal={"AWS": HIS},
    )
    await put(house, statement, arn=house.consumer_arn)
    described = await house.wire(house.his_key, "DescribeStreamConsumer", **where)
    assert described["ConsumerDescription"]["ConsumerARN"] == house.consumer_arn
    body = b'{"ConsumerARN": "%s", "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}'
    subscribe = body % house.consumer_arn.encode()
    with pytest.raises(AssertionError):  # a stream of events, which is no Response
        await house.wire.send(house.his_key, "SubscribeToShard", subscribe)
    await house.call("kinesis", "DeleteResourcePolicy", ResourceARN=house.consumer_arn)
    house.look_again()
    refused = await house.wire.send(house.his_key, "SubscribeToShard", subscribe)
    assert refused.status == 400
    assert b"AccessDeniedException" in refused.body


async def test_it_comes_back_as_it_was_put(house: House) -> None:
    async def get() -> str:
        return (await house.call("kinesis", "GetResourcePolicy", ResourceARN=house.arn))["Policy"]

    assert await get() == "{}"
    text = document(opens(house, "kinesis:PutRecord")) + "\n  "
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.arn, Policy=text)
    assert await get() == text
    await house.call("kinesis", "DeleteResourcePolicy", ResourceARN=house.arn)
    assert await get() == "{}"
    with pytest.raises(ServiceError, match=f"No resource policy found for resource ARN {house.arn}."):
        await house.call("kinesis", "DeleteResourcePolicy", ResourceARN=house.arn)


@pytest.mark.parametrize(
    ("policy", "code", "said"),
    [
        ("not json", "InvalidArgumentException", "Invalid resource policy. Syntax errors in policy."),
        ("{}", "InvalidArgumentException", "Invalid resource policy. Syntax errors in policy."),
        (document(says(action="kinesis:PutRecord")), "InvalidArgumentException", "Missing required field Principal"),
        (document(says(action="s3:GetObject", Principal="*")), "InvalidArgumentException", "s3:getobject is no action of Kinesis."),
        (document(says(action="kinesis:*", Principal="*", Sid="x" * 21_000)), "LimitExceededException", "20480 characters"),
        (document(says(action="kinesis:*", Principal={"AWS": "me"})), "InvalidArgumentException", 'principal in policy: "AWS":"me"'),
    ],
)  # fmt: skip
async def test_what_is_no_resource_policy_changes_nothing(house: House, policy: str, code: str, said: str) -> None:
    kept = document(opens(house, "kinesis:PutRecord"))
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.arn, Policy=kept)
    with pytest.raises(ServiceError) as caught:
        await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.arn, Policy=policy)
    assert caught.value.code == code
    assert said in (caught.value.message or "")
    assert (await in_database(Stream.objects.get)(pk=house.stream.pk)).resource_policy == kept


async def test_what_does_not_exist_has_its_arn_in_the_text(house: House) -> None:
    arn = house.arn + "-2"
    for operation, params in (
        ("PutResourcePolicy", {"Policy": document(opens(house, "kinesis:PutRecord"))}),
        ("GetResourcePolicy", {}),
        ("DeleteResourcePolicy", {}),
    ):
        with pytest.raises(ServiceError) as caught:
            await house.call("kinesis", operation, ResourceARN=arn, **params)
        assert caught.value.code == "ResourceNotFoundException"
        assert caught.value.message == f"Stream {arn} under account {HERS} not found."
