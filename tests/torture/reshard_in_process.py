"""The resharding torture inside one process: operations called directly, a clock that runs fast, workers beside them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from apps.accounts.bridge import in_thread
from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.base.config import Config
from apps.base.errors import ServiceError
from apps.gateway.invoke import invoke
from apps.leases.models import Lease
from apps.runtime import Runtime, build
from apps.streams.models import Stream
from tests.torture.resharding import Plan, Refused, Result, torture


class InProcess:
    """A client of one runtime. pause() is where time passes."""

    def __init__(self, runtime: Runtime, principal: Principal) -> None:
        self.runtime, self.principal = runtime, principal

    async def call(self, operation: str, **params: Any) -> Any:
        try:
            return await invoke(self.runtime, self.principal, "kinesis", operation, params)
        except ServiceError as error:
            raise Refused(error.code, str(error.message)) from error

    async def subscribe(self, **params: Any) -> AsyncIterator[dict[str, Any]]:
        subscription = await self.call("SubscribeToShard", **params)
        try:
            async for _, event in subscription:
                yield msgspec.to_builtins(event, builtin_types=(bytes,))
        except ServiceError as error:
            raise Refused(error.code, str(error.message)) from error
        finally:
            await subscription.aclose()

    async def pause(self) -> None:
        await asyncio.sleep(0.002)


async def run_in_process(principal: Principal, plan: Plan, log_url: str, *, throttle: bool) -> Result:
    """One seeded run: log_url is `memory:` or `lmdb:<folder>`."""
    clock = FakeClock()
    base = Config.from_environment()
    values = {name: getattr(base, name) for name in Config.__dataclass_fields__}
    values.update(record_log_url=log_url, throttle=throttle)
    runtime = build(Config(**values), clock)
    await runtime.open()
    beside = [asyncio.create_task(_pass_time(clock, plan.chance("clock"))), asyncio.create_task(_work(runtime))]
    try:
        return await _run(InProcess(runtime, principal), plan, clock)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await runtime.close()


async def _run(client: InProcess, plan: Plan, clock: FakeClock) -> Result:
    name = f"torture-{plan.seed}"
    await client.call("CreateStream", StreamName=name, ShardCount=plan.shards)
    arn = (await _active(client, name))["StreamARN"]
    consumer = (await client.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="reader"))["Consumer"]
    described = {"ConsumerStatus": ""}
    while described["ConsumerStatus"] != "ACTIVE":
        await client.pause()
        answer = await client.call("DescribeStreamConsumer", ConsumerARN=consumer["ConsumerARN"])
        described = answer["ConsumerDescription"]
    result = await torture(client, name, plan, consumer["ConsumerARN"], leaves=0.05)
    await client.call("DeleteStream", StreamName=name, EnforceConsumerDeletion=True)
    async with asyncio.timeout(60):
        while await in_thread(Stream.objects.filter(name=name).exists):
            clock.advance(1_000)
            await client.pause()
    return result


async def _active(client: InProcess, name: str) -> dict[str, Any]:
    while True:
        summary = (await client.call("DescribeStreamSummary", StreamName=name))["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return dict(summary)
        await client.pause()


async def _pass_time(clock: FakeClock, chance: random.Random) -> None:
    """Milliseconds pass as tenths of seconds, unevenly."""
    while True:
        clock.advance(chance.choice([1, 20, 100, 400]))
        await asyncio.sleep(0.002)


async def _work(runtime: Runtime) -> None:
    """The lifecycle's worker, as long as the run."""
    import workers.lifecycle  # noqa: F401 - makes the kind known
    from workers import slices

    def due() -> list[str]:
        rows = Lease.objects.filter(kind="lifecycle", due_at_ms__lte=runtime.clock.now_ms())
        return list(rows.values_list("key", flat=True))

    while True:
        for key in await in_thread(due):
            with contextlib.suppress(Exception):  # a run that ends takes the log away under it
                await in_thread(slices.run, runtime, "lifecycle", key)
        await asyncio.sleep(0.002)


def log_url(kind: str, folder: Path) -> str:
    """memory or lmdb."""
    return "memory:" if kind == "memory" else f"lmdb:{folder}"
