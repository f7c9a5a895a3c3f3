"""What /healthz says, part by part."""

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.base.clock import FakeClock
from apps.gateway.invoke import invoke
from apps.recordlog.interface import LogUnavailable
from apps.runtime import Runtime
from console import health
from console.health import Health
from tests.support.runtimes import memory_runtime, run_due
from tests.support.teams import TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(transactional_db: None) -> TestTeam:
    return make_team()


@pytest.fixture
async def runtime(team: TestTeam) -> Any:
    opened = memory_runtime()
    await opened.open()
    yield opened
    await opened.close()


async def parts(runtime: Runtime) -> dict[str, str]:
    status, headers, body = await Health(runtime).answer()
    said = json.loads(body)
    failing = {name: reason for name, reason in said["parts"].items() if reason != "ok"}
    assert (status, said["status"]) == ((503, "failing") if failing else (200, "ok"))
    assert ("content-type", "application/json") in headers
    return failing


@pytest.fixture
def redis_and_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if both were there: the suite has neither."""
    monkeypatch.setattr(health, "_ping", lambda _url: None)
    monkeypatch.setattr(health.heartbeat, "heard", lambda *_: True)


async def test_without_redis_and_worker(runtime: Runtime) -> None:
    assert set(await parts(runtime)) == {"redis", "worker", "delivery"}


@pytest.mark.usefixtures("redis_and_worker")
async def test_everything_serves(runtime: Runtime) -> None:
    assert await parts(runtime) == {}


@pytest.mark.usefixtures("redis_and_worker")
async def test_a_worker_that_is_silent(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health.heartbeat, "heard", lambda _url, key="worker": key != "worker")
    assert await parts(runtime) == {"worker": "no heartbeat of a worker"}
    monkeypatch.setattr(health.heartbeat, "heard", lambda _url, key="worker": key == "worker")
    assert await health.Health(runtime).failing() == {"delivery": "no heartbeat of the delivery worker"}


@pytest.mark.usefixtures("redis_and_worker")
async def test_a_log_that_does_not_answer(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_shard: int) -> None:
        raise LogUnavailable("closed")

    monkeypatch.setattr(runtime.record_log, "bounds", broken)
    assert await parts(runtime) == {"record log": "LogUnavailable: closed"}

    async def stuck(_shard: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(health, "PATIENCE_S", 0.05)
    monkeypatch.setattr(runtime.record_log, "bounds", stuck)
    late = await parts(runtime)  # on a busy machine others are late, too
    assert late["record log"] == "no answer within 0 seconds"


@pytest.mark.usefixtures("redis_and_worker")
async def test_a_clock_far_behind_the_newest_record(runtime: Runtime, team: TestTeam) -> None:
    clock = runtime.clock
    assert isinstance(clock, FakeClock)
    await invoke(runtime, team.principal, "kinesis", "CreateStream", {"StreamName": "s", "ShardCount": 1})
    await sync_to_async(run_due, thread_sensitive=False)(runtime, "lifecycle")
    record = {"StreamName": "s", "Data": b"x", "PartitionKey": "k"}
    await invoke(runtime, team.principal, "kinesis", "PutRecord", record)
    clock.advance(-59_000)
    assert await parts(runtime) == {}
    clock.advance(-6_000)
    assert await parts(runtime) == {"clock": "65 s behind the newest record"}


@pytest.mark.usefixtures("redis_and_worker")
async def test_many_who_ask_at_once_share_one_look(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    real = health._select_one
    monkeypatch.setattr(health, "_select_one", lambda: looks.append(1) or real())
    asked = Health(runtime)
    await asyncio.gather(*(asked.answer() for _ in range(50)))
    assert len(looks) == 1
