"""What the record log counts, over every engine: totals of a shard, and meters by hour and key."""

from apps.base.units import HOUR_MS
from apps.recordlog.interface import METER_HOURS_KEPT, METER_KEYS_PER_HOUR, OTHER_METER_KEY, Successor, Totals
from tests.contract import test_record_log as contract
from tests.support.record_logs import append_texts, entry, texts

log = contract.log
"""Over every engine."""


async def test_totals_are_the_sum_of_all_that_was_ever_appended(log, clock):
    await log.append([entry(1, ("key", b"12345"), (None, b"x" * 30_000))])
    await log.append([entry(1, ("ключ", b""))])
    assert (await log.bounds(1)).totals == Totals(3, 8 + 30_000 + 8, 1 + 2 + 1, 1 + 30 + 1)
    await log.trim(1, clock.now_ms() + 1, 100)
    assert (await log.bounds(1)).totals == Totals(3, 8 + 30_000 + 8, 1 + 2 + 1, 1 + 30 + 1)


async def test_a_refused_entry_is_not_counted(log):
    await log.seal([1], [Successor(2, *contract.ALL_HASHES)])
    await append_texts(log, 1, "a")
    assert (await log.bounds(1)).totals == Totals()
    assert await log.meters(1, 0) == []


async def test_meters_are_kept_apart_by_shard_hour_and_access_key(log, clock):
    clock.set(500_000 * HOUR_MS + 10)
    await log.append([texts(1, "a", meter_key="B"), texts(1, "bb", "cc", meter_key="A"), texts(2, "z", meter_key="A")])
    await log.append([texts(1, "d", meter_key="B")])
    clock.advance(HOUR_MS)
    await log.append([texts(1, "e", meter_key="B")])
    rows = await log.meters(1, 0)
    assert [(r.hour_ms // HOUR_MS, r.meter_key, r.totals) for r in rows] == [
        (500_000, "A", Totals(2, 6, 2, 2)),
        (500_000, "B", Totals(2, 4, 2, 2)),
        (500_001, "B", Totals(1, 2, 1, 1)),
    ]
    assert await log.meters(1, 500_000 * HOUR_MS) == rows
    assert await log.meters(1, 500_000 * HOUR_MS + 1) == rows[2:]
    assert await log.meters(1, 500_002 * HOUR_MS) == []
    assert [r.shard for r in await log.meters(2, 0)] == [2]


async def test_a_hundred_access_keys_are_metered_apart_and_the_rest_together(log):
    keys = [f"key-{i:03}" for i in range(METER_KEYS_PER_HOUR + 20)]
    for _ in range(2):
        await log.append([texts(1, "a", meter_key=key) for key in keys])
    await log.append([texts(1, "a")])
    rows = {r.meter_key: r.totals.records for r in await log.meters(1, 0)}
    assert len(rows) == METER_KEYS_PER_HOUR + 1
    assert rows.pop(OTHER_METER_KEY) == 41
    assert set(rows.values()) == {2}
    assert sum(rows.values()) + 41 == (await log.bounds(1)).totals.records


async def test_what_a_mark_sets_apart_stays_apart_beyond_the_hundred(log):
    keys = [f"key-{i:03}{mark}" for i in range(METER_KEYS_PER_HOUR) for mark in ("", "|x")]
    await log.append([texts(1, "a", meter_key=key) for key in keys])
    await log.append(
        [texts(1, "a", meter_key="late|x"), texts(1, "a", meter_key="late"), texts(1, "a", meter_key="late|y")]
    )
    rows = {r.meter_key: r.totals.records for r in await log.meters(1, 0)}
    assert (rows.pop("other"), rows.pop("other|x"), rows.pop("other|y")) == (51, 51, 1)
    assert len(rows) == METER_KEYS_PER_HOUR
    assert {key.partition("|")[2] for key in rows} == {"", "x"}


async def test_units_of_a_kib_are_counted_as_told_and_kept_through_hours_and_trims(log, clock):
    clock.set(500_000 * HOUR_MS)
    for data in (b"", b"x" * 1_023, b"x" * 1_024, b"x" * 5_000):
        await log.append([entry(1, ("k", data), meter_key="A|x")])
    uncounted = texts(1, "a", meter_key="A")
    uncounted.kib_units = 0
    clock.advance(HOUR_MS)
    await log.append([uncounted, entry(1, ("k", b"x" * 3_000), meter_key="A|x")])
    await log.trim(1, clock.now_ms(), 100)
    assert [(r.hour_ms // HOUR_MS, r.meter_key, r.totals) for r in await log.meters(1, 0)] == [
        (500_000, "A|x", Totals(4, 7_051, 4, 1 + 1 + 2 + 5)),
        (500_001, "A", Totals(1, 2, 1, 0)),
        (500_001, "A|x", Totals(1, 3_001, 1, 3)),
    ]
    assert (await log.bounds(1)).totals == Totals(6, 7_051 + 2 + 3_001, 6, 12)


async def test_an_hour_goes_on_when_the_clock_steps_back_over_its_beginning(log, clock):
    clock.set(500_000 * HOUR_MS)
    await append_texts(log, 1, "a")
    clock.advance(-10)
    await append_texts(log, 1, "b")
    assert [(r.hour_ms // HOUR_MS, r.totals.records) for r in await log.meters(1, 0)] == [(500_000, 2)]


async def test_trim_removes_meter_rows_that_are_older_than_kept(log, clock):
    await append_texts(log, 1, "a")
    clock.advance(HOUR_MS)
    await append_texts(log, 1, "b")
    clock.advance((METER_HOURS_KEPT - 1) * HOUR_MS)
    await append_texts(log, 1, "c")
    await log.trim(1, 0, 10)
    assert [r.totals.records for r in await log.meters(1, 0)] == [1, 1, 1]
    clock.advance(HOUR_MS)
    await log.trim(1, 0, 10)
    assert len(await log.meters(1, 0)) == 2
    assert (await log.bounds(1)).totals.records == 3
