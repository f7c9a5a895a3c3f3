"""Faults that an administrator asks for: at their rates, counted as AWS counts, and nothing of a struck call is stored."""

import asyncio
import random
from dataclasses import replace

import pytest

from apps.base.errors import InternalFailure
from apps.streams import faults as faults_module
from apps.streams.errors import (
    DryRunOperationException,
    InvalidArgumentException,
    LimitExceededException,
    ProvisionedThroughputExceededException,
)
from apps.streams.faults import LATENCY_MS_MAX, Dice, Faults, faults_of, set_faults
from apps.streams.models import Stream
from tests.domain.streams.test_fanout import make_consumer, subscribe
from tests.domain.streams.test_put_records import in_database, opened
from tests.support.stream_rows import make_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stream(team):
    made = make_stream(team.team, "s", shards=2)
    make_consumer(made)
    return made


async def plane_with(make_plane, team, stream, faults, **settings):
    await in_database(lambda: set_faults(stream, faults, "test"))
    plane = await opened(make_plane, team, stream, **settings)
    plane.runtime.part(Dice).chance.seed(7)
    return plane


def counted(plane):
    plane.runtime.counters.drain_labelled()  # consumers' counts are summed up into the stream's
    return {series[2]: (sample.total, sample.count) for series, sample in plane.runtime.counters.drain().items()}


async def outcomes(times, act, *kinds):
    """How often each error came; None: none."""
    seen = dict.fromkeys((None, *kinds), 0)
    for _ in range(times):
        try:
            await act()
        except kinds as error:
            seen[type(error)] += 1
        else:
            seen[None] += 1
    return seen


async def test_puts_fail_at_the_rates_asked_for_and_store_nothing(team, stream, make_plane):
    plane = await plane_with(make_plane, team, stream, Faults(30, 20), throttle=False)
    put = lambda: plane.put("s", "a", b"x")  # noqa: E731
    seen = await outcomes(1_000, put, ProvisionedThroughputExceededException, InternalFailure)
    assert abs(seen[ProvisionedThroughputExceededException] - 300) < 50
    assert abs(seen[InternalFailure] - 200) < 45
    count = counted(plane)
    assert count["IncomingRecords"][0] == seen[None]
    assert count["PutRecord.Success"] == (seen[None], 1_000)
    assert count["WriteProvisionedThroughputExceeded"][0] == seen[ProvisionedThroughputExceededException]
    log, bounds = plane.runtime.record_log, 0
    for shard in await in_database(lambda: list(stream.shards.values_list("id", flat=True))):
        bounds += (await log.bounds(shard)).totals.records
    assert bounds == seen[None]


async def test_entries_of_put_records_fail_alone_and_last_in_their_shard(team, stream, make_plane):
    plane = await plane_with(make_plane, team, stream, Faults(throttle_percent=25), throttle=False)
    records = [(f"k{i}", b"%d" % i) for i in range(400)]
    failed = 0
    for _ in range(10):
        answer = await plane.put_many("s", records)
        codes = [getattr(result, "error_code", None) for result in answer.records]
        assert answer.failed_record_count == sum(code is not None for code in codes)
        assert set(codes) <= {None, "ProvisionedThroughputExceededException"}
        failed += answer.failed_record_count
        stored, refused = {}, {}
        for position, result in enumerate(answer.records):
            if getattr(result, "error_code", None) is None:
                stored[result.shard_id] = position
            else:
                refused.setdefault(result.error_message.split()[4], position)
        for shard_id, first in refused.items():
            assert stored.get(shard_id, -1) < first
    assert abs(failed - 1_000) < 130
    count = counted(plane)
    assert count["PutRecords.ThrottledRecords"][0] == failed
    assert count["PutRecords.TotalRecords"][0] == 4_000
    assert count["IncomingRecords"][0] == 4_000 - failed


async def test_everything_throttled_is_an_answer_of_failures(team, stream, make_plane):
    plane = await plane_with(make_plane, team, stream, Faults(throttle_percent=100))
    answer = await plane.put_many("s", [("a", b"1"), ("b", b"2")])
    assert answer.failed_record_count == 2
    with pytest.raises(ProvisionedThroughputExceededException) as caught:
        await plane.put("s", "a", b"1")
    assert caught.value.message.startswith("Rate exceeded for shard shardId-")


async def test_readers_are_struck_too(team, stream, make_plane):
    plane = await plane_with(make_plane, team, stream, Faults())
    iterator = await plane.iterator("s")
    await in_database(lambda: set_faults(stream, Faults(throttle_percent=100), "test"))
    plane.clock.advance(1_500)
    plane.runtime.counters.drain()
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.get(iterator)
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.iterator("s")
    with pytest.raises(LimitExceededException):
        await subscribe(plane)
    count = counted(plane)
    assert count["ReadProvisionedThroughputExceeded"] == (1, 1)
    assert count["GetRecords.Success"] == (0, 1)
    assert count["SubscribeToShard.RateExceeded"] == (1, 1)
    await in_database(lambda: set_faults(stream, Faults(error_percent=100), "test"))
    plane.clock.advance(1_500)
    for act in (plane.get(iterator), plane.iterator("s"), subscribe(plane)):
        with pytest.raises(InternalFailure):
            await act
    assert counted(plane)["GetRecords.Success"] == (0, 1)
    await in_database(lambda: set_faults(stream, Faults(), "test"))
    plane.clock.advance(1_500)
    assert (await plane.get(iterator)).records == []
    await subscribe(plane)


async def test_people_and_dry_runs_are_not_struck_and_bad_calls_are_told_why(team, stream, make_plane):
    plane = await plane_with(make_plane, team, stream, Faults(error_percent=100))
    person = replace(plane.principal, user_id=1)
    await plane("PutRecord", principal=person, StreamName="s", PartitionKey="a", Data=b"1")
    await plane("PutRecords", principal=person, StreamName="s", Records=[{"PartitionKey": "a", "Data": b"1"}])
    with pytest.raises(DryRunOperationException):
        await plane.put("s", "a", b"1", DryRun=True)
    with pytest.raises(InvalidArgumentException):
        await plane.put("s", "a", bytes(2 << 20))
    with pytest.raises(InvalidArgumentException):
        await plane.iterator("s", kind="AT_SEQUENCE_NUMBER")


async def test_latency_is_added_and_the_waiting_room_is_bounded(team, stream, make_plane, monkeypatch):
    plane = await plane_with(make_plane, team, stream, Faults(latency_ms=5_000), throttle=False)
    held = []

    async def hold(seconds):
        held.append((seconds, asyncio.get_running_loop().create_future()))
        await held[-1][1]

    monkeypatch.setattr(faults_module, "sleep", hold)
    monkeypatch.setattr(faults_module, "DELAYED_CALLS_MAX", 2)
    puts = [asyncio.create_task(plane.put("s", "a", b"%d" % i)) for i in range(2)]

    async def both_held():
        return [seconds for seconds, _ in held] == [5.0, 5.0]

    await eventually(both_held)
    await plane.put("s", "a", b"2")  # no room to wait in: at once
    assert not any(task.done() for task in puts)
    for _, future in held:
        future.set_result(None)
    await asyncio.gather(*puts)
    dice = plane.runtime.part(Dice)
    assert (dice.delayed_calls, dice.delayed_bytes) == (0, 0)


async def test_a_call_that_was_held_back_gives_no_budget_twice(team, make_plane, monkeypatch):
    """The shard's second of 1,000 records is spent once, though the calls began ten seconds ago."""
    stream = await in_database(lambda: make_stream(team.team, "s"))
    plane = await plane_with(make_plane, team, stream, Faults(latency_ms=LATENCY_MS_MAX))

    began = asyncio.Event()

    async def until_all_began(_seconds):
        await began.wait()

    monkeypatch.setattr(faults_module, "sleep", until_all_began)
    many, dice = [("a", b"1")] * 500, plane.runtime.part(Dice)
    calls = []
    for number in range(4):  # begun at different times, let through at one
        calls.append(asyncio.create_task(plane.put_many("s", many)))

        async def held(so_many=number + 1):
            return dice.delayed_calls == so_many

        await eventually(held)
        plane.clock.advance(LATENCY_MS_MAX // 4)
    began.set()
    answers = await asyncio.gather(*calls)
    assert sorted(answer.failed_record_count for answer in answers) == [0, 0, 500, 500]


@pytest.mark.parametrize(
    "faults",
    [
        Faults(throttle_percent=-1),
        Faults(throttle_percent=100.1),
        Faults(error_percent=float("nan")),
        Faults(error_percent=float("inf")),
        Faults(60, 50),
        Faults(latency_ms=-1),
        Faults(latency_ms=LATENCY_MS_MAX + 1),
    ],
)
def test_what_is_out_of_bounds_is_refused(stream, faults):
    with pytest.raises(InvalidArgumentException):
        set_faults(stream, faults, "test")
    assert Stream.objects.get().faults == {}


def test_a_change_raises_the_version_and_none_is_nothing(stream):
    version = Stream.objects.get().version
    set_faults(stream, Faults(5, 1, 200), "test")
    row = Stream.objects.get()
    assert row.version == version + 1
    assert faults_of(row.faults) == Faults(5, 1, 200)
    assert Faults(5, 1, 200).sentence() == "5% throttled, 1% internal failures, 200 ms added"
    set_faults(stream, Faults(), "test")
    assert faults_of(Stream.objects.get().faults) is None
    assert Faults().sentence() == "none"


def test_hits_are_as_many_as_a_coin_would_give():
    dice = Dice(None)
    dice.chance = random.Random(3)
    assert dice.hits(0, 1_000) == 0
    assert dice.hits(100, 1_000) == 1_000
    assert abs(dice.hits(12.5, 8_000) - 1_000) < 120
