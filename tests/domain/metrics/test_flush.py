"""The flushers against a real Valkey that dies, freezes and comes back. Real time: a few seconds."""

import asyncio
import threading
from dataclasses import dataclass, replace

import pytest
import structlog
from django.conf import settings as django_settings

from apps.base.clock import SystemClock
from apps.metrics import flush, layout, store
from apps.metrics.counters import Counters
from tests.support.runtimes import until
from tests.support.valkey import Valkey


@dataclass
class Host:
    config: object
    clock: object
    counters: Counters


@pytest.fixture
def mortal(settings):
    """A Valkey that a test may kill."""
    server = Valkey().start()
    settings.CONFIG = replace(django_settings.CONFIG, redis_url=server.url)
    yield server
    server.close()


@pytest.fixture
def host(mortal):
    return Host(django_settings.CONFIG, SystemClock(), Counters())


def stored(server, width_s=1):
    with server.client() as client:
        keys = client.keys(f"tg:m:{width_s}:1:7:*")
        return sum(store.decode(v)[1].total for key in keys for v in client.hvals(key))


async def seen(server, total, timeout_s=8):
    """Wait until Redis holds so much; the loop goes on meanwhile."""
    return await asyncio.to_thread(until, lambda: server.answers() and stored(server) == total, timeout_s)


async def longest_stall(stop):
    """Seconds the event loop was ever away for."""
    worst, loop = 0.0, asyncio.get_running_loop()
    while not stop.is_set():
        before = loop.time()
        await asyncio.sleep(0.005)
        worst = max(worst, loop.time() - before - 0.005)
    return worst


async def test_what_is_counted_arrives_and_the_last_second_too(mortal, host):
    task = asyncio.create_task(flush.run(host))
    host.counters.add(1, 7, "IncomingBytes", 100)
    await seen(mortal, 100)
    host.counters.add(1, 7, "IncomingBytes", 11)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stored(mortal) == stored(mortal, 10) == stored(mortal, 60) == 111


async def test_the_second_is_published(mortal, host):
    with mortal.client() as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(layout.CHANNEL)
        task = asyncio.create_task(flush.run(host))
        message = await asyncio.to_thread(until, lambda: subscription.get_message(timeout=0.1), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert message["channel"] == layout.CHANNEL.encode()


async def test_redis_dies_in_the_middle_and_nothing_is_lost_or_blocked(mortal, host):
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(flush.run(host))
        stall = asyncio.create_task(longest_stall(stop))
        host.counters.add(1, 7, "IncomingBytes", 100)
        await seen(mortal, 100)
        await asyncio.to_thread(mortal.kill)
        for _ in range(25):
            host.counters.add(1, 7, "IncomingBytes", 10)
            await asyncio.sleep(0.1)
        assert not task.done()
        await asyncio.to_thread(mortal.start)
        await seen(mortal, 350)
        stop.set()
        assert await stall < 0.25
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [entry["event"] for entry in logs if entry["event"].startswith("metrics")] == [
        "metrics_held",
        "metrics_flushed",
    ]
    assert logs[-1]["samples_lost"] == 0


async def test_a_frozen_redis_blocks_nobody(mortal, host):
    stop = asyncio.Event()
    task = asyncio.create_task(flush.run(host))
    stall = asyncio.create_task(longest_stall(stop))
    await seen(mortal, 0)
    mortal.freeze()
    for _ in range(30):
        host.counters.add(1, 7, "IncomingBytes", 10)
        await asyncio.sleep(0.1)
    mortal.thaw()
    await seen(mortal, 300)
    stop.set()
    assert await stall < 0.25
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_workers_thread_flushes_too(mortal, host):
    before = threading.active_count()
    thread = flush.start(host)
    host.counters.add(1, 7, "IncomingBytes", 100)
    until(lambda: stored(mortal) == 100)
    host.counters.add(1, 7, "IncomingBytes", 5)
    thread.stop()
    assert stored(mortal) == stored(mortal, 10) == 105
    with mortal.client() as client:
        assert not client.keys("tg:up:*")
    assert threading.active_count() == before


def test_a_workers_thread_survives_without_redis(mortal, host):
    mortal.kill()
    thread = flush.start(host)
    host.counters.add(1, 7, "IncomingBytes", 100)
    until(lambda: not host.counters._samples)
    mortal.start()
    until(lambda: stored(mortal) == 100)
    thread.stop()
