"""What consumers of enhanced fan-out got is counted by consumer, whichever way an event comes about."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.capacity.models import Commitment
from apps.streams.models import Stream
from apps.streams.read_meters import ReadMeters
from tests.domain.streams.test_fanout import ARN, START_MS, make_consumer, records_of, subscribe
from tests.domain.streams.test_put_records import in_database, opened
from tests.support.stream_rows import make_stream

pytestmark = pytest.mark.django_db(transaction=True)


def counted(plane):
    """Bytes by meter and key."""
    unsaved = plane.runtime.part(ReadMeters)._unsaved
    return {(key[4], key[5]): size_bytes for key, size_bytes in unsaved.items()}


@pytest.fixture
def stream(team):
    made = make_stream(team.team, "s", shards=1, retention_hours=24 * 30)
    make_consumer(made)
    make_consumer(made, "d")
    return made


async def test_each_consumer_is_counted_for_what_it_got_from_the_log_and_pushed(team, stream, make_plane):
    plane = await opened(make_plane, team, stream)
    plane.runtime.part(ReadMeters).save_every_s = 3_600
    await plane.put_many("s", [("k", b"12345"), ("k", b"6")])
    one = await subscribe(plane)
    two = await subscribe(plane, arn=ARN.replace("/c:", "/d:"))
    assert await records_of(one, 2) == await records_of(two, 2) == [b"12345", b"6"]
    await plane.put("s", "k", b"pushed")
    assert await records_of(one, 1) == [b"pushed"]
    assert counted(plane) == {("fan-out-bytes", "c"): 8 + 7, ("fan-out-bytes", "d"): 8}
    for subscription in (one, two):
        await subscription.aclose()
    plane.runtime.part(ReadMeters).close()


async def test_old_data_costs_nothing_more_over_fan_out_and_the_plan_follows_the_stream(team, stream, make_plane):
    plane = await opened(make_plane, team, stream)
    plane.runtime.part(ReadMeters).save_every_s = 3_600
    await plane.put("s", "k", b"old")
    plane.clock.advance(8 * DAY_MS)
    subscription = await subscribe(plane)
    assert await records_of(subscription, 1) == [b"old"]
    await in_database(lambda: Stream.objects.update(mode="ON_DEMAND", version=99))
    plane.clock.advance(1_001)
    await plane.put("s", "k", b"x")
    assert await records_of(subscription, 1) == [b"x"]
    held = {"started_at_ms": START_MS, "ends_at_ms": plane.clock.now_ms() + HOUR_MS}
    await in_database(lambda: Commitment.objects.create(team=team.team, **held))
    plane.clock.advance(1_001)
    await plane.put("s", "k", b"xy")
    assert await records_of(subscription, 1) == [b"xy"]
    assert counted(plane) == {
        ("fan-out-bytes", "c"): 4,
        ("on-demand-fan-out-bytes", "c"): 2,
        ("advantage-fan-out-bytes", "c"): 3,
    }
    await subscription.aclose()
    plane.runtime.part(ReadMeters).close()
