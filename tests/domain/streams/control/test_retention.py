"""Retention periods, and what the retention slices remove."""

import pytest
from structlog.testing import capture_logs

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing.models import MeterReading, UsageHour
from apps.leases.models import Lease
from apps.recordlog.interface import LogUnavailable, UnknownShard
from apps.streams import retention
from apps.streams.models import Shard
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db

ACCOUNT = "123456789012"


@pytest.fixture
def s(control):
    control.create("s")
    return control


def hours(control):
    return control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]["RetentionPeriodHours"]


def increase(control, count):
    return control("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=count)


def decrease(control, count):
    return control("DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=count)


def pass_time(control, hours_more):
    """Let time pass as it does: workers look in every hour."""
    for _ in range(hours_more):
        control.clock.advance(HOUR_MS)
        run_due(control.runtime, "retention")


def test_up_and_down(s):
    assert increase(s, 8_760) is None
    assert hours(s) == 8_760
    increase(s, 8_760)
    assert decrease(s, 24) is None
    assert hours(s) == 24
    decrease(s, 24)


@pytest.mark.parametrize("operation", ["IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"])
def test_bounds_come_before_the_comparison(s, operation):
    for count, text in {
        23: "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        -1: "Minimum allowed retention period is 24 hours. Requested retention period (-1 hours) is too short.",
        9_999: "Maximum allowed retention period is 8760 hours. Requested retention period (9999 hours) is too long.",
    }.items():
        assert s.refused(operation, StreamName="s", RetentionPeriodHours=count) == ("InvalidArgumentException", text)
    assert s.refused(operation, StreamName="none", RetentionPeriodHours=1)[1] == (
        f"Stream none under account {ACCOUNT} not found."
    )


def test_each_call_goes_one_way(s):
    assert s.refused("DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=25) == (
        "InvalidArgumentException",
        (
            "Requested retention period (25 hours) for stream s can not be longer than existing retention period "
            "(24 hours). Use IncreaseRetentionPeriod API."
        ),
    )
    increase(s, 25)
    assert s.refused("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=24) == (
        "InvalidArgumentException",
        (
            "Requested retention period (24 hours) for stream s can not be shorter than existing retention period "
            "(25 hours). Use DecreaseRetentionPeriod API."
        ),
    )


def test_a_stream_that_is_being_made_keeps_its_retention(control):
    control("CreateStream", StreamName="s", ShardCount=1)
    assert control.refused("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=48)[0] == (
        "ResourceInUseException"
    )
    assert hours(control) == 24


def test_an_increase_does_not_revive_what_was_out_of_sight(s):
    s.clock.advance(30 * HOUR_MS)
    increase(s, 48)
    now_ms = s.clock.now_ms()
    assert retention.horizon_ms(s.stream(), now_ms) == now_ms - 24 * HOUR_MS
    s.clock.advance(30 * HOUR_MS)
    assert retention.horizon_ms(s.stream(), s.clock.now_ms()) == s.clock.now_ms() - 48 * HOUR_MS


def test_a_decrease_hides_at_once_and_an_increase_after_it_does_not_bring_back(s):
    increase(s, 100)
    s.clock.advance(60 * HOUR_MS)
    decrease(s, 24)
    now_ms = s.clock.now_ms()
    assert retention.horizon_ms(s.stream(), now_ms) == now_ms - 24 * HOUR_MS
    increase(s, 100)
    assert retention.horizon_ms(s.stream(), now_ms) == now_ms - 24 * HOUR_MS


def test_old_records_leave_the_log_and_young_ones_stay(s):
    s.append(s.shard(), b"old", b"old too")
    s.clock.advance(12 * HOUR_MS)
    s.append(s.shard(), b"young")
    pass_time(s, 12)
    assert s.bounds(s.shard()).first_offset == 1, "just 24 hours old"
    pass_time(s, 1)
    bounds = s.bounds(s.shard())
    assert (bounds.first_offset, bounds.next_offset) == (3, 4)
    pass_time(s, 12)
    assert s.bounds(s.shard()).first_offset == 4
    assert s.listed() == [0], "an open shard never expires"


def test_a_decrease_is_carried_out_by_the_next_slice(s):
    increase(s, 100)
    s.append(s.shard(), b"x")
    pass_time(s, 30)
    assert s.bounds(s.shard()).first_offset == 1
    decrease(s, 24)
    run_due(s.runtime, "retention")
    assert s.bounds(s.shard()).first_offset == 2


def test_a_closed_shard_with_nothing_left_expires_and_is_gone_after_its_last_reading(s):
    s.append(s.shard(), b"12345", key="AKIDX")
    parent = s.shard(0)
    s("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")
    s.settle()
    pass_time(s, 23)
    assert s.listed() == [0, 1, 2]
    version = s.stream().version
    pass_time(s, 3)
    assert s.listed() == [1, 2]
    assert not Shard.objects.filter(pk=parent.pk).exists()
    with pytest.raises(UnknownShard):
        s.bounds(parent)
    assert not Lease.objects.filter(kind="retention", key=str(parent.pk)).exists()
    assert s.stream().version > version
    assert UsageHour.objects.get(meter="bytes-in", meter_key="AKIDX").quantity == 6
    assert set(MeterReading.objects.filter(resource=f"shard/{parent.pk}").values_list("final", flat=True)) == {True}
    assert s("ListShards", StreamName="s")["Shards"][0]["ParentShardId"] == "shardId-000000000000"


@pytest.mark.parametrize("operation", ["trim", "meters", "drop"])
@pytest.mark.parametrize("stored", [False, True])
def test_a_crash_on_the_way_changes_nothing_in_the_end(s, operation, stored, monkeypatch):
    from apps.recordlog.faulty import FaultyLog

    s.append(s.shard(), b"12345")
    parent = s.shard(0)
    s("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77")
    s.settle()
    s.clock.advance(26 * HOUR_MS)
    s.runtime.record_log = log = FaultyLog(s.runtime.record_log)
    fail = log.fail_after if stored else log.fail_before
    fail(operation, LogUnavailable("killed here"))
    with capture_logs():
        run_due(s.runtime, "retention")
    s.clock.advance(10_000)
    run_due(s.runtime, "retention")
    assert not Shard.objects.filter(pk=parent.pk).exists()
    assert UsageHour.objects.get(meter="bytes-in").quantity == 6


def test_nothing_is_removed_by_a_clock_that_is_behind_the_records(s):
    s.append(s.shard(), b"old")
    s.clock.advance(20 * DAY_MS)
    s.append(s.shard(), b"from a future that was a mistake")
    s.clock.advance(-2 * DAY_MS)
    Lease.objects.filter(kind="retention").update(due_at_ms=s.clock.now_ms())
    run_due(s.runtime, "retention")
    assert s.bounds(s.shard()).first_offset == 1
    assert Lease.objects.get(kind="retention").due_at_ms == s.clock.now_ms() + MINUTE_MS
    s.clock.advance(2 * DAY_MS)
    run_due(s.runtime, "retention")
    assert s.bounds(s.shard()).first_offset == 2


def test_trimming_is_bounded_and_goes_on(s, monkeypatch):
    from apps.leases import hold
    from apps.leases.progress import Progress

    monkeypatch.setattr(retention, "RECORDS_PER_TRIM", 1)
    for _ in range(5):
        s.append(s.shard(), b"x")
        s.clock.advance(1_000)
    s.clock.advance(25 * HOUR_MS)
    held = hold.take("retention", str(s.shard().pk), "test", 30_000)
    answers = [retention.expire(s.runtime, held, until_ms=s.clock.now_ms()) for _ in range(5)]
    assert answers[:4] == [Progress.MORE] * 4
    assert isinstance(answers[4], int)
    assert s.bounds(s.shard()).first_offset == 6


def test_a_shard_whose_log_is_missing_is_reported_and_left_alone(s):
    s.runtime.wait_for(s.runtime.record_log.drop(s.shard().pk, 100))
    s.clock.advance(2 * HOUR_MS)
    with capture_logs() as logs:
        run_due(s.runtime, "retention")
    assert "shard_not_in_log" in [entry["event"] for entry in logs]
    assert s.listed() == [0]


def test_a_lease_of_a_shard_that_is_gone_is_forgotten(s):
    Lease.objects.create(kind="retention", key="999", due_at_ms=0)
    run_due(s.runtime, "retention")
    assert not Lease.objects.filter(key="999").exists()
