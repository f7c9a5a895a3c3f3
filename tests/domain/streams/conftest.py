"""A runtime on the test's own loop, and calls straight into the data plane."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import connections

from apps.accounts.principal import Principal
from apps.base.clock import FakeClock
from apps.runtime import Call, Runtime
from apps.streams.operations import OPERATIONS, REQUESTS
from tests.support.runtimes import memory_runtime


class DataPlane:
    """Calls operations as the gateway does once it has decoded; params by AWS's names, times in seconds."""

    def __init__(self, runtime: Runtime, clock: FakeClock, principal: Principal) -> None:
        self.runtime = runtime
        self.clock = clock
        self.principal = principal

    async def __call__(self, operation: str, principal: Principal | None = None, **params: Any) -> Any:
        request = msgspec.convert(params, REQUESTS[operation]) if operation in REQUESTS else params
        call = Call(self.runtime, principal or self.principal, "r", self.clock.now_ms())
        return await OPERATIONS[operation](call, request)

    async def put(self, stream: str, key: str, data: bytes, **params: Any) -> Any:
        return await self("PutRecord", StreamName=stream, PartitionKey=key, Data=data, **params)

    async def put_many(self, stream: str, records: list[tuple[str, bytes]], **params: Any) -> Any:
        entries = [{"PartitionKey": key, "Data": data} for key, data in records]
        return await self("PutRecords", StreamName=stream, Records=entries, **params)

    async def iterator(self, stream: str, shard: int | str = 0, kind: str = "TRIM_HORIZON", **params: Any) -> str:
        shard_id = f"shardId-{shard:012d}" if isinstance(shard, int) else shard
        answer = await self("GetShardIterator", StreamName=stream, ShardId=shard_id, ShardIteratorType=kind, **params)
        return answer.shard_iterator

    async def get(self, iterator: str, **params: Any) -> Any:
        return await self("GetRecords", ShardIterator=iterator, **params)

    async def data_of(self, stream: str, shard: int = 0) -> list[bytes]:
        """Everything readable in a shard."""
        answer = await self.get(await self.iterator(stream, shard))
        return [record.data for record in answer.records]


@pytest_asyncio.fixture
async def make_plane(clock: FakeClock) -> AsyncIterator[Callable[..., Awaitable[DataPlane]]]:
    """make_plane(principal, **settings): a data plane with its own runtime."""
    opened: list[Runtime] = []

    async def make(principal: Principal, **settings: Any) -> DataPlane:
        runtime = memory_runtime(clock, **settings)
        await runtime.open()
        opened.append(runtime)
        return DataPlane(runtime, clock, principal)

    yield make
    for runtime in opened:
        await runtime.close()
    # The ORM's own async calls of a test keep a connection in asgiref's thread; PostgreSQL would not drop the database.
    await sync_to_async(connections.close_all)()
