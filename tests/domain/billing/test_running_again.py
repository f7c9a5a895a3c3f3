"""Whatever part of metering is run once more, from whatever it remembered an hour ago or from nothing at all: nothing changes.

And example 7 of the worked ones through real calls, since it takes but 90 minutes of the clock. The others: make
worked-examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import F, Model

from apps.base.clock import FakeClock
from apps.base.units import HOUR_MS, MINUTE_MS
from apps.billing import bills
from apps.billing.models import CommittedHour, UsageDay, UsageHour
from apps.billing.months import Month
from apps.capacity.models import Commitment
from apps.delivery.grants import grant
from apps.delivery.models import DeliveryStream
from apps.leases.models import Lease
from apps.runtime import Runtime
from apps.streams.models import Shard, Stream
from tests.support.played_month import PlayedMonth, Player
from tests.support.runtimes import memory_runtime
from tests.support.teams import TestTeam

pytestmark = pytest.mark.django_db(transaction=True)

NOVEMBER = Month(2026, 11)


@pytest.fixture
def player(clock: FakeClock, team: TestTeam) -> Iterator[Player]:
    runtime: Runtime = memory_runtime(clock, throttle=False)
    runtime.open_in_thread()
    played = PlayedMonth(runtime, clock, NOVEMBER)
    yield Player(played, team)
    runtime.close_in_thread()


def usage() -> list[list[tuple[Any, ...]]]:
    """All rows of the ledger."""
    models: tuple[type[Model], ...] = (UsageHour, UsageDay, CommittedHour)
    return [sorted(model.objects.values_list(), key=str) for model in models]


def go_on(player: Player, minutes: int = 30) -> None:
    player.played.clock.advance(minutes * MINUTE_MS)
    player.played.read_meters()


def live(player: Player) -> None:
    """Some hours of everything: two plans, both ways of reading, old data, a delivery stream."""
    role = f"arn:aws:iam::{player.principal.account_id}:role/firehose"
    grant(player.team.team, "bucket", player.played.clock.now_ms())
    player.make(ShardCount=2)
    player.make("o", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    player("IncreaseStreamRetentionPeriod", StreamName="o", RetentionPeriodHours=25)
    player("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    player(
        "CreateDeliveryStream", "firehose", DeliveryStreamName="d",
        ExtendedS3DestinationConfiguration={"RoleARN": role, "BucketARN": "arn:aws:s3:::bucket"},
    )  # fmt: skip
    arn = player.register("c")["c"]
    for _ in range(27):
        player.put([100, 30_000])
        player.put([2_000], "o")
        player("PutRecord", "firehose", DeliveryStreamName="d", Record={"Data": b"x" * 6_000})
        go_on(player, 60)
    player.poll()
    player.fan_out("c", arn)
    go_on(player)


def forget_shards() -> None:
    Shard.objects.update(metered_hour_ms=0)


def forget_notes() -> None:
    Lease.objects.filter(kind="metering").update(checkpoint={})


def back_to_the_hour() -> None:
    for model in (Stream, Commitment):
        model.objects.update(metered_to_ms=F("metered_to_ms") - F("metered_to_ms") % HOUR_MS)
    Stream.objects.exclude(stored_to_ms=None).update(stored_to_ms=F("stored_to_ms") - HOUR_MS)


def back_by_an_hour() -> None:
    DeliveryStream.objects.update(metered_to_ms=F("metered_to_ms") - HOUR_MS)


def test_running_any_part_again_changes_nothing(player: Player) -> None:
    live(player)
    player.played.read_meters()
    before = usage()
    assert {row[3] for row in before[0]} >= {
        "records-in", "payload-units", "shard-time", "consumer-time", "bytes-out", "fan-out-bytes", "advantage-bytes-in",
        "advantage-time", "advantage-storage", "delivery-units",
    }  # fmt: skip
    parts = (forget_shards, forget_notes, back_to_the_hour, back_by_an_hour)
    for some in [*((one,) for one in parts), parts, parts[::-1]]:
        for forget in some:
            forget()
        player.played.read_meters()
        assert usage() == before


def test_a_consumer_of_ten_shards_for_ninety_minutes(player: Player) -> None:
    player.make(ShardCount=10)
    go_on(player)
    player.register("c")
    for _ in range(3):
        go_on(player)
    player("DeregisterStreamConsumer", StreamARN=player.arn(), ConsumerName="c")
    player.played.settle()
    go_on(player)
    found = player.played.usage(player)
    assert found == {"consumer-time": 10 * 90 * MINUTE_MS, "shard-time": 10 * 150 * MINUTE_MS}
    statement = bills.statement(player.team.team, "us-east-1", NOVEMBER, NOVEMBER.end_ms)
    assert [(line.dimension, line.cents) for line in statement.lines] == [("shard-hour", 38), ("fan-out-hour", 23)]
