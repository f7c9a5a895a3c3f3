"""A key that is replaced, as clients that sign with it meet it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.access.changes import Actor
from apps.accounts.models import AccessKey, Membership
from apps.base.units import HOUR_MS
from apps.teams import keys
from apps.teams.authority import By
from tests.domain.access.conftest import House
from tests.support.callers import Keys, in_database

pytestmark = pytest.mark.django_db(transaction=True)


def rotate(house: House, key_id: str, overlap_ms: int) -> Keys:
    member = Membership.objects.select_related("team", "user").get(team=house.hers.team)
    actor = Actor(house.hers.team.account_id, "", "console", house.clock.now_ms(), member.user_id)
    new, secret = keys.rotate(By(actor, member, member.actions), key_id, overlap_ms)
    return Keys(new.key_id, secret)


async def test_both_keys_work_until_the_overlap_is_over(house: House) -> None:
    async def list_streams(key: Keys) -> Any:
        return await house.wire(key, "ListStreams")

    new = await in_database(rotate)(house, house.her_key.key_id, HOUR_MS)
    assert (await list_streams(house.her_key))["StreamNames"] == ["orders"]
    assert (await list_streams(new))["StreamNames"] == ["orders"]
    house.clock.advance(HOUR_MS)
    house.look_again()
    assert (await list_streams(house.her_key))[0] == "UnrecognizedClientException"
    assert (await list_streams(new))["StreamNames"] == ["orders"]


async def test_without_an_overlap_it_is_refused_at_once(house: House) -> None:
    await in_database(rotate)(house, house.her_key.key_id, 0)
    house.look_again()
    assert (await house.wire(house.her_key, "ListStreams"))[0] == "UnrecognizedClientException"


async def test_uses_are_kept_with_address_and_service(house: House) -> None:
    await house.wire(house.her_key, "ListStreams")
    await house.wire.gateway.credentials.save_uses()
    row = await in_database(AccessKey.objects.get)(key_id=house.her_key.key_id)
    assert (row.last_used_at_ms, row.last_used_from, row.last_used_service) == (
        house.clock.now_ms(),
        "192.0.2.1",
        "kinesis",
    )
