"""Metrics in tests: a real Valkey that the store asks, and processes that flush into it by a fake clock.

A conftest.py takes the fixtures by importing them.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.conf import settings as django_settings

from apps.base.clock import FakeClock
from apps.metrics import connection
from apps.metrics.counters import Counters
from apps.metrics.flush import Flusher
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
def valkey(valkey_server: Valkey, settings) -> Iterator[Valkey]:
    """Empty, and the one that the store asks."""
    with valkey_server.client() as client:
        client.flushall()
    settings.CONFIG = replace(django_settings.CONFIG, redis_url=valkey_server.url)
    connection.shared.cache_clear()
    yield valkey_server
    connection.shared(valkey_server.url).close()
    connection.shared.cache_clear()


class Process:
    """What a web process (or a worker) does to metrics."""

    def __init__(self, valkey: Valkey, clock: FakeClock, *, serves: bool = True) -> None:
        self.counters = Counters()
        self.clock = clock
        self.flusher = Flusher(self.counters, clock, serves=serves)
        self.client = valkey.client()

    def flush(self, *, final: bool = False) -> None:
        """Book what was counted to the second before now."""
        self.flusher.collect()
        for step in self.flusher.steps(final=final):
            with self.client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                pipe.execute()
            step.confirm()

    def second(self) -> None:
        """Let a second pass and flush it."""
        self.clock.advance(1_000)
        self.flush()

    def close(self) -> None:
        self.client.close()


@pytest.fixture
def process(valkey: Valkey, clock: FakeClock) -> Iterator[Process]:
    made = Process(valkey, clock)
    yield made
    made.close()


@pytest.fixture
def second_process(valkey: Valkey, clock: FakeClock) -> Iterator[Process]:
    made = Process(valkey, clock)
    yield made
    made.close()
