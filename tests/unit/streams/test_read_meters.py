"""What a process saves of what it gave: sums that only rise, and nothing lost whatever the record log answers."""

import asyncio
from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.base.clock import FakeClock
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import LogFull, LogUnavailable, UnknownShard
from apps.recordlog.memory import MemoryLog
from apps.streams import read_meters
from apps.streams.read_meters import READS_KEY, STREAM, ReadMeters, Saved
from tests.support.waiting import eventually

HOUR = 500_000


def key(name="s", meter_key="AK", hour=HOUR):
    return (1, STREAM, 7, name, "bytes-out", meter_key, hour)


@pytest.fixture
async def log():
    built = FaultyLog(MemoryLog(FakeClock()))
    await built.open()
    yield built
    await built.close()


def process(log):
    """A process that saves only when told to."""
    meters = ReadMeters(SimpleNamespace(record_log=log))
    meters.save_every_s = 3_600
    return meters


async def records(log):
    try:
        batch = await log.engine.read(READS_KEY, 1, 100_000, 1 << 30)
    except UnknownShard:
        return []
    found = [data for part in batch.slices for data in part.records[1::2]]
    return [msgspec.msgpack.decode(data, type=Saved) for data in found]


async def saved(log):
    """What a reader of all records makes of them: the sums of the newest values of each part of a process's life."""
    newest = {(one.incarnation, row.key): row.value for one in await records(log) for row in one.rows}
    total = Counter()
    for (_, series), value in newest.items():
        total[series] += value
    return total


async def test_values_are_sums_and_only_what_rose_is_saved(log):
    one = process(log)
    one.add(key("a"), 10)
    one.add(key("b"), 5)
    one.add(key("c"), 0)
    await one.save()
    one.add(key("a"), 1)
    one.add(key("a"), 2)
    await one.save()
    await one.save()
    assert [[(row.key[3], row.value) for row in one.rows] for one in await records(log)] == [
        [("a", 10), ("b", 5)],
        [("a", 13)],
    ]
    one.close()


async def test_what_was_read_is_saved_within_a_second_without_being_asked(log):
    one = ReadMeters(SimpleNamespace(record_log=log))
    assert one.save_every_s < 1
    one.save_every_s = 0.01
    one.add(key(), 1)
    await eventually(lambda: is_saved(log, {key(): 1}))
    one.add(key(), 2)
    await eventually(lambda: is_saved(log, {key(): 3}))
    one.close()


async def is_saved(log, expected):
    return await saved(log) == expected


@pytest.mark.parametrize("error", [LogFull("full"), LogUnavailable("away")])
@pytest.mark.parametrize("fail", ["fail_before", "fail_after"])
@pytest.mark.parametrize("operation", ["create", "append"])
async def test_a_save_that_fails_is_made_again_and_counts_once(log, error, fail, operation):
    one = process(log)
    one.add(key("a"), 10)
    getattr(log, fail)(operation, error)
    with pytest.raises(type(error)):
        await one.save()
    one.add(key("b"), 1)
    await one.save()
    assert await saved(log) == {key("a"): 10, key("b"): 1}
    one.close()


async def test_it_goes_on_by_itself_after_a_failure(log):
    one = process(log)
    one.save_every_s = 0.01
    log.fail_before("append", LogUnavailable("away"), times=2)
    one.add(key(), 10)
    await eventually(lambda: is_saved(log, {key(): 10}))
    one.close()


async def test_what_is_read_while_a_save_is_under_way_is_saved_by_the_next(log):
    one, gate = process(log), asyncio.Event()
    one.add(key(), 10)
    log.delay("append", gate)
    saving = asyncio.create_task(one.save())
    await asyncio.sleep(0)
    one.add(key(), 5)
    gate.set()
    await asyncio.gather(saving, one.save())
    assert await saved(log) == {key(): 15}
    one.close()


async def test_a_process_that_ends_saves_the_last(log):
    one = process(log)
    one.add(key(), 10)
    log.fail_before("append", LogUnavailable("away"))
    await one.finish()
    assert await saved(log) == {key(): 10}


async def test_another_hour_and_too_many_series_begin_anew_under_another_name(log, monkeypatch):
    monkeypatch.setattr(read_meters, "SERIES_MAX", 3)
    one = process(log)
    for name in ("a", "b", "c", "d"):
        one.add(key(name), 1)
        await one.save()
    one.add(key("a"), 1)
    await one.save()
    one.add(key("a", hour=HOUR + 1), 1)
    await one.save()
    one.add(key("a"), 1)  # a call that began in the hour before
    await one.save()
    assert len({record.incarnation for record in await records(log)}) == 3
    assert await saved(log) == {key("a"): 3, key("b"): 1, key("c"): 1, key("d"): 1, key("a", hour=HOUR + 1): 1}
    one.close()


async def test_many_series_are_saved_at_once_and_in_several_records(log, monkeypatch):
    monkeypatch.setattr(read_meters, "UNSAVED_MAX", 5)
    monkeypatch.setattr(read_meters, "ROWS_PER_RECORD", 2)
    one = process(log)
    for number in range(5):
        one.add(key(str(number)), 1)
    await eventually(lambda: is_saved(log, {key(str(number)): 1 for number in range(5)}))
    assert [len(record.rows) for record in await records(log)] == [2, 2, 1]
    one.close()


async def test_what_cannot_be_saved_is_kept_by_the_stream_when_there_are_too_many_keys(log, monkeypatch):
    monkeypatch.setattr(read_meters, "SERIES_MAX", 4)
    one = process(log)
    log.fail_before("append", LogFull("full"))
    for number in range(4):
        one.add(key(meter_key=str(number)), 1)
    with pytest.raises(LogFull):
        await one.save()
    for number in range(10):
        one.add(key(meter_key=str(number)), 10)
    await one.save()
    assert await saved(log) == {**{key(meter_key=str(n)): 11 for n in range(4)}, key(meter_key="other"): 60}
    one.close()


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 1), st.sampled_from("abc"), st.integers(1, 9), st.integers(0, 1)),
    st.tuples(st.sampled_from(["save", "fail_before", "fail_after", "restart"]), st.integers(0, 1)),
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=40))
def test_two_processes_together_save_what_they_gave_through_failures_and_restarts(steps):
    async def run():
        log, gave = FaultyLog(MemoryLog(FakeClock())), Counter()
        await log.open()
        processes = [process(log), process(log)]
        for what, which, *more in steps:
            one = processes[which]
            if what == "add":
                name, size, later = more
                one.add(key(name, hour=HOUR + later), size)
                gave[key(name, hour=HOUR + later)] += size
            elif what == "restart":
                await one.finish()
                processes[which] = process(log)
            elif what == "save":
                await one.save()
            elif one._unsaved:
                getattr(log, what)("append", LogUnavailable("away"))
                with pytest.raises(LogUnavailable):
                    await one.save()
        for one in processes:
            await one.finish()
        assert await saved(log) == gave
        await log.close()

    asyncio.run(run())
