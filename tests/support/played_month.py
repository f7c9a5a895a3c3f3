"""A month played hour by hour: calls through the one door, workers' slices in this process, and a clock that runs ahead.

Several teams play at once, each its own traffic. Twice an hour each has its turn; once an hour the meters are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from apps.base.clock import FakeClock
from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing.models import UsageHour
from apps.billing.months import Month
from apps.delivery.models import Lane
from apps.gateway.invoke import invoke, invoke_sync
from apps.leases.models import Lease
from apps.runtime import Runtime
from apps.streams.read_meters import ReadMeters
from tests.support.runtimes import run_due
from tests.support.teams import TestTeam
from workers import slices

MINUTES = (10, 40)
"""Of each hour, at which each player has its turn."""
EVENTS_WITHIN_S = 60


class Player:
    """A team. What it does is in begin() and turn(); wanted: usage of the month by meter, counted by hand."""

    wanted: dict[str, int]

    def __init__(self, played: PlayedMonth, team: TestTeam) -> None:
        self.played, self.team, self.principal = played, team, team.principal
        self.wanted = {}
        self._numbers: dict[str, str] = {}

    def before(self) -> None:
        """At the beginning of the weeks before the month."""

    def begin(self) -> None:
        """At the first millisecond of the month."""

    def turn(self, hour: int, minute: int) -> None:
        """hour: of the month; negative before it."""

    def __call__(self, operation: str, service: str = "kinesis", **params: Any) -> Any:
        return invoke_sync(self.played.runtime, self.principal, service, operation, params)

    def make(self, name: str = "s", **params: Any) -> None:
        """A stream that is ACTIVE at once."""
        self("CreateStream", StreamName=name, **params)
        self.played.settle()

    def arn(self, name: str = "s") -> str:
        return f"arn:aws:kinesis:us-east-1:{self.principal.account_id}:stream/{name}"

    def register(self, *names: str) -> dict[str, str]:
        """Consumers that are ACTIVE at once: their ARNs."""
        arns = {}
        for name in names:
            answer = self("RegisterStreamConsumer", StreamARN=self.arn(), ConsumerName=name)
            arns[name] = answer["Consumer"]["ConsumerARN"]
        self.played.settle()
        return arns

    def put(self, sizes: Iterable[int], name: str = "s") -> None:
        """Records of these sizes, keys (of four bytes) included."""
        records = [{"PartitionKey": f"{n % 7_919:04d}", "Data": bytes(size - 4)} for n, size in enumerate(sizes)]
        for first in range(0, len(records), 500):
            answer = self("PutRecords", StreamName=name, Records=records[first : first + 500])
            assert answer["FailedRecordCount"] == 0

    def shard_ids(self, name: str = "s") -> list[str]:
        return [shard["ShardId"] for shard in self("ListShards", StreamName=name)["Shards"]]

    def _position(self, reader: str, shard_id: str) -> dict[str, str]:
        number = self._numbers.get(f"{reader}/{shard_id}")
        if number is None:
            return {"Type": "TRIM_HORIZON"}
        return {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}

    def poll(self, name: str = "s") -> int:
        """Read by GetRecords what came since the last time; its bytes."""
        total = 0
        for shard_id in self.shard_ids(name):
            position = self._position("poller", shard_id)
            asked = {"ShardIteratorType": position["Type"], "StartingSequenceNumber": position.get("SequenceNumber")}
            asked = {key: value for key, value in asked.items() if value}
            iterator = self("GetShardIterator", StreamName=name, ShardId=shard_id, **asked)["ShardIterator"]
            while True:
                answer = self("GetRecords", ShardIterator=iterator, Limit=10_000)
                if not answer["Records"]:
                    break
                total += sum(len(one["Data"]) + len(one["PartitionKey"]) for one in answer["Records"])
                self._numbers[f"poller/{shard_id}"] = answer["Records"][-1]["SequenceNumber"]
                iterator = answer["NextShardIterator"]
        return total

    def fan_out(self, consumer: str, arn: str) -> int:
        """The same by SubscribeToShard, one shard after the other."""
        return sum(self._subscribed(consumer, arn, shard_id) for shard_id in self.shard_ids())

    def _subscribed(self, consumer: str, arn: str, shard_id: str) -> int:
        asked = {
            "ConsumerARN": arn,
            "ShardId": shard_id,
            "StartingPosition": self._position(consumer, shard_id),
        }

        async def follow() -> int:
            total = 0
            events = await invoke(self.played.runtime, self.principal, "kinesis", "SubscribeToShard", asked)
            async with asyncio.timeout(EVENTS_WITHIN_S):
                async for _, event in events:
                    found = event if isinstance(event, dict) else msgspec.to_builtins(event, builtin_types=(bytes,))
                    total += sum(len(one["Data"]) + len(one["PartitionKey"]) for one in found["Records"])
                    self._numbers[f"{consumer}/{shard_id}"] = found["ContinuationSequenceNumber"]
                    if not found["MillisBehindLatest"]:
                        break
            await events.aclose()
            return total

        return self.played.runtime.wait_for(follow(), EVENTS_WITHIN_S)


class PlayedMonth:
    """The players' common time."""

    def __init__(self, runtime: Runtime, clock: FakeClock, month: Month, weeks_before_ms: int = 0) -> None:
        self.runtime, self.clock, self.month = runtime, clock, month
        self.players: list[Player] = []
        clock.set(month.start_ms - weeks_before_ms)

    def settle(self) -> None:
        """Life of streams and of delivery streams."""
        run_due(self.runtime, "lifecycle")
        run_due(self.runtime, "delivery-streams", "delivery")

    def read_meters(self) -> None:
        """One round of all meters, now."""
        self.runtime.wait_for(self.runtime.part(ReadMeters).save())
        Lease.objects.filter(kind="metering").update(due_at_ms=self.clock.now_ms())
        run_due(self.runtime, "metering")

    def deliver(self, team_id: int) -> None:
        """Each lane of a team has a look."""
        for key in Lane.objects.filter(delivery_stream__team_id=team_id).order_by("pk").values_list("pk", flat=True):
            slices.run(self.runtime, "delivery", str(key))

    def play(self, hours: Iterable[int] | None = None) -> None:
        """From where the clock is, through the month, to an hour after it."""
        for player in self.players:
            player.before()
        first = (self.clock.now_ms() - self.month.start_ms) // HOUR_MS
        for hour in range(first, self.month.hours) if hours is None else hours:
            start_ms = self.month.start_ms + hour * HOUR_MS
            self.clock.set(start_ms)
            if hour == 0:
                for player in self.players:
                    player.begin()
            self.read_meters()
            for minute in MINUTES:
                self.clock.set(start_ms + minute * MINUTE_MS)
                for player in self.players:
                    player.turn(hour, minute)
        self.clock.set(self.month.end_ms)
        self.read_meters()
        self.clock.set(self.month.end_ms + MINUTES[0] * MINUTE_MS)
        self.read_meters()

    def usage(self, player: Player) -> dict[str, int]:
        """Of the month, by meter."""
        rows = UsageHour.objects.filter(
            team_id=player.team.team.pk, hour_ms__gte=self.month.start_ms, hour_ms__lt=self.month.end_ms
        )
        found: dict[str, int] = {}
        for meter, quantity in rows.values_list("meter", "quantity"):
            found[meter] = found.get(meter, 0) + quantity
        return found


def spread(total: int, hour: int, hours: int = 720) -> int:
    """What of a total belongs to an hour, so that all hours together are the total and differ by one at most."""
    return total * (hour + 1) // hours - total * hour // hours
