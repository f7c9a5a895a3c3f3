"""Policies on delivery streams: by ARN, by tags, in control and data plane; and the roles that are handed over."""

from typing import Any

import pytest

from apps.base.errors import AccessDeniedException, ServiceError
from apps.delivery.catalog import DeliveryCatalog
from apps.delivery.models import DeliveryStream, DeliveryTag
from tests.domain.access.conftest import HERS, House
from tests.support.callers import document, in_database, make_identity, make_key, says
from tests.support.delivery_rows import make_delivery
from tests.support.firehose import EXTENDED_S3, ROLE, S3, configured

pytestmark = pytest.mark.django_db(transaction=True)

ARN = f"arn:aws:firehose:us-east-1:{HERS}:deliverystream"


async def who(house: House, *statements: dict[str, Any], name: str = "some") -> Any:
    user = await in_database(make_identity)(house.hers.team, "user", name, document(*statements))
    return await house.principal_of(await in_database(make_key)(house.hers.team, user))


async def make(house: House, name: str, **tags: str) -> DeliveryStream:
    row = await in_database(make_delivery)(house.hers, name)
    log = await in_database(row.logs.create)(purpose="direct", created_at_ms=house.clock.now_ms())
    await house.runtime.record_log.create(log.log_key)
    for key, value in tags.items():
        await in_database(DeliveryTag.objects.create)(delivery_stream=row, key=key, value=value)
    return row


async def put(house: House, caller: Any, name: str) -> Any:
    return await house.call("firehose", "PutRecord", caller, DeliveryStreamName=name, Record={"Data": b"x"})


async def test_one_delivery_stream_may_be_put_to_and_another_not(house: House) -> None:
    for name in ("a", "b"):
        await make(house, name)
    caller = await who(house, says(action="firehose:PutRecord", resource=f"{ARN}/a"))
    assert (await put(house, caller, "a"))["RecordId"]
    with pytest.raises(AccessDeniedException, match=rf"firehose:PutRecord on resource: {ARN}/b"):
        await put(house, caller, "b")
    with pytest.raises(AccessDeniedException, match=r"firehose:PutRecordBatch on resource"):
        await house.call("firehose", "PutRecordBatch", caller, DeliveryStreamName="a", Records=[{"Data": b"x"}])
    with pytest.raises(AccessDeniedException, match=r"firehose:DescribeDeliveryStream on resource"):
        await house.call("firehose", "DescribeDeliveryStream", caller, DeliveryStreamName="a")
    with pytest.raises(AccessDeniedException, match=r"kinesis:PutRecord"):
        await house.call("kinesis", "PutRecord", caller, StreamName="orders", PartitionKey="k", Data=b"x")


async def test_what_does_not_exist_is_asked_about_first(house: House) -> None:
    caller = await who(house, says(action="firehose:*", resource=f"{ARN}/known-*"))
    with pytest.raises(AccessDeniedException):
        await put(house, caller, "other")
    with pytest.raises(ServiceError, match=f"Firehose known-1 under account {HERS} not found"):
        await put(house, caller, "known-1")


@pytest.mark.parametrize(("team", "may"), [("a", True), ("b", False)])
async def test_tags_decide_in_both_planes(house: House, team: str, may: bool) -> None:
    await make(house, "d", team=team)
    caller = await who(house, says(action="firehose:*", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}}))
    for operation, more in (("PutRecord", {"Record": {"Data": b"x"}}), ("DescribeDeliveryStream", {})):
        call = house.call("firehose", operation, caller, DeliveryStreamName="d", **more)
        if may:
            assert await call
        else:
            with pytest.raises(AccessDeniedException):
                await call


async def test_a_tag_that_is_taken_away_is_missed_within_a_second(house: House) -> None:
    row = await make(house, "d", team="a")
    caller = await who(house, says(action="firehose:*", Condition={"StringEquals": {"aws:ResourceTag/team": "a"}}))
    await put(house, caller, "d")
    await house.call("firehose", "UntagDeliveryStream", DeliveryStreamName="d", TagKeys=["team"])
    house.clock.advance(1_100)
    with pytest.raises(AccessDeniedException):
        await put(house, caller, "d")
    assert await house.runtime.part(DeliveryCatalog).read(HERS, row.name)


async def test_roles_that_are_handed_over_must_be_allowed(house: House) -> None:
    caller = await who(house, says(action="firehose:*"), says(action="iam:PassRole", resource=f"{ROLE}-other"))
    wanted: dict[str, Any] = {"DeliveryStreamName": "new", **configured("ExtendedS3", S3)}
    with pytest.raises(AccessDeniedException, match=f"iam:PassRole on resource: {ROLE} because"):
        await house.call("firehose", "CreateDeliveryStream", caller, **wanted)
    both = await who(house, says(action="firehose:*"), says(action="iam:PassRole", resource=ROLE), name="both")
    await house.call("firehose", "CreateDeliveryStream", both, **wanted)
    other = {**EXTENDED_S3, "S3BackupConfiguration": {**S3, "RoleARN": f"{ROLE}-backup"}}
    with pytest.raises(AccessDeniedException, match=f"{ROLE}-backup"):
        more = {"DeliveryStreamName": "newer", **configured("ExtendedS3", other)}
        await house.call("firehose", "CreateDeliveryStream", both, **more)
    await house.call("firehose", "CreateDeliveryStream", DeliveryStreamName="hers", **configured("ExtendedS3", S3))


async def test_tags_given_on_creation_need_the_right_to_tag(house: House) -> None:
    may = [says(action=["firehose:CreateDeliveryStream", "iam:PassRole"])]
    caller = await who(house, *may)
    wanted: dict[str, Any] = {"DeliveryStreamName": "new", **configured("ExtendedS3", S3)}
    with pytest.raises(AccessDeniedException, match=rf"firehose:TagDeliveryStream on resource: {ARN}/new"):
        await house.call("firehose", "CreateDeliveryStream", caller, **wanted, Tags=[{"Key": "a", "Value": "b"}])
    await house.call("firehose", "CreateDeliveryStream", caller, **wanted)


async def test_a_key_of_ones_own_must_be_the_caller_s_to_grant(house: House) -> None:
    key = (await house.call("kms", "CreateKey"))["KeyMetadata"]["Arn"]
    given = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key}
    wanted = {"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": given}
    await make(house, "d")
    caller = await who(house, says(action="firehose:*"))
    with pytest.raises(AccessDeniedException, match=f"kms:CreateGrant on resource: {key} because"):
        await house.call("firehose", "StartDeliveryStreamEncryption", caller, **wanted)
    both = await who(house, says(action="firehose:*"), says(action="kms:CreateGrant", resource=key), name="both")
    await house.call("firehose", "StartDeliveryStreamEncryption", both, **wanted)
