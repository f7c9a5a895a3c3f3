"""What metering costs of PutRecords: the same calls with and without it, by turns, in one process.

`python -m tests.bench.metering` prints JSON: nanoseconds that metering adds to a call, and how far off that may be. Without it
means: no plan and no meter key is made, no units are reckoned, and the record log keeps a shard's totals, which trimming
needs, but no sums by hour and key. What is compared is the processor time of all threads, on LMDB: the server is bound by it,
and a disk's moods do not come in. Of many pairs of rounds the median counts. run.py sets it against what a whole call takes.
"""
# ruff: noqa: E402 - Django is set up before its models are imported

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.settings")
import django

django.setup()

from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.billing.plans import Plan
from apps.recordlog.interface import Entry
from apps.recordlog.shard_state import ShardState, meter
from apps.recordlog.stored_batch import GrowingShard
from apps.runtime import Call, Runtime, build
from apps.streams.catalog import Catalog, StreamView
from apps.streams.models import StreamMode
from apps.streams.operations import records
from apps.streams.placement import Group
from apps.streams.shapes import PutRecordsEntry, PutRecordsRequest
from apps.streams.snapshots import Snapshot
from tests.bench.data_plane import DECODER, ENCODER, PRINCIPAL, view

STANDARD_ERROR = 0.93
"""Of a median, in widths of the middle half over the root of how many there are (of a normal distribution)."""

PAIRS = 160
CALLS = 10
"""Of one round; about 10 ms."""

CALLS_BEFORE = 3

CASES = {
    "500 x 100 B": (StreamMode.PROVISIONED, 500, 100),
    "100 x 1 KB": (StreamMode.PROVISIONED, 100, 1_024),
    "500 x 100 B, on-demand": (StreamMode.ON_DEMAND, 500, 100),
    "100 x 1 KB, on-demand": (StreamMode.ON_DEMAND, 100, 1_024),
}
"""Name: mode, records, bytes of each. In the last one, with its key, each record has to be rounded up by itself."""


def constant(value: Any) -> Callable[..., Any]:
    """Answers that, as cheaply as a function can."""
    return lambda *_: value


def first(key: str, _: Plan) -> str:
    """Instead of keyed."""
    return key


@contextmanager
def unmetered() -> Iterator[None]:
    """Tidegate as it would be if nobody were to be billed."""

    def total(self: GrowingShard, entry: Entry) -> None:
        row = self._meters.get("")
        if row is None:
            self._meters[""] = [entry.count, entry.size_bytes, entry.payload_units, 0]
        else:
            meter(row, entry.count, entry.size_bytes, entry.payload_units, 0)

    def book(self: ShardState, next_offset: int, arrival_ms: int, meters: dict[str, Any]) -> None:
        self.next_offset = next_offset
        self.newest_ms = self.floor_ms = arrival_ms
        for sums in meters.values():
            meter(self.totals, *sums)

    with (
        mock.patch.object(GrowingShard, "_meter", total),
        mock.patch.object(ShardState, "book", book),
        mock.patch.object(ShardState, "roll_hour", constant(None)),
        mock.patch.object(StreamView, "plan_at", constant(Plan.PROVISIONED)),
        mock.patch.object(Group, "payload_units", constant(0)),
        mock.patch.object(records, "keyed", first),
    ):
        yield


async def processor_ns(put: Callable[[], Awaitable[None]]) -> int:
    """Of one round. The first calls after a function was changed are slower: they do not count."""
    for _ in range(CALLS_BEFORE):
        await put()
    began = time.process_time_ns()
    for _ in range(CALLS):
        await put()
    return time.process_time_ns() - began


async def costs(put: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Nanoseconds a call that metering adds: the median of pairs of rounds, and its standard error. Each pair is in the other
    order than the one before."""
    added: list[float] = []
    ours = 0
    for pair in range(PAIRS):
        if pair % 2:
            ours = await processor_ns(put)
        with unmetered():
            free = await processor_ns(put)
        if not pair % 2:
            ours = await processor_ns(put)
        added.append((ours - free) / CALLS)
    low, middle, high = statistics.quantiles(added, n=4)
    return middle, STANDARD_ERROR * (high - low) / PAIRS**0.5


async def measure(runtime: Runtime) -> dict[str, tuple[float, float]]:
    """Every case."""
    await runtime.open()
    gc.disable()  # it would fall upon some rounds and not on others
    now_ms = runtime.clock.now_ms()
    stream = view(4, now_ms)
    for shard in stream.open_shards:
        await runtime.record_log.create(shard.key)
    found = {name: await costs(putting(runtime, stream, *case)) for name, case in CASES.items()}
    await runtime.close()
    return found


def putting(runtime: Runtime, stream: StreamView, mode: str, count: int, size: int) -> Callable[[], Awaitable[None]]:
    """One PutRecords, from JSON to JSON."""
    catalog, of_mode = runtime.part(Catalog), replace(stream, mode=mode)
    entries = [PutRecordsEntry(os.urandom(size), f"key-{i}") for i in range(count)]
    body = ENCODER.encode(PutRecordsRequest(entries, stream_name="bench"))

    async def put() -> None:
        at_ms = runtime.clock.now_ms()
        catalog._snapshots[PRINCIPAL.account_id, "bench"] = Snapshot(of_mode, at_ms)
        ENCODER.encode(await records.put_records(Call(runtime, PRINCIPAL, "r", at_ms), DECODER.decode(body)))

    return put


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        runtime = build(Config(record_log_url=f"lmdb:{folder}/log", throttle=False), SystemClock())
        print(json.dumps(asyncio.run(measure(runtime))))


if __name__ == "__main__":
    main()
