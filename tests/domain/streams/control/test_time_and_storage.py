"""Whatever is done to a stream, in whatever order, and whenever it is metered, if at all before its end: usage is what a
count by hand says, to the millisecond and the byte-hour."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.clock import FakeClock
from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import clock_guard
from apps.billing.models import MeterReading, UsageHour
from apps.capacity.models import Commitment
from apps.leases.models import Lease
from apps.streams.models import Consumer, Shard, Stream
from tests.domain.streams.control.conftest import Control
from tests.support.hand_count import ENDLESS, History, Setting, count
from tests.support.runtimes import memory_runtime, run_due
from tests.support.teams import make_team

METERS = (
    "shard-time",
    "extended-retention-time",
    "consumer-time",
    "shard-metric-time",
    "on-demand-time",
    "advantage-time",
    "long-term-storage",
    "on-demand-extended-storage",
    "on-demand-long-term-storage",
    "advantage-storage",
)

LEAPS = st.sampled_from(
    [1, 999, 61_001, 17 * MINUTE_MS + 7, HOUR_MS, 5 * HOUR_MS + 13, 26 * HOUR_MS, 3 * DAY_MS + 1, 8 * DAY_MS]
)
ACTS = st.sampled_from(
    [
        "put",
        "split",
        "merge",
        "mode",
        "longer",
        "shorter",
        "metrics",
        "fewer",
        "consumer",
        "gone",
        "commit",
        "uncommit",
        "meter",
        "expire",
    ]
)


class Life:
    """A stream that things are done to, and what is known of it by hand."""

    def __init__(self):
        self.clock = FakeClock()
        self.clock.set(self.clock.now_ms() - self.clock.now_ms() % HOUR_MS + 123_457)
        runtime = memory_runtime(self.clock)
        runtime.open_in_thread()
        self.control = Control(runtime, self.clock, make_team().principal)
        self.control.allow(mode_switches_per_day=1_000_000)
        self.first_ms = self.now
        self.shards = {}
        stream = self.control.create("s", shards=2)
        self.history = History([Setting(stream.shards.first().opened_at_ms)])

    @property
    def now(self):
        return self.clock.now_ms()

    @property
    def stream(self):
        return Stream.objects.get()

    def leap(self, ms, believed):
        self.clock.advance(ms)
        if believed:
            clock_guard.believe(self.now)

    def do(self, act):
        getattr(self, f"do_{act}")()
        self.control.settle()
        self.see_shards()

    def do_meter(self):
        Lease.objects.filter(kind="metering").update(due_at_ms=self.now)
        run_due(self.control.runtime, "metering")

    def do_expire(self):
        """Closed shards with nothing left go, with their rows."""
        run_due(self.control.runtime, "retention")

    def do_put(self):
        shard = Shard.objects.filter(closed_at_ms=None).order_by("-pk").first()
        data = b"x" * (self.now % 977)
        self.control.append(shard, data)
        self.history.arrivals[self.now - self.now % HOUR_MS] += len(data) + 1

    def do_split(self):
        if self.stream.mode == "PROVISIONED":
            self.control("UpdateShardCount", StreamName="s", TargetShardCount=3, ScalingType="UNIFORM_SCALING")

    def do_merge(self):
        if self.stream.mode == "PROVISIONED":
            self.control("UpdateShardCount", StreamName="s", TargetShardCount=2, ScalingType="UNIFORM_SCALING")

    def do_mode(self):
        mode = "ON_DEMAND" if self.stream.mode == "PROVISIONED" else "PROVISIONED"
        arn = str(self.control.stream().arn)
        self.control("UpdateStreamMode", StreamARN=arn, StreamModeDetails={"StreamMode": mode})
        self.history.change(self.now, mode=mode)

    def retain(self, operation, hours):
        self.control(operation, StreamName="s", RetentionPeriodHours=hours)
        before = self.history.settings[-1]
        floor_ms = max(before.floor_ms, self.now - min(before.retention_ms, hours * HOUR_MS))
        self.history.change(self.now, retention_ms=hours * HOUR_MS, floor_ms=floor_ms)

    def do_longer(self):
        hours = self.stream.retention_hours
        if hours < 600:
            self.retain("IncreaseStreamRetentionPeriod", hours + 97)

    def do_shorter(self):
        hours = self.stream.retention_hours
        if hours > 24:
            self.retain("DecreaseStreamRetentionPeriod", max(24, hours - 100))

    def do_metrics(self):
        self.control("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])
        self.history.change(self.now, metrics=7)

    def do_fewer(self):
        off = ["IncomingBytes", "OutgoingBytes"]
        self.control("DisableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=off)
        left = len(self.stream.shard_level_metrics)
        self.history.change(self.now, metrics=left)

    def do_consumer(self):
        if not Consumer.objects.exists():
            arn = str(self.control.stream().arn)
            self.control("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
            self.history.consumers["c"].append((self.now, ENDLESS))

    def do_gone(self):
        if Consumer.objects.filter(status="ACTIVE").exists():
            arn = str(self.control.stream().arn)
            self.control("DeregisterStreamConsumer", StreamARN=arn, ConsumerName="c")
            lives = self.history.consumers["c"]
            lives[-1] = (lives[-1][0], self.now)

    def _commitment(self, status):
        self.control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": status})

    def do_commit(self):
        self._commitment("ENABLED")

    def do_uncommit(self):
        self._commitment("DISABLED")

    def delete(self):
        self.control("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
        self.history.end(self.now)

    def see_shards(self):
        for key, opened_ms, closed_ms in Shard.objects.values_list("pk", "opened_at_ms", "closed_at_ms"):
            self.shards[key] = (opened_ms, ENDLESS if closed_ms is None else closed_ms)
        self.history.shards = list(self.shards.values())

    def by_hand(self):
        rows = Commitment.objects.values_list("started_at_ms", "ends_at_ms")
        self.history.committed = [(a, ENDLESS if b is None else b) for a, b in rows]
        return count(self.history, self.first_ms, self.now)

    def metered(self):
        rows = UsageHour.objects.filter(meter__in=METERS)
        return {(row.meter, row.hour_ms, row.meter_key): row.quantity for row in rows}


class AnyLife(TestCase):
    steps = st.lists(st.tuples(ACTS, LEAPS, st.booleans()), min_size=3, max_size=14)
    given_life = given(
        mode=st.sampled_from(["PROVISIONED", "ON_DEMAND"]),
        hours=st.sampled_from([24, 100, 240, 500]),
        steps=steps,
        deleted=st.booleans(),
        metered=st.booleans(),
    )

    def check(self, mode, hours, steps, deleted, metered):
        """metered: from time to time; else only in the end."""
        life = Life()
        try:
            if mode == "ON_DEMAND":
                life.do("mode")
            if hours > 24:
                life.retain("IncreaseStreamRetentionPeriod", hours)
            life.do("put")
            for act, leap_ms, believed in steps:
                if metered or act != "meter":
                    life.do(act)
                life.leap(leap_ms, believed)
            if deleted:
                life.delete()
                life.control.settle()
                life.leap(90 * MINUTE_MS, True)
            clock_guard.believe(life.now)
            life.do("meter")
            life.do("meter")
            assert life.metered() == life.by_hand()
            assert not MeterReading.objects.exclude(shrunk_at_ms=None).exists()
            assert Stream.objects.exists() is not deleted
        finally:
            life.control.runtime.close_in_thread()

    @settings(max_examples=2)
    @given_life
    def test_usage_is_what_the_hand_counts(self, **life):
        self.check(**life)

    @pytest.mark.torture
    @settings(max_examples=150, derandomize=False)
    @given_life
    def test_the_same_at_length(self, **life):
        self.check(**life)
