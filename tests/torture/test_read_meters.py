"""kill -9 of processes that count reads: at most the last second is missing, and nothing was ever added."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from apps.base.clock import SystemClock
from apps.base.units import HOUR_MS
from apps.recordlog.lmdb import LmdbLog
from apps.streams.read_meters import READS_KEY, STREAM, ReadMeters, Saved

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5
PROCESSES = 2
KEYS = 3

pytestmark = pytest.mark.torture


async def read_on(folder: str, name: str) -> None:
    """Give 7 bytes each millisecond or so, and say the time and all that was given before giving more."""
    log = LmdbLog(folder, SystemClock())
    await log.open()
    meters = ReadMeters(SimpleNamespace(record_log=log))  # type: ignore[arg-type]
    given: Counter[str] = Counter()
    for number in range(1_000_000):
        key = f"{name}-{number % KEYS}"
        now_ms = log._clock.now_ms()
        meters.add((1, STREAM, 7, "s", "bytes-out", key, now_ms // HOUR_MS), 7)
        given[key] += 7
        sys.stdout.write(json.dumps([now_ms, given]) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.001)


async def saved(folder: Path) -> Counter[str]:
    log = LmdbLog(str(folder), SystemClock())
    await log.open()
    newest: dict[Any, int] = {}
    batch = await log.read(READS_KEY, 1, 100_000, 1 << 25)
    for part in batch.slices:
        for data in part.records[1::2]:
            one = msgspec.msgpack.decode(data, type=Saved)  # type: ignore[arg-type]
            newest.update({(one.incarnation, row.key): row.value for row in one.rows})
    assert (await log.verify()).problems == ()
    await log.close()
    total: Counter[str] = Counter()
    for (_, key), value in newest.items():
        total[key[5]] += value
    return total


def started(log: Path, word: Path) -> subprocess.Popen[bytes]:
    """A process that says what it gives in a file of the name it has."""
    command = [sys.executable, "-m", "tests.torture.test_read_meters", str(log), word.name]
    with word.open("wb") as said:
        return subprocess.Popen(command, cwd=ROOT, stdout=said)


def all_said_something(words: list[Path]) -> bool:
    return all(word.stat().st_size for word in words)


def test_kills_lose_a_second_at_most_and_add_nothing(tmp_path: Path) -> None:
    from tests.support.runtimes import until  # not in the processes, which have no Django

    dice = random.Random(1)
    at_least: Counter[str] = Counter()
    at_most: Counter[str] = Counter()
    for kill in range(KILLS):
        words = [tmp_path / f"{kill}-{number}" for number in range(PROCESSES)]
        processes = [started(tmp_path / "log", word) for word in words]
        until(partial(all_said_something, words))
        time.sleep(1.2 + dice.random())
        for process, word in zip(processes, words, strict=True):
            process.kill()
            process.wait(30)
            said = [json.loads(line) for line in word.read_text().splitlines(keepends=True) if line.endswith("\n")]
            killed_ms, given = said[-1]
            at_most.update(
                {key: value + 7 for key, value in given.items()}
            )  # one may have been given and not been said
            at_least.update([before for at_ms, before in said if at_ms <= killed_ms - 1_000][-1])
    found = asyncio.run(saved(tmp_path / "log"))
    assert set(found) == set(at_most)
    assert all(at_least[key] <= found[key] <= at_most[key] for key in found), (at_least, found, at_most)
    assert sum(found.values()) < sum(at_most.values())


if __name__ == "__main__":
    asyncio.run(read_on(*sys.argv[1:]))
