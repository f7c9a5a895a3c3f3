"""Every sentence of apps/recordlog/interface.py, over every engine."""

import asyncio
import itertools

import pytest

from apps.base.clock import FakeClock
from apps.base.units import KIB, MIB
from apps.recordlog.faulty import FaultyLog
from apps.recordlog.interface import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    Appended,
    LogUnavailable,
    ShardClosed,
    Successor,
    Totals,
    Trimmed,
    UnknownShard,
)
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.memory import MemoryLog
from tests.support.keyrings import TestKeyring
from tests.support.record_logs import all_records, all_texts, append_texts, entry, texts

ALL_HASHES = (0, 2**128 - 1)
FOREVER_MS = 60_000
WITHIN_S = 50
"""Only a test that fails waits so long."""
GENEROUS = (1_000_000, 1_000 * MIB)


class EncryptingLog(LmdbLog):
    """Everything that is appended is encrypted: the same promises hold."""

    def __init__(self, path, clock):
        self.keys = TestKeyring()
        super().__init__(path, clock, self.keys)

    async def append(self, entries):
        for one in entries:
            one.key = self.keys.key(1)
        return await super().append(entries)


ENGINES = {"lmdb": LmdbLog, "encrypted": EncryptingLog}


@pytest.fixture(params=["memory", "lmdb", "faulty", "encrypted"])
async def log(request, tmp_path, clock):
    engine = ENGINES[request.param](str(tmp_path / "log"), clock) if request.param in ENGINES else MemoryLog(clock)
    built = FaultyLog(engine) if request.param == "faulty" else engine
    await built.open()
    for shard in (1, 2, 3):
        await built.create(shard)
    yield built
    assert (await built.verify()).problems == ()
    await built.close()


# Shards


async def test_create_leaves_an_existing_shard_as_it_is(log):
    await append_texts(log, 1, "a")
    await log.create(1)
    assert await all_texts(log, 1) == ["a"]


async def test_a_new_shard_is_empty(log, clock):
    bounds = await log.bounds(1)
    assert (bounds.first_offset, bounds.next_offset, bounds.oldest_ms, bounds.newest_ms) == (1, 1, 0, 0)
    assert (bounds.sealed, bounds.sealed_at_ms, bounds.totals) == (None, 0, Totals())
    batch = await log.read(1, 1, *GENEROUS)
    assert (batch.slices, batch.next_offset, batch.end_offset, batch.at_end) == ([], 1, 1, False)
    assert await log.find(1, 0) == 1
    assert await log.meters(1, 0) == []


@pytest.mark.parametrize(
    "use",
    [
        lambda log: log.append([texts(9, "a")]),
        lambda log: log.read(9, 1, 10, 10),
        lambda log: log.find(9, 0),
        lambda log: log.bounds(9),
        lambda log: log.seal([9], []),
        lambda log: log.trim(9, 1, 1),
        lambda log: log.wait(9, 0, FOREVER_MS),
        lambda log: log.meters(9, 0),
    ],
)
async def test_an_unknown_shard_is_refused_everywhere(log, use):
    with pytest.raises(UnknownShard):
        await use(log)


# Append


async def test_offsets_are_dense_from_one_and_results_in_order(log, clock):
    now = clock.now_ms()
    assert await log.append([texts(1, "a", "b"), texts(2, "c"), texts(1, "d")]) == [
        Appended(1, now),
        Appended(1, now),
        Appended(3, now),
    ]
    assert await append_texts(log, 1, "e", "f") == Appended(4, now)
    assert await all_texts(log, 1) == ["a", "b", "d", "e", "f"]
    assert list(await all_records(log, 1)) == [1, 2, 3, 4, 5]
    assert await all_texts(log, 2) == ["c"]


async def test_keys_and_data_come_back_as_they_went_in(log):
    records = [("k", b"\x00\xff"), (None, b""), ("ключ-鍵-🔑", b"x"), ("", b"y"), ("k" * 256, bytes(range(256)))]
    await log.append([entry(1, *records)])
    assert list((await all_records(log, 1)).values()) == records


async def test_a_call_that_names_an_unknown_shard_stores_nothing(log):
    with pytest.raises(UnknownShard):
        await log.append([texts(1, "a"), texts(9, "b"), texts(2, "c")])
    assert await all_texts(log, 1) == []
    assert await all_texts(log, 2) == []
    assert (await append_texts(log, 1, "d")).first == 1


async def test_many_callers_at_once_all_get_places_of_their_own(log):
    results = await asyncio.gather(*(append_texts(log, 1, f"{i}", f"{i}'") for i in range(200)))
    found = await all_records(log, 1)
    assert [found[r.first][1].decode() for r in results] == [str(i) for i in range(200)]
    assert [found[r.first + 1][1].decode() for r in results] == [f"{i}'" for i in range(200)]
    assert sorted(r.first for r in results) == list(range(1, 401, 2))


async def test_an_entry_of_many_records_is_cut_into_batches_and_stays_one_neighbourhood(log):
    count = 2 * MAX_BATCH_RECORDS + 5
    await append_texts(log, 1, "before")
    [result] = await log.append([entry(1, *(("k", b"%d" % i) for i in range(count)))])
    await append_texts(log, 1, "after")
    assert result.first == 2
    assert await all_texts(log, 1) == ["before", *map(str, range(count)), "after"]
    slices = (await log.read(1, 1, *GENEROUS)).slices
    assert max(len(part.records) // 2 for part in slices) <= MAX_BATCH_RECORDS
    assert {part.arrival_ms for part in slices} == {result.arrival_ms}


async def test_a_batch_is_closed_at_its_bytes_and_one_larger_record_is_a_batch_of_its_own(log):
    sizes = [10, 600 * KIB, 500 * KIB, 3 * MIB, 10, 900 * KIB, 200 * KIB]
    await log.append([entry(1, *((None, b"x" * size) for size in sizes))])
    got = []
    for part in (await log.read(1, 1, *GENEROUS)).slices:
        got.append([len(data) for data in part.records[1::2]])
        assert sum(got[-1]) <= MAX_BATCH_BYTES or len(got[-1]) == 1
    assert [size for sizes_of_one in got for size in sizes_of_one] == sizes


async def test_entries_of_one_commit_are_closed_into_batches_too(log):
    data = b"x" * (400 * KIB)
    await log.append([entry(1, (None, data), (None, b"a")) for _ in range(5)])
    assert [len(v) for _, v in (await all_records(log, 1)).values()] == [len(data), 1] * 5
    for part in (await log.read(1, 1, *GENEROUS)).slices:
        assert sum(map(len, part.records[1::2])) <= MAX_BATCH_BYTES


async def test_a_cancelled_caller_cancels_neither_its_append_nor_anybody_elses(log):
    others = [asyncio.create_task(append_texts(log, 1, f"other {i}")) for i in range(5)]
    cancelled = asyncio.create_task(append_texts(log, 1, "mine"))
    more = [asyncio.create_task(append_texts(log, 1, f"more {i}")) for i in range(5)]
    await asyncio.sleep(0)
    cancelled.cancel()
    results = await asyncio.wait_for(asyncio.gather(*others, *more), WITHIN_S)
    assert len({result.first for result in results}) == 10
    assert (await asyncio.gather(cancelled, return_exceptions=True))[0] is not None
    assert sorted(await all_texts(log, 1)) == sorted(
        ["mine", *(f"other {i}" for i in range(5)), *(f"more {i}" for i in range(5))]
    )


# Time


async def test_arrival_is_the_clocks_time_and_never_goes_back_within_a_shard(log, clock):
    start = clock.now_ms()
    assert (await append_texts(log, 1, "a")).arrival_ms == start
    clock.advance(5_000)
    assert (await append_texts(log, 1, "b")).arrival_ms == start + 5_000
    clock.advance(-60_000)
    assert (await append_texts(log, 1, "c")).arrival_ms == start + 5_000
    assert (await append_texts(log, 2, "other shard")).arrival_ms == start - 55_000
    clock.advance(60_001)
    assert (await append_texts(log, 1, "d")).arrival_ms == start + 5_001


async def test_find_answers_the_first_record_at_or_after_a_time(log, clock):
    start = clock.now_ms()
    for i in range(10):
        await append_texts(log, 1, f"{i}a")
        await append_texts(log, 1, f"{i}b", f"{i}c")
        clock.advance(10)
    assert await log.find(1, 0) == 1
    assert await log.find(1, start) == 1
    for i in range(1, 10):
        assert await log.find(1, start + 10 * i - 9) == 3 * i + 1
        assert await log.find(1, start + 10 * i) == 3 * i + 1
    assert await log.find(1, start + 91) == 31
    assert await log.find(1, start + 10_000_000) == 31


async def test_find_after_a_trim_answers_what_is_kept(log, clock):
    start = clock.now_ms()
    for i in range(6):
        await append_texts(log, 1, str(i))
        clock.advance(10)
    await log.trim(1, start + 25, 1_000)
    assert await log.find(1, start) == 4
    assert await log.find(1, start + 40) == 5
    await log.trim(1, clock.now_ms(), 1_000)
    assert await log.find(1, start) == 7


async def test_complete_to_is_a_watermark_that_later_arrivals_keep(log, clock):
    await append_texts(log, 1, "a")
    clock.advance(1_000)
    await append_texts(log, 1, "b")
    watermark = (await log.read(1, 1, 1, MIB)).complete_to_ms
    assert watermark == clock.now_ms()
    clock.advance(-5_000)
    assert (await append_texts(log, 1, "c")).arrival_ms >= watermark
    clock.advance(10_000)
    [(_, sealed_at_ms)] = await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert (await log.read(1, 4, 1, MIB)).complete_to_ms == sealed_at_ms


# Read


async def test_read_takes_at_most_max_records_and_goes_on_at_next_offset(log):
    for i in range(0, 30, 3):
        await append_texts(log, 1, f"{i}", f"{i + 1}", f"{i + 2}")
    start, seen = 1, []
    while True:
        batch = await log.read(1, start, 4, MIB)
        assert batch.end_offset == 31
        offset = start
        for part in batch.slices:
            assert part.first == offset
            offset += len(part.records) // 2
            seen += [data.decode() for data in part.records[1::2]]
        assert offset == batch.next_offset
        assert offset - start <= 4
        start = batch.next_offset
        if start == batch.end_offset:
            break
    assert seen == [str(i) for i in range(30)]


async def test_read_starts_in_the_middle_of_a_batch(log):
    await append_texts(log, 1, "1", "2", "3")
    await append_texts(log, 1, "4")
    await append_texts(log, 1, "5", "6", "7", "8")
    for start, max_records in itertools.product(range(1, 9), (1, 2, 3, 100)):
        batch = await log.read(1, start, max_records, MIB)
        got = [data.decode() for part in batch.slices for data in part.records[1::2]]
        assert got == [str(i) for i in range(start, min(9, start + max_records))]
        assert batch.slices[0].first == start
        assert batch.next_offset == start + len(got)


async def test_read_takes_at_most_max_bytes_of_keys_and_data_but_one_record_at_least(log):
    await log.append([entry(1, *(("ключ", b"12") for _ in range(4)))])
    await log.append([entry(1, *(("ключ", b"12") for _ in range(2)))])
    for max_bytes, expected in ((1, 1), (10, 1), (11, 1), (20, 2), (29, 2), (30, 3), (59, 5), (999, 6)):
        batch = await log.read(1, 1, 100, max_bytes)
        assert sum(len(part.records) // 2 for part in batch.slices) == expected
        batch = await log.read(1, 2, 100, max_bytes)
        assert batch.next_offset == min(7, 2 + expected)


async def test_a_large_record_does_not_ride_behind_others_beyond_max_bytes(log):
    await log.append([entry(1, ("a", b"x")), entry(1, ("a", b"x" * 1_000)), entry(1, ("a", b"y"))])
    batch = await log.read(1, 1, 100, 500)
    assert batch.next_offset == 2
    batch = await log.read(1, 2, 100, 500)
    assert batch.next_offset == 3
    assert len(batch.slices[0].records[1]) == 1_000


async def test_read_at_and_past_the_end_finds_nothing_and_stays_there(log):
    await append_texts(log, 1, "a", "b")
    for start in (3, 7):
        batch = await log.read(1, start, 10, MIB)
        assert (batch.slices, batch.next_offset, batch.end_offset, batch.at_end) == ([], start, 3, False)


async def test_a_trimmed_start_moves_to_the_first_record_kept(log, clock):
    for i in range(4):
        await append_texts(log, 1, f"{i}", f"{i}'")
        clock.advance(10)
    await log.trim(1, clock.now_ms() - 20, 1_000)
    batch = await log.read(1, 1, 3, MIB)
    assert [part.first for part in batch.slices] == [5, 7]
    assert (batch.next_offset, batch.end_offset) == (8, 9)
    await log.trim(1, clock.now_ms(), 1_000)
    batch = await log.read(1, 1, 3, MIB)
    assert (batch.slices, batch.next_offset, batch.end_offset) == ([], 9, 9)


async def test_reading_again_gives_the_same(log):
    await log.append([entry(1, *(("k", b"%d" % i) for i in range(500)))])
    first = await log.read(1, 100, 50, MIB)
    assert await log.read(1, 100, 50, MIB) == first
    whole = await log.read(1, 1, *GENEROUS)
    assert whole.slices[0].records[198:298] == first.slices[0].records
    assert await log.read(1, 1, *GENEROUS) == whole


# Seal


async def test_a_sealed_shard_refuses_for_ever_and_names_its_successors(log):
    await append_texts(log, 1, "a")
    successors = (Successor(2, 0, 2**127 - 1), Successor(3, 2**127, 2**128 - 1))
    [(end, _)] = await log.seal([1], successors)
    assert end == 2
    for _ in range(2):
        assert await append_texts(log, 1, "b") == ShardClosed(successors)
    assert await all_texts(log, 1) == ["a"]
    bounds = await log.bounds(1)
    assert (bounds.sealed, bounds.next_offset) == (successors, 2)


async def test_entries_for_open_shards_are_stored_beside_a_refused_one(log):
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    refused, stored = await log.append([texts(1, "a"), texts(2, "b")])
    assert refused == ShardClosed((Successor(2, *ALL_HASHES),))
    assert stored.first == 1
    assert await all_texts(log, 2) == ["b"]
    assert await all_texts(log, 1) == []


async def test_sealing_again_answers_the_first_end_unchanged(log, clock):
    await append_texts(log, 1, "a")
    first = await log.seal([1], [Successor(2, *ALL_HASHES)])
    clock.advance(1_000)
    assert await log.seal([1], [Successor(3, *ALL_HASHES)]) == first
    assert (await log.bounds(1)).sealed == (Successor(2, *ALL_HASHES),)


async def test_both_parents_of_a_merge_end_at_one_time_not_before_any_record(log, clock):
    await append_texts(log, 1, "a")
    clock.advance(7_000)
    newest = (await append_texts(log, 2, "b", "c")).arrival_ms
    clock.advance(-3_000)
    ends = await log.seal([1, 2], [Successor(3, *ALL_HASHES)])
    assert ends == [(2, newest), (3, newest)]
    assert (await log.bounds(1)).sealed_at_ms == (await log.bounds(2)).sealed_at_ms == newest
    assert (await append_texts(log, 3, "child")).arrival_ms >= newest


async def test_a_half_sealed_pair_is_completed(log, clock):
    [first] = await log.seal([1], [Successor(3, *ALL_HASHES)])
    clock.advance(10)
    assert (await log.seal([1, 2], [Successor(3, *ALL_HASHES)]))[0] == first
    assert isinstance(await append_texts(log, 2, "x"), ShardClosed)


async def test_seal_wants_successors_that_exist_and_else_seals_nothing(log):
    with pytest.raises(UnknownShard):
        await log.seal([1], [Successor(9, *ALL_HASHES)])
    with pytest.raises(UnknownShard):
        await log.seal([1, 9], [Successor(2, *ALL_HASHES)])
    assert (await append_texts(log, 1, "still open")).first == 1


async def test_at_end_is_told_only_past_the_last_record_of_a_sealed_shard(log):
    await append_texts(log, 1, "a", "b")
    assert not (await log.read(1, 3, 10, MIB)).at_end
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert not (await log.read(1, 1, 1, MIB)).at_end
    assert (await log.read(1, 1, 2, MIB)).at_end
    assert (await log.read(1, 3, 10, MIB)).at_end


async def test_a_shard_can_be_sealed_without_successors(log):
    await append_texts(log, 1, "a")
    [(end, at_ms)] = await log.seal([1], [])
    assert end == 2
    assert await append_texts(log, 1, "b") == ShardClosed(())
    assert (await log.bounds(1)).sealed == ()
    assert await log.seal([1], []) == [(end, at_ms)]


async def test_a_sealed_empty_shard_is_at_its_end(log):
    assert (await log.seal([1], [Successor(2, *ALL_HASHES)]))[0][0] == 1
    assert (await log.read(1, 1, 10, MIB)).at_end


# Trim


async def test_trim_removes_older_batches_and_nothing_else(log, clock):
    for i in range(5):
        await append_texts(log, 1, f"{i}", f"{i}'")
        await append_texts(log, 2, f"{i}")
        clock.advance(100)
    assert await log.trim(1, clock.now_ms() - 300, 1_000) == Trimmed(4, more=False)
    assert await all_texts(log, 1) == ["2", "2'", "3", "3'", "4", "4'"]
    assert len(await all_texts(log, 2)) == 5
    bounds = await log.bounds(1)
    assert (bounds.first_offset, bounds.oldest_ms) == (5, clock.now_ms() - 300)
    assert (bounds.next_offset, bounds.newest_ms) == (11, clock.now_ms() - 100)
    assert bounds.totals.records == 10
    assert bounds.trimmed_bytes * 5 == bounds.totals.size_bytes * 2


async def test_trim_does_a_bounded_piece_and_says_whether_there_is_more(log, clock):
    for i in range(10):
        await append_texts(log, 1, f"{i}", f"{i}'")
    clock.advance(1)
    removed, steps = 0, 0
    while True:
        trimmed = await log.trim(1, clock.now_ms(), 6)
        assert trimmed.records <= 7
        removed, steps = removed + trimmed.records, steps + 1
        assert (await log.bounds(1)).first_offset == removed + 1
        if not trimmed.more:
            break
    assert (removed, steps) == (20, 4)


async def test_trimming_nothing_is_fine(log, clock):
    assert await log.trim(1, clock.now_ms() + 1, 100) == Trimmed(0, more=False)
    await append_texts(log, 1, "a")
    assert await log.trim(1, clock.now_ms(), 100) == Trimmed(0, more=False)
    assert await all_texts(log, 1) == ["a"]


async def test_offsets_and_times_go_on_after_everything_was_trimmed(log, clock):
    at = (await append_texts(log, 1, "a", "b")).arrival_ms
    await log.trim(1, at + 1, 100)
    bounds = await log.bounds(1)
    assert (bounds.first_offset, bounds.next_offset, bounds.oldest_ms, bounds.newest_ms) == (3, 3, 0, at)
    assert bounds.trimmed_bytes == bounds.totals.size_bytes
    clock.advance(-1_000)
    assert await append_texts(log, 1, "c") == Appended(3, at)


async def test_a_sealed_shard_can_be_trimmed_to_nothing(log, clock):
    await append_texts(log, 1, "a")
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert (await log.trim(1, clock.now_ms() + 1, 10)).records == 1
    assert (await log.read(1, 1, 10, MIB)).at_end


# Wait


async def test_wait_answers_at_once_when_there_is_something_already(log):
    await append_texts(log, 1, "a")
    assert await log.wait(1, 1, 0) is True
    assert await log.wait(1, 2, 0) is False
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert await log.wait(1, 2, 0) is True


async def test_wait_gives_up_after_its_time(log):
    assert await asyncio.wait_for(log.wait(1, 1, 20), WITHIN_S) is False


async def test_append_wakes_those_who_wait_for_that_shard_and_no_others(log):
    waiting = [asyncio.create_task(log.wait(1, 1, FOREVER_MS)) for _ in range(3)]
    further = asyncio.create_task(log.wait(1, 3, FOREVER_MS))
    other = asyncio.create_task(log.wait(2, 1, FOREVER_MS))
    await asyncio.sleep(0)
    await append_texts(log, 1, "a")
    assert await asyncio.wait_for(asyncio.gather(*waiting), WITHIN_S) == [True] * 3
    await append_texts(log, 1, "b")
    assert not further.done()
    assert not other.done()
    await append_texts(log, 1, "c")
    assert await asyncio.wait_for(further, WITHIN_S) is True
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert await log.wait(2, 1, 0) is False


async def test_seal_wakes_waiters(log):
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert await asyncio.wait_for(waiting, WITHIN_S) is True


async def test_a_cancelled_waiter_disturbs_nobody(log):
    one, two = (asyncio.create_task(log.wait(1, 1, FOREVER_MS)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await append_texts(log, 1, "a")
    assert await asyncio.wait_for(two, WITHIN_S) is True
    assert one.cancelled()


async def test_who_waits_for_a_dropped_shard_learns_it(log):
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    await log.drop(1, 100)
    with pytest.raises(UnknownShard):
        await asyncio.wait_for(waiting, WITHIN_S)


# Producers


async def test_a_repeat_of_a_producer_is_answered_with_the_first_result_and_stores_nothing(log, clock):
    first = await log.append([texts(1, "a", "b", producer=("import-1", 7))])
    clock.advance(1_000)
    for sequence in (7, 6):
        assert await log.append([texts(1, "a", "b", producer=("import-1", sequence))]) == first
    assert await all_texts(log, 1) == ["a", "b"]
    assert (await log.bounds(1)).totals.records == 2
    [later] = await log.append([texts(1, "c", producer=("import-1", 8))])
    assert later == Appended(3, clock.now_ms())


async def test_entries_of_one_call_and_producer_stand_or_fall_together(log):
    [first, _] = await log.append([texts(1, "a", producer=("p", 1)), texts(2, "b", producer=("p", 1))])
    await log.create(3)
    again = [texts(3, "c", producer=("p", 1)), texts(1, "a", producer=("p", 1)), texts(2, "d", producer=("q", 1))]
    answers = await log.append(again)
    assert answers[:2] == [Appended(0, 0), first]
    assert answers[2].first == 2, "another producer of the same call is none of theirs"
    assert (await log.bounds(3)).next_offset == 1
    assert (await log.append([texts(3, "e", producer=("p", 2))]))[0].first == 1


async def test_producers_and_shards_do_not_know_each_other(log):
    await log.append(
        [texts(1, "a", producer=("p", 1)), texts(2, "b", producer=("p", 1)), texts(1, "c", producer=("q", 1))]
    )
    assert await all_texts(log, 1) == ["a", "c"]
    assert await all_texts(log, 2) == ["b"]


async def test_a_repeat_within_one_call_or_one_commit_is_recognised(log):
    one, two = await log.append([texts(1, "a", producer=("p", 1)), texts(1, "a", producer=("p", 1))])
    assert one == two
    results = await asyncio.gather(*(log.append([texts(1, "b", producer=("p", 2))]) for _ in range(5)))
    assert len({result[0].first for result in results}) == 1
    assert await all_texts(log, 1) == ["a", "b"]


async def test_a_repeat_is_recognised_after_the_seal(log):
    first = await log.append([texts(1, "a", producer=("p", 1))])
    await log.seal([1], [Successor(2, *ALL_HASHES)])
    assert await log.append([texts(1, "a", producer=("p", 1))]) == first
    assert isinstance((await log.append([texts(1, "b", producer=("p", 2))]))[0], ShardClosed)


async def test_trim_forgets_producers_whose_last_entry_it_has_passed(log, clock):
    await log.append([texts(1, "a", producer=("old", 1))])
    clock.advance(1_000)
    await log.append([texts(1, "b", producer=("new", 1))])
    await log.trim(1, clock.now_ms(), 100)
    await log.append([texts(1, "a", producer=("old", 1)), texts(1, "b", producer=("new", 1))])
    assert await all_texts(log, 1) == ["b", "a"]


# Drop, close


async def test_drop_is_bounded_and_the_shard_is_unknown_from_the_first_call_on(log):
    for i in range(10):
        await append_texts(log, 1, f"{i}", f"{i}'")
    await append_texts(log, 2, "stays")
    dropped = await log.drop(1, 6)
    assert dropped.more
    assert dropped.records <= 7
    for use in (append_texts(log, 1, "x"), log.read(1, 1, 10, 10), log.bounds(1), log.seal([1], [])):
        with pytest.raises(UnknownShard):
            await use
    removed = dropped.records
    while dropped.more:
        dropped = await log.drop(1, 6)
        removed += dropped.records
    assert removed == 20
    assert await log.drop(1, 6) == Trimmed(0, more=False)
    assert await all_texts(log, 2) == ["stays"]


async def test_drop_takes_meters_and_producers_along(log):
    await log.append([texts(1, "a", producer=("p", 1), meter_key="A")])
    await log.append([texts(2, "a", producer=("p", 1), meter_key="A")])
    assert not (await log.drop(1, 100)).more
    assert len(await log.meters(2, 0)) == 1
    assert len(await log.append([texts(2, "a", producer=("p", 1))])) == 1
    assert await all_texts(log, 2) == ["a"]
    assert (await log.verify()).shards == 2


async def test_the_incarnation_is_a_name_that_stays(log):
    assert len(log.incarnation()) >= 16
    assert log.incarnation() == log.incarnation()


async def test_a_closed_log_refuses_everything_and_may_be_closed_again(log):
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    await log.close()
    await log.close()
    with pytest.raises(LogUnavailable):
        await asyncio.wait_for(waiting, WITHIN_S)
    for use in (append_texts(log, 1, "x"), log.read(1, 1, 10, 10), log.create(9), log.drop(1, 1), log.wait(1, 1, 1)):
        with pytest.raises(LogUnavailable):
            await use
    await log.open()
    assert await all_texts(log, 1) == []


async def test_close_finishes_what_is_queued(log):
    tasks = [asyncio.create_task(append_texts(log, 1, str(i))) for i in range(50)]
    await asyncio.sleep(0)
    await log.close()
    results = await asyncio.gather(*tasks)
    await log.open()
    assert [r.first for r in results] == list(range(1, 51))
    assert len(await all_texts(log, 1)) == 50


async def test_verify_counts_what_is_there(log, clock):
    await append_texts(log, 1, "a", "b")
    clock.advance(1)
    await append_texts(log, 1, "c")
    await append_texts(log, 2, "d")
    await log.trim(1, clock.now_ms(), 10)
    seen = await log.verify()
    assert (seen.shards, seen.batches, seen.records, seen.problems) == (3, 2, 2, ())


# The faulty engine's own faults


async def test_faults_happen_once_in_order_and_then_all_is_well():
    log = FaultyLog(MemoryLog(FakeClock()))
    await log.open()
    await log.create(1)
    log.fail_before("append", LogUnavailable("before"))
    log.fail_after("append", LogUnavailable("after"))
    log.repeat("append")
    with pytest.raises(LogUnavailable, match="before"):
        await append_texts(log, 1, "never stored")
    with pytest.raises(LogUnavailable, match="after"):
        await append_texts(log, 1, "stored")
    assert (await append_texts(log, 1, "twice")).first == 3
    assert (await append_texts(log, 1, "well")).first == 4
    assert await all_texts(log, 1) == ["stored", "twice", "twice", "well"]
    assert log.calls["append"] == 4


async def test_a_delayed_call_goes_on_when_it_is_let():
    log = FaultyLog(MemoryLog(FakeClock()))
    await log.open()
    await log.create(1)
    gate = asyncio.Event()
    log.delay("append", until=gate)
    delayed = asyncio.create_task(append_texts(log, 1, "late"))
    await asyncio.sleep(0)
    assert (await append_texts(log, 1, "early")).first == 1
    gate.set()
    assert (await delayed).first == 2
