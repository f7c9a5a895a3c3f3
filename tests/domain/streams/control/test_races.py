"""Calls and workers at the same moment, each on a database connection of its own."""

import threading

import pytest
from django.db import close_old_connections, connections

from apps.base.errors import ServiceError
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import MeterReading, UsageHour
from apps.capacity.models import Commitment
from apps.streams import account_meters, autoscaling, lifecycle, time_meters
from apps.streams.models import Consumer, Shard, Stream, Tag
from apps.streams.topology import even_ranges

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6
WITHIN_S = 120


def at_once(*works):
    """Run all at the same moment; answers each one's result, or the ServiceError it ended with."""
    gate = threading.Barrier(len(works))
    results = [None] * len(works)
    errors = []

    def run(number, work):
        close_old_connections()
        gate.wait(WITHIN_S)
        try:
            results[number] = work()
        except ServiceError as error:
            results[number] = error
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert not errors, errors
    return results


def refused(results):
    return [result.code for result in results if isinstance(result, ServiceError)]


def test_one_of_many_gets_the_name(control):
    results = at_once(*[lambda: control("CreateStream", StreamName="s", ShardCount=1)] * THREADS)
    assert refused(results) == ["ResourceInUseException"] * (THREADS - 1)
    assert Stream.objects.count() == Shard.objects.count() == 1


def test_quotas_hold_against_many(control):
    control.allow(shards=5)
    results = at_once(*[lambda n=n: control("CreateStream", StreamName=f"s{n}", ShardCount=2) for n in range(THREADS)])
    assert refused(results) == ["LimitExceededException"] * (THREADS - 2)
    assert Shard.objects.count() == 4


def test_one_of_many_reshardings_begins(control):
    control.create("s", shards=4)
    results = at_once(
        lambda: control("SplitShard", StreamName="s", ShardToSplit="0", NewStartingHashKey="77"),
        lambda: control("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="1"),
        lambda: control("UpdateShardCount", StreamName="s", TargetShardCount=8, ScalingType="UNIFORM_SCALING"),
        lambda: control("UpdateShardCount", StreamName="s", TargetShardCount=2, ScalingType="UNIFORM_SCALING"),
    )
    assert refused(results) == ["ResourceInUseException"] * 3
    control.settle()
    assert control.status() == "ACTIVE"


def test_many_workers_reshard_as_one(control):
    """Leases see to it that only one works; if they did not, nothing would go wrong."""
    control.create("s", shards=3)
    control("UpdateShardCount", StreamName="s", TargetShardCount=5, ScalingType="UNIFORM_SCALING")

    def work():
        for _ in range(60):
            stream = Stream.objects.get()
            if stream.status == "ACTIVE":
                return
            lifecycle._advance(control.runtime, stream, 2**62)

    at_once(*[work] * 3)
    control.settle()
    rows = list(Shard.objects.order_by("index"))
    assert sorted((int(r.start_hash), int(r.end_hash)) for r in rows if r.closed_at_ms is None) == even_ranges(5)
    assert [row.index for row in rows] == list(range(len(rows)))
    assert all(row.opened_at_ms for row in rows)
    for row in rows:
        sealed = control.bounds(row).sealed
        assert (sealed is None) == (row.closed_at_ms is None)


def test_tags_and_consumers_stay_within_their_numbers(control):
    control.allow(tags=3, consumers=2)
    arn = str(control.create("s").arn)
    results = at_once(
        *[lambda n=n: control("AddTagsToStream", StreamName="s", Tags={f"k{n}": ""}) for n in range(THREADS)]
    )
    assert refused(results) == ["InvalidArgumentException"] * (THREADS - 3)
    assert Tag.objects.count() == 3
    results = at_once(
        *[lambda n=n: control("RegisterStreamConsumer", StreamARN=arn, ConsumerName=f"c{n}") for n in range(THREADS)]
    )
    assert refused(results) == ["LimitExceededException"] * (THREADS - 2)
    assert Consumer.objects.count() == 2


def test_the_same_readings_booked_at_once_count_once(team):
    def reading(source, value):
        return Reading(team.team.id, "stream/s", Series(f"shard/{source}", "bytes-in", 0, "AK", "log"), value, value)

    def work():
        for value in (10, 20, 30):
            ledger.record([reading(source, value) for source in range(5)])

    at_once(*[work] * THREADS)
    assert UsageHour.objects.get().quantity == 5 * 30


def test_one_of_many_switches_happens(control):
    arn = str(control.create("s").arn)
    results = at_once(
        *[
            lambda: control("UpdateStreamMode", StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
            for _ in range(THREADS)
        ]
    )
    assert refused(results) == ["ResourceInUseException"] * (THREADS - 1)
    assert len(control.stream().mode_changes_ms) == 1


def test_no_stream_is_warm_without_the_commitment(control):
    control.create("s", shards=None)
    control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    results = at_once(
        lambda: control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "DISABLED"}),
        lambda: control("UpdateStreamWarmThroughput", StreamName="s", WarmThroughputMiBps=6),
    )
    assert len(refused(results)) == 1
    assert (control.stream().warm_throughput_mibps is None) == (refused(results) == ["InvalidArgumentException"])


def test_many_who_commit_make_one_commitment(control):
    results = at_once(
        *[
            lambda: control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
            for _ in range(THREADS)
        ]
    )
    assert refused(results) == []
    assert Commitment.objects.count() == 1


def test_a_resize_and_the_api_do_not_begin_both(control):
    control.create("s", shards=4)
    stream = control.stream()
    results = at_once(
        lambda: autoscaling.resize(stream, 9, control.clock.now_ms(), "somebody"),
        lambda: control("UpdateShardCount", StreamName="s", TargetShardCount=8, ScalingType="UNIFORM_SCALING"),
        lambda: control("MergeShards", StreamName="s", ShardToMerge="0", AdjacentShardToMerge="1"),
    )
    assert refused(results) == ["ResourceInUseException"] * 2
    control.settle()
    assert control.status() == "ACTIVE"


def test_metering_and_changes_at_the_same_moment_count_every_millisecond_once(control):
    """Three who meter, by clocks some milliseconds apart, while mode, retention, metrics, commitment and consumers change."""
    for name in "ab":
        control.create(name, shards=2)
        arn = str(control.stream(name).arn)
        control("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    control.settle()
    control.clock.advance(60_000)
    keys, now_ms, arn = (
        list(Stream.objects.values_list("pk", flat=True)),
        control.clock.now_ms(),
        control.stream("a").arn,
    )
    results = at_once(
        *[lambda ahead=ahead: time_meters.book(keys, now_ms + ahead) for ahead in (3, 40, 700)],
        lambda: control("UpdateStreamMode", StreamARN=str(arn), StreamModeDetails={"StreamMode": "ON_DEMAND"}),
        lambda: control("IncreaseStreamRetentionPeriod", StreamName="b", RetentionPeriodHours=48),
        lambda: control("EnableEnhancedMonitoring", StreamName="b", ShardLevelMetrics=["ALL"]),
        lambda: control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"}),
        lambda: control("DeregisterStreamConsumer", StreamARN=str(control.stream("b").arn), ConsumerName="c"),
        lambda: account_meters.book_all(now_ms + 20),
    )
    assert not refused(results)
    control.clock.advance(60_000)
    now_ms = control.clock.now_ms()
    time_meters.book(keys, now_ms)
    account_meters.book_all(now_ms)
    used = {
        (row.resource, row.meter): row.quantity
        for row in UsageHour.objects.all()
        if row.meter != "extended-retention-time"
    }
    states = {one.name: one.metered_states for one in Stream.objects.all()}
    switched_ms = next(state[0] for state in states["a"] if state[1] == "ON_DEMAND")
    committed_ms = Commitment.objects.get().started_at_ms
    assert used["stream/a", "shard-time"] == 2 * (switched_ms - (now_ms - 120_000))
    assert used.get(("stream/a", "on-demand-time"), 0) == max(0, committed_ms - switched_ms)
    assert used["account", "advantage-time"] == now_ms - committed_ms
    assert used["stream/b", "shard-time"] == 2 * 120_000
    assert used["stream/b", "shard-metric-time"] % 14 == 0
    assert not MeterReading.objects.exclude(shrunk_at_ms=None).exists()
