"""What is denied under one name is not allowed under another: ways to spell one resource."""

from typing import Any

import pytest

from apps.base.errors import AccessDeniedException
from apps.encryption.errors import NotFoundException as KeyNotFound
from apps.streams.errors import ResourceNotFoundException
from apps.streams.models import Stream
from tests.domain.access.conftest import HERS, House
from tests.support.callers import document, in_database, make_identity, make_key, says

pytestmark = pytest.mark.django_db(transaction=True)


async def denied_on(house: House, resource: str) -> Any:
    """A caller who may do everything, but nothing with one resource."""
    policy = document(says(), says("Deny", resource=resource))
    user = await in_database(make_identity)(house.hers.team, "user", "most", policy)
    return await house.principal_of(await in_database(make_key)(house.hers.team, user))


@pytest.mark.parametrize("spelling", ["admin", "Admin", "ADMIN"])
async def test_a_user_s_name_in_another_case(house: House, spelling: str) -> None:
    await in_database(make_identity)(house.hers.team, "user", "admin", path="/ops/")
    caller = await denied_on(house, f"arn:aws:iam::{HERS}:user/ops/admin")
    with pytest.raises(AccessDeniedException, match="user/ops/admin with an explicit deny"):
        await house.call("iam", "DeleteUser", caller, UserName=spelling)
    await house.call("iam", "GetUser", UserName="admin")


@pytest.mark.parametrize(("kind", "word"), [("role", "Role"), ("group", "Group")])
async def test_roles_and_groups_too(house: House, kind: str, word: str) -> None:
    await in_database(make_identity)(house.hers.team, kind, "admin")
    caller = await denied_on(house, f"arn:aws:iam::{HERS}:{kind}/admin")
    with pytest.raises(AccessDeniedException):
        await house.call("iam", f"Delete{word}", caller, **{f"{word}Name": "Admin"})


async def test_a_path_that_a_request_names_does_not_hide_whom_it_is_about(house: House) -> None:
    await in_database(make_identity)(house.hers.team, "user", "admin")
    caller = await denied_on(house, f"arn:aws:iam::{HERS}:user/admin")
    with pytest.raises(AccessDeniedException):
        await house.call("iam", "CreateUser", caller, UserName="admin", Path="/else/")


async def test_a_stream_of_another_region_by_its_name(house: House) -> None:
    """It keeps its ARN when the installation is told to be another region."""
    arn = house.arn.replace("us-east-1", "eu-west-1")
    caller = await denied_on(house, arn)
    await in_database(Stream.objects.filter(pk=house.stream.pk).update)(region="eu-west-1")
    house.look_again()
    put: dict[str, Any] = {"Data": b"x", "PartitionKey": "k"}
    for name in ({"StreamName": "orders"}, {"StreamARN": arn}, {"StreamARN": house.arn}):
        with pytest.raises(AccessDeniedException, match="with an explicit deny"):
            await house.call("kinesis", "PutRecord", caller, **put, **name)
        with pytest.raises(AccessDeniedException, match="with an explicit deny"):
            await house.call("kinesis", "DeleteStream", caller, **name)


@pytest.mark.parametrize("zeros", ["0", "00"])
async def test_a_consumer_s_number_with_zeros_before_it(house: House, zeros: str) -> None:
    caller = await denied_on(house, house.consumer_arn)
    arn, _, created = house.consumer_arn.rpartition(":")
    with pytest.raises((AccessDeniedException, ResourceNotFoundException)):
        await house.call(
            "kinesis",
            "SubscribeToShard",
            caller,
            ConsumerARN=f"{arn}:{zeros}{created}",
            ShardId="shardId-000000000000",
            StartingPosition={"Type": "TRIM_HORIZON"},
        )


@pytest.mark.parametrize("change", [str.upper, str.title, lambda arn: arn])
async def test_a_key_s_arn_in_another_case(house: House, change: Any) -> None:
    made = (await house.call("kms", "CreateKey"))["KeyMetadata"]
    caller = await denied_on(house, made["Arn"])
    prefix, _, key_id = made["Arn"].rpartition("/")
    for partition in ("arn:aws:", "arn:aws-cn:"):
        with pytest.raises((AccessDeniedException, KeyNotFound), match="explicit deny"):
            await house.call(
                "kms", "DisableKey", caller, KeyId=f"{prefix.replace('arn:aws:', partition)}/{change(key_id)}"
            )
