"""Time meters one by one: which plan pays for what, and where exactly each of them ends."""

import pytest

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import clock_guard
from apps.billing.models import BilledResource, BillingFlag, MeterReading, UsageDay, UsageHour
from apps.leases import hold
from apps.leases.models import Lease
from apps.streams import account_meters, storage_meters, time_meters
from apps.streams.metered_states import STATES_MAX
from apps.streams.models import Consumer, Shard, Stream
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def s(control):
    """Twenty minutes after the full hour."""
    control.clock.set(control.clock.now_ms() - control.clock.now_ms() % HOUR_MS + HOUR_MS // 3)
    control.hour_ms = control.clock.now_ms() // HOUR_MS * HOUR_MS
    return control


def read(control, believed=True):
    if believed:
        clock_guard.believe(control.clock.now_ms())
    Lease.objects.filter(kind="metering").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "metering")


def usage(meter, **where):
    return sum(UsageHour.objects.filter(meter=meter, **where).values_list("quantity", flat=True))


def switch(control, mode):
    control("UpdateStreamMode", StreamARN=str(control.stream().arn), StreamModeDetails={"StreamMode": mode})
    control.settle()


def commit(control, status="ENABLED"):
    control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": status})


def register(control):
    control("RegisterStreamConsumer", StreamARN=str(control.stream().arn), ConsumerName="c")
    control.settle()


# --- which plan pays ---------------------------------------------------------------------------------------------------


def test_consumers_and_retention_cost_time_only_while_the_stream_is_provisioned(s):
    s.create("s", shards=2)
    register(s)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
    s.clock.advance(7 * MINUTE_MS + 1)
    switch(s, "ON_DEMAND")
    s.clock.advance(31 * MINUTE_MS + 2)
    switch(s, "PROVISIONED")
    s.clock.advance(3)
    read(s)
    provisioned = 2 * (7 * MINUTE_MS + 1 + 3)
    for meter in ("shard-time", "consumer-time", "extended-retention-time"):
        assert usage(meter) == provisioned, meter
    assert usage("on-demand-time") == 31 * MINUTE_MS + 2


def test_under_the_commitment_the_account_pays_and_no_stream(s):
    s.create("s", shards=None)
    s.clock.advance(10 * MINUTE_MS)
    commit(s)
    s.clock.advance(5 * HOUR_MS + 7)
    commit(s, "DISABLED")  # ends a day after it began, by itself
    s.clock.advance(2 * DAY_MS)
    read(s)
    assert usage("advantage-time") == usage("advantage-time", resource="account") == DAY_MS
    assert usage("on-demand-time") == 10 * MINUTE_MS + 5 * HOUR_MS + 7 + DAY_MS
    s.clock.advance(HOUR_MS)
    read(s)
    assert usage("advantage-time") == DAY_MS
    assert not MeterReading.objects.exclude(shrunk_at_ms=None).exists()


def test_an_end_that_is_taken_back_and_a_second_commitment_in_the_same_hour(s):
    commit(s)
    s.clock.advance(HOUR_MS)
    commit(s, "DISABLED")
    commit(s)
    s.clock.advance(DAY_MS)
    read(s)
    commit(s, "DISABLED")
    s.clock.advance(10 * MINUTE_MS)
    commit(s)
    s.clock.advance(5 * MINUTE_MS)
    read(s)
    assert usage("advantage-time") == HOUR_MS + DAY_MS + 5 * MINUTE_MS
    assert usage("advantage-time", hour_ms=s.hour_ms + HOUR_MS + DAY_MS) == 25 * MINUTE_MS


def test_commitments_begin_where_metering_was_already(s):
    """Another machine's clock is a little ahead: what it booked is not booked under another plan as well."""
    s.create("s", shards=None)
    now_ms = s.clock.now_ms()
    time_meters.book([s.stream().pk], now_ms + 500)
    commit(s)
    s.clock.advance(MINUTE_MS)
    read(s)
    assert (usage("on-demand-time"), usage("advantage-time")) == (500, MINUTE_MS - 500)
    account_meters.book(s.principal.team_id, s.clock.now_ms() + 300)
    s.clock.advance(DAY_MS)
    read(s)
    assert usage("advantage-time") == MINUTE_MS + DAY_MS - 500


def test_shard_level_metrics_cost_by_how_many_are_on_and_how_many_shards_are_open(s):
    s.create("s", shards=2)
    s("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])
    s.clock.advance(HOUR_MS)
    s("DisableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["IncomingBytes", "OutgoingBytes"])
    s.clock.advance(10 * MINUTE_MS)
    s("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="1")
    s.settle()
    s.clock.advance(MINUTE_MS)
    s("DisableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])
    s.clock.advance(HOUR_MS)
    read(s)
    assert usage("shard-metric-time") == 7 * 2 * HOUR_MS + 5 * 2 * 10 * MINUTE_MS + 5 * MINUTE_MS


# --- where it ends -----------------------------------------------------------------------------------------------------


def test_deleting_ends_everything_at_the_millisecond_of_the_call_whenever_the_worker_comes(s):
    s.create("s", shards=2)
    register(s)
    s("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["IncomingBytes"])
    s.clock.advance(12_345)
    s("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
    booked = {meter: usage(meter) for meter in ("shard-time", "consumer-time", "shard-metric-time")}
    assert booked == dict.fromkeys(booked, 2 * 12_345)
    s.clock.advance(3 * HOUR_MS)
    read(s)
    s.settle()
    read(s)
    assert not Stream.objects.exists()
    assert {meter: usage(meter) for meter in booked} == booked
    assert set(MeterReading.objects.values_list("final", flat=True)) == {True}


def test_a_consumer_ends_when_it_is_deregistered(s):
    s.create("s", shards=1)
    register(s)
    s.clock.advance(40 * MINUTE_MS - 1)
    s("DeregisterStreamConsumer", StreamARN=str(s.stream().arn), ConsumerName="c")
    s.clock.advance(3 * HOUR_MS)
    read(s)
    assert Consumer.objects.exists()  # no worker has come by
    s("DeregisterStreamConsumer", StreamARN=str(s.stream().arn), ConsumerName="c")
    s.settle()
    read(s)
    assert usage("consumer-time") == 40 * MINUTE_MS - 1
    assert usage("shard-time") == 3 * HOUR_MS + 40 * MINUTE_MS - 1


def test_a_stream_deleted_before_it_had_shards_costs_nothing(s):
    s("CreateStream", StreamName="s", ShardCount=1)
    s.clock.advance(HOUR_MS)
    s("DeleteStream", StreamName="s")
    s.settle()
    assert not UsageHour.objects.exists()
    assert not Shard.objects.exists()


def test_a_step_that_is_saved_late_does_not_overlap_what_was_metered(s, monkeypatch):
    """A worker dies after the log was sealed; the time until another one saves it was booked with the parents."""
    from apps.streams import lifecycle

    s.create("s", shards=1)
    s.clock.advance(MINUTE_MS)
    s("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")
    move = lifecycle._move
    with monkeypatch.context() as dying:
        dying.setattr(lifecycle, "_move", lambda stream, **values: "plan" not in values and move(stream, **values))
        held = hold.take("lifecycle", str(s.stream().pk), "one that dies", 30_000)
        for _ in range(3):
            lifecycle.advance(s.runtime, held, s.clock.now_ms())
        hold.release(held, s.clock.now_ms())
    assert s.bounds(s.shard(0)).sealed
    s.clock.advance(20 * MINUTE_MS)
    read(s)
    s.settle()
    s.clock.advance(MINUTE_MS)
    read(s)
    assert s.listed() == [0, 1, 2]
    assert usage("shard-time") == (1 + 20 + 2) * MINUTE_MS


def test_tags_are_kept_as_they_were_last_seen(s):
    s.create("s", Tags={"team": "a"})
    read(s)
    assert BilledResource.objects.get(resource="stream/s").tags == {"team": "a"}
    s("AddTagsToStream", StreamName="s", Tags={"team": "b"})
    s("DeleteStream", StreamName="s")
    s.settle()
    assert BilledResource.objects.get().tags == {"team": "b"}


def test_changes_beyond_all_bounds_are_refused_until_they_are_metered(s):
    stream = s.create("s")
    states = [[s.clock.now_ms() - n, "PROVISIONED", 24, 0, 0] for n in range(STATES_MAX, 0, -1)]
    Stream.objects.filter(pk=stream.pk).update(metered_states=states)
    code, message = s.refused("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=25)
    assert (code, "1000 times" in message) == ("LimitExceededException", True)
    s.clock.advance(HOUR_MS)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=25)
    assert len(s.stream().metered_states) == 2


# --- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_a_month_and_comes_back_bills_nothing_for_it(s):
    s.create("s", shards=1)
    read(s)
    s.clock.advance(30 * DAY_MS)
    read(s, believed=False)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
    read(s, believed=False)
    assert usage("shard-time") == 0
    s.clock.advance(10 * MINUTE_MS - 30 * DAY_MS)
    read(s, believed=False)
    assert usage("shard-time") == 10 * MINUTE_MS
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=49)
    s.clock.advance(5 * MINUTE_MS)
    read(s, believed=False)
    assert (usage("shard-time"), usage("extended-retention-time")) == (15 * MINUTE_MS, 5 * MINUTE_MS)
    assert BillingFlag.objects.filter(kind="clock-ahead").exists()


def test_what_is_deleted_while_the_clock_is_not_believed_is_booked_to_its_end_and_flagged(s):
    s.create("s", shards=1)
    read(s)
    s.clock.advance(9 * HOUR_MS)
    read(s, believed=False)
    assert usage("shard-time") == 0
    s("DeleteStream", StreamName="s")
    assert usage("shard-time") == 9 * HOUR_MS
    flag = BillingFlag.objects.get(resource="stream/s")
    assert "If the clock was wrong, correct the usage." in flag.text


# --- storage -----------------------------------------------------------------------------------------------------------


def test_nothing_is_done_for_storage_of_a_stream_that_keeps_a_day(s, monkeypatch):
    s.create("s")
    s.append(s.shard(), b"x" * 999)
    monkeypatch.setattr(storage_meters, "_book", lambda *_: pytest.fail("asked for"))
    s.clock.advance(4 * DAY_MS)
    read(s)
    assert s.stream().stored_to_ms is None


def test_a_stream_of_the_same_name_does_not_inherit_bytes_even_of_the_same_hour(s):
    s.create("s")
    s.append(s.shard(), b"x" * 9_999)
    s("DeleteStream", StreamName="s")
    s.settle()
    s.create("s", shards=None)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)
    s.append(s.shard(), b"x" * 99)
    s.clock.advance(2 * DAY_MS - HOUR_MS)
    read(s)
    assert s.stream().namesake_bytes == 10_000
    assert usage("on-demand-extended-storage") == 100 * (47 - 25)  # of full hours


def test_what_is_raised_later_does_not_bring_data_back(s):
    s.create("s", shards=None)
    s.append(s.shard(), b"x" * 99)
    s.clock.advance(3 * DAY_MS)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=240)
    s.append(s.shard(), b"x" * 49)
    s.clock.advance(30 * HOUR_MS)
    read(s)
    assert usage("on-demand-extended-storage") == 50 * 5
    s("DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=25)
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=240)
    s.clock.advance(30 * HOUR_MS)
    read(s)
    assert usage("on-demand-extended-storage") == 50 * 5 + 50 // 3  # until the shorter period took it away


def test_a_year_of_retention_reads_some_hundred_rows_at_most(s, django_assert_max_num_queries):
    stream = s.create("s", shards=None)
    created_ms = s.clock.now_ms() - 380 * DAY_MS
    states = [[created_ms, "ON_DEMAND", 8_760, 0, 0]]
    now_hour = s.hour_ms + HOUR_MS
    Stream.objects.update(
        created_at_ms=created_ms, metered_states=states, stored_to_ms=s.hour_ms, metered_to_ms=now_hour
    )
    base = {"team_id": stream.team_id, "resource": "stream/s", "meter": "bytes-in", "meter_key": "AK"}
    first = created_ms - created_ms % DAY_MS
    UsageDay.objects.bulk_create(UsageDay(day_ms=first + n * DAY_MS, quantity=24 * 7, **base) for n in range(380))
    UsageHour.objects.bulk_create(UsageHour(hour_ms=first + n * HOUR_MS, quantity=7, **base) for n in range(380 * 24))
    with django_assert_max_num_queries(28):
        storage_meters.book(stream.pk, now_hour)
    assert usage("on-demand-extended-storage") == 7 * 6 * 24
    assert usage("on-demand-long-term-storage") == 7 * (365 - 7) * 24
