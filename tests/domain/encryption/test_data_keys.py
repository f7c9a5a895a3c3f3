"""How one process holds data keys: what it asks, when, how often, and what it makes of silence."""

import asyncio
import os

import pytest

from apps.base.clock import FakeClock
from apps.base.errors import InternalFailure
from apps.encryption import data_keys
from apps.encryption.data_keys import CONFIRM_AFTER_MS, SILENCE_MS, TRUSTED_MS, DataKeys, EncryptedStream
from apps.encryption.errors import DisabledException, KeyServiceSilent, KMSDisabledException, Refused
from apps.encryption.management import KeyInfo
from apps.encryption.models import StreamDataKey
from apps.recordlog.interface import KeyUnavailable
from tests.support.waiting import eventually, let_others_run

pytestmark = pytest.mark.django_db(transaction=True)

ARN = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
STREAM = EncryptedStream(7, "arn:aws:kinesis:us-east-1:123456789012:stream/s", "123456789012", ARN)


class Service:
    """A key service that can be disabled, be silent, and be slow."""

    def __init__(self):
        self.error = None
        self.gate = None
        self.asked = []

    async def _say(self, what):
        self.asked.append(what)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def describe(self, account_id, key_id):
        await self._say("describe")
        return KeyInfo(key_id, "Enabled")

    async def generate_data_key(self, account_id, key_arn, context):
        await self._say("generate")
        key = os.urandom(32)
        return key, b"wrapped" + key

    async def decrypt_data_key(self, account_id, key_arn, wrapped, context):
        await self._say("decrypt")
        assert context == STREAM.context
        return wrapped.removeprefix(b"wrapped")

    async def close(self):
        pass


@pytest.fixture
def service():
    return Service()


@pytest.fixture
async def keys(service):
    clock = FakeClock()
    made = DataKeys(service, clock)
    made.clock = clock
    yield made
    await made.close()


async def test_many_callers_at_once_ask_once(keys, service):
    service.gate = asyncio.Event()
    waiting = [asyncio.create_task(keys.for_append(STREAM, 1)) for _ in range(50)]
    await let_others_run()
    service.gate.set()
    numbers = {(await one).number for one in waiting}
    assert len(numbers) == await StreamDataKey.objects.acount() == 1
    assert service.asked == ["generate", "describe", "decrypt"]


async def test_a_caller_that_gives_up_takes_nobody_with_it(keys, service):
    service.gate = asyncio.Event()
    first, second = (asyncio.create_task(keys.for_append(STREAM, 1)) for _ in range(2))
    await let_others_run()
    first.cancel()
    await let_others_run()
    service.gate.set()
    assert (await second).number


async def test_a_key_in_use_is_confirmed_behind_the_requests(keys, service):
    key = await keys.for_append(STREAM, 1)
    service.asked.clear()
    for _ in range(100):
        await keys.for_append(STREAM, 1)
        assert keys.ready(key.number) is key
    assert service.asked == []
    keys.clock.advance(CONFIRM_AFTER_MS + 1)
    assert keys.ready(key.number) is key
    await eventually(lambda: _done(service.asked == ["describe"]))
    await let_others_run()
    keys.clock.advance(CONFIRM_AFTER_MS)
    keys.ready(key.number)
    await let_others_run()
    assert service.asked == ["describe"]


async def _done(answer):
    return answer


async def test_what_was_heard_long_ago_is_not_trusted(keys, service):
    key = await keys.for_append(STREAM, 1)
    keys.clock.advance(TRUSTED_MS + 1)
    assert keys.ready(key.number) is None
    assert (await keys.open(key.number)) is key
    assert keys.ready(key.number) is key
    keys.clock.advance(-TRUSTED_MS - 1)  # a clock set back
    assert keys.ready(key.number) is None


async def test_disabled_at_once_when_heard_and_open_again_after_the_next_question(keys, service):
    key = await keys.for_append(STREAM, 1)
    service.error = DisabledException.key(ARN)
    keys.clock.advance(TRUSTED_MS + 1)
    with pytest.raises(KMSDisabledException):
        await keys.for_append(STREAM, 1)
    with pytest.raises(KeyUnavailable) as closed:
        await keys.open(key.number)
    assert isinstance(closed.value.reason, KMSDisabledException)
    asked = len(service.asked)
    for _ in range(50):
        with pytest.raises(KMSDisabledException):
            await keys.for_append(STREAM, 1)
    assert len(service.asked) == asked, "a refusal is remembered for a while"
    service.error = None
    keys.clock.advance(CONFIRM_AFTER_MS + 1)
    assert (await keys.for_append(STREAM, 1)) is key


@pytest.mark.parametrize("error", [KeyServiceSilent("no answer"), OSError("the database is away")])
async def test_silence_closes_nothing_for_five_minutes(keys, service, error):
    key = await keys.for_append(STREAM, 1)
    service.error = error
    for _ in range(SILENCE_MS // (TRUSTED_MS + 1)):
        keys.clock.advance(TRUSTED_MS + 1)
        assert (await keys.for_append(STREAM, 1)) is key
    keys.clock.advance(2 * TRUSTED_MS)
    with pytest.raises(InternalFailure):
        await keys.for_append(STREAM, 1)
    service.error = None
    keys.clock.advance(TRUSTED_MS)
    assert (await keys.for_append(STREAM, 1)) is key


async def test_silence_opens_nothing_that_was_closed(keys, service):
    await keys.for_append(STREAM, 1)
    service.error = DisabledException.key(ARN)
    keys.clock.advance(TRUSTED_MS + 1)
    with pytest.raises(KMSDisabledException):
        await keys.for_append(STREAM, 1)
    service.error = KeyServiceSilent("no answer")
    keys.clock.advance(TRUSTED_MS + 1)
    with pytest.raises(KMSDisabledException):
        await keys.for_append(STREAM, 1)


async def test_a_service_that_was_never_heard_opens_nothing(keys, service):
    service.error = KeyServiceSilent("no answer")
    with pytest.raises(InternalFailure):
        await keys.for_append(STREAM, 1)
    with pytest.raises(KeyUnavailable):
        await keys.open(1)
    service.error = Refused("ThrottlingException", "Rate exceeded")
    with pytest.raises(Exception, match="Rate exceeded") as refused:
        await keys.for_append(STREAM, 1)
    assert refused.value.code == "KMSThrottlingException"


async def test_what_is_kept_in_memory_is_bounded(keys, monkeypatch):
    monkeypatch.setattr(data_keys, "OPENED_MAX", 3)
    for number in range(10):
        await keys.for_append(EncryptedStream(number, STREAM.stream_arn, STREAM.account_id, ARN), 1)
    assert len(keys._opened) == len(keys._uses) == 3


async def test_rows_that_can_cover_nothing_any_more_go(keys):
    first = await keys.for_append(STREAM, 1)
    keys.clock.advance(data_keys.KEPT_MS + 1)
    second = await keys.for_append(STREAM, 1)
    assert [row async for row in StreamDataKey.objects.values_list("pk", flat=True)] == [second.number]
    assert second.number > first.number
