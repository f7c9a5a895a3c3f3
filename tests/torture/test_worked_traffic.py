"""The worked examples at a ten-thousandth of their traffic, through real calls and a clock that runs ahead: what the ledger
has in the end is what a hand counts, exactly, and the bill's quantities follow.

Resources are as in the examples (4 shards, 720 hours …), so what they cost is the examples' own; rates are divided. All but
13 are played in the same November, each by a team of its own; those about storage begin a month before, so that what is
stored has become steady. At full volume: tests/domain/billing/test_worked_examples.py. `make worked-examples` runs both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from apps.base.clock import FakeClock
from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import bills
from apps.billing.dimensions import DIMENSIONS
from apps.billing.months import Month
from apps.delivery.grants import grant
from apps.runtime import Runtime
from tests.support.kpl import aggregate
from tests.support.played_month import PlayedMonth, Player, spread
from tests.support.runtimes import memory_runtime
from tests.support.s3 import settings_for
from tests.support.teams import make_team
from tests.torture.deliveries import BUCKET, QuickS3, quick_s3

pytestmark = [pytest.mark.torture, pytest.mark.django_db(transaction=True)]

NOVEMBER = Month(2026, 11)
HOURS = 720
MONTH_MS = HOURS * HOUR_MS
WEEKS_BEFORE_MS = 31 * DAY_MS
KIB, MIB, GIB = 2**10, 2**20, 2**30
READ_EVERY_HOURS = 6


class RecordsOf35KB(Player):
    """1: 4 shards, 100 records a second of 35 KB, so 36 an hour."""

    def begin(self) -> None:
        self.make(ShardCount=4)
        records = 259_200_000 // 10_000
        self.wanted = {
            "records-in": records, "bytes-in": records * 35 * KIB, "payload-units": records * 2,
            "shard-time": 4 * MONTH_MS,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0 and minute == 10:
            self.put([35 * KIB] * 36)


class SmallRecords(Player):
    """2: 1 shard, 1,000 records a second of 512 bytes, so 360 an hour."""

    def begin(self) -> None:
        self.make(ShardCount=1)
        records = 2_592_000_000 // 10_000
        self.wanted = {
            "records-in": records, "bytes-in": records * 512, "payload-units": records, "shard-time": MONTH_MS,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0:
            self.put([512] * 180)


class Aggregated(Player):
    """3: the same with KPL: 10 records a second of exactly 50 KB, so 3.6 an hour, of a hundred user records each."""

    def begin(self) -> None:
        self.make(ShardCount=1)
        self.data = aggregated(50 * KIB - 4)
        records = 25_920_000 // 10_000
        self.wanted = {
            "records-in": records, "bytes-in": records * 50 * KIB, "payload-units": records * 2, "shard-time": MONTH_MS,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0 and minute == 40:
            for _ in range(spread(2_592, hour)):
                self("PutRecord", StreamName="s", PartitionKey="abcd", Data=self.data)


def aggregated(size: int) -> bytes:
    """A KPL aggregate of exactly so many bytes."""
    users = [(f"u{n}", bytes(490)) for n in range(100)]
    last = 490
    while len(found := aggregate([*users, ("last", bytes(last))])) != size:
        last += size - len(found)
    return found


class SevenDays(Player):
    """4: 4 shards with a retention of 7 days."""

    def begin(self) -> None:
        self.make(ShardCount=4)
        self("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=168)
        self.wanted = {"shard-time": 4 * MONTH_MS, "extended-retention-time": 4 * MONTH_MS}


class ThirtyDays(Player):
    """5: 1 MiB a second for weeks, kept for 30 days; 100 GB of old data are read."""

    def before(self) -> None:
        self.make(ShardCount=1)
        self("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=720)
        self.arrived: dict[int, int] = {}

    def begin(self) -> None:
        self.wanted = {"shard-time": MONTH_MS, "extended-retention-time": MONTH_MS}

    def turn(self, hour: int, minute: int) -> None:
        if minute == 10:
            size = spread(MIB * 2_592_000 // 10_000, hour % HOURS)
            self.put([size])
            self.arrived[hour] = size
            for meter, value in (("records-in", 1), ("bytes-in", size), ("payload-units", -(-size // (25 * KIB)))):
                self.wanted[meter] = self.wanted.get(meter, 0) + (value if hour >= 0 else 0)
        if (hour, minute) == (700, 40):
            self._read_old(28)
        if (hour, minute) == (719, 40):
            self.wanted["long-term-storage"] = sum(map(self._old, range(HOURS)))

    def _old(self, hour: int) -> int:
        """Bytes that are older than 7 days in that hour, and not yet 30: data counts from the end of its hour on."""
        return sum(size for at, size in self.arrived.items() if 168 <= hour - (at + 1) < 720)

    def _read_old(self, records: int) -> None:
        """100 GB by 10,000 are 28.4 of the hours' records."""
        at_ms = self.played.clock.now_ms() - 20 * DAY_MS
        asked = {"ShardId": self.shard_ids()[0], "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at_ms}
        iterator = self("GetShardIterator", StreamName="s", **asked)["ShardIterator"]
        left, total = records, 0
        while left:
            answer = self("GetRecords", ShardIterator=iterator, Limit=left)
            total += sum(len(one["Data"]) + len(one["PartitionKey"]) for one in answer["Records"])
            left, iterator = left - len(answer["Records"]), answer["NextShardIterator"]
            self.played.clock.advance(10_000)
        self.wanted |= {"bytes-out": total, "long-term-bytes-out": total}


class TwoConsumers(Player):
    """6: 4 shards, 2 consumers of 500 GB each."""

    def begin(self) -> None:
        self.make(ShardCount=4)
        self.arns = self.register("one", "two")
        self.total = 500 * GIB // 10_000
        each = [spread(self.total, hour) for hour in range(HOURS)]
        sizes = [size for one in each for size in self._sizes(one)]
        assert sum(sizes) == self.total
        self.wanted = {
            "records-in": len(sizes), "bytes-in": self.total, "shard-time": 4 * MONTH_MS,
            "payload-units": sum(-(-size // (25 * KIB)) for size in sizes),
            "consumer-time": 2 * 4 * MONTH_MS, "fan-out-bytes": 2 * self.total,
        }  # fmt: skip

    @staticmethod
    def _sizes(of_hour: int) -> list[int]:
        return [of_hour // 8 + (n < of_hour % 8) for n in range(8)]

    def turn(self, hour: int, minute: int) -> None:
        if hour < 0:
            return
        if minute == 10:
            self.put(self._sizes(spread(self.total, hour)))
        elif hour % READ_EVERY_HOURS == READ_EVERY_HOURS - 1:
            for name, arn in self.arns.items():
                self.fan_out(name, arn)


class NinetyMinutes(Player):
    """7: a consumer of 10 shards is there for 90 minutes."""

    def begin(self) -> None:
        self.make(ShardCount=10)
        self.wanted = {"shard-time": 10 * MONTH_MS, "consumer-time": 10 * 90 * MINUTE_MS}

    def turn(self, hour: int, minute: int) -> None:
        if (hour, minute) == (216, 40):
            self.register("c")
        elif (hour, minute) == (218, 10):
            self("DeregisterStreamConsumer", StreamARN=self.arn(), ConsumerName="c")
            self.played.settle()


class OnDemand(Player):
    """8: on-demand, 1,000 records a second of 1.5 KB, so 360 an hour; a poller, a consumer, 7 days of retention."""

    plan = "on-demand"

    def before(self) -> None:
        self.make(StreamModeDetails={"StreamMode": "ON_DEMAND"})
        self("IncreaseStreamRetentionPeriod", StreamName="s", RetentionPeriodHours=168)
        self.arns = self.register("c")

    def begin(self) -> None:
        records, size = 259_200, 1_536
        self.wanted = {
            "records-in": records, "bytes-in": records * size, f"{self.plan}-bytes-in": records * 2 * KIB,
            f"{self.plan}-bytes-out": records * size, f"{self.plan}-fan-out-bytes": records * size,
            **self.kept(360 * size * 6 * 24 * HOURS),
        }  # fmt: skip

    def kept(self, byte_hours: int) -> dict[str, int]:
        """Six days of it all the time, beyond the first."""
        return {"on-demand-time": MONTH_MS, "on-demand-extended-storage": byte_hours}

    def turn(self, hour: int, minute: int) -> None:
        if minute == 10:
            self.put([1_536] * 360)
        elif hour % READ_EVERY_HOURS == READ_EVERY_HOURS - 1:
            assert self.poll() == self.fan_out("c", self.arns["c"]) == READ_EVERY_HOURS * 360 * 1_536


class Committed(OnDemand):
    """9: the same traffic of an account with the commitment."""

    plan = "advantage"

    def before(self) -> None:
        self("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
        super().before()

    def kept(self, byte_hours: int) -> dict[str, int]:
        return {"advantage-time": MONTH_MS, "advantage-storage": byte_hours}


class DirectPut(Player):
    """11: 500 records a second of 3 KB, so 180 an hour, put straight into a delivery stream."""

    def begin(self) -> None:
        self.deliver_to()
        records = 1_296_000_000 // 10_000
        self.wanted = {
            "delivery-records-in": records, "delivery-bytes-in": records * 3 * KIB, "delivery-units": records,
        }  # fmt: skip

    def deliver_to(self, **more: Any) -> None:
        """An ACTIVE delivery stream."""
        role = f"arn:aws:iam::{self.principal.account_id}:role/firehose"
        given = {"RoleARN": role, "BucketARN": f"arn:aws:s3:::{BUCKET}", "Prefix": f"{self.team.team.slug}/", **more}
        given.setdefault("BufferingHints", {"SizeInMBs": 64, "IntervalInSeconds": 60})
        self("CreateDeliveryStream", "firehose", DeliveryStreamName="d", ExtendedS3DestinationConfiguration=given)
        self.played.settle()

    def put_batch(self, datas: list[bytes]) -> None:
        asked = {"DeliveryStreamName": "d", "Records": [{"Data": data} for data in datas]}
        assert self("PutRecordBatch", "firehose", **asked)["FailedPutCount"] == 0

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0 and minute == 10:
            self.put_batch([bytes(3 * KIB)] * 180)
        elif hour % 24 == 23:
            self.played.deliver(self.team.team.pk)


QUERY = {
    "Type": "MetadataExtraction",
    "Parameters": [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{k: .k}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ],
}
PARTITIONED = {
    "Prefix": "partitioned/!{partitionKeyFromQuery:k}/",
    "ErrorOutputPrefix": "errors/",
    "DynamicPartitioningConfiguration": {"Enabled": True},
    "ProcessingConfiguration": {"Enabled": True, "Processors": [QUERY]},
}


class Partitioned(DirectPut):
    """12: 100 records a second of 12 KB, so 36 an hour, partitioned by a key of theirs."""

    def begin(self) -> None:
        self.deliver_to(**PARTITIONED)
        records = 259_200_000 // 10_000
        self.wanted = {
            "delivery-records-in": records, "delivery-bytes-in": records * 12 * KIB, "delivery-units": records * 3,
            "delivery-partitioned-bytes": records * 12 * KIB,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour < 0:
            return
        if minute == 10:
            self.put_batch([line(12 * KIB, n % 3) for n in range(36)])
        elif hour % READ_EVERY_HOURS == READ_EVERY_HOURS - 1:
            for _ in range(3):
                self.played.deliver(self.team.team.pk)
                self.played.clock.advance(61_000)
            self.played.deliver(self.team.team.pk)


class Converted(DirectPut):
    """12, its conversion: the same records to Parquet."""

    def begin(self) -> None:
        self("CreateDatabase", "glue", DatabaseInput={"Name": "db"})
        columns = [{"Name": "k", "Type": "string"}, {"Name": "p", "Type": "string"}]
        self(
            "CreateTable",
            "glue",
            DatabaseName="db",
            TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns}},
        )
        role = f"arn:aws:iam::{self.principal.account_id}:role/firehose"
        schema = {"RoleARN": role, "DatabaseName": "db", "TableName": "t"}
        self.deliver_to(DataFormatConversionConfiguration={
            "Enabled": True, "SchemaConfiguration": schema,
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        })  # fmt: skip
        records = 259_200_000 // 10_000
        self.wanted = {
            "delivery-records-in": records, "delivery-bytes-in": records * 12 * KIB, "delivery-units": records * 3,
            "delivery-converted-units": records * 3,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0 and minute == 10:
            self.put_batch([line(12 * KIB, n % 3) for n in range(36)])
        elif hour >= 0 and hour % READ_EVERY_HOURS == READ_EVERY_HOURS - 1:
            self.played.deliver(self.team.team.pk)


def line(size: int, key: int) -> bytes:
    """A JSON document of exactly so many bytes."""
    empty = json.dumps({"k": str(key), "p": ""})
    return json.dumps({"k": str(key), "p": "x" * (size - len(empty))}).encode()


class Channel(Player):
    """10: a channel of 1,000 GB to S3."""

    meter = "channel-bytes"

    def begin(self) -> None:
        self.make(StreamModeDetails={"StreamMode": "ON_DEMAND"})
        storage = {
            "BucketARN": f"arn:aws:s3:::{BUCKET}", "ExpectedBucketOwner": self.principal.account_id, "CompressionType": "NONE",
        }  # fmt: skip
        self(
            "CreateChannel", ChannelName="c",
            ServiceExecutionRoleARN=f"arn:aws:iam::{self.principal.account_id}:role/r",
            StreamConfigurationList=[{"StreamARN": self.arn(), "RecordConfiguration": {"RecordFormatType": "JSON"}}],
            S3DestinationConfiguration={"StorageConfiguration": storage},
        )  # fmt: skip
        self.played.settle()
        self.sizes = [spread(1_000 * GIB // 10_000, hour) for hour in range(HOURS)]
        total = sum(self.sizes)
        self.wanted = {self.meter: total, **self.put_in(total)}

    def put_in(self, total: int) -> dict[str, int]:
        """The stream's own meters. What a channel processes is data; keys (of four bytes) are the stream's alone."""
        size = total + 4 * HOURS
        rounded = sum(-(-(one + 4) // KIB) * KIB for one in self.sizes)
        return {
            "records-in": HOURS, "bytes-in": size, "on-demand-bytes-in": rounded, "on-demand-time": MONTH_MS,
        }  # fmt: skip

    def turn(self, hour: int, minute: int) -> None:
        if hour >= 0 and minute == 10:
            data = line(self.sizes[hour], 1)
            self("PutRecord", StreamName="s", PartitionKey="abcd", Data=data)
        elif hour >= 0 and hour % 12 == 11:
            self.played.deliver(self.team.team.pk)


class CommittedChannel(Channel):
    """10 with the commitment."""

    meter = "advantage-channel-bytes"

    def begin(self) -> None:
        self("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
        super().begin()

    def put_in(self, total: int) -> dict[str, int]:
        found = super().put_in(total)
        found["advantage-bytes-in"] = found.pop("on-demand-bytes-in")
        found["advantage-time"] = found.pop("on-demand-time")
        return found


class ShardMetrics(Player):
    """20: all shard-level metrics of 4 shards."""

    def begin(self) -> None:
        self.make(ShardCount=4)
        self("EnableEnhancedMonitoring", StreamName="s", ShardLevelMetrics=["ALL"])
        self.wanted = {"shard-time": 4 * MONTH_MS, "shard-metric-time": 4 * 7 * MONTH_MS}


PLAYERS = {
    "1": RecordsOf35KB, "2": SmallRecords, "3": Aggregated, "4": SevenDays, "5": ThirtyDays, "6": TwoConsumers,
    "7": NinetyMinutes, "8": OnDemand, "9": Committed, "10": Channel, "10 Advantage": CommittedChannel, "11": DirectPut,
    "12": Partitioned, "12 converted": Converted, "20": ShardMetrics,
}  # fmt: skip

COSTS = {
    "1": {"shard-hour": 43_20}, "2": {"shard-hour": 10_80}, "3": {"shard-hour": 10_80}, "4": {"extended-retention": 57_60},
    "6": {"fan-out-hour": 86_40}, "7": {"fan-out-hour": 23}, "8": {"on-demand-stream-hour": 28_80}, "20": {"shard-metric": 8_40},
}  # fmt: skip
"""Cents of what does not depend on traffic: as the examples have it."""


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[QuickS3]:
    with quick_s3(tmp_path / "s3", 1, "--no-log") as server:
        yield server


@pytest.fixture
def runtime(clock: FakeClock, s3: QuickS3) -> Iterator[Runtime]:
    built = memory_runtime(clock, throttle=False, **settings_for(s3.endpoint))
    built.open_in_thread()
    yield built
    built.close_in_thread()


def test_usage_is_what_a_hand_counts(runtime: Runtime, clock: FakeClock, s3: QuickS3) -> None:
    played = PlayedMonth(runtime, clock, NOVEMBER, WEEKS_BEFORE_MS)
    for number, kind in enumerate(PLAYERS.values()):
        team = make_team(f"{number + 1:012d}", f"t{number}", f"AKIDPLAYER{number}")
        grant(team.team, BUCKET, clock.now_ms())
        played.players.append(kind(played, team))
    played.play()
    by_name = dict(zip(PLAYERS, played.players, strict=True))
    found = {name: _without_jq(played.usage(player)) for name, player in by_name.items()}
    by_name["12"].wanted["delivery-objects"] = objects(s3, "partitioned/")
    assert found == {name: player.wanted for name, player in by_name.items()}
    for name, player in by_name.items():
        _bill_follows(name, player)


def _without_jq(usage: dict[str, int]) -> dict[str, int]:
    """How long jq took is no hand's to count."""
    return {meter: value for meter, value in usage.items() if meter != "delivery-jq-time"}


def objects(s3: QuickS3, prefix: str) -> int:
    """How many lie in the bucket."""
    return sum(unquote(path.name).startswith(prefix) for path in (s3.folder / BUCKET).iterdir())


def _bill_follows(name: str, player: Player) -> None:
    statement = bills.statement(player.team.team, "us-east-1", NOVEMBER, NOVEMBER.end_ms)
    assert statement.problems == ()
    lines = {line.dimension: line for line in statement.lines}
    for dimension, cents in COSTS.get(name, {}).items():
        assert lines[dimension].cents == cents, (name, dimension)
    for dimension, line in lines.items():
        meters = DIMENSIONS[dimension].meters
        if meters and "delivery-jq" not in dimension:
            metered = sum(player.wanted.get(meter.name, 0) for meter in meters)
            assert line.metered == metered, (name, dimension)
    if name == "9":
        least = Fraction(25 * MIB * 2_592_000, GIB)
        used = Fraction(player.wanted["advantage-bytes-in"], GIB)
        assert lines["advantage-shortfall-in"].quantity == least - used
        given = Fraction(player.wanted["advantage-bytes-out"] + player.wanted["advantage-fan-out-bytes"], GIB)
        assert lines["advantage-shortfall-out"].quantity == least - given


def test_600_tb_of_direct_put(runtime: Runtime, clock: FakeClock) -> None:
    """13, in one day: 64 GB in records of 1,000 KiB, all the same bytes. Nothing is delivered: the meter is the intake's."""
    played = PlayedMonth(runtime, clock, NOVEMBER)
    team = make_team()
    grant(team.team, BUCKET, clock.now_ms())
    player = DirectPut(played, team)
    player.deliver_to()
    total = 600 * 1_024 * GIB // 10_000
    batch = [bytes(1_000 * KIB)] * 4
    full, rest = divmod(total, 4_000 * KIB)
    for number in range(full):
        player.put_batch(batch)
        if number % 800 == 799:
            clock.advance(HOUR_MS)
            played.read_meters()
    player.put_batch([bytes(min(1_000 * KIB, rest))])
    clock.advance(HOUR_MS)
    played.read_meters()
    used = played.usage(player)
    assert used["delivery-records-in"] == 4 * full + 1
    assert used["delivery-bytes-in"] == 4_000 * KIB * full + min(1_000 * KIB, rest)
    assert used["delivery-units"] == 800 * full + -(-min(1_000 * KIB, rest) // (5 * KIB))
