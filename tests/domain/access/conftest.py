"""A gateway on a memory engine, with two teams that have a stream each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from django.db import connections

from apps.accounts.models import Team
from apps.base.clock import FakeClock
from apps.gateway.app import Gateway
from apps.gateway.invoke import invoke
from apps.runtime import Runtime
from apps.streams.catalog import Catalog
from apps.streams.models import Consumer, ConsumerStatus, Stream
from tests.support.callers import Keys, Wire, in_database, make_key
from tests.support.runtimes import memory_runtime
from tests.support.stream_rows import create_log, make_stream
from tests.support.teams import TestTeam, make_team

HERS, HIS = "123456789012", "210987654321"


@dataclass
class House:
    """All that these tests talk to."""

    runtime: Runtime
    clock: FakeClock
    wire: Wire
    hers: TestTeam
    his: TestTeam
    her_key: Keys
    his_key: Keys
    stream: Stream
    consumer: Consumer

    @property
    def arn(self) -> str:
        """Her stream's."""
        return str(self.stream.arn)

    @property
    def consumer_arn(self) -> str:
        return str(self.consumer.arn)

    async def call(self, service: str, operation: str, principal: Any = None, **params: Any) -> Any:
        """From inside, as her team."""
        return await invoke(self.runtime, principal or self.hers.principal, service, operation, params)

    async def principal_of(self, keys: Keys) -> Any:
        """As whom the gateway sees a key."""
        found = await self.wire.gateway.credentials.find(keys.key_id, keys.token)
        return found.principal if found is not None else None

    def look_again(self) -> None:
        """As if a second had gone by for every cache: what changed is seen at once."""
        self.wire.forget()
        self.runtime.part(Catalog)._snapshots.clear()


@pytest.fixture
def rows(transactional_db: None, clock: FakeClock) -> tuple[Any, ...]:
    hers, his = make_team(HERS), make_team(HIS, "second", "AKIDSECOND")
    stream = make_stream(hers.team, "orders", now_ms=clock.now_ms())
    make_stream(his.team, "orders", now_ms=clock.now_ms())
    consumer = Consumer.objects.create(
        stream=stream, name="reader", status=ConsumerStatus.ACTIVE, created_at_ms=clock.now_ms()
    )
    return hers, his, make_key(hers.team), make_key(his.team), stream, consumer


@pytest_asyncio.fixture
async def house(rows: tuple[Any, ...], clock: FakeClock) -> AsyncIterator[House]:
    runtime = memory_runtime(clock, throttle=False)
    await runtime.open()
    hers, his, her_key, his_key, stream, consumer = rows
    await create_log(runtime, await in_database(_shards)(hers.team, his.team))
    yield House(runtime, clock, Wire(Gateway(runtime), clock), hers, his, her_key, his_key, stream, consumer)
    await runtime.close()
    await in_database(connections.close_all)()


def _shards(*teams: Team) -> list[int]:
    from apps.streams.models import Shard

    return list(Shard.objects.filter(stream__team__in=teams).values_list("pk", flat=True))
