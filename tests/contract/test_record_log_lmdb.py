"""What the LMDB record log promises beyond the interface: several processes, crashes, a full disk, a full map."""

import asyncio
import os
import random
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import lmdb
import pytest

from apps.base.clock import FakeClock, SystemClock
from apps.base.units import KIB, MIB
from apps.recordlog import committer as committer_module
from apps.recordlog import doorbell as doorbell_module
from apps.recordlog import lmdb as lmdb_module
from apps.recordlog import lmdb_verify
from apps.recordlog.interface import (
    MARKS_SHARD,
    MAX_QUEUED_BYTES,
    Appended,
    LogBusy,
    LogFull,
    LogUnavailable,
    ShardClosed,
    Successor,
    UnknownShard,
)
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.lmdb_format import SHARD_KEY, batch_key, decode_state, encode_state
from tests.support.record_logs import Process, all_records, all_texts, append_texts, entry, texts

FOREVER_MS = 60_000
WITHIN_S = 120
"""Only a test that fails waits so long."""
PLENTY = (1 << 50, 1 << 50)


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "log")


@pytest.fixture
async def log(folder, clock):
    built = LmdbLog(folder, clock)
    await built.open()
    for shard in (1, 2, 3):
        await built.create(shard)
    yield built
    if built._committer is not None:
        assert (await built.verify()).problems == ()
    await built.close()


@pytest.fixture
def process():
    """Starts processes, and leaves none behind."""
    started = []

    def start(part, *arguments):
        started.append(Process(part, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.popen.returncode is None:
            one.kill()


class GatedClock(FakeClock):
    """Stops the committer inside its write transaction, where it asks for the time."""

    def __init__(self):
        super().__init__()
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def now_ms(self):
        if threading.current_thread().name == "record-log-committer" and not self.go_on.is_set():
            self.inside.set()
            assert self.go_on.wait(WITHIN_S)
        return super().now_ms()


async def eventually(condition):
    """Wait for a condition that another thread or process brings about."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


def file_bytes(folder):
    return Path(folder, "data.mdb").stat().st_size


def bells_in(bells):
    return [path.name for path in bells.iterdir()]


def exit_code(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Opening and closing


async def test_everything_is_there_after_opening_again_also_with_a_clock_that_is_behind(log, folder, clock):
    appended = await append_texts(log, 1, "a", "b")
    await log.seal([2], [Successor(3, 0, 2**128 - 1)])
    incarnation, bounds = log.incarnation(), await log.bounds(1)
    await log.close()
    again = LmdbLog(folder, FakeClock(clock.now_ms() - 1_000_000))
    await again.open()
    assert again.incarnation() == incarnation
    assert await all_texts(again, 1) == ["a", "b"]
    assert await again.bounds(1) == bounds
    assert isinstance(await append_texts(again, 2, "c"), ShardClosed)
    assert await append_texts(again, 1, "c") == Appended(3, appended.arrival_ms)
    assert (await append_texts(again, 3, "child")).arrival_ms == clock.now_ms()
    await again.close()


async def test_every_commit_reaches_the_disk_with_its_page_of_contents(log):
    # Nothing but a power cut tells whether it does; so at least nobody shall turn it off unseen.
    flags = log._env.flags()
    assert flags["sync"]
    assert flags["metasync"]
    assert not flags["map_async"]
    assert not flags["writemap"]


async def test_a_new_log_has_an_incarnation_of_its_own(log, tmp_path, clock):
    other = LmdbLog(str(tmp_path / "other"), clock)
    await other.open()
    assert other.incarnation() != log.incarnation()
    await other.close()


def spoil_with_a_file(folder: Path):
    folder.write_text("in the way")


def spoil_the_parent(folder: Path):
    folder.parent.rmdir()
    folder.parent.write_text("in the way")


def spoil_the_data(folder: Path):
    folder.mkdir()
    (folder / "data.mdb").write_bytes(b"not a database" * 1_000)


def spoil_the_version(folder: Path):
    env = lmdb.open(str(folder), max_dbs=8)
    with env.begin(write=True) as txn:
        txn.put(b"format", b"\x63", db=env.open_db(b"about", txn=txn))
    env.close()


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (spoil_with_a_file, "make it a folder that this user may write"),
        (spoil_the_parent, "make it a folder that this user may write"),
        (spoil_the_data, "restore it from a backup"),
        (spoil_the_version, "start the version that wrote them"),
    ],
)
async def test_a_folder_that_cannot_be_used_is_told_in_one_sentence(tmp_path, clock, spoil, advice):
    folder = tmp_path / "data" / "log"
    folder.parent.mkdir()
    spoil(folder)
    log = LmdbLog(str(folder), clock)
    with pytest.raises(LogUnavailable, match=advice) as raised:
        await log.open()
    assert str(raised.value).count(". ") == 0
    with pytest.raises(LogUnavailable, match="not open"):
        await log.bounds(1)
    await log.close()


async def test_opening_twice_in_one_process_is_refused_and_harms_nobody(log, folder, clock):
    with pytest.raises(LogUnavailable, match="open"):
        await LmdbLog(folder, clock).open()
    assert (await append_texts(log, 1, "a")).first == 1


async def test_a_forked_child_may_not_use_it_and_does_not_harm_the_parent(log):
    child = os.fork()
    if child == 0:
        try:
            log.incarnation()
        except LogUnavailable as error:
            os._exit(7 if "after" in str(error) else 8)
        os._exit(9)
    assert exit_code(child) == 7
    assert (await append_texts(log, 1, "a")).first == 1
    assert await all_texts(log, 1) == ["a"]


async def test_a_process_with_little_address_space_maps_less(folder, process):
    child = process("fill", folder, f"RLIMIT_AS={3 << 29}", 20)
    error, _, stored, whole, problems, map_bytes = child.line()
    assert (error, stored, whole, problems) == ("NoneType", 20, True, [])
    assert 64 * MIB <= map_bytes < 1 << 30
    child.finish()


# Group commit


async def test_cancelling_a_writer_and_a_reader_in_the_middle_of_a_commit_touches_nobody_else(folder):
    clock = GatedClock()
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    clock.go_on.clear()
    first = asyncio.create_task(append_texts(log, 1, "first"))
    await eventually(clock.inside.is_set)
    # One commit is under way; these make the next one, and one of them is in the commit under way.
    others = [asyncio.create_task(append_texts(log, 1, f"other {i}")) for i in range(10)]
    cancelled = asyncio.create_task(append_texts(log, 1, "cancelled"))
    waiting = asyncio.create_task(log.wait(1, 11, FOREVER_MS))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(log.wait(1, 1, FOREVER_MS), 0.02)
    cancelled.cancel()
    first.cancel()
    await asyncio.gather(first, cancelled, return_exceptions=True)
    assert first.cancelled()
    assert cancelled.cancelled()
    clock.go_on.set()
    results = await asyncio.wait_for(asyncio.gather(*others), WITHIN_S)
    assert [result.first for result in results] == list(range(2, 12))
    assert await asyncio.wait_for(waiting, WITHIN_S) is True
    assert await all_texts(log, 1) == ["first", *(f"other {i}" for i in range(10)), "cancelled"]
    await log.close()


async def test_callers_who_queue_during_a_commit_share_the_next_one(folder):
    clock = GatedClock()
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    before = log._env.info()["last_txnid"]
    clock.go_on.clear()
    first = asyncio.create_task(append_texts(log, 1, "first"))
    await eventually(clock.inside.is_set)
    others = [asyncio.create_task(append_texts(log, 1, str(i))) for i in range(100)]
    await asyncio.sleep(0)
    clock.go_on.set()
    await asyncio.gather(first, *others)
    assert log._env.info()["last_txnid"] - before == 2
    assert [len(part.records) // 2 for part in (await log.read(1, 1, 1_000, MIB)).slices] == [1, 100]
    await log.close()


async def test_close_finishes_what_queued_behind_a_commit(folder):
    clock = GatedClock()
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    clock.go_on.clear()
    first = asyncio.create_task(append_texts(log, 1, "first"))
    await eventually(clock.inside.is_set)
    queued = [asyncio.create_task(append_texts(log, 1, str(i))) for i in range(10)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(log.close())
    await eventually(lambda: log._committer is None)
    clock.go_on.set()
    await asyncio.wait_for(asyncio.gather(first, *queued, closing), WITHIN_S)
    assert [task.result().first for task in (first, *queued)] == list(range(1, 12))


async def test_a_record_that_cannot_be_encoded_fails_its_own_caller_alone(log):
    good = [asyncio.create_task(append_texts(log, 1, str(i))) for i in range(5)]
    bad = entry(1, ("k", b"data"))
    bad.records[0] = object()
    poisoned = asyncio.create_task(log.append([texts(2, "with it"), bad]))
    more = [asyncio.create_task(append_texts(log, 1, str(i))) for i in range(5, 10)]
    with pytest.raises(TypeError):
        await poisoned
    await asyncio.gather(*good, *more)
    assert await all_texts(log, 1) == [str(i) for i in range(10)]
    assert await all_texts(log, 2) == []


def bug(*_):
    raise RuntimeError("a bug")


@pytest.mark.parametrize("broken", ["finish", "create"])
async def test_a_bug_inside_a_commit_fails_those_in_it_and_acknowledges_nothing(log, monkeypatch, broken):
    with monkeypatch.context() as patch:
        patch.setattr(lmdb_module.Writing, broken, bug)
        results = await asyncio.gather(
            append_texts(log, 1, "a"), append_texts(log, 1, "b"), log.create(8), return_exceptions=True
        )
    stored = broken == "create"
    assert [isinstance(result, LogUnavailable) for result in results] == [not stored, not stored, True]
    assert await all_texts(log, 1) == ["a", "b"] * stored
    assert (await append_texts(log, 1, "goes on")).first == 1 + 2 * stored


async def test_an_unknown_shard_fails_its_own_caller_alone(log):
    results = await asyncio.gather(
        append_texts(log, 1, "a"), append_texts(log, 9, "b"), append_texts(log, 1, "c"), return_exceptions=True
    )
    assert isinstance(results[1], UnknownShard)
    assert [results[0].first, results[2].first] == [1, 2]


async def test_more_than_may_wait_in_memory_is_refused_and_accepted_again_later(folder):
    clock = GatedClock()
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    clock.go_on.clear()
    large = entry(1, (None, b"x" * (8 * MIB)))
    queued = [asyncio.create_task(log.append([large])) for _ in range(MAX_QUEUED_BYTES // (8 * MIB) - 1)]
    await eventually(clock.inside.is_set)
    with pytest.raises(LogBusy):
        await log.append([large, texts(1, "too much")])
    clock.go_on.set()
    await asyncio.gather(*queued)
    assert (await log.append([large]))[0].first == len(queued) + 1
    assert len(await all_records(log, 1)) == len(queued) + 1
    await log.close()


# Two processes


async def test_two_processes_append_and_seal_the_same_shards_at_once(folder, process):
    homes = [1, 2, 3]
    log = LmdbLog(folder, SystemClock())
    await log.open()
    for shard in homes:
        await log.create(shard)
    await log.close()
    writer, sealer = process("write", folder, "w", homes), process("write_and_seal", folder, "s", homes, 4)
    said = []
    while ["all sealed"] not in said or len(said) < 500:
        said.append(sealer.line())
    said += writer.finish()
    said += sealer.finish()
    ends = {line[1]: line[2:] for line in said if line[0] == "sealed"}
    acknowledged = [line for line in said if len(line) == 5]
    assert len(ends) == 12
    assert len(acknowledged) > 500
    assert len({line[0] for line in acknowledged}) == 16
    log = LmdbLog(folder, SystemClock())
    await log.open()
    seen = await log.verify()
    assert seen.problems == ()
    assert seen.records == sum(line[4] for line in acknowledged)
    for shard, (end, at_ms) in ends.items():
        bounds = await log.bounds(shard)
        assert (bounds.next_offset, bounds.sealed_at_ms) == (end, at_ms)
        assert bounds.newest_ms <= at_ms
        assert bounds.sealed == (Successor(shard + 100, 0, 2**128 - 1),)
    await check_acknowledged(log, acknowledged)
    await log.close()


async def check_acknowledged(log, acknowledged):
    """Each is stored whole at the place it was told; each task's entries are in its order along a shard."""
    shards = {shard: await all_records(log, shard) for shard in {line[2] for line in acknowledged}}
    for task, number, shard, first, count in acknowledged:
        for i in range(count):
            assert shards[shard][first + i][1].decode() == f"{task} {number} {i}/{count}"
    for found in shards.values():
        check_whole_and_in_order([data.decode() for _, data in found.values()])


def check_whole_and_in_order(datas):
    last = defaultdict(lambda: -1)
    at = 0
    while at < len(datas):
        task, number, part = datas[at].split(" ")
        count = int(part.split("/")[1])
        assert datas[at : at + count] == [f"{task} {number} {i}/{count}" for i in range(count)], "half an entry"
        assert int(number) > last[task], "out of order"
        last[task] = int(number)
        at += count


async def kill_a_writer_again_and_again(folder, process, times, seed):
    chance = random.Random(seed)
    acknowledged = []
    for turn in range(times):
        writer = process("write", folder, f"w{turn}", [1, 2])
        assert writer.line() == ["ready"]
        acknowledged += [writer.line() for _ in range(chance.randrange(20, 100))]
        acknowledged += writer.kill()
    log = LmdbLog(folder, SystemClock())
    await log.open()
    assert (await log.verify()).problems == ()
    await check_acknowledged(log, acknowledged)
    await log.close()
    return acknowledged


async def test_killing_the_writer_loses_nothing_acknowledged(folder, process):
    assert len(await kill_a_writer_again_and_again(folder, process, 5, seed=1)) >= 5 * 20


@pytest.mark.torture
async def test_killing_the_writer_many_times(folder, process):
    assert len(await kill_a_writer_again_and_again(folder, process, 100, seed=2)) >= 100 * 20


async def test_the_other_process_goes_on_when_one_is_killed_in_the_middle_of_a_commit(log, folder, process):
    for turn in range(4):
        writer = process("write", folder, f"w{turn}", [1])
        assert writer.line() == ["ready"]
        writer.line()
        writer.kill()
        await asyncio.wait_for(append_texts(log, 2, str(turn)), WITHIN_S)
    assert await all_texts(log, 2) == ["0", "1", "2", "3"]


async def test_a_reader_killed_inside_a_transaction_does_not_make_the_file_grow_without_end(
    folder, clock, process, monkeypatch
):
    monkeypatch.setattr(committer_module, "CHORES_INTERVAL_S", 0.02)
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    reader = process("hold_a_read", folder)
    reader.line()
    reader.kill()
    size = []
    for _ in range(30):
        await log.append([entry(1, (None, b"x" * (256 * KIB)))])
        clock.advance(1)
        await log.trim(1, clock.now_ms(), 100)
        await eventually(lambda: "no active readers" in log._env.readers().lower() or not size)
        size.append(file_bytes(folder))
    assert size[-1] <= size[5]
    await log.close()


# Waking across processes


async def test_an_append_wakes_a_waiter_in_another_process_by_its_bell(folder, clock, process, monkeypatch):
    log = LmdbLog(folder, clock)
    await log.open()
    await log.create(1)
    others = [process("wait_for", folder, 1, 1) for _ in range(2)]
    assert [other.line() for other in others] == [["waiting"]] * 2
    assert len(bells_in(Path(folder, "bells"))) == 2
    await append_texts(log, 1, "a")
    assert [other.line() for other in others] == [["woken", True]] * 2
    others[0].finish()
    others[1].kill()
    assert len(bells_in(Path(folder, "bells"))) == 1
    await append_texts(log, 1, "b")
    # The dead one's bell is taken away.
    await eventually(lambda: bells_in(Path(folder, "bells")) == [])
    await log.close()


@pytest.fixture
def no_backstop(monkeypatch):
    monkeypatch.setattr(lmdb_module, "LOOK_INTERVAL_S", 3_600)


@pytest.fixture
def no_bell(monkeypatch):
    monkeypatch.setattr(doorbell_module.Doorbell, "listen", lambda *_: None)


@pytest.mark.parametrize("way", ["no_backstop", "no_bell"])
async def test_a_waiter_hears_another_process_by_bell_alone_and_by_looking_alone(way, request, log, folder, process):
    request.getfixturevalue(way)
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    process("write", folder, "w", [1])
    assert await asyncio.wait_for(waiting, WITHIN_S) is True


async def test_a_log_in_a_long_path_has_its_bells_elsewhere(tmp_path, clock, process, no_backstop):
    folder = tmp_path / ("long-" * 20)
    log = LmdbLog(str(folder), clock)
    await log.open()
    await log.create(1)
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    bells = doorbell_module.bell_folder(folder)
    assert bells.parent != folder
    assert len(bells_in(bells)) == 1
    assert bells.stat().st_mode & 0o777 == 0o700
    process("write", folder, "w", [1])
    assert await asyncio.wait_for(waiting, WITHIN_S) is True
    await log.close()
    assert bells_in(bells) == []
    bells.rmdir()


async def test_nobody_listens_any_more_when_nobody_has_waited_for_long(log, folder, monkeypatch):
    monkeypatch.setattr(lmdb_module, "LOOK_INTERVAL_S", 0.001)
    assert await log.wait(1, 1, 5) is False
    assert log._looking is not None
    monkeypatch.setattr(lmdb_module, "SILENT_AFTER_S", 0.02)
    await eventually(lambda: log._looking is None)
    assert bells_in(Path(folder, "bells")) == []
    waiting = asyncio.create_task(log.wait(1, 1, FOREVER_MS))
    await asyncio.sleep(0)
    await append_texts(log, 1, "a")
    assert await asyncio.wait_for(waiting, WITHIN_S) is True


# Room


async def test_appends_are_refused_before_the_disk_is_full_and_accepted_when_there_is_room(folder, clock):
    free = [10_000 * MIB]
    log = LmdbLog(folder, clock, free_bytes=lambda _: (free[0], 100_000 * MIB))
    await log.open()
    await log.create(1)
    await log.create(2)
    await append_texts(log, 1, "before")
    free[0] = 200 * MIB
    await eventually(lambda: time.monotonic() > log._room._look_again_s)
    for _ in range(3):
        with pytest.raises(LogFull, match=r"200 MiB left.* free some space there"):
            await log.append([texts(1, "refused"), texts(2, "refused too")])
    # What makes room, and what must go on, still works; marks may use the reserve.
    await log.create(MARKS_SHARD)
    marked = await asyncio.gather(*(append_texts(log, MARKS_SHARD, f"mark {n}") for n in range(5)))
    assert [one.first for one in marked] == [1, 2, 3, 4, 5]
    assert await all_texts(log, MARKS_SHARD) == [f"mark {n}" for n in range(5)]
    await log.create(3)
    await log.seal([2], [Successor(3, 0, 2**128 - 1)])
    await log.trim(1, clock.now_ms() + 1, 10)
    free[0] = 10_000 * MIB
    assert (await append_texts(log, 1, "after")).first == 2
    assert await all_texts(log, 1) == ["after"]
    await log.close()


async def test_room_given_back_by_trims_is_used_while_the_disk_stays_full(folder, clock):
    free = [10_000 * MIB]
    log = LmdbLog(folder, clock, free_bytes=lambda _: (free[0], 100_000 * MIB), map_bytes=256 * MIB)
    await log.open()
    await log.create(1)
    for _ in range(60):
        await log.append([entry(1, (None, b"x" * MIB))])
    free[0] = 0
    await eventually(lambda: time.monotonic() > log._room._look_again_s)
    with pytest.raises(LogFull):
        await append_texts(log, 1, "full")
    await log.trim(1, clock.now_ms() + 1, 1_000)
    size = file_bytes(folder)
    for _ in range(15):
        await log.append([entry(1, (None, b"y" * MIB))])
    assert file_bytes(folder) == size
    assert (await log.verify()).problems == ()
    await log.close()


async def test_appends_are_refused_before_the_map_is_full_and_go_on_after_a_trim(folder, clock):
    log = LmdbLog(folder, clock, map_bytes=8 * MIB)
    await log.open()
    await log.create(1)
    stored = []
    with pytest.raises(LogFull, match="filled the 8 MiB"):
        for number in range(1_000):
            await log.append([entry(1, ("k", number.to_bytes(4, "big") * 16 * KIB))])
            stored.append(number)
    assert len(stored) * 64 * KIB > 4 * MIB
    assert [data[:4] for _, data in (await all_records(log, 1)).values()] == [i.to_bytes(4, "big") for i in stored]
    for _ in range(3):
        await log.trim(1, clock.now_ms() + 1, 1_000)
        for _ in range(len(stored) // 2):
            await log.append([entry(1, ("k", b"y" * 64 * KIB))])
        clock.advance(10)
    assert (await log.verify()).problems == ()
    await log.close()


async def test_a_map_that_is_really_full_damages_nothing(folder, clock, monkeypatch):
    log = LmdbLog(folder, clock, map_bytes=4 * MIB)
    await log.open()
    await log.create(1)
    monkeypatch.setattr(log._room, "check", lambda *_: None)
    stored = 0
    with pytest.raises(LogFull, match="shorten the retention"):
        for _ in range(1_000):
            await log.append([entry(1, ("k", b"x" * 64 * KIB))])
            stored += 1
    assert len(await all_records(log, 1)) == stored > 10
    assert (await log.verify()).problems == ()
    await log.close()


async def test_a_disk_that_is_really_full_damages_nothing(folder, process):
    child = process("fill", folder, f"RLIMIT_FSIZE={8 * MIB}", 200)
    error, text, stored, whole, problems, _ = child.line()
    assert (error, whole, problems) == ("LogFull", True, [])
    assert "free some space" in text
    assert stored > 50
    again, problems = child.line()
    assert (again, problems) == (stored // 2, [])
    child.finish()


@pytest.fixture
def small_disk():
    """A file system of 8 MiB; needs root."""
    # Outside of pytest's folder: a mount that a killed run leaves behind must not be in the way of the next one.
    small = Path(tempfile.mkdtemp(prefix="tidegate-small-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount; the test before this one covers a full disk by a limit of file size")
    yield small
    subprocess.run(["umount", "--lazy", small], check=True)
    small.rmdir()


async def test_a_small_file_system_that_is_really_full_damages_nothing(small_disk, clock):
    log = LmdbLog(str(small_disk / "log"), clock, free_bytes=lambda _: PLENTY)
    await log.open()
    await log.create(1)
    stored = 0
    with pytest.raises(LogFull, match="is full"):
        for _ in range(1_000):
            await log.append([entry(1, ("k", b"x" * 64 * KIB))])
            stored += 1
    assert len(await all_records(log, 1)) == stored > 50
    await log.trim(1, clock.now_ms() + 1, 100)
    assert (await log.append([entry(1, ("k", b"x" * 64 * KIB))]))[0].first == stored + 1
    assert (await log.verify()).problems == ()
    await log.close()


# Reading


async def test_a_read_that_takes_long_goes_on_in_a_thread_and_answers_the_same(log, monkeypatch):
    for i in range(50):
        await append_texts(log, 1, f"{i}", f"{i}'")
    expected = await log.read(1, 2, 90, MIB)
    assert len(expected.slices) > 40
    monkeypatch.setattr(lmdb_module, "READ_INLINE_S", -1)
    monkeypatch.setattr(lmdb_module, "NEAR_TIP_RECORDS", 10)
    seen = []
    run = log._readers.submit
    monkeypatch.setattr(log._readers, "submit", lambda *args: seen.append(1) or run(*args))
    assert await log.read(1, 2, 90, MIB) == expected
    assert await log.read(1, 2, 90, MIB) == expected
    assert len(seen) == 2
    assert (await log.read(1, 101, 10, MIB)).slices == []
    assert len(seen) == 2, "at the tip there is nothing to read from the disk"


async def test_a_read_is_never_longer_than_its_time_but_gets_on(log, monkeypatch):
    monkeypatch.setattr(lmdb_module, "READ_INLINE_S", -1)
    monkeypatch.setattr(lmdb_module, "READ_IN_THREAD_S", -1)
    for i in range(10):
        await append_texts(log, 1, str(i))
    batch = await log.read(1, 1, 100, MIB)
    assert 1 <= len(batch.slices) < 10
    assert await all_texts(log, 1) == [str(i) for i in range(10)]


async def test_verify_takes_many_short_looks_and_finds_what_is_wrong(log, monkeypatch):
    monkeypatch.setattr(lmdb_verify, "STEP_S", -1)
    for i in range(20):
        await append_texts(log, 1, f"{i}")
    seen = await log.verify()
    assert (seen.batches, seen.records, seen.problems) == (20, 20, ())
    databases = log._databases
    with log._env.begin(write=True) as txn:
        kept = txn.get(batch_key(1, 7), db=databases.batches)
        txn.delete(batch_key(1, 7), db=databases.batches)
    problems = (await log.verify()).problems
    assert any("offset 7 is missing" in problem for problem in problems)
    with log._env.begin(write=True) as txn:
        txn.put(batch_key(1, 7), kept[:-1] + b"!!"[:1], db=databases.batches)
        state = decode_state(memoryview(txn.get(SHARD_KEY.pack(1), db=databases.shards)))
        state.totals[1] += 1
        txn.put(SHARD_KEY.pack(1), encode_state(state), db=databases.shards)
    assert any("the totals are" in problem for problem in (await log.verify()).problems)
    with log._env.begin(write=True) as txn:
        txn.put(batch_key(1, 9), b"\x63" + kept[1:], db=databases.batches)
    assert any("cannot be read" in problem for problem in (await log.verify()).problems)
    await log.close()


async def test_an_append_never_overwrites_a_batch_that_should_not_be_there(log):
    await append_texts(log, 1, "a")
    with log._env.begin(write=True) as txn:
        txn.put(batch_key(1, 2), b"what is this", db=log._databases.batches)
    results = await asyncio.gather(append_texts(log, 1, "b"), append_texts(log, 2, "c"), return_exceptions=True)
    assert isinstance(results[0], LogUnavailable)
    assert "fsck" in str(results[0])
    assert results[1].first == 1
    with log._env.begin(write=True) as txn:
        assert txn.get(batch_key(1, 2), db=log._databases.batches) == b"what is this"
        txn.delete(batch_key(1, 2), db=log._databases.batches)


def anonymous_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * KIB
    raise AssertionError


async def test_memory_does_not_grow_with_what_is_stored(log):
    records = entry(1, *((f"key-{i}", os.urandom(100)) for i in range(2_000)))

    async def store_and_read(times):
        for _ in range(times):
            await log.append([records])
            end = (await log.bounds(1)).next_offset
            await log.read(1, end - 2_700, 10_000, MIB)

    await store_and_read(40)
    before = anonymous_bytes()
    await store_and_read(110)
    assert (await log.bounds(1)).totals.records == 300_000
    assert anonymous_bytes() - before < 16 * MIB
