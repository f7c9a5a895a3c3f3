"""Rights that are taken away while a subscription is running: nothing more is sent a second later."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from apps.access.models import Identity, InlinePolicy
from apps.access.rights import changed
from apps.accounts.models import AccessKey
from apps.gateway.request import Stream
from apps.wire.eventstream import Decoder
from tests.domain.access.conftest import HERS, HIS, House
from tests.support.callers import Keys, document, in_database, make_identity, make_key, says, trusting

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN_S = 30.0


class Running:
    """A subscription."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.frames: Any = None
        self.decoder = Decoder()

    async def begin(self, by: Keys) -> None:
        asked = {
            "ConsumerARN": self.house.consumer_arn,
            "ShardId": "shardId-000000000000",
            "StartingPosition": {"Type": "TRIM_HORIZON"},
        }
        answer = await self.house.wire.open(by, "SubscribeToShard", json.dumps(asked).encode())
        assert isinstance(answer, Stream), answer.body
        self.frames = answer.frames
        assert await self.gets("first")

    async def gets(self, text: str) -> bool:
        """Put a record, and say whether it comes; False: the subscription has ended instead."""
        put = {"StreamName": "orders", "Data": text.encode(), "PartitionKey": "k"}
        await self.house.call("kinesis", "PutRecord", **put)
        async with asyncio.timeout(WITHIN_S):
            async for frame in self.frames:
                for one in self.decoder.feed(frame):
                    if b'"Records":[{' in one.payload:
                        return True
        return False


@pytest_asyncio.fixture
async def running(house: House) -> AsyncIterator[Running]:
    subscription = Running(house)
    yield subscription
    await subscription.frames.aclose()


async def user(house: House, *statements: dict[str, Any]) -> tuple[Identity, Keys]:
    row = await in_database(make_identity)(house.hers.team, "user", "reader", document(*statements))
    return row, await in_database(make_key)(house.hers.team, row)


def a_second_later(house: House) -> None:
    house.clock.advance(1_001)
    house.look_again()


async def test_it_goes_on_while_nothing_changes(house: House, running: Running) -> None:
    _, keys = await user(house, says(action="kinesis:SubscribeToShard"))
    await running.begin(keys)
    a_second_later(house)
    assert await running.gets("second")


async def test_it_ends_with_the_policy(house: House, running: Running) -> None:
    row, keys = await user(house, says(action="kinesis:SubscribeToShard"))
    await running.begin(keys)

    def take() -> None:
        InlinePolicy.objects.filter(identity=row).delete()
        changed(house.hers.team.pk)

    await in_database(take)()
    a_second_later(house)
    assert not await running.gets("second")


async def test_it_ends_with_the_key_of_a_team_too(house: House, running: Running) -> None:
    await running.begin(house.her_key)
    a_second_later(house)
    assert await running.gets("second")
    await in_database(AccessKey.objects.filter(key_id=house.her_key.key_id).update)(is_active=False)
    a_second_later(house)
    assert not await running.gets("third")


@pytest.mark.parametrize("how", ["deleted", "expired"])
async def test_it_ends_with_the_session(house: House, running: Running, how: str) -> None:
    row = await in_database(make_identity)(
        house.hers.team, "role", "reader", document(says()), trust_policy=trusting({"AWS": HERS})
    )
    wanted: dict[str, Any] = {"RoleArn": f"arn:aws:iam::{HERS}:role/reader", "RoleSessionName": "job"}
    made = await house.call("sts", "AssumeRole", **wanted, DurationSeconds=900)
    house.clock.advance(899_000 if how == "expired" else 0)
    await running.begin(Keys.of(made["Credentials"]))
    if how == "deleted":
        await in_database(row.delete)()
    a_second_later(house)
    assert not await running.gets("second")


async def test_it_ends_when_the_consumer_s_policy_shuts_another_account_out(house: House, running: Running) -> None:
    lets = says("Allow", "kinesis:SubscribeToShard", house.consumer_arn, Principal={"AWS": HIS})
    await house.call("kinesis", "PutResourcePolicy", ResourceARN=house.consumer_arn, Policy=document(lets))
    house.look_again()
    await running.begin(house.his_key)
    await house.call("kinesis", "DeleteResourcePolicy", ResourceARN=house.consumer_arn)
    a_second_later(house)
    assert not await running.gets("second")
