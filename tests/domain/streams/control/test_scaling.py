"""On-demand streams: busy shards are split, capacity that nobody needs goes again."""

import pytest

from apps.base.units import DAY_MS, MIB
from apps.capacity.models import DemandPeak
from apps.leases.models import Lease
from apps.streams import scaling
from apps.streams.models import Shard
from apps.streams.topology import partitions
from tests.support.runtimes import run_due

pytestmark = pytest.mark.django_db


@pytest.fixture
def s(control):
    control.create("s", shards=None)
    return control


def tick(control):
    """The slice that is due, and what it sets off."""
    Lease.objects.filter(kind="throttling").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "throttling")
    control.settle()


def open_shards(name="s"):
    rows = Shard.objects.filter(stream__name=name, opened_at_ms__isnull=False, closed_at_ms__isnull=True)
    return sorted(rows, key=lambda shard: int(shard.start_hash))


def minute_of(control, shard, size_bytes=0, records=1):
    control.append(shard, *[b"x" * (size_bytes // records - 1)] * records)
    control.clock.advance(60_000)


def test_a_shard_above_half_of_its_bytes_is_split_in_the_middle(s):
    tick(s)
    minute_of(s, s.shard(1), 31 * MIB, records=31)
    tick(s)
    assert s.status() == "ACTIVE"
    assert s.listed("s", ShardFilter={"Type": "AT_LATEST"}) == [0, 2, 3, 4, 5]
    assert partitions((int(x.start_hash), int(x.end_hash)) for x in open_shards())
    lower, upper = s.shard(4), s.shard(5)
    assert lower.parent_index == upper.parent_index == 1
    assert int(lower.end_hash) - int(lower.start_hash) == int(upper.end_hash) - int(upper.start_hash)


def test_a_shard_below_half_is_left_alone(s):
    tick(s)
    minute_of(s, s.shard(1), 29 * MIB, records=29)
    tick(s)
    assert len(open_shards()) == 4


def test_many_small_records_count_too(s):
    tick(s)
    for _ in range(6):
        s.append(s.shard(2), *[b""] * 5_100)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 5


def test_all_busy_shards_are_split_in_one_go(s):
    tick(s)
    for index in range(4):
        s.append(s.shard(index), *[b"x" * MIB] * 40)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 8


def test_what_was_put_before_the_first_look_is_not_taken_for_load(s):
    s.append(s.shard(0), *[b"x" * MIB] * 100)
    tick(s)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 4


def test_a_burst_is_averaged_over_a_minute(s):
    tick(s)
    s.append(s.shard(0), *[b"x" * MIB] * 10)
    s.clock.advance(5_000)
    tick(s)
    assert len(open_shards()) == 4
    s.clock.advance(55_000)
    tick(s)
    assert len(open_shards()) == 4


def test_load_that_goes_on_splits_again_minute_by_minute(s):
    tick(s)
    sizes = []
    for _ in range(3):
        for shard in open_shards():
            s.append(shard, *[b"x" * MIB] * 31)
        s.clock.advance(60_000)
        tick(s)
        tick(s)
        sizes.append(len(open_shards()))
    assert sizes == [8, 16, 32]


def test_growth_ends_at_the_quota(s):
    s.allow(on_demand_shards=5)
    tick(s)
    for index in range(4):
        s.append(s.shard(index), *[b"x" * MIB] * 40)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 5


def test_provisioned_streams_stay_as_they_are(control):
    control.create("s", shards=1)
    assert scaling.scale_stream(control.runtime, control.stream()) == 0
    tick(control)
    minute_of(control, control.shard(0), 50 * MIB, records=50)
    tick(control)
    assert len(open_shards()) == 1


def test_a_clock_set_back_starts_a_new_window(s):
    tick(s)
    s.append(s.shard(0), *[b"x" * MIB] * 40)
    s.clock.advance(-3_600_000)
    tick(s)
    assert len(open_shards()) == 4
    assert s.shard(0).observed_at_ms == s.clock.now_ms()


def test_the_slice_comes_back_after_five_seconds_and_sweeps_idle_buckets(s):
    from apps.throttle.interface import Budget

    s.runtime.throttle.take("write/1", Budget(1, 1, 1, 1), 1, 1, s.clock.now_ms())
    s.clock.advance(61_000)
    run_due(s.runtime, "throttling")
    assert len(s.runtime.throttle) == 0
    assert Lease.objects.get(kind="throttling").due_at_ms == s.clock.now_ms() + 5_000


# --- down ------------------------------------------------------------------------------------------------------------


def grown(s):
    """Eight shards, because of a minute of load on all four."""
    tick(s)
    for index in range(4):
        s.append(s.shard(index), *[b"x" * MIB] * 40)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 8
    tick(s)


def days(s, count):
    s.clock.advance(count * DAY_MS)
    tick(s)
    return len(open_shards())


def test_capacity_is_kept_for_thirty_days_and_then_goes(s):
    grown(s)
    assert [days(s, 1), days(s, 28)] == [8, 8]
    assert days(s, 1) == 4
    assert partitions((int(x.start_hash), int(x.end_hash)) for x in open_shards())
    assert s.status() == "ACTIVE"
    assert days(s, 1) == 4


def test_an_administrator_may_shorten_the_memory(s):
    s.allow(on_demand_peak_days=1)
    grown(s)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 8
    assert days(s, 1) == 4


def test_what_each_day_needed_is_remembered_for_itself(s):
    s.allow(on_demand_peak_days=2)
    grown(s)
    assert days(s, 1) == 8
    for shard in open_shards():
        s.append(shard, *[b"x" * MIB] * 20)
    s.clock.advance(60_000)
    tick(s)
    assert sorted(DemandPeak.objects.values_list("shards", flat=True)) == [6, 8]
    assert [days(s, 1), days(s, 1)] == [6, 4]


def test_neighbours_that_are_busy_together_stay_apart(s):
    s.allow(on_demand_peak_days=0)
    grown(s)
    for shard in open_shards():
        s.append(shard, *[b"x" * MIB] * 8)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 8
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 4


def test_warm_throughput_is_kept_and_then_released(s):
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    s("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=12)
    s.settle()
    tick(s)
    assert [days(s, 40), len(open_shards())] == [12, 12]
    s("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=6)
    s.settle()
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 6


def test_what_the_quota_held_back_comes_when_it_is_raised(s):
    s.allow(on_demand_shards=5)
    tick(s)
    for index in range(4):
        s.append(s.shard(index), *[b"x" * MIB] * 40)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 5
    s.allow(on_demand_shards=100)
    tick(s)
    s.clock.advance(60_000)
    tick(s)
    assert len(open_shards()) == 8
