"""Readings of the log's meters and of lifetimes, booked by the metering slice."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import clock_guard
from apps.billing.models import MeterReading, UsageHour
from apps.leases.models import Lease
from apps.streams import metering
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def s(control):
    """A stream made 20 minutes after the full hour."""
    control.clock.set(control.clock.now_ms() - control.clock.now_ms() % HOUR_MS + HOUR_MS // 3)
    control.hour_ms = control.clock.now_ms() // HOUR_MS * HOUR_MS
    control.create("s", shards=2)
    return control


def read(control):
    """A round; however far the clock was moved, it is right."""
    clock_guard.believe(control.clock.now_ms())
    Lease.objects.filter(kind="metering").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "metering")


def usage(meter, **where):
    return sum(UsageHour.objects.filter(meter=meter, **where).values_list("quantity", flat=True))


def test_what_was_put_is_booked_on_the_stream_by_hour_and_key(s):
    s.append(s.shard(0), b"123", b"4567", key="AK1")
    s.append(s.shard(1), b"x", key="AK1")
    s.append(s.shard(1), b"x", key="AK2")
    read(s)
    rows = {
        (r.resource, r.meter, r.hour_ms, r.meter_key): r.quantity for r in UsageHour.objects.exclude(meter="shard-time")
    }
    assert rows == {
        ("stream/s", "records-in", s.hour_ms, "AK1"): 3,
        ("stream/s", "bytes-in", s.hour_ms, "AK1"): 11,
        ("stream/s", "payload-units", s.hour_ms, "AK1"): 3,
        ("stream/s", "records-in", s.hour_ms, "AK2"): 1,
        ("stream/s", "bytes-in", s.hour_ms, "AK2"): 2,
        ("stream/s", "payload-units", s.hour_ms, "AK2"): 1,
    }


def test_a_late_reading_lands_in_the_hour_of_the_records(s):
    s.append(s.shard(0), b"123")
    s.clock.advance(5 * HOUR_MS)
    s.append(s.shard(0), b"1")
    read(s)
    assert usage("bytes-in", hour_ms=s.hour_ms) == 4
    assert usage("bytes-in", hour_ms=s.hour_ms + 5 * HOUR_MS) == 2


def test_reading_often_seldom_or_twice_books_the_same(s):
    for minute in range(0, 300, 20):
        s.append(s.shard(minute % 2), b"x" * minute)
        if minute % 60:
            read(s)
            read(s)
        s.clock.advance(20 * 60_000)
    read(s)
    bounds = [s.bounds(s.shard(i)).totals for i in (0, 1)]
    assert usage("bytes-in") == sum(t.size_bytes for t in bounds)
    assert usage("records-in") == sum(t.records for t in bounds) == 15


def test_the_slice_comes_back_every_minute_and_by_itself(s):
    run_due(s.runtime, "metering")
    assert Lease.objects.get(kind="metering", key="readings").due_at_ms == s.clock.now_ms() + 60_000


def test_a_round_may_take_several_slices(s, monkeypatch):
    from apps.leases import hold
    from apps.leases.progress import Progress

    monkeypatch.setattr(metering, "SHARDS_PER_ROUND", 1)
    s.append(s.shard(0), b"x")
    s.append(s.shard(1), b"x")
    held = hold.take("metering", "readings", "test", 30_000)

    class Slow:
        """Each look at the clock takes a second."""

        def now_ms(self):
            s.clock.advance(1_000)
            return s.clock.now_ms()

    monkeypatch.setattr(s.runtime, "clock", Slow())
    slices = 0
    while metering.read_all(s.runtime, held, until_ms=s.clock.now_ms() + 2_500) is Progress.MORE:
        slices += 1
        assert slices < 20
    assert slices >= 2
    assert usage("records-in") == 2
    assert held.checkpoint == {}


def test_shards_are_metered_by_how_long_they_were_open(s):
    s.clock.advance(10 * 60_000)
    read(s)
    assert usage("shard-time") == 2 * 10 * 60_000
    s.clock.advance(50 * 60_000)
    s("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="1")
    s.settle()
    s.clock.advance(60 * 60_000)
    read(s)
    assert usage("shard-time", hour_ms=s.hour_ms) == 2 * 40 * 60_000
    assert usage("shard-time", hour_ms=s.hour_ms + HOUR_MS) == (2 * 20 + 40) * 60_000
    assert usage("shard-time", hour_ms=s.hour_ms + 2 * HOUR_MS) == 20 * 60_000
    assert UsageHour.objects.filter(meter="shard-time").values_list("meter_key", flat=True).distinct().get() == ""


def test_time_is_complete_after_the_workers_were_away_for_days(s):
    s.clock.advance(5 * DAY_MS)
    read(s)
    assert usage("shard-time") == 2 * 5 * DAY_MS
    assert usage("shard-time", hour_ms=s.hour_ms + 30 * HOUR_MS) == 2 * HOUR_MS


def test_a_clock_set_back_books_no_time_twice(s):
    s.clock.advance(30 * 60_000)
    read(s)
    s.clock.advance(-20 * 60_000)
    read(s)
    s.clock.advance(30 * 60_000)
    read(s)
    assert usage("shard-time") == 2 * 40 * 60_000


def test_extended_retention_counts_only_while_it_is_above_a_day(s):
    s.clock.advance(10 * 60_000)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
    s.clock.advance(60 * 60_000)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=72)
    s.clock.advance(5 * 60_000)
    s("DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=24)
    s.clock.advance(60 * 60_000)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=25)
    s.clock.advance(7 * 60_000)
    read(s)
    assert usage("extended-retention-time") == 2 * 72 * 60_000
    assert usage("shard-time") == 2 * (10 + 60 + 5 + 60 + 7) * 60_000


def test_consumers_count_per_open_shard_and_to_their_last_second(s):
    arn = str(s.stream().arn)
    s("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    s.settle()
    s.clock.advance(30 * 60_000)
    read(s)
    s.clock.advance(60 * 60_000)
    s("DeregisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    s.settle()
    s.clock.advance(60 * 60_000)
    read(s)
    assert usage("consumer-time", meter_key="c") == 2 * 90 * 60_000


def test_on_demand_streams_are_metered_by_the_stream(control):
    control.create("s", shards=None)
    control.clock.advance(3 * HOUR_MS)
    read(control)
    assert usage("on-demand-time") == 3 * HOUR_MS
    assert usage("shard-time") == 0


def test_all_is_booked_before_a_deleted_stream_is_gone(s):
    s("RegisterStreamConsumer", StreamARN=str(s.stream().arn), ConsumerName="c")
    s.settle()
    s.append(s.shard(0), b"123", key="AK1")
    s.clock.advance(90 * 60_000)
    s("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
    s.settle()
    assert usage("bytes-in", meter_key="AK1") == 4
    assert usage("shard-time") == 2 * 90 * 60_000
    assert usage("consumer-time") == 2 * 90 * 60_000
    s.clock.advance(90 * 60_000)
    read(s)
    assert usage("shard-time") == 2 * 90 * 60_000
    assert set(MeterReading.objects.values_list("final", flat=True)) == {True}
    s.clock.advance(3 * DAY_MS)
    read(s)
    assert not MeterReading.objects.exists()
    assert usage("bytes-in") == 4


def test_a_stream_of_the_same_name_adds_to_the_same_usage(s):
    s.append(s.shard(0), b"123")
    read(s)
    s("DeleteStream", StreamName="s")
    s.settle()
    s.create("s", shards=1)
    s.append(s.shard(0), b"123")
    read(s)
    assert usage("bytes-in", resource="stream/s") == 8


def test_teams_are_billed_for_their_own(s, stranger):
    stranger.create("s")
    stranger.append(stranger.shard(), b"12345")
    s.append(s.shard(0), b"1")
    read(s)
    assert usage("bytes-in", team_id=s.principal.team_id) == 2
    assert usage("bytes-in", team_id=stranger.principal.team_id) == 6


def test_readings_of_old_hours_are_forgotten_without_being_billed_again(s):
    for _ in range(20):
        s.append(s.shard(0), b"1")
        read(s)
        s.clock.advance(6 * HOUR_MS)
    read(s)
    read(s)
    assert usage("records-in") == 20
    assert MeterReading.objects.filter(meter="records-in").count() < 12
    assert MeterReading.objects.filter(meter="shard-time").count() < 60
    assert usage("shard-time") == 2 * 120 * HOUR_MS
