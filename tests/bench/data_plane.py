"""What the data plane alone costs: nanoseconds of this process's CPU per record, without HTTP and signatures.

`python -m tests.bench.data_plane [memory|lmdb]`. Best of several rounds, because a shared machine only ever adds.
"""
# ruff: noqa: E402 - Django is set up before its models are imported

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.settings")
import django

django.setup()

import msgspec

from apps.accounts.models import Team
from apps.accounts.principal import Principal
from apps.base.clock import SystemClock
from apps.base.config import Config
from apps.runtime import Call, Runtime, build
from apps.streams.catalog import Catalog, ConsumerView, StreamView, view_of
from apps.streams.models import Stream
from apps.streams.operations import polling, records
from apps.streams.shapes import (
    GetRecordsRequest,
    GetShardIteratorRequest,
    PutRecordRequest,
    PutRecordsEntry,
    PutRecordsRequest,
)
from apps.streams.snapshots import Snapshot
from apps.streams.subscriptions import Place, Subscription, Subscriptions
from apps.streams.topology import even_ranges
from apps.throttle.local import NoThrottle

PRINCIPAL = Principal(1, "123456789012", "AKIDEXAMPLE")
ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(PutRecordsRequest)


def view(shards: int, now_ms: int) -> StreamView:
    """A stream as the catalogue would give it."""
    stream = Stream(
        pk=1, team=Team(pk=1, account_id=PRINCIPAL.account_id), region="us-east-1", name="bench", stream_id="x",
        status="ACTIVE", created_at_ms=now_ms, version=1,
    )  # fmt: skip
    rows = [
        SimpleNamespace(
            pk=i + 1, index=i, start_hash=str(a), end_hash=str(b), created_s=now_ms // 1000 - 3, parent_index=None,
            adjacent_parent_index=None, opened_at_ms=now_ms, closed_at_ms=None, expired_at_ms=None,
        )
        for i, (a, b) in enumerate(even_ranges(shards))
    ]  # fmt: skip
    return view_of(stream, rows)  # type: ignore[arg-type]


async def timed(name: str, each: Callable[[], Awaitable[int]], rounds: int = 7, calls: int = 60) -> None:
    """Best round's CPU time per record (or call, where a call is one record)."""
    best = float("inf")
    for _ in range(rounds):
        count, began = 0, time.process_time_ns()
        for _ in range(calls):
            count += await each()
        best = min(best, (time.process_time_ns() - began) / count)
    print(f"{name:55s} {best:9.0f} ns  {1e9 / best:12,.0f} /s")


async def pushing(runtime: Runtime, stream: StreamView, call: Callable[[], Call]) -> Callable[[], Awaitable[int]]:
    """A round of: put one record, and twenty subscribers have it."""
    now_ms = runtime.clock.now_ms()
    consumer = ConsumerView(1, "c", now_ms // 1000, active=True, deleting=False)
    subscriptions = runtime.part(Subscriptions)
    subscriptions.pace = NoThrottle()
    shard, live = stream.open_shards[0], []
    for number in range(20):
        bounds = await runtime.record_log.bounds(shard.key)
        place = Place(stream, shard, consumer, bounds.next_offset, now_ms)
        live.append(Subscription(subscriptions, call(), place, number))
        await anext(live[-1])
    pushed = PutRecordRequest(b"x" * 100, "key-1", explicit_hash_key="0", stream_name="bench")

    async def push() -> int:
        waiting = [asyncio.ensure_future(anext(one)) for one in live]
        await asyncio.sleep(0.0025)
        await records.put_record(call(), pushed)
        await asyncio.gather(*waiting)
        return len(live)

    return push


async def measure(runtime: Runtime) -> None:
    """All figures of one engine."""
    await runtime.open()
    now_ms = runtime.clock.now_ms()
    pinned = view(4, now_ms)
    catalog = runtime.part(Catalog)
    for shard in pinned.open_shards:
        await runtime.record_log.create(shard.key)

    def call() -> Call:
        at_ms = runtime.clock.now_ms()
        catalog._snapshots[PRINCIPAL.account_id, "bench"] = Snapshot(pinned, at_ms)
        return Call(runtime, PRINCIPAL, "r", at_ms)

    entries = [PutRecordsEntry(b"x" * 100, f"key-{i}") for i in range(500)]
    request = PutRecordsRequest(entries, stream_name="bench")
    body = ENCODER.encode(request)
    one = PutRecordRequest(b"x" * 100, "key-1", stream_name="bench")

    async def put_records() -> int:
        return len((await records.put_records(call(), request)).records)

    async def put_records_coded() -> int:
        answer = await records.put_records(call(), DECODER.decode(body))
        return len(ENCODER.encode(answer)) and 500

    async def put_record() -> int:
        await records.put_record(call(), one)
        return 1

    async def put_record_64() -> int:
        await asyncio.gather(*(records.put_record(call(), one) for _ in range(64)))
        return 64

    started = GetShardIteratorRequest("shardId-000000000001", "TRIM_HORIZON", stream_name="bench")
    token = (await polling.get_shard_iterator(call(), started)).shard_iterator

    async def get_records() -> int:
        return len((await polling.get_records(call(), GetRecordsRequest(token))).records)

    async def get_records_coded() -> int:
        answer = await polling.get_records(call(), GetRecordsRequest(token))
        return len(ENCODER.encode(answer)) and len(answer.records)

    async def get_few() -> int:
        return len((await polling.get_records(call(), GetRecordsRequest(token, limit=100))).records)

    print(type(runtime.record_log).__name__)
    await timed("Event of one record, 20 subscribers", await pushing(runtime, pinned, call), calls=20)
    await timed("PutRecords 500 x 100 B, 4 shards", put_records)
    await timed("PutRecords 500 x 100 B, with JSON in and out", put_records_coded)
    await timed("GetRecords 10,000 x 100 B", get_records, calls=3)
    await timed("GetRecords 10,000 x 100 B, with JSON out", get_records_coded, calls=3)
    await timed("GetRecords 100 x 100 B", get_few)
    await timed("PutRecord 100 B, one after the other", put_record, calls=500)
    await timed("PutRecord 100 B, 64 at once", put_record_64, calls=20)
    await runtime.close()


def main() -> None:
    """The engines named on the command line, else both."""
    with tempfile.TemporaryDirectory() as folder:
        for url in sys.argv[1:] or ["memory", "lmdb"]:
            log = "memory:" if url == "memory" else f"lmdb:{folder}/log"
            runtime = build(Config(record_log_url=log, throttle=False), SystemClock())
            asyncio.run(measure(runtime))


if __name__ == "__main__":
    main()
