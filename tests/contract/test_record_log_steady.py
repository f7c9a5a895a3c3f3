"""Under steady load the LMDB file stops growing: what trims free is used again, also after readers were killed."""

import random

import lmdb
import pytest

from apps.base.units import KIB, MIB, SECOND_MS
from apps.recordlog import committer as committer_module
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.lmdb_compact import DATA
from tests.support.keyrings import TestKeyring
from tests.support.record_logs import Process, entry
from tests.support.waiting import eventually

KEPT_ROUNDS = 10
"""Seconds of records that stay; one round is a second of load."""

WARM_ROUNDS = 3 * KEPT_ROUNDS
SLACK = 1.15
"""Pages are of different runs: some are free and too short for what comes."""


UNFLUSHED = {"sync": False, "metasync": False}


LONG_SLACK = 1.4
"""Two readers that are held up at once keep more or less, as it happens."""


class Load:
    """Steady writers and the trims that follow them, on a clock that is moved by hand."""

    def __init__(self, log, clock, keyring, seed=1):
        self.log = log
        self.clock = clock
        self.key = keyring.key(1)
        self.random = random.Random(seed)
        self.rounds = 0

    async def run(self, rounds):
        for _ in range(rounds):
            self.rounds += 1
            sizes = [self.random.choice((100, KIB, 10 * KIB, 60 * KIB)) for _ in range(12)]
            data = self.random.randbytes(60 * KIB)
            key = self.key if self.rounds % 2 else None
            await self.log.append([entry(1 + n % 3, (f"k{n}", data[:size]), key=key) for n, size in enumerate(sizes)])
            self.clock.advance(SECOND_MS)
            for shard in (1, 2, 3):
                while (await self.log.trim(shard, self.clock.now_ms() - KEPT_ROUNDS * SECOND_MS, 10_000)).more:
                    pass


@pytest.fixture
async def load(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(committer_module, "CHORES_INTERVAL_S", 0.05)
    # Which pages are used again has nothing to do with flushing, and the disk would take most of the time.
    flushing = lmdb.open
    monkeypatch.setattr(lmdb, "open", lambda *args, **options: flushing(*args, **(options | UNFLUSHED)))
    keyring = TestKeyring()
    log = LmdbLog(str(tmp_path / "log"), clock, keyring)
    await log.open()
    for shard in (1, 2, 3):
        await log.create(shard)
    yield Load(log, clock, keyring)
    assert (await log.verify()).problems == ()
    await log.close()


@pytest.fixture
def size(tmp_path):
    return lambda: (tmp_path / "log" / DATA).stat().st_size


@pytest.fixture
def reader(tmp_path):
    """Starts a process that is inside a read transaction, and stays there."""
    started = []

    def start():
        process = Process("hold_a_read", tmp_path / "log")
        assert process.line()[0] == "reading"
        started.append(process)
        return process

    yield start
    for process in started:
        if process.popen.returncode is None:
            process.kill()


async def killed(load, *readers):
    """Kill them, and wait until the log's chores have found out."""
    for reader in readers:
        reader.kill()
    pids = {str(reader.popen.pid) for reader in readers}

    async def forgotten():
        return pids.isdisjoint(load.log._env.readers().split())

    await eventually(forgotten)


async def steady(load, size, rounds):
    """The file is no larger after the rounds than before, but for a trifle."""
    before = size()
    await load.run(rounds)
    assert size() <= before * SLACK, (before, size())


async def test_the_file_stops_growing(load, size):
    await load.run(WARM_ROUNDS)
    await steady(load, size, 80)
    assert size() < 16 * MIB


async def test_a_reader_killed_inside_its_transaction_does_not_make_it_grow_for_ever(load, size, reader):
    await load.run(WARM_ROUNDS)
    small = size()
    held = reader()
    await load.run(30)
    assert size() > small * 1.3, "a reader holds back the pages it may still look at"
    await killed(load, held)
    await load.run(40)
    await steady(load, size, 80)


@pytest.mark.torture
async def test_the_file_stops_growing_for_long_with_readers_killed_again_and_again(load, size, reader):
    await load.run(WARM_ROUNDS)
    for _ in range(10):
        held = [reader() for _ in range(2)]
        await load.run(10)
        await killed(load, *held)
        await load.run(40)
    largest = size()
    for _ in range(20):
        held = [reader() for _ in range(2)]
        await load.run(10)
        await killed(load, *held)
        await load.run(100)
    assert size() <= largest * LONG_SLACK, (largest, size())
    await steady(load, size, 3_000)
