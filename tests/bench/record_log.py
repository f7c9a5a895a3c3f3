"""What the LMDB record log costs by itself, without wire and web: `python -m tests.bench.record_log [folder]`.

ns/rec and us/call are processor time of the whole process (all threads) divided by what was done; the load is made
in the same process, and what making it costs is measured first and taken off.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from apps.base.clock import SystemClock
from apps.recordlog.interface import Entry
from apps.recordlog.lmdb import LmdbLog

SECONDS = 2.0
KEYS = [f"partition-{i * 7919 % 100_003}" for i in range(500)]


def fdatasync_ms(folder: Path, times: int = 200) -> float:
    """p50 of writing and flushing 4 KiB."""
    path = folder / "fdatasync"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    took = []
    try:
        for i in range(times):
            os.pwrite(descriptor, os.urandom(4096), i * 4096)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(took) * 1_000


def entries_of(records: int, size: int, shards: int) -> list[list[Entry]]:
    """Some calls' entries, made beforehand: the records of one call spread over the shards."""
    calls = []
    for _ in range(20):
        entries = []
        for shard in range(1, min(shards, records) + 1):
            count = records // min(shards, records)
            flat: list[str | bytes | None] = []
            for i in range(count):
                flat += [KEYS[(shard * 31 + i) % 500], os.urandom(size)]
            bytes_ = sum(len(part) for part in flat)
            entries.append(Entry(shard, flat, count, bytes_, count, "AKIAEXAMPLE"))
        calls.append(entries)
    if records == 1:
        for i, call in enumerate(calls):
            call[0].shard = i % shards + 1
    return calls


class NullLog:
    """Answers after one turn of the loop: what the load itself costs."""

    async def append(self, entries):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        return await future


async def load(log, calls, callers: int, seconds: float) -> tuple[int, float, float, list[float]]:
    """(calls done, seconds, processor seconds, latencies)."""
    done = 0
    latencies = []
    until = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        nonlocal done
        i = number
        while (began := time.perf_counter()) < until:
            await log.append(calls[i % len(calls)])
            latencies.append(time.perf_counter() - began)
            done += 1
            i += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(n) for n in range(callers)))
    return done, time.perf_counter() - began, time.process_time() - cpu, latencies


async def appends(log, name: str, records: int, size: int, shards: int, callers: int) -> None:
    calls = entries_of(records, size, shards)
    per_call = sum(entry.count for entry in calls[0])
    null_done, _, null_cpu, _ = await load(NullLog(), calls, callers, 0.2)
    done, took, cpu, latencies = await load(log, calls, callers, SECONDS)
    latencies.sort()
    net = cpu / done - null_cpu / null_done
    print(
        f"{name:34s} {done / took:9,.0f} calls/s {done * per_call / took:11,.0f} rec/s  "
        f"p50 {latencies[len(latencies) // 2] * 1e3:6.2f} ms  p99 {latencies[len(latencies) * 99 // 100] * 1e3:6.2f} ms  "
        f"{net * 1e6:7.1f} us/call {net / per_call * 1e9:8.0f} ns/rec  cpu {cpu / took:4.2f}"
    )


async def drain(log, name: str, shard: int, limit: int) -> None:
    bounds = await log.bounds(shard)
    start, records, slices = bounds.first_offset, 0, 0
    began, cpu = time.perf_counter(), time.process_time()
    while True:
        batch = await log.read(shard, start, limit, 10 * 1_048_576)
        records += sum(len(part.records) // 2 for part in batch.slices)
        slices += len(batch.slices)
        start = batch.next_offset
        if start >= batch.end_offset or time.perf_counter() - began > SECONDS:
            break
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{name:34s} {records / took:11,.0f} rec/s  {records / max(1, slices):7.1f} rec/slice  "
        f"{cpu / records * 1e9:8.0f} ns/rec  ({records:,} records)"
    )


async def wake(log, shard: int) -> None:
    took = []
    entry = Entry(shard, ["key", b"x" * 100], 1, 103, 1)
    for _ in range(200):
        end = (await log.bounds(shard)).next_offset
        waiter = asyncio.create_task(log.wait(shard, end, 5_000))
        await asyncio.sleep(0)
        began = time.perf_counter()
        append = asyncio.create_task(log.append([entry]))
        assert await waiter
        took.append(time.perf_counter() - began)
        await append
    print(f"append -> waiter awake               p50 {statistics.median(took) * 1e3:.2f} ms")


async def main(folder: Path) -> None:
    print(f"fdatasync 4 KiB p50 {fdatasync_ms(folder):.3f} ms in {folder}")
    log = LmdbLog(str(folder / "log"), SystemClock())
    await log.open()
    for shard in range(1, 41):
        await log.create(shard)
    for callers in (1, 16, 64, 256):
        await appends(log, f"PutRecord 100 B, {callers} callers", 1, 100, 16, callers)
    for callers in (4, 16):
        await appends(log, f"500 x 100 B, 16 shards, {callers} callers", 500, 100, 16, callers)
    await appends(log, "500 x 100 B, 4 shards, 4 callers", 500, 100, 4, 4)
    await appends(log, "500 x 100 B, 1 shard, 4 callers", 500, 100, 1, 4)
    await appends(log, "100 x 1000 B, 16 shards, 16 callers", 100, 1_000, 16, 16)
    await drain(log, "read, limit 10000", 1, 10_000)
    await drain(log, "read, limit 1000", 1, 1_000)
    single = entries_of(1, 100, 1)
    for call in single:
        call[0].shard = 40
    await load(log, single, 1, 1.0)
    await drain(log, "read singles, limit 10000", 40, 10_000)
    began = time.perf_counter()
    for _ in range(1_000):
        await log.find(1, 1)
        await log.bounds(1)
    print(f"find + bounds                        {(time.perf_counter() - began) * 1e3:.1f} us")
    await wake(log, 40)
    await log.close()


if __name__ == "__main__":
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir())
    work = Path(tempfile.mkdtemp(dir=parent))
    try:
        uvloop.run(main(work))
    finally:
        shutil.rmtree(work)
