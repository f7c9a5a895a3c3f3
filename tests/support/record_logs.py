"""Entries for record logs, and processes that use one: `python -m tests.support.record_logs <part> <folder> …`.

A process prints one JSON line per thing it has seen acknowledged, and ends when its standard input does.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apps.base.clock import FakeClock, SystemClock
from apps.recordlog.interface import Entry, RecordLog, RecordLogError, ShardClosed, Successor
from apps.recordlog.lmdb import LmdbLog
from apps.recordlog.stored_batch import kib_units, payload_units, record_bytes

ROOT = Path(__file__).resolve().parents[2]


def entry(
    shard: int, *records: tuple[str | None, bytes], meter_key: str = "other", producer: Any = None, key: Any = None
) -> Entry:
    """An Entry of (key, data) pairs with the right sums."""
    flat: list[Any] = [part for record in records for part in record]
    sizes = [record_bytes(flat, i) for i in range(0, len(flat), 2)]
    units = sum(map(payload_units, sizes)), meter_key, producer, key, sum(map(kib_units, sizes))
    return Entry(shard, flat, len(records), sum(sizes), *units)


def texts(shard: int, *datas: str, **more: Any) -> Entry:
    """An Entry of records with the key "k"."""
    return entry(shard, *(("k", data.encode()) for data in datas), **more)


async def append_texts(log: RecordLog, shard: int, *datas: str) -> Any:
    """Append one entry; its result."""
    [result] = await log.append([texts(shard, *datas)])
    return result


async def all_records(log: RecordLog, shard: int, start: int = 1) -> dict[int, tuple[Any, Any]]:
    """Every stored record by its offset."""
    found: dict[int, tuple[Any, Any]] = {}
    while True:
        batch = await log.read(shard, start, 10_000, 10_000_000)
        for part in batch.slices:
            for i in range(0, len(part.records), 2):
                found[part.first + i // 2] = (part.records[i], part.records[i + 1])
        start = batch.next_offset
        if start >= batch.end_offset:
            return found


async def all_texts(log: RecordLog, shard: int) -> list[str]:
    """The data of every stored record, in order."""
    return [data.decode() for _, data in (await all_records(log, shard)).values()]


class Process:
    """One of the parts below, running."""

    def __init__(self, part: str, *arguments: Any) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.support.record_logs", part, *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> Any:
        """The next thing it says. Fails if it has ended."""
        line = self.popen.stdout.readline()
        assert line.endswith("\n"), "the process has ended"
        return json.loads(line)

    def kill(self) -> list[Any]:
        """SIGKILL; all whole lines it had written."""
        self.popen.kill()
        return self._rest()

    def finish(self) -> list[Any]:
        """Let it end by itself; all lines it still wrote."""
        self.popen.stdin.close()
        lines = self._rest()
        assert self.popen.returncode == 0
        return lines

    def _rest(self) -> list[Any]:
        lines = [json.loads(line) for line in self.popen.stdout if line.endswith("\n")]
        self.popen.wait(30)
        self.popen.stdout.close()
        if not self.popen.stdin.closed:
            self.popen.stdin.close()
        return lines


def say(*things: Any) -> None:
    sys.stdout.write(json.dumps(things) + "\n")
    sys.stdout.flush()


def told_to_end() -> asyncio.Event:
    """Set when standard input ends."""
    ended = asyncio.Event()

    def look() -> None:
        if not sys.stdin.buffer.raw.read(1):
            asyncio.get_running_loop().remove_reader(sys.stdin)
            ended.set()

    asyncio.get_running_loop().add_reader(sys.stdin, look)
    return ended


async def write_entries(log: RecordLog, name: str, shards: Iterable[int], ended: asyncio.Event, tasks: int = 8) -> None:
    """Tasks that append entries of 1 to 7 records "<name>.<task> <number> <i>/<count>" as fast as they can.

    Says [task, number, shard, first, count] once acknowledged; goes where a sealed shard's refusal points.
    """

    async def write(task: int) -> None:
        where = {shard: shard for shard in shards}
        for number in range(1_000_000):
            if ended.is_set():
                return
            home = list(where)[number % len(where)]
            count = (number + task) % 7 + 1
            datas = [f"{name}.{task} {number} {i}/{count}" for i in range(count)]
            while True:
                result = await append_texts(log, where[home], *datas)
                if not isinstance(result, ShardClosed):
                    break
                where[home] = result.successors[0].shard
            say(f"{name}.{task}", number, where[home], result.first, count)

    await asyncio.gather(*(write(task) for task in range(tasks)))


async def write(folder: str, name: str, shards: str) -> None:
    """Append to these shards until told to end, or killed."""
    log = LmdbLog(folder, SystemClock())
    await log.open()
    for shard in json.loads(shards):
        await log.create(shard)
    say("ready")
    await write_entries(log, name, json.loads(shards), told_to_end())
    await log.close()


async def write_and_seal(folder: str, name: str, shards: str, rounds: str) -> None:
    """The same, while sealing every shard so many times: each into the next 100 higher."""
    log = LmdbLog(folder, SystemClock())
    await log.open()
    say("ready")
    ended, writing_ended = told_to_end(), asyncio.Event()
    writing = asyncio.create_task(write_entries(log, name, json.loads(shards), writing_ended))
    for generation in range(int(rounds)):
        for home in json.loads(shards):
            parent, child = home + 100 * generation, home + 100 * (generation + 1)
            await log.wait(parent, 40, 10_000)
            await log.create(child)
            [(end, at_ms)] = await log.seal([parent], [Successor(child, 0, 2**128 - 1)])
            say("sealed", parent, end, at_ms)
    say("all sealed")
    await ended.wait()
    writing_ended.set()
    await writing
    await log.close()


async def hold_a_read(folder: str) -> None:
    """Stay inside a read transaction until killed."""
    log = LmdbLog(folder, SystemClock())
    await log.open()
    reading = log._env.begin()
    say("reading", reading.id())
    await told_to_end().wait()


async def wait_for(folder: str, shard: str, past: str) -> None:
    """Say when the shard has passed an offset."""
    log = LmdbLog(folder, SystemClock())
    await log.open()
    waiting = asyncio.create_task(log.wait(int(shard), int(past), 60_000))
    await asyncio.sleep(0)
    say("waiting")
    answer = await waiting
    say("woken", answer)
    await told_to_end().wait()
    await log.close()


async def fill(folder: str, limit: str, at_most: str) -> None:
    """Append 64 KiB so many times to shard 1, or until the log says it is full, under a limit of file size or of address space.

    Says the error's class, how many were acknowledged, whether all of them can be read, and what goes after a trim.
    """
    import resource

    kind, size = limit.split("=")
    resource.setrlimit(getattr(resource, kind), (int(size), int(size)))
    log = LmdbLog(folder, FakeClock(), free_bytes=lambda _: (1 << 50, 1 << 50))
    await log.open()
    await log.create(1)
    stored, error = 0, None
    while error is None and stored < int(at_most):
        try:
            await log.append([entry(1, ("k", stored.to_bytes(4, "big") * 16_384))])
            stored += 1
        except RecordLogError as raised:
            error = raised
    found = await all_records(log, 1)
    whole = [data[:4] for _, data in found.values()] == [i.to_bytes(4, "big") for i in range(stored)]
    problems = (await log.verify()).problems
    say(type(error).__name__, str(error), stored, whole, problems, log._env.info()["map_size"])
    await log.trim(1, 1 << 60, 1 << 60)
    again = 0
    for _ in range(stored // 2):
        await log.append([entry(1, ("k", b"x" * 65_536))])
        again += 1
    say(again, (await log.verify()).problems)
    await log.close()


async def compact_up_to(folder: str, stage: str) -> None:
    """Compact, and wait for SIGKILL when that stage is told. Never comes back from it."""
    from apps.recordlog.lmdb_compact import compact

    def told(what: str, done: int, total: int) -> None:
        if what == stage and (done or what == "Replacing"):
            say("at", what)
            sys.stdin.buffer.raw.read(1)
            os.kill(os.getpid(), signal.SIGKILL)

    compact(Path(folder), told)
    say("done")


async def open_and_say(folder: str) -> None:
    """Open the log, and say whether that went well."""
    log = LmdbLog(folder, SystemClock())
    say("opening")
    try:
        await log.open()
    except RecordLogError as error:
        say("failed", str(error))
    else:
        say("open", (await log.verify()).records)
        await log.close()
    await told_to_end().wait()


PARTS = {
    "write": write,
    "write_and_seal": write_and_seal,
    "hold_a_read": hold_a_read,
    "wait_for": wait_for,
    "fill": fill,
    "compact_up_to": compact_up_to,
    "open_and_say": open_and_say,
}

if __name__ == "__main__":
    asyncio.run(PARTS[sys.argv[1]](*sys.argv[2:]))
