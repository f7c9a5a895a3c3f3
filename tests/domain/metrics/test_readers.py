"""Who polls a stream: noted by GetRecords, told to Redis, read back for a day."""

from dataclasses import replace

import pytest
from django.conf import settings as django_settings

from apps.base.clock import FakeClock
from apps.metrics import connection, flush
from apps.metrics.counters import READERS_MAX, Counters
from apps.metrics.readers import Reader, readers
from tests.support.valkey import Valkey

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def valkey():
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
def flushed(valkey, settings):
    """Counters, a clock, and what writes them to Redis."""
    settings.CONFIG = replace(django_settings.CONFIG, redis_url=valkey.url)
    client = connection.synchronous(valkey.url)
    client.flushall()
    counters, clock = Counters(), FakeClock()
    flusher = flush.Flusher(counters, clock, serves=False)

    def write():
        flusher.collect(final=True)
        for step in flusher.steps(final=True):
            for command in step.commands:
                client.execute_command(*command)
            step.confirm()

    return counters, clock, write


def test_the_furthest_behind_of_a_readers_shards_counts(flushed):
    counters, clock, write = flushed
    now = clock.now_ms()
    for behind in (0, 700, 20):
        counters.note_reader(1, 2, "AKIDONE", now, behind)
    counters.note_reader(1, 2, "AKIDTWO", now - 5, 9)
    counters.note_reader(9, 2, "AKIDOTHER", now, 1)
    write()
    assert readers(1, 2, clock=clock) == [Reader("AKIDONE", now, 700), Reader("AKIDTWO", now - 5, 9)]
    counters.note_reader(1, 2, "AKIDONE", now + 1, 0)
    write()
    assert readers(1, 2, clock=clock)[0] == Reader("AKIDONE", now + 1, 0)


def test_a_reader_is_forgotten_after_a_day(flushed):
    counters, clock, write = flushed
    counters.note_reader(1, 2, "AKIDOLD", clock.now_ms(), 0)
    write()
    clock.advance(DAY_MS + 1)
    counters.note_reader(1, 2, "AKIDNEW", clock.now_ms(), 0)
    write()
    assert [reader.key for reader in readers(1, 2, clock=clock)] == ["AKIDNEW"]


def test_no_more_are_noted_than_there_is_room_for():
    counters = Counters()
    for n in range(READERS_MAX + 5):
        counters.note_reader(1, 2, f"AKID{n}", 1, 0)
    counters.note_reader(1, 2, "AKID0", 2, 5)
    noted = counters.drain_readers()
    assert len(noted) == READERS_MAX
    assert noted[1, 2, "AKID0"] == (2, 5)
    assert counters.drain_readers() == {}


def test_nobody_is_known_while_redis_is_away(settings):
    settings.CONFIG = replace(django_settings.CONFIG, redis_url="redis://127.0.0.1:1/0")
    assert readers(1, 2) is None
