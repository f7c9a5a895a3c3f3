"""EnableEnhancedMonitoring: what is counted for each shard while it is on, and nothing while it is not."""

import pytest

from apps.metrics.names import SHARD_LEVEL
from apps.streams.errors import ProvisionedThroughputExceededException
from tests.domain.streams.test_fanout import event_of, make_consumer, subscribe
from tests.domain.streams.test_put_records import opened
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)

ALL = sorted(SHARD_LEVEL)


def counted(plane):
    """Total and observations by shard and metric; consumers left out."""
    taken = plane.runtime.counters.drain_labelled()
    return {
        (label, metric): (sample.total, sample.count)
        for (_, _, metric, label), sample in taken.items()
        if isinstance(label, int)
    }


@pytest.fixture
def two(team):
    return make_stream(team.team, "s", shards=2, shard_level_metrics=ALL)


@pytest.fixture
def one(team):
    stream = make_stream(team.team, "s", shards=1, shard_level_metrics=ALL)
    make_consumer(stream)
    return stream


@pytest.fixture
def some_and_none(team):
    return make_stream(team.team, "s", shard_level_metrics=["IncomingBytes"]), make_stream(team.team, "t")


async def test_puts(team, two, make_plane):
    plane = await opened(make_plane, team, two)
    await plane.put("s", "k", b"1234", ExplicitHashKey="0")
    assert counted(plane) == {
        (0, "IncomingBytes"): (5, 1),
        (0, "IncomingRecords"): (1, 1),
        (0, "WriteProvisionedThroughputExceeded"): (0, 1),
    }
    records = [{"PartitionKey": "k", "Data": b"x" * 9, "ExplicitHashKey": "0"}] * 2
    records += [{"PartitionKey": "k", "Data": b"x" * 400_000, "ExplicitHashKey": str(2**128 - 1)}] * 3
    await plane("PutRecords", StreamName="s", Records=records)
    assert counted(plane) == {
        (0, "IncomingBytes"): (20, 1),
        (0, "IncomingRecords"): (2, 1),
        (0, "WriteProvisionedThroughputExceeded"): (0, 1),
        (1, "IncomingBytes"): (800_002, 1),
        (1, "IncomingRecords"): (2, 1),
        (1, "WriteProvisionedThroughputExceeded"): (1, 1),
    }
    with pytest.raises(ProvisionedThroughputExceededException):
        await plane.put("s", "k", b"x" * 400_000, ExplicitHashKey=str(2**128 - 1))
    assert counted(plane) == {(1, "WriteProvisionedThroughputExceeded"): (1, 1)}


async def test_reads(team, one, make_plane):
    plane = await opened(make_plane, team, one)
    await plane.put("s", "k", b"1234")
    counted(plane)
    plane.clock.advance(100)
    await plane.data_of("s")
    assert counted(plane) == {
        (0, "OutgoingBytes"): (5, 1),
        (0, "OutgoingRecords"): (1, 1),
        (0, "IteratorAgeMilliseconds"): (100, 1),
        (0, "ReadProvisionedThroughputExceeded"): (0, 1),
    }
    iterator = await plane.iterator("s")
    with pytest.raises(ProvisionedThroughputExceededException):
        for _ in range(6):
            await plane.get(iterator)
    assert counted(plane)[0, "ReadProvisionedThroughputExceeded"] == (1, 5)
    await event_of(await subscribe(plane))
    assert counted(plane) == {(0, "OutgoingBytes"): (5, 1), (0, "OutgoingRecords"): (1, 1)}


async def test_only_what_is_switched_on(team, some_and_none, make_plane):
    plane = await opened(make_plane, team, *some_and_none)
    for name in ("s", "t"):
        await plane.put(name, "k", b"1234")
        await plane.data_of(name)
    assert counted(plane) == {(0, "IncomingBytes"): (5, 1)}
