"""Compacting the LMDB record log: the same log in less room, whatever happens on the way."""

import pytest

from apps.base.clock import FakeClock
from apps.base.units import HOUR_MS, KIB
from apps.recordlog.interface import LogFull, LogUnavailable, Successor
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.lmdb_compact import COPY, DATA, LogInUse, compact
from tests.support.keyrings import TestKeyring
from tests.support.record_logs import Process, all_records, append_texts, entry, texts

PLENTY = (1 << 50, 1 << 50)


@pytest.fixture
def keyring():
    return TestKeyring()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def process():
    started = []

    def start(part, *arguments):
        started.append(Process(part, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.popen.returncode is None:
            one.kill()


def silent(*_):
    pass


async def opened(folder, clock, keyring):
    built = LmdbLog(str(folder), clock, keyring)
    await built.open()
    return built


async def all_of(folder, keyring):
    """Everything that a log has to tell."""
    log = await opened(folder, FakeClock(), keyring)
    verified = await log.verify()
    assert verified.problems == ()
    found = {
        shard: (await all_records(log, shard), await log.bounds(shard), await log.meters(shard, 0))
        for shard in (1, 2, 3)
    }
    incarnation = log.incarnation()
    await log.close()
    return incarnation, verified, found


@pytest.fixture
async def used(folder, clock, keyring):
    """A closed log that was written to and mostly trimmed; what it has to tell."""
    log = await opened(folder, clock, keyring)
    for shard in (1, 2, 3):
        await log.create(shard)
    for number in range(30):
        key = keyring.key(1) if number % 3 == 0 else None
        await log.append(
            [
                entry(1, *((f"k{i}", bytes([i]) * KIB) for i in range(200)), meter_key=f"AK{number % 4}", key=key),
                texts(2, f"{number}", producer=("p", number + 1)),
            ]
        )
        clock.advance(HOUR_MS // 4)
    await log.seal([2], [Successor(3, 0, 2**128 - 1)])
    assert (await log.trim(1, clock.now_ms() - HOUR_MS, 1_000_000)).records > 5_000
    await log.close()
    return await all_of(folder, keyring)


async def test_everything_is_as_before_in_less_room(folder, keyring, used, clock):
    told = []
    before = (folder / DATA).stat().st_size
    done = compact(folder, lambda what, done, total: told.append((what, done <= total)))
    assert done.before_bytes == before
    assert done.after_bytes == (folder / DATA).stat().st_size < before / 3
    assert done.entries["shards"] == 3
    assert {what for what, _ in told} >= {"Comparing", "Replacing", "Done"}
    assert all(good for _, good in told)
    assert not (folder / COPY).exists()
    assert await all_of(folder, keyring) == used
    log = await opened(folder, clock, keyring)
    first = (await log.bounds(1)).next_offset
    assert (await append_texts(log, 1, "after")).first == first
    assert await log.append([texts(3, "x", producer=("p", 1))])
    repeat = await log.append([texts(2, "again", producer=("p", 30))])
    assert repeat[0].first == 30
    await log.close()


async def test_again_and_again(folder, keyring, used):
    sizes = [compact(folder, silent).after_bytes for _ in range(3)]
    assert sizes[1] == sizes[2]
    assert await all_of(folder, keyring) == used


async def test_not_while_somebody_uses_it(folder, keyring, used, process):
    holder = process("hold_a_read", folder)
    assert holder.line()[0] == "reading"
    before = (folder / DATA).read_bytes()
    with pytest.raises(LogInUse, match="stop every process"):
        compact(folder, silent)
    assert (folder / DATA).read_bytes() == before
    holder.kill()
    compact(folder, silent)
    assert await all_of(folder, keyring) == used


@pytest.mark.parametrize("stage", ["Copying", "Comparing", "Replacing", "Done"])
async def test_killed_at_any_moment_nothing_is_lost(folder, keyring, used, process, stage):
    killed = process("compact_up_to", folder, stage)
    assert killed.line() == ["at", stage]
    killed.kill()
    assert await all_of(folder, keyring) == used
    compact(folder, silent)
    assert not (folder / COPY).exists()
    assert await all_of(folder, keyring) == used


@pytest.mark.parametrize("stage", ["Comparing", "Done"])
async def test_who_comes_meanwhile_waits_and_writes_into_no_file_that_goes(folder, keyring, used, process, stage):
    compacting = process("compact_up_to", folder, stage)
    assert compacting.line() == ["at", stage]
    late = process("open_and_say", folder)
    assert late.line() == ["opening"]
    compacting.kill()
    answer = late.line()
    assert answer[0] in {"open", "failed"}
    if answer[0] == "open":
        assert answer[1] == used[1].records
    late.finish()
    assert await all_of(folder, keyring) == used


async def test_not_without_room_for_the_copy(folder, keyring, used):
    with pytest.raises(LogFull, match="MiB beside it"):
        compact(folder, silent, lambda _: (256 << 20, 1 << 40))
    assert await all_of(folder, keyring) == used


async def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(LogUnavailable, match="There is no"):
        compact(tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


async def test_what_is_no_log(folder):
    folder.mkdir()
    (folder / DATA).write_bytes(b"x" * 10_000)
    with pytest.raises(LogUnavailable, match="not a whole record log"):
        compact(folder, silent)
    assert (folder / DATA).read_bytes() == b"x" * 10_000
