"""Many subscribers of one shard: one read of the log, one encoding, and each gets every record once, in order."""

import asyncio
from collections import Counter

import pytest

from apps.base.units import KIB
from apps.gateway.services import route
from apps.streams import tip
from apps.streams.models import Consumer
from apps.streams.subscriptions import Subscriptions
from apps.wire import json11
from apps.wire.eventstream import encode_event
from tests.domain.streams.test_fanout import ARN, START_MS, event_of, make_consumer, subscribe
from tests.domain.streams.test_put_records import in_database, opened
from tests.support.stream_rows import make_stream
from tests.support.waiting import eventually, let_others_run

pytestmark = pytest.mark.django_db(transaction=True)

CONSUMERS = 20


@pytest.fixture
def crowd(team):
    """One shard, twenty ACTIVE consumers."""
    stream = make_stream(team.team, "s", shards=1)
    for number in range(CONSUMERS):
        make_consumer(stream, f"c{number}")
    return stream


@pytest.fixture
def young(monkeypatch):
    """A piece is given to all, however late a busy machine lets the last of them come for it."""
    monkeypatch.setattr(tip, "KEEP_S", 60)


def arn(number):
    return ARN.replace("consumer/c", f"consumer/c{number}")


def counted(log, monkeypatch):
    """How often each method of the log is called from now on."""
    calls = Counter()

    def count(name):
        method = getattr(log, name)

        async def counting(*arguments):
            calls[name] += 1
            return await method(*arguments)

        monkeypatch.setattr(log, name, counting)

    for name in ("read", "wait", "bounds", "find"):
        count(name)
    return calls


class Reader:
    """Reads a subscription until it is told to stop; keeps data and, by identity, the events."""

    def __init__(self, subscription):
        self.subscription = subscription
        self.data, self.numbers, self.events = [], [], []
        self.task = asyncio.create_task(self.run())

    async def run(self):
        async for _, event in self.subscription:
            self.events.append(event)
            self.data += [record.data for record in event.records]
            self.numbers += [int(record.sequence_number) for record in event.records]

    async def stop(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.subscription.aclose()


@pytest.mark.usefixtures("young")
async def test_twenty_subscribers_cost_one_read_of_the_log(team, crowd, make_plane, monkeypatch):
    plane = await opened(make_plane, team, crowd, throttle=False)
    readers = [Reader(await subscribe(plane, "LATEST", arn=arn(n))) for n in range(CONSUMERS)]

    async def all_have(count):
        async def have():
            return all(len(reader.data) == count for reader in readers)

        await eventually(have)

    await plane.put("s", "a", b"first")
    await all_have(1)
    calls = counted(plane.runtime.record_log, monkeypatch)
    for number in range(50):
        await plane.put("s", "a", b"%d" % number)
        await all_have(number + 2)
    for reader in readers:
        await reader.stop()
    # One read and one wait an append, whoever is subscribed, and one wait that is under way.
    assert calls["read"] <= 50
    assert calls["wait"] <= 51
    assert calls["bounds"] == calls["find"] == 0
    shared = [[event for event in reader.events if event.records] for reader in readers]
    assert {id(event) for events in shared for event in events[1:]} == {id(event) for event in shared[0][1:]}
    assert len(plane.runtime.part(Subscriptions)._tips) == 0


@pytest.mark.usefixtures("young")
async def test_an_event_is_encoded_once_per_format(team, crowd, make_plane):
    plane = await opened(make_plane, team, crowd, throttle=False)
    readers = [Reader(await subscribe(plane, "LATEST", arn=arn(n))) for n in range(2)]
    await let_others_run()
    await plane.put("s", "a", b"data")

    async def have():
        return all(reader.data for reader in readers)

    await eventually(have)
    one, other = (reader.events[-1] for reader in readers)
    operation = route("kinesis", "SubscribeToShard").operation
    frame = encode_event(operation, "SubscribeToShardEvent", one, json11)
    assert encode_event(operation, "SubscribeToShardEvent", other, json11) is frame
    for reader in readers:
        await reader.stop()


async def test_late_and_early_subscribers_get_every_record_once_in_order(team, crowd, make_plane):
    """Some begin before, some while it is written, some between two pieces; all end with the same records."""
    plane = await opened(make_plane, team, crowd, throttle=False)
    put, readers = [], []

    async def write():
        for number in range(300):
            put.append(await plane.put("s", f"k{number % 7}", b"%d" % number))
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    for number in range(CONSUMERS):

        async def far_enough(count=14 * number):
            return len(put) >= count

        await eventually(far_enough)
        if number % 2 and put:
            number_of = put[max(0, len(put) - 1 - number)].sequence_number
            begun = await subscribe(plane, "AT_SEQUENCE_NUMBER", arn=arn(number), SequenceNumber=number_of)
            first = [p.sequence_number for p in put].index(number_of)
        else:
            begun, first = await subscribe(plane, arn=arn(number)), 0
        readers.append((Reader(begun), first))
    await writing

    async def all_there():
        return all(len(reader.data) >= 300 - first for reader, first in readers)

    await eventually(all_there)
    for reader, first in readers:
        assert reader.data == [b"%d" % number for number in range(first, 300)]
        assert reader.numbers == [int(p.sequence_number) for p in put[first:]]
        await reader.stop()


async def test_who_falls_behind_goes_on_where_he_was(team, crowd, make_plane):
    plane = await opened(make_plane, team, crowd, throttle=False)
    quick = Reader(await subscribe(plane, "LATEST", arn=arn(0)))
    slow = await subscribe(plane, "LATEST", arn=arn(1))
    await event_of(slow)
    for number in range(200):  # more pieces than are kept
        await plane.put("s", "a", b"%d" % number + bytes(64 * KIB))
        if number % 3 == 0:
            await let_others_run()
    got = []
    while len(got) < 200:
        event = await event_of(slow)
        got += [int(record.data.rstrip(b"\0")) for record in event.records]
    assert got == list(range(200))
    assert event.millis_behind_latest == 0
    await quick.stop()
    await slow.aclose()


@pytest.mark.usefixtures("young")
async def test_a_subscriber_alone_between_two_pieces_falls_in_step(team, crowd, make_plane, monkeypatch):
    plane = await opened(make_plane, team, crowd, throttle=False)
    first = Reader(await subscribe(plane, "LATEST", arn=arn(0)))
    answers = [await plane.put_many("s", [("a", b"%d" % i) for i in range(10)]) for _ in range(3)]
    middle = answers[1].records[4].sequence_number
    second = Reader(await subscribe(plane, "AFTER_SEQUENCE_NUMBER", arn=arn(1), SequenceNumber=middle))

    async def both(one, two):
        async def have():
            return (len(first.data), len(second.data)) == (one, two)

        await eventually(have)

    await both(30, 15)
    await plane.put("s", "a", b"x")
    await both(31, 16)
    calls = counted(plane.runtime.record_log, monkeypatch)
    for number in range(10):
        await plane.put("s", "a", b"y")
        await both(32 + number, 17 + number)
    assert calls["read"] <= 10
    await first.stop()
    await second.stop()


async def test_the_last_one_to_leave_takes_the_tip_with_him(team, crowd, make_plane):
    plane = await opened(make_plane, team, crowd)
    live = plane.runtime.part(Subscriptions)
    subscriptions = [await subscribe(plane, arn=arn(n)) for n in range(2)]
    (tip,) = live._tips.values()
    readers = [Reader(subscription) for subscription in subscriptions]
    await plane.put("s", "a", b"0")

    async def have():
        return all(reader.data for reader in readers)

    await eventually(have)
    await readers[0].stop()
    assert live._tips
    await readers[1].stop()
    assert not live._tips

    async def pump_ended():
        return tip._pump is None or tip._pump.done()

    await eventually(pump_ended)
    plane.clock.advance(5_000)
    again = await subscribe(plane, "TRIM_HORIZON", arn=arn(0))
    assert [record.data for record in (await event_of(again)).records] == [b"0"]
    await again.aclose()


async def test_an_engine_in_trouble_is_told_to_all_and_the_next_one_is_served(team, crowd, make_plane, monkeypatch):
    from apps.base.errors import InternalFailure
    from apps.recordlog.interface import LogUnavailable

    plane = await opened(make_plane, team, crowd)
    log = plane.runtime.record_log
    subscriptions = [await subscribe(plane, "LATEST", arn=arn(n)) for n in range(3)]
    for subscription in subscriptions:
        await event_of(subscription)
    waiting = [asyncio.create_task(event_of(subscription)) for subscription in subscriptions]
    await let_others_run()
    read = log.read

    async def broken(*_):
        raise LogUnavailable("away")

    monkeypatch.setattr(log, "read", broken)
    await plane.put("s", "a", b"0")
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [InternalFailure] * 3
    monkeypatch.setattr(log, "read", read)
    plane.clock.advance(5_000)
    again = await subscribe(plane, "TRIM_HORIZON", arn=arn(0))
    assert [record.data for record in (await event_of(again)).records] == [b"0"]


async def test_consumers_go_while_others_stay(team, crowd, make_plane):
    plane = await opened(make_plane, team, crowd)
    stays, goes = [Reader(await subscribe(plane, "LATEST", arn=arn(n))) for n in range(2)]
    await plane.put("s", "a", b"0")

    async def had():
        return stays.data == goes.data == [b"0"]

    await eventually(had)
    await in_database(lambda: Consumer.objects.filter(name="c1").update(status="DELETING"))
    await in_database(lambda: type(crowd).objects.filter(id=crowd.id).update(version=9))
    plane.clock.set(START_MS + 2_000)
    await plane.put("s", "a", b"1")

    async def gone():
        return goes.task.done() and stays.data == [b"0", b"1"]

    await eventually(gone)
    assert goes.data == [b"0"]
    assert "c1" in goes.task.exception().message
    await stays.stop()
