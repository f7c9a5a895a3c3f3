"""SubscribeToShard on an encrypted stream: what events say, and what a disabled key does to a subscription."""

import asyncio

import pytest
from django.db.models import F

from apps.encryption.data_keys import CONFIRM_AFTER_MS, TRUSTED_MS
from apps.encryption.errors import KMSDisabledException
from apps.gateway.invoke import invoke
from apps.streams.models import Stream, StreamStatus
from tests.domain.streams.test_fanout import event_of, make_consumer, records_of, subscribe
from tests.domain.streams.test_put_records import opened
from tests.support.stream_rows import make_stream
from tests.support.waiting import let_others_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one(team):
    stream = make_stream(team.team, "s", shards=1)
    make_consumer(stream)
    return stream


@pytest.fixture
async def plane(team, one, make_plane):
    """The stream encrypted under a key of the team's: plane.key."""
    plane = await opened(make_plane, team, one, throttle=False)
    made = await invoke(plane.runtime, plane.principal, "kms", "CreateKey", {})
    plane.key = made["KeyMetadata"]["Arn"]
    start = {"StreamName": "s", "EncryptionType": "KMS", "KeyId": plane.key}
    await invoke(plane.runtime, plane.principal, "kinesis", "StartStreamEncryption", start)
    await Stream.objects.aupdate(status=StreamStatus.ACTIVE, version=F("version") + 1)
    plane.clock.advance(1_001)
    return plane


async def kms(plane, operation):
    await invoke(plane.runtime, plane.principal, "kms", operation, {"KeyId": plane.key})
    plane.clock.advance(TRUSTED_MS + CONFIRM_AFTER_MS)


async def test_records_of_events_say_that_they_are_encrypted(plane):
    await plane.put("s", "a", b"0")
    subscription = await subscribe(plane)
    event = await event_of(subscription)
    assert [(record.data, record.encryption_type) for record in event.records] == [(b"0", "KMS")]
    waiting = asyncio.create_task(event_of(subscription))
    await let_others_run()
    await plane.put("s", "a", b"1")
    assert [(record.data, record.encryption_type) for record in (await waiting).records] == [(b"1", "KMS")]
    await subscription.aclose()


async def test_a_disabled_key_ends_a_subscription_in_its_stream(plane):
    for number in range(3):
        await plane.put("s", "a", b"%d" % number)
    await kms(plane, "DisableKey")
    subscription = await subscribe(plane)
    with pytest.raises(KMSDisabledException, match="is disabled"):
        await event_of(subscription)
    await kms(plane, "EnableKey")
    again = await subscribe(plane)
    assert await records_of(again, 3) == [b"0", b"1", b"2"]
    await again.aclose()
