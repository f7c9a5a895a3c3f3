"""SubscribeToShard: pushed events, one subscriber per consumer and shard, and every way it ends."""

import asyncio

import pytest

from apps.base.units import HOUR_MS, MIB
from apps.leases.models import Lease
from apps.recordlog.interface import Entry
from apps.streams import sequence
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from apps.streams.models import Consumer, Shard, Stream
from apps.streams.subscriptions import Subscriptions
from tests.domain.streams.test_put_records import ACCOUNT, in_database, opened, split
from tests.support.stream_rows import make_stream, tell_rows
from tests.support.waiting import eventually, let_others_run

pytestmark = pytest.mark.django_db(transaction=True)

START_MS = 1_795_163_467_000
WITHIN_S = 60
"""Only a test that fails waits so long."""
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s/consumer/c:{START_MS // 1000}"
IN_USE = f"Another active subscription exists for this consumer: {ACCOUNT}:s:shardId-000000000000:c"


def make_consumer(stream, name="c", status="ACTIVE"):
    return Consumer.objects.create(stream=stream, name=name, status=status, created_at_ms=START_MS)


@pytest.fixture
def one(team):
    stream = make_stream(team.team, "s", shards=1)
    make_consumer(stream)
    return stream


async def subscribe(plane, kind="TRIM_HORIZON", arn=ARN, shard="shardId-000000000000", **position):
    params = {"ConsumerARN": arn, "ShardId": shard, "StartingPosition": {"Type": kind, **position}}
    return await plane("SubscribeToShard", **params)


async def event_of(subscription):
    """The next event, without its name."""
    async with asyncio.timeout(WITHIN_S):
        name, event = await anext(subscription)
    assert name == "SubscribeToShardEvent"
    return event


def waits_by_the_clock(plane):
    """The pacing's waits move the clock, and nothing else does; the seconds of each."""
    waits, began_ms = [], plane.clock.now_ms()

    async def wait(seconds):
        waits.append(seconds)
        plane.clock.set(began_ms + round(sum(waits) * 1000))

    plane.runtime.part(Subscriptions).sleep = wait
    return waits


async def records_of(subscription, count):
    """The data of the next count records, over as many events as it takes."""
    data = []
    while len(data) < count:
        data += [r.data for r in (await event_of(subscription)).records]
    return data


async def test_records_are_pushed_as_they_are_put(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"0")
    subscription = await subscribe(plane)
    first = await event_of(subscription)
    assert [r.data for r in first.records] == [b"0"]
    assert first.millis_behind_latest == 0
    assert first.continuation_sequence_number == first.records[-1].sequence_number
    waiting = asyncio.create_task(event_of(subscription))
    await let_others_run()
    put = await plane.put("s", "a", b"1")
    event = await waiting
    assert [(r.data, r.sequence_number) for r in event.records] == [(b"1", put.sequence_number)]
    await subscription.aclose()


async def test_the_five_starting_positions(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    numbers = []
    for i in range(4):
        numbers.append((await plane.put("s", "a", b"%d" % i)).sequence_number)
        plane.clock.advance(1_000)
    shard = await Shard.objects.aget(stream=one)
    start = sequence.starting(shard.created_s, 0)
    for position, expected in (
        ({"kind": "TRIM_HORIZON"}, [0, 1, 2, 3]),
        ({"kind": "AT_SEQUENCE_NUMBER", "SequenceNumber": numbers[2]}, [2, 3]),
        ({"kind": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": numbers[2]}, [3]),
        ({"kind": "AT_SEQUENCE_NUMBER", "SequenceNumber": start}, [0, 1, 2, 3]),
        ({"kind": "AT_TIMESTAMP", "Timestamp": START_MS + 1_001}, [2, 3]),
        ({"kind": "LATEST"}, []),
    ):
        plane.clock.advance(5_000)
        subscription = await subscribe(plane, **position)
        event = await event_of(subscription)
        assert [int(r.data) for r in event.records] == expected, position
        assert event.continuation_sequence_number == numbers[3]
        await subscription.aclose()


async def test_every_event_has_a_number_to_continue_from(team, one, make_plane):
    plane = await opened(make_plane, team, one, throttle=False)
    shard = await Shard.objects.aget(stream=one)
    subscription = await subscribe(plane, "LATEST")
    empty = await event_of(subscription)
    assert (empty.records, empty.millis_behind_latest) == ([], 0)
    assert empty.continuation_sequence_number == sequence.starting(shard.created_s, 0)
    put = await plane.put("s", "a", b"0")
    for _ in range(2):  # from an empty event of a fresh shard, and from one at its tip
        plane.clock.advance(5_000)
        subscription = await subscribe(
            plane, "AFTER_SEQUENCE_NUMBER", SequenceNumber=empty.continuation_sequence_number
        )
        event = await event_of(subscription)
        assert [r.sequence_number for r in event.records] == [put.sequence_number]
    plane.clock.advance(5_000)
    tip = await event_of(await subscribe(plane, "LATEST"))
    assert tip.continuation_sequence_number == put.sequence_number


async def test_heartbeats_come_when_there_is_nothing_to_say(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    plane.runtime.part(Subscriptions).heartbeat_ms = 20
    subscription = await subscribe(plane)
    events = [await event_of(subscription) for _ in range(3)]
    assert [(e.records, e.millis_behind_latest) for e in events] == [([], 0)] * 3
    assert all(e.continuation_sequence_number for e in events)


async def test_events_are_bounded_and_nothing_is_lost(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", max_record_size_kib=10_240))
    await in_database(make_consumer, stream)
    plane = await opened(make_plane, team, stream, throttle=False)
    sizes = [700 * 1024, 700 * 1024, 3 * MIB, 5]
    for size in sizes:
        await plane.put("s", "a", bytes(size))
    subscription = await subscribe(plane)
    events = [[len(r.data) for r in (await event_of(subscription)).records] for _ in sizes]
    assert events == [[size] for size in sizes]


async def test_a_consumer_gets_two_mib_a_second(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    runtime = plane.runtime
    runtime.clock.advance(1)
    waits = waits_by_the_clock(plane)
    log_key = (await Shard.objects.aget(stream=one)).id
    subscription = await subscribe(plane)
    for _ in range(5):
        await runtime.record_log.append([Entry(log_key, ["a", bytes(MIB // 2)], 1, MIB // 2 + 1, 21)])
    waited = []
    for _ in range(5):
        await records_of(subscription, 1)
        waited.append(sum(waits))
    # 2 MiB at once, and of the fifth half MiB the first 64 KiB must have been earned back.
    assert waited[3] == 0
    assert waited[4] == pytest.approx(64 / 2048, abs=0.002)


async def test_pacing_is_exact_over_time(team, make_plane):
    """Twelve MiB of records of all sizes on a clock that only the waits move: never more than a saved-up second and
    the rate since, and never much less."""
    stream = await in_database(lambda: make_stream(team.team, "s", max_record_size_kib=10_240))
    await in_database(make_consumer, stream)
    plane = await opened(make_plane, team, stream)
    clock = plane.clock
    sizes = [1, 5_000, 300_000, 70_000, MIB, 40_000, 3 * MIB, 900_000, 65_536, 20] * 2
    key = (await Shard.objects.aget(stream=stream)).id
    for size in sizes:
        await plane.runtime.record_log.append([Entry(key, ["a", bytes(size - 1)], 1, size, 1)])
    waits_by_the_clock(plane)
    subscription = await subscribe(plane)
    got, largest = 0, 0
    while got < sum(sizes):
        event = await event_of(subscription)
        taken = sum(len(record.data) + 1 for record in event.records)
        largest = max(largest, taken)
        got += taken
        seconds = (clock.now_ms() - START_MS) / 1000
        # Before this event: what was saved up, and the rate since. The event itself may be one record too large.
        assert got - taken <= 2 * MIB * (seconds + 1) + 5_000
        assert largest <= 3 * MIB
    seconds = (clock.now_ms() - START_MS) / 1000
    assert 2 * MIB * (seconds + 1) - 70_000 <= got <= 2 * MIB * (seconds + 1) + 3 * MIB


# --- one subscription per consumer and shard -------------------------------------------------------------------------


async def test_a_second_call_within_five_seconds_is_refused_and_a_later_one_takes_over(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    first = await subscribe(plane)
    await event_of(first)
    plane.clock.advance(4_999)
    with pytest.raises(ResourceInUseException) as caught:
        await subscribe(plane)
    assert caught.value.message == IN_USE
    plane.clock.advance(1)
    waiting = asyncio.create_task(event_of(first))
    await let_others_run()
    second = await subscribe(plane)
    with pytest.raises(ResourceInUseException) as caught:
        await waiting
    assert caught.value.message == IN_USE
    await plane.put("s", "a", b"0")
    assert await records_of(second, 1) == [b"0"]
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    await first.aclose()
    assert len(plane.runtime.part(Subscriptions)) == 1


async def test_a_refused_call_does_not_begin_the_five_seconds_anew(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await subscribe(plane)
    for _ in range(4):
        plane.clock.advance(1_000)
        with pytest.raises(ResourceInUseException):
            await subscribe(plane)
    plane.clock.advance(1_000)
    await subscribe(plane)


async def test_refused_calls_come_once_a_second_at_most(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await subscribe(plane)
    for _ in range(2):
        with pytest.raises(ResourceInUseException):
            await subscribe(plane)
        with pytest.raises(LimitExceededException) as caught:
            await subscribe(plane)
        assert (
            caught.value.message
            == f"Rate exceeded for consumer c and shard shardId-000000000000 in stream s under account {ACCOUNT}."
        )
        plane.clock.advance(1_000)


async def test_a_subscription_that_was_closed_still_counts_for_five_seconds(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await (await subscribe(plane)).aclose()
    with pytest.raises(ResourceInUseException):
        await subscribe(plane)
    plane.clock.advance(5_000)
    await subscribe(plane)


async def test_other_consumers_and_shards_are_no_concern(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", shards=2))
    for name in ("c", "d"):
        await in_database(make_consumer, stream, name)
    plane = await opened(make_plane, team, stream)
    live = [
        await subscribe(plane, arn=ARN.replace("consumer/c", f"consumer/{name}"), shard=f"shardId-{index}")
        for name in ("c", "d")
        for index in (0, 1)
    ]
    await plane.put("s", "a", b"0")
    assert [await records_of(live[i], 1) for i in (0, 2)] == [[b"0"]] * 2
    assert len(plane.runtime.part(Subscriptions)) == 4


async def test_take_over_works_across_processes(team, one, make_plane):
    here = await opened(make_plane, team, one)
    there = await make_plane(team.principal)
    there.runtime.record_log = here.runtime.record_log
    here.runtime.part(Subscriptions).renew_s = 0.02
    first = await subscribe(here)
    await event_of(first)
    with pytest.raises(ResourceInUseException):
        await subscribe(there)
    waiting = asyncio.create_task(event_of(first))
    here.clock.advance(5_000)
    second = await subscribe(there)
    with pytest.raises(ResourceInUseException):
        await waiting
    await here.put("s", "a", b"0")
    assert await records_of(second, 1) == [b"0"]


async def test_who_moves_to_another_process_gets_no_second_burst(team, one, make_plane):
    here = await opened(make_plane, team, one)
    there = await make_plane(team.principal)
    there.runtime.record_log = here.runtime.record_log
    log_key = (await Shard.objects.aget(stream=one)).id
    for _ in range(6):
        await here.runtime.record_log.append([Entry(log_key, ["a", bytes(MIB // 2)], 1, MIB // 2 + 1, 21)])
    first = await subscribe(here)
    await records_of(first, 4)  # the second that was saved up
    here.clock.advance(5_000)
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    there.runtime.part(Subscriptions).sleep = sleep
    second = await subscribe(there)
    await records_of(second, 1)
    assert slept == [pytest.approx(64 * 1024 / (2 * MIB))]


async def test_who_is_told_while_it_is_reading_hears_it_before_it_waits_again(team, one, make_plane, monkeypatch):
    plane = await opened(make_plane, team, one)
    first = await subscribe(plane)
    await event_of(first)
    plane.clock.advance(5_000)
    reading, gate = asyncio.Event(), asyncio.Event()
    read = plane.runtime.record_log.read

    async def slow_read(*arguments):
        reading.set()
        await gate.wait()
        return await read(*arguments)

    monkeypatch.setattr(plane.runtime.record_log, "read", slow_read)
    waiting = asyncio.create_task(event_of(first))
    await reading.wait()
    await subscribe(plane)
    gate.set()
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(ResourceInUseException):
            await waiting


async def test_one_statement_renews_all_and_a_dead_process_lapses(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", shards=3))
    await in_database(make_consumer, stream)
    plane = await opened(make_plane, team, stream)
    subscriptions = plane.runtime.part(Subscriptions)
    subscriptions.renew_s = 0.01
    for index in range(3):
        await subscribe(plane, shard=f"shardId-{index}")
    plane.clock.advance(3_000)

    async def expiries():
        return {row.expires_at_ms async for row in Lease.objects.filter(kind="fanout")}

    async def renewed():
        return await expiries() == {START_MS + 8_000}

    await eventually(renewed)
    subscriptions.close()  # as a kill would: nobody renews, nobody releases
    plane.clock.advance(5_001)
    assert max(await expiries()) < plane.clock.now_ms()


async def test_a_clock_set_back_locks_nobody_out(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await subscribe(plane)
    plane.clock.advance(-3_600_000)
    await subscribe(plane)


# --- ends ------------------------------------------------------------------------------------------------------------


async def test_a_subscription_lives_five_minutes(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    subscription = await subscribe(plane)
    await event_of(subscription)
    plane.clock.advance(299_999)
    await plane.put("s", "a", b"0")
    assert await records_of(subscription, 1) == [b"0"]
    plane.clock.advance(1)
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)
    assert len(plane.runtime.part(Subscriptions)) == 0


async def test_at_the_end_of_a_shard_the_children_are_told(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"0")
    subscription = await subscribe(plane)
    assert len((await event_of(subscription)).records) == 1
    waiting = asyncio.create_task(event_of(subscription))
    await plane.put("s", "a", b"1")
    parents, children = await split(plane, one)
    seen = await waiting
    assert [r.data for r in seen.records] == [b"1"]
    assert seen.continuation_sequence_number  # the rows do not know yet
    waiting = asyncio.create_task(event_of(subscription))
    await in_database(tell_rows, one, parents, children, plane.clock.now_ms())
    last = await waiting
    assert last.continuation_sequence_number is None
    assert last.millis_behind_latest == 0
    assert [c.shard_id for c in last.child_shards] == ["shardId-000000000001", "shardId-000000000002"]
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)


async def test_a_closed_shard_ends_with_its_last_records(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"0")
    parents, children = await split(plane, one)
    await in_database(tell_rows, one, parents, children, plane.clock.now_ms())
    subscription = await subscribe(plane)
    last = await event_of(subscription)
    assert [r.data for r in last.records] == [b"0"]
    assert last.continuation_sequence_number is None
    assert len(last.child_shards) == 2


async def test_a_deregistered_consumer_hears_of_it(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    subscription = await subscribe(plane)
    await event_of(subscription)
    await Consumer.objects.filter(stream=one).aupdate(status="DELETING")
    await Stream.objects.filter(id=one.id).aupdate(version=1)
    plane.clock.advance(1_001)
    await plane.put("s", "a", b"0")
    with pytest.raises(ResourceNotFoundException) as caught:
        await event_of(subscription)
    assert ARN in caught.value.message


async def test_a_deleted_stream_ends_its_subscriptions(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    subscription = await subscribe(plane)
    await event_of(subscription)
    waiting = asyncio.create_task(event_of(subscription))
    await let_others_run()
    shard = await Shard.objects.aget(stream=one)
    await plane.runtime.record_log.drop(shard.id, 1_000)
    with pytest.raises(ResourceNotFoundException) as caught:
        await waiting
    assert caught.value.message == f"Shard shardId-000000000000 in stream s under account {ACCOUNT} does not exist"


async def test_what_a_shorter_retention_hides_is_not_pushed_any_more(team, make_plane):
    stream = await in_database(lambda: make_stream(team.team, "s", retention_hours=48))
    await in_database(make_consumer, stream)
    plane = await opened(make_plane, team, stream, throttle=False)
    for number in range(3):
        await plane.put("s", "a", b"%d" % number + bytes(MIB - 20))
        plane.clock.advance(HOUR_MS)
    plane.clock.advance(22 * HOUR_MS)  # the first is 25 hours old, the second 24, the third 23
    subscription = await subscribe(plane)
    assert [r.data[:1] for r in (await event_of(subscription)).records] == [b"0"]
    await Stream.objects.filter(id=stream.id).aupdate(retention_hours=24, version=1)
    plane.clock.advance(1_001)
    assert [r.data[:1] for r in (await event_of(subscription)).records] == [b"2"]


async def test_who_leaves_while_waiting_is_forgotten(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    subscription = await subscribe(plane)
    await event_of(subscription)
    waiting = asyncio.create_task(event_of(subscription))
    await let_others_run()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(plane.runtime.part(Subscriptions)) == 0
    await subscription.aclose()


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_consumers_must_be_known_and_active(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    elsewhere = (
        ARN.replace("arn:aws", "arn:aws-cn"),
        ARN.replace("us-east-1", "eu-west-1"),
        ARN.replace(ACCOUNT, "9" * 12),
    )
    unknown = (ARN.replace("consumer/c", "consumer/x"), ARN[:-1] + "8", ARN.replace("stream/s", "stream/t"))
    for arn in (*unknown, *elsewhere):
        with pytest.raises(ResourceNotFoundException):
            await subscribe(plane, arn=arn)
    await Consumer.objects.filter(stream=one).aupdate(status="CREATING")
    await Stream.objects.filter(id=one.id).aupdate(version=1)
    plane.clock.advance(2_000)
    with pytest.raises(ResourceInUseException) as caught:
        await subscribe(plane)
    assert caught.value.message.endswith("is not in ACTIVE status.")
    await Consumer.objects.filter(stream=one).aupdate(status="ACTIVE")
    await Stream.objects.filter(id=one.id).aupdate(version=2)
    await subscribe(plane)  # at once


async def test_positions_and_shards_are_checked(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    with pytest.raises(ResourceNotFoundException):
        await subscribe(plane, shard="shardId-000000000009")
    with pytest.raises(ResourceNotFoundException):
        await subscribe(plane, shard="x")
    with pytest.raises(InvalidArgumentException):
        await subscribe(plane, "AT_SEQUENCE_NUMBER")
    with pytest.raises(InvalidArgumentException) as caught:
        await subscribe(plane, "AT_SEQUENCE_NUMBER", SequenceNumber="9" * 129)
    assert "used in SubscribeToShard on shard" in caught.value.message
    with pytest.raises(InvalidArgumentException):
        await subscribe(plane, "AT_TIMESTAMP", Timestamp=START_MS + 1)
    with pytest.raises(InvalidArgumentException):
        await subscribe(plane, "LATEST", Timestamp=START_MS - 1)
    params = {"ConsumerARN": ARN, "ShardId": "0", "StartingPosition": {"Type": "LATEST"}, "DryRun": True}
    with pytest.raises(DryRunOperationException):
        await plane("SubscribeToShard", **params)
    assert await Lease.objects.filter(kind="fanout").acount() == 0


async def test_what_is_counted(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "a", b"1234")
    plane.runtime.counters.drain()
    await event_of(await subscribe(plane))
    with pytest.raises(ResourceInUseException):
        await subscribe(plane)
    consumers = {label for *_, label in plane.runtime.counters.drain_labelled()}
    assert len(consumers) == 1
    samples = {series[2]: (s.total, s.count) for series, s in plane.runtime.counters.drain().items()}
    assert samples["SubscribeToShard.Success"] == (1, 2)
    assert samples["SubscribeToShard.RateExceeded"] == (1, 2)
    assert samples["SubscribeToShardEvent.Bytes"] == (5, 1)
    assert samples["SubscribeToShardEvent.Records"] == (1, 1)
