"""What readers got, from the calls to the ledger."""

import pytest

from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS, KIB
from apps.billing import clock_guard
from apps.billing.models import BillingFlag, BillLine, MeterReading, UsageHour
from apps.leases import hold
from apps.leases.hold import LeaseLost
from apps.leases.models import Lease
from apps.recordlog.memory import MemoryLog
from apps.runtime import build
from apps.streams import read_usage
from apps.streams.read_meters import READS_KEY, ReadMeters
from apps.teams import deleting
from tests.domain.teams.people import by
from tests.support.runtimes import run_due
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

FRESH_MS = 1_001


@pytest.fixture
def s(control):
    """A stream of one shard, made 20 minutes after the full hour."""
    control.clock.set(control.clock.now_ms() - control.clock.now_ms() % HOUR_MS + HOUR_MS // 3)
    control.hour_ms = control.clock.now_ms() // HOUR_MS * HOUR_MS
    control.create("s")
    return control


def put(control, *sizes, stream="s"):
    records = [{"PartitionKey": "k", "Data": b"x" * (size - 1)} for size in sizes]
    control("PutRecords", StreamName=stream, Records=records)


def read_all(control, stream="s", shard=0, kind="TRIM_HORIZON", **params):
    """Bytes that GetRecords gives from a shard, in one call."""
    shard_id = f"shardId-{shard:012d}"
    iterator = control("GetShardIterator", StreamName=stream, ShardId=shard_id, ShardIteratorType=kind)["ShardIterator"]
    found = control("GetRecords", ShardIterator=iterator, **params)["Records"]
    return sum(len(one["Data"]) + len(one["PartitionKey"]) for one in found)


def save(control):
    control.runtime.wait_for(control.runtime.part(ReadMeters).save())


def count(control):
    """What the worker does once a minute."""
    read_usage.ensure(control.clock.now_ms())
    run_due(control.runtime, "metering")


OUT = ("bytes-out", "long-term-bytes-out", "on-demand-bytes-out", "advantage-bytes-out", "queue-bytes")


def usage(**where):
    rows = UsageHour.objects.filter(meter__in=OUT, **where)
    return {(row.resource, row.meter, row.hour_ms, row.meter_key): row.quantity for row in rows}


def booked(control, **where):
    save(control)
    count(control)
    return {meter: quantity for (_, meter, _, _), quantity in usage(**where).items()}


def test_what_getrecords_gave_is_booked_on_the_stream_by_hour_and_key(s):
    put(s, 100, 2_000)
    assert read_all(s) == 2_100
    assert read_all(s, Limit=1) == 100
    assert read_all(s, kind="LATEST") == 0
    s.clock.advance(HOUR_MS)
    assert read_all(s) == 2_100
    save(s)
    count(s)
    assert usage() == {
        ("stream/s", "bytes-out", s.hour_ms, "AKIDEXAMPLE"): 2_200,
        ("stream/s", "bytes-out", s.hour_ms + HOUR_MS, "AKIDEXAMPLE"): 2_100,
    }


def test_reads_of_on_demand_streams_are_told_apart_and_not_rounded(s):
    s.create("d", shards=None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    s("PutRecord", StreamName="d", PartitionKey="k", Data=b"x", ExplicitHashKey="0")
    assert read_all(s, "d") == 2
    s("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    s.clock.advance(FRESH_MS)
    assert read_all(s, "d") == 2
    assert booked(s, resource="stream/d") == {"on-demand-bytes-out": 2, "advantage-bytes-out": 2}


def test_provisioned_data_older_than_seven_days_is_paid_once_more(s):
    s("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=24 * 30)
    s.settle()
    s.create("d", shards=None, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    s("IncreaseStreamRetentionPeriod", StreamName="d", RetentionPeriodHours=24 * 30)
    s.settle()
    for stream in ("s", "d"):
        s("PutRecord", StreamName=stream, PartitionKey="k", Data=b"x" * 99, ExplicitHashKey="0")
    s.clock.advance(FRESH_MS)
    for stream in ("s", "d"):
        s("PutRecord", StreamName=stream, PartitionKey="k", Data=b"x" * 9, ExplicitHashKey="0")
    s.clock.advance(7 * DAY_MS - FRESH_MS)
    assert read_all(s) == 110
    assert booked(s) == {"bytes-out": 110}
    s.clock.advance(1)
    assert read_all(s) == read_all(s, "d") == 110
    assert booked(s, resource="stream/s") == {"bytes-out": 220, "long-term-bytes-out": 100}
    assert booked(s, resource="stream/d") == {"on-demand-bytes-out": 110}


def test_counting_twice_or_after_a_worker_that_died_books_once(s, monkeypatch):
    put(s, 1_000)
    for _ in range(3):
        read_all(s)
        save(s)
    monkeypatch.setattr(s.runtime.record_log, "trim", lost)
    count(s)  # the worker is killed between its transaction and the trim
    monkeypatch.undo()
    read_all(s)
    save(s)
    count(s)
    count(s)
    assert list(usage().values()) == [4_000]
    bounds = s.bounds(READS_KEY)
    assert bounds.next_offset - bounds.first_offset == 4  # all arrived at one time of a clock that stands
    s.clock.advance(60_000)
    read_all(s)
    assert booked(s) == {"bytes-out": 5_000}
    bounds = s.bounds(READS_KEY)
    assert bounds.next_offset - bounds.first_offset == 1


async def lost(*_args):
    raise ConnectionError("killed")


def test_nothing_is_booked_by_one_who_has_lost_the_lease(s):
    put(s, 1_000)
    read_all(s)
    save(s)
    read_usage.ensure(s.clock.now_ms())
    held = hold.take("metering", "reads", "test", 30_000)
    Lease.objects.filter(key="reads").update(counter=held.counter + 1)
    with pytest.raises(LeaseLost):
        read_usage.count_all(s.runtime, held, s.clock.now_ms() + 1_000)
    assert usage() == {}
    assert MeterReading.objects.filter(resource__startswith="reads/").count() == 0
    Lease.objects.filter(key="reads").update(owner="", expires_at_ms=0)
    assert booked(s) == {"bytes-out": 1_000}


def test_a_round_of_many_records_is_done_in_steps_and_may_be_broken_off(s, monkeypatch):
    from apps.leases.progress import Progress

    monkeypatch.setattr(read_usage, "RECORDS_PER_STEP", 2)
    put(s, 1_000)
    for _ in range(5):
        read_all(s)
        save(s)
        s.clock.advance(1_000)
    read_usage.ensure(s.clock.now_ms())
    held = hold.take("metering", "reads", "test", 30_000)
    assert read_usage.count_all(s.runtime, held, s.clock.now_ms()) is Progress.MORE
    assert read_usage.count_all(s.runtime, held, s.clock.now_ms() + 1) == s.clock.now_ms() + 60_000
    assert list(usage().values()) == [5_000]
    assert held.checkpoint["offset"] == 6


def test_reads_of_a_stream_and_of_a_team_that_are_gone(s, stranger):
    stranger.create("s")
    for one in (s, stranger):
        put(one, 1_000)
        read_all(one)
    save(s)
    s("DeleteStream", StreamName="s")
    s.settle()
    assert booked(s, team=s.principal.team_id) == {"bytes-out": 1_000}

    third = s.of(make_team("333333333333", "third", "AKIDTHIRD").principal)
    third.create("s")
    put(third, 500)
    read_all(third)
    read_all(stranger)
    save(s)
    rows = s.runtime.wait_for(s.runtime.record_log.read(READS_KEY, 1, 100, 1 << 20))
    assert rows.slices
    from apps.streams.models import Shard, Stream

    Shard.objects.filter(stream__team=third.principal.team_id).delete()
    Stream.objects.filter(team=third.principal.team_id).delete()
    Lease.objects.exclude(key="reads").delete()
    team = Team.objects.get(pk=third.principal.team_id)
    team.memberships.all().delete()
    team.access_keys.all().delete()
    team.delete()
    assert booked(s, team=stranger.principal.team_id) == {"bytes-out": 2_000}


@pytest.mark.parametrize("steps", [1, 100])
def test_the_last_reads_of_a_team_that_is_deleted_are_on_its_last_bill(s, stranger, monkeypatch, steps):
    """Also those that no process has saved yet; and who cannot count them all deletes no team."""
    monkeypatch.setattr(read_usage, "RECORDS_PER_STEP", 2)
    monkeypatch.setattr(read_usage, "STEPS_FOR_TEAM", steps)
    stranger("CreateStream", StreamName="d", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    stranger.settle()
    put(stranger, 1_000, stream="d")
    shards = stranger("ListShards", StreamName="d")["Shards"]
    count(s)
    for _ in range(4):
        for shard in range(len(shards)):
            read_all(stranger, "d", shard)
        save(s)
    for shard in range(len(shards)):
        read_all(stranger, "d", shard)
    stranger("DeleteStream", StreamName="d")
    stranger.settle()
    team = Team.objects.get(pk=stranger.principal.team_id)
    member = team.memberships.get()
    if steps == 1:
        with pytest.raises(deleting.Unbilled, match="not counted yet"):
            deleting.delete(by(member, s.clock.now_ms()), team.slug, s.runtime)
        return
    deleting.delete(by(member, s.clock.now_ms()), team.slug, s.runtime)
    line = BillLine.objects.get(bill__account_id=team.account_id, dimension="on-demand-data-out")
    assert line.metered == "5000"
    count(s)
    assert not Team.objects.filter(pk=team.pk).exists()


def test_two_processes_and_one_that_was_started_anew_add_up(s):
    other = build(s.runtime.config, s.clock)
    other.record_log = s.runtime.record_log
    put(s, 1_000)
    read_all(s)
    save(s)
    meters = other.part(ReadMeters)
    key = next(iter(s.runtime.part(ReadMeters)._values))

    async def read_there():
        meters.add(key, 10)
        await meters.save()
        meters.add(key, 10)
        await meters.finish()

    s.runtime.wait_for(read_there())
    s.runtime._parts.pop(ReadMeters)
    read_all(s)
    assert booked(s) == {"bytes-out": 2_020}


def test_a_log_restored_from_an_older_copy_is_read_from_where_it_is(s):
    """Neither what it had when it was counted is counted again, nor is what came since passed over."""
    put(s, 1_000)
    copies = []
    for _ in range(4):
        read_all(s)
        save(s)
        copies.append(copy_of(s.runtime.record_log))
        s.clock.advance(60_000)
    count(s)
    assert list(usage().values()) == [4_000]
    s.clock.advance(3 * DAY_MS)
    clock_guard.believe(s.clock.now_ms())
    put(s, 500)
    read_all(s)
    assert booked(s, hour_ms__gt=s.hour_ms + DAY_MS) == {"bytes-out": 500}
    assert not MeterReading.objects.filter(resource__startswith="reads/", hour_ms=s.hour_ms).exists()  # long forgotten
    restore(s.runtime, copies[1])
    s.runtime._parts.pop(ReadMeters)
    s.clock.advance(FRESH_MS)
    put(s, 500)
    for _ in range(2):
        read_all(s)
        save(s)
    count(s)
    count(s)
    assert usage(hour_ms=s.hour_ms) == {("stream/s", "bytes-out", s.hour_ms, "AKIDEXAMPLE"): 4_000}
    assert sum(usage(hour_ms__gt=s.hour_ms + DAY_MS).values()) == 1_500


def test_the_last_reads_of_a_team_are_counted_from_a_restored_log_too(s):
    """Who deletes a team may be the first who looks into it."""
    put(s, 1_000)
    copies = []
    for _ in range(5):
        s.clock.advance(60_000)
        read_all(s)
        save(s)
        copies.append(copy_of(s.runtime.record_log))
    count(s)
    assert list(usage().values()) == [5_000]
    restore(s.runtime, copies[1])
    s.runtime._parts.pop(ReadMeters)
    s.clock.advance(60_000)
    put(s, 500)
    read_all(s)
    save(s)
    for _ in range(2):
        assert read_usage.count_for_team(s.runtime, s.principal.team_id)
    assert list(usage().values()) == [6_500]
    count(s)
    assert list(usage().values()) == [6_500]
    assert BillingFlag.objects.get(resource="reads").seen == 1


def test_a_clock_that_was_ahead_while_it_was_saved_does_not_count_twice(s):
    put(s, 1_000)
    read_all(s)
    assert booked(s) == {"bytes-out": 1_000}
    read_all(s)
    s.clock.advance(31 * DAY_MS)
    save(s)  # of the hour before the jump, and stored as of the time after it
    count(s)
    s.clock.set(s.clock.now_ms() - 31 * DAY_MS)
    read_all(s)
    assert booked(s) == {"bytes-out": 3_000}


def test_another_log_is_read_from_its_beginning(s):
    put(s, 1_000)
    for _ in range(3):
        read_all(s)
        save(s)
    count(s)
    fresh = MemoryLog(s.clock)
    s.runtime.wait_for(fresh.open())
    s.runtime.wait_for(fresh.create(s.shard().pk))
    s.runtime.record_log = fresh
    s.runtime._parts.pop(ReadMeters)
    put(s, 50)
    read_all(s)
    assert booked(s) == {"bytes-out": 3_050}


def copy_of(log):
    """What a copy of the log would have."""
    import copy

    return {key: copy.deepcopy(shard.__dict__) for key, shard in log._shards.items()}


def restore(runtime, copied):
    for key, shard in copied.items():
        runtime.record_log._shards[key].__dict__.update(shard)


def test_the_reserved_shard_is_nobodys_and_is_checked_like_all(s):
    put(s, 1_000)
    read_all(s)
    assert booked(s) == {"bytes-out": 1_000}
    verified = s.runtime.wait_for(s.runtime.record_log.verify())
    assert (verified.shards, verified.problems) == (3, ())  # the stream's, this one, and that of the marks


def test_a_closed_shards_last_answer_is_paid_too(s):
    put(s, KIB)
    s("UpdateShardCount", StreamName="s", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    s.settle()
    s.clock.advance(FRESH_MS)
    assert read_all(s) == KIB
    assert booked(s) == {"bytes-out": KIB}
