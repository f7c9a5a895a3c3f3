"""The flushers against a real Valkey that dies, freezes and comes back. Real time, but mostly of quick seconds."""

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

QUICKER = 4
TURNS_MIN = 50
"""Of the 2,000 that fit into the two seconds a flusher waits for an answer. A loop that is held makes one or two."""


@dataclass
class Host:
    config: object
    clock: object
    counters: Counters


@pytest.fixture
def mortal(settings):
    """A Valkey that a test may kill."""
    server = Valkey(keeps=True).start()
    settings.CONFIG = replace(django_settings.CONFIG, redis_url=server.url)
    yield server
    server.close()


@pytest.fixture
def slow_host(mortal):
    """Its seconds are seconds: what is kept for some of them must not be gone before a loaded machine gets to it."""
    return Host(django_settings.CONFIG, SystemClock(), Counters())


class QuickClock:
    """A second of its passes in a quarter of one."""

    def now_ms(self):
        return SystemClock().now_ms() * QUICKER


@pytest.fixture
def host(mortal, monkeypatch):
    until_next_s = flush.Flusher.until_next_s
    monkeypatch.setattr(flush.Flusher, "until_next_s", lambda flusher: until_next_s(flusher) / QUICKER)
    return Host(django_settings.CONFIG, QuickClock(), Counters())


def in_a_task(host):
    """As the web process does; what ends it."""
    task = asyncio.create_task(flush.run(host))

    async def end():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return end


def in_a_thread(host):
    """As a worker does; what ends it."""
    thread = flush.start(host)
    return lambda: asyncio.to_thread(thread.stop)


def stored(server, width_s=1):
    with server.client() as client:
        keys = client.keys(f"tg:m:{width_s}:1:7:*")
        return sum(store.decode(v)[1].total for key in keys for v in client.hvals(key))


async def seen(server, total):
    """Wait until Redis holds so much; the loop goes on meanwhile."""
    return await asyncio.to_thread(until, lambda: server.answers() and stored(server) == total)


async def told(logs, event):
    """Wait until a line of the flusher's is logged."""
    return await asyncio.to_thread(until, lambda: [line for line in logs if line["event"] == event])


def events(logs):
    return [line["event"] for line in logs if line["event"].startswith("metrics")]


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
        message = await asyncio.to_thread(until, lambda: subscription.get_message(timeout=0.1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert message["channel"] == layout.CHANNEL.encode()


async def test_redis_dies_in_the_middle_and_nothing_is_lost_or_blocked(mortal, host):
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(flush.run(host))
        host.counters.add(1, 7, "IncomingBytes", 100)
        await seen(mortal, 100)
        await asyncio.to_thread(mortal.kill)
        host.counters.add(1, 7, "IncomingBytes", 125)
        await told(logs, "metrics_held")
        host.counters.add(1, 7, "IncomingBytes", 125)
        await asyncio.to_thread(until, lambda: not host.counters._samples)  # one more second that nobody takes
        assert not task.done()
        await asyncio.to_thread(mortal.start)
        await seen(mortal, 350)
        [flushed] = await told(logs, "metrics_flushed")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert events(logs) == ["metrics_held", "metrics_flushed"]
    assert flushed["samples_lost"] == 0


@pytest.mark.parametrize("begin", [in_a_task, in_a_thread])
async def test_a_redis_that_comes_back_empty_is_told_the_last_seconds_again(mortal, slow_host, begin):
    """A kill may take with it what was confirmed but not yet written to its file; here that is everything."""
    mortal.kill()
    mortal.keeps = False
    mortal.start()
    end = begin(slow_host)
    slow_host.counters.add(1, 7, "IncomingBytes", 100)
    await seen(mortal, 100)
    await asyncio.to_thread(mortal.kill)
    await asyncio.to_thread(mortal.start)
    await seen(mortal, 100)
    await end()
    assert stored(mortal) == stored(mortal, 10) == stored(mortal, 60) == 100


async def test_a_frozen_redis_blocks_nobody(mortal, host, monkeypatch):
    """While an exchange with it waits, the event loop turns."""
    turns, turned = 0, []
    send = flush.send

    async def watched(*arguments, **options):
        before = turns
        await send(*arguments, **options)
        turned.append(turns - before)

    monkeypatch.setattr(flush, "send", watched)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(flush.run(host))
        until_held = asyncio.create_task(told(logs, "metrics_held"))
        await asyncio.to_thread(until, lambda: turned)
        mortal.freeze()
        turned.clear()
        host.counters.add(1, 7, "IncomingBytes", 300)
        while not turned or not until_held.done():
            turns += 1
            await asyncio.sleep(0.001)
        mortal.thaw()
        await seen(mortal, 300)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert max(turned) > TURNS_MIN


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
