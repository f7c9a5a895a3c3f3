"""Time is billed as long as things were there: whatever is done to a stream, at any millisecond, and however meters are read
meanwhile, the ledger has what DescribeStreamSummary showed, times how long it showed it. After a deletion nothing comes."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.base.clock import FakeClock
from apps.base.errors import ServiceError
from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing.models import UsageDay, UsageHour
from apps.leases.models import Lease
from apps.streams.models import Shard, Stream
from tests.domain.streams.control.conftest import Control
from tests.support.runtimes import memory_runtime, run_due
from tests.support.teams import make_team

BEGAN_MS = 1_795_163_467_123
METERS = (
    "shard-time",
    "extended-retention-time",
    "consumer-time",
    "on-demand-time",
    "advantage-time",
    "shard-metric-time",
)
STEPS = ("wait", "wait", "wait", "read", "read again", "split", "merge", "mode", "keep long", "keep short", "consumer", "metrics",
         "commit", "delete")  # fmt: skip
CHAIN_MS = 2_000
"""A shard's end lies in the second that its children's numbers begin with, so one that is resharded in the second of its own
creation ends up to a second later than its parents did. So each step has its time, and none is of several that follow upon
one another."""
METRICS = ["IncomingBytes", "OutgoingRecords", "IteratorAgeMilliseconds"]


class Life:
    """A stream, what is done to it, and what a hand counts meanwhile."""

    def __init__(self, control: Control, clock: FakeClock) -> None:
        self.control, self.clock = control, clock
        self.counted: Counter[str] = Counter()
        self.deleted = False
        self.committed = False
        control.create("s", shards=2)
        self.consumers = 0

    def do(self, step: str, number: int) -> None:
        """One step. What is refused changes nothing."""
        if self.deleted and step not in {"wait", "read", "read again", "commit"}:
            return
        with contextlib.suppress(ServiceError):
            getattr(self, f"_{step.replace(' ', '_')}")(number)
            self.control.settle()
            if step in {"split", "merge"}:
                self._wait(CHAIN_MS)

    def _wait(self, number: int) -> None:
        """Part of an hour, to the millisecond."""
        self._count(number)
        self.clock.advance(number)

    def _count(self, ms: int) -> None:
        self.counted["advantage-time"] += ms if self.committed else 0
        if self.deleted:
            return
        shown = self.control("DescribeStreamSummary", StreamName="s")["StreamDescriptionSummary"]
        shards = shown["OpenShardCount"]
        metrics = sum(len(one["ShardLevelMetrics"]) for one in shown["EnhancedMonitoring"])
        self.counted["shard-metric-time"] += metrics * shards * ms
        if shown["StreamModeDetails"]["StreamMode"] == "ON_DEMAND":
            self.counted["on-demand-time"] += 0 if self.committed else ms
            return
        self.counted["shard-time"] += shards * ms
        self.counted["extended-retention-time"] += shards * ms if shown["RetentionPeriodHours"] > 24 else 0
        self.counted["consumer-time"] += shown["ConsumerCount"] * shards * ms

    def _read(self, _: int) -> None:
        read(self.control)

    def _read_again(self, _: int) -> None:
        """As after a crash, or by a worker whose notes were lost: the hour that was read is read once more."""
        for stream in Stream.objects.exclude(metered_states=[]):
            hour_ms = stream.metered_to_ms - stream.metered_to_ms % HOUR_MS
            Stream.objects.filter(pk=stream.pk).update(metered_to_ms=max(hour_ms, stream.created_at_ms))
        Shard.objects.update(metered_hour_ms=0)
        Lease.objects.filter(kind="metering").update(checkpoint={})
        read(self.control)

    def _open(self) -> list[tuple[int, int, str]]:
        """First and last hash key and name of each, in order."""
        shards = self.control("ListShards", StreamName="s")["Shards"]
        opened = [one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]]
        ranges = [(one["HashKeyRange"], one["ShardId"]) for one in opened]
        return sorted((int(keys["StartingHashKey"]), int(keys["EndingHashKey"]), name) for keys, name in ranges)

    def _split(self, number: int) -> None:
        shards = self._open()
        first, last, name = shards[number % len(shards)]
        middle = str((first + last) // 2)
        self.control("SplitShard", StreamName="s", ShardToSplit=name, NewStartingHashKey=middle)

    def _merge(self, number: int) -> None:
        names = [*(name for _, _, name in self._open()), "shardId-000000009999"]
        at = number % (len(names) - 1)
        self.control("MergeShards", StreamName="s", ShardToMerge=names[at], AdjacentShardToMerge=names[at + 1])

    def _mode(self, number: int) -> None:
        mode = "ON_DEMAND" if number % 2 else "PROVISIONED"
        self.control("UpdateStreamMode", StreamARN=self._arn(), StreamModeDetails={"StreamMode": mode})

    def _arn(self) -> str:
        return str(self.control.stream().arn)

    def _keep_long(self, number: int) -> None:
        hours = 25 + number % 400
        self.control("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=hours)

    def _keep_short(self, _: int) -> None:
        self.control("DecreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=24)

    def _consumer(self, number: int) -> None:
        name = f"c{number % 3}"
        there = self.control("ListStreamConsumers", StreamARN=self._arn())["Consumers"]
        if name in {one["ConsumerName"] for one in there}:
            self.control("DeregisterStreamConsumer", StreamARN=self._arn(), ConsumerName=name)
        else:
            self.control("RegisterStreamConsumer", StreamARN=self._arn(), ConsumerName=name)

    def _metrics(self, number: int) -> None:
        what = "EnableEnhancedMonitoring" if number % 2 else "DisableEnhancedMonitoring"
        self.control(what, StreamName="s", ShardLevelMetrics=METRICS[: number % 3 + 1])

    def _commit(self, number: int) -> None:
        status = "ENABLED" if number % 2 else "DISABLED"
        answer = self.control("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": status})
        self.committed = answer["MinimumThroughputBillingCommitment"]["Status"] != "DISABLED"

    def _delete(self, _: int) -> None:
        self.control("DeleteStream", StreamName="s", EnforceConsumerDeletion=True)
        self.deleted = True


def read(control: Control) -> None:
    """A round of all meters."""
    Lease.objects.filter(kind="metering").update(due_at_ms=control.clock.now_ms())
    run_due(control.runtime, "metering")


def booked(model: Any = UsageHour) -> dict[str, int]:
    found = dict.fromkeys(METERS, 0)
    for meter, quantity in model.objects.filter(meter__in=METERS).values_list("meter", "quantity"):
        found[meter] += quantity
    return found


class Lives(TestCase):
    @settings(max_examples=6)
    @given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 50 * MINUTE_MS)), min_size=3, max_size=14))
    def test_the_ledger_has_what_was_shown_times_how_long(self, steps: list[tuple[str, int]]) -> None:
        clock = FakeClock(BEGAN_MS)
        runtime = memory_runtime(clock)
        runtime.open_in_thread()
        try:
            life = Life(Control(runtime, clock, make_team().principal), clock)
            for step, number in steps:
                life.do(step, number)
            for _ in range(3):  # a clock that nobody looked at for hours is believed after a while
                life.do("read", 0)
                life.do("wait", 20 * MINUTE_MS)
            life.do("read", 0)
            wanted = {meter: life.counted[meter] for meter in METERS}
            assert booked() == booked(UsageDay) == wanted
            life.do("delete", 0)
            life.counted["advantage-time"] = 0
            for step in ("wait", "read again", "wait", "read"):
                life.do(step, 45 * MINUTE_MS)
            assert booked() == {**wanted, "advantage-time": wanted["advantage-time"] + life.counted["advantage-time"]}
        finally:
            runtime.close_in_thread()
