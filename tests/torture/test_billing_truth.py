"""Bills equal truth: five teams put a million random records of random sizes, aggregates among them, into provisioned and
on-demand streams and into delivery streams, read them by GetRecords and enhanced fan-out, and reshard, while web, worker and
Valkey are killed. In the end the ledger has, exactly, what a full read-back of the log counts.

`make truth` runs it. TRUTH_RECORDS and TRUTH_KILLS make it smaller, TRUTH_SEED makes it another one; without kills
(TRUTH_KILLS=0) every meter is what the clients counted.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import time
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bench.server import Server, tidegate
from tests.support.waiting import eventually
from tests.torture import billing_rows
from tests.torture.counting_clients import (
    Caller,
    Key,
    NotSent,
    Poller,
    Puts,
    Putter,
    Reads,
    Refused,
    Subscriber,
    Unanswered,
    Where,
    counted,
    counted_delivery,
)
from tests.torture.deliveries import BUCKET, TARGETS, QuickS3, _answers, _of, quick_s3, wait_until

RECORDS = int(os.environ.get("TRUTH_RECORDS", "1000000"))
KILLS = int(os.environ.get("TRUTH_KILLS", "15"))
SEED = int(os.environ.get("TRUTH_SEED", "1"))
TEAMS = int(os.environ.get("TRUTH_TEAMS", "5"))
METERED_WITHIN_S = 600.0
CAUGHT_UP_WITHIN_S = 300.0
WRITTEN_WITHIN_S = 3_600.0
HEALTHY_WITHIN_S = 400.0
SAVED_EVERY_S = 1.0
"""Meters of reads: a kill loses no more."""
NEAR_S = 0.5
"""How much later than it should a process may get to it on a busy machine."""
STREAMS = {"orders": "", "events": "on-demand-"}
"""Names, and how the meters of their plan begin."""
OUTGROWN = {"InvalidArgumentException", "ValidationException", "LimitExceededException", "ResourceInUseException"}
"""Answers to a count of shards that is the present one, or too far from it, or comes while the last one is worked at."""
COMMITTED = 1
"""The team with the commitment, whose on-demand stream is metered as such."""

pytestmark = [
    pytest.mark.torture,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Team:
    """One of the teams: two keys, two streams with a consumer each, two delivery streams."""

    def __init__(self, server: Server, keys: list[Key], number: int, puts: Puts) -> None:
        self.server, self.keys, self.number, self.puts = server, keys, number, puts
        self.account = keys[0].account_id
        self.chance = random.Random(f"{SEED}/{number}")
        self._callers: list[Caller] = []
        self.call = self.caller()
        self.polled: dict[str, Reads] = {name: Reads() for name in STREAMS}
        self.fanned: dict[str, Reads] = {name: Reads() for name in STREAMS}
        self.consumers: dict[str, str] = {}
        self.subscribers: dict[tuple[str, str], Subscriber] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.reshards = 0
        self.written = False

    def caller(self, key: int = 0) -> Caller:
        self._callers.append(Caller(self.server.endpoint, self.keys[key]))
        return self._callers[-1]

    def hang_up(self) -> None:
        """Before the loop ends."""
        for caller in self._callers:
            caller.close()

    def plan(self, stream: str) -> str:
        """How meters of the stream begin."""
        return "advantage-" if STREAMS[stream] and self.number == COMMITTED else STREAMS[stream]

    async def begin(self) -> None:
        """Everything made, and ACTIVE."""
        if self.number == COMMITTED:
            await self.call("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
        await self.call("CreateStream", StreamName="orders", ShardCount=2)
        await self.call("CreateStream", StreamName="events", StreamModeDetails={"StreamMode": "ON_DEMAND"})
        for name in STREAMS:
            await self.active(name)
            made = {"StreamARN": self.arn(name), "ConsumerName": "c"}
            arn = (await self.call.patiently("RegisterStreamConsumer", **made))["Consumer"]["ConsumerARN"]
            self.consumers[name] = arn
            await eventually(partial(self._is_active, arn))
        await self._deliver("direct", {"DeliveryStreamType": "DirectPut"})
        source = {"KinesisStreamARN": self.arn("orders"), "RoleARN": self.role}
        stream = {"DeliveryStreamType": "KinesisStreamAsSource", "KinesisStreamSourceConfiguration": source}
        await self._deliver("copy", stream)

    def arn(self, name: str) -> str:
        return f"arn:aws:kinesis:us-east-1:{self.account}:stream/{name}"

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{self.account}:role/firehose"

    async def _is_active(self, consumer_arn: str) -> bool:
        answer = await self.call.patiently("DescribeStreamConsumer", ConsumerARN=consumer_arn)
        return bool(answer["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE")

    async def active(self, name: str) -> None:
        """Until the stream is."""
        while True:
            found = await self.call.patiently("DescribeStreamSummary", StreamName=name)
            if found["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return
            await asyncio.sleep(0.1)

    async def _deliver(self, name: str, source: dict[str, Any]) -> None:
        given = {
            "RoleARN": self.role,
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
            "Prefix": f"{self.account}/{name}/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 2},
        }
        asked = {"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": given, **source}
        await self.call.patiently("CreateDeliveryStream", "firehose", **asked)
        while True:
            found = await self.call.patiently("DescribeDeliveryStream", "firehose", DeliveryStreamName=name)
            if found["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE":
                return
            await asyncio.sleep(0.1)

    async def write(self) -> None:
        """Put and reshard until nothing more may be put."""
        reshard = asyncio.create_task(self._reshard())
        putters = [
            Putter(self.caller(n), self.puts, list(STREAMS), "direct", random.Random(f"{SEED}/{self.number}/{n}"))
            for n in range(len(self.keys))
        ]
        await asyncio.gather(*(putter.run() for putter in putters))
        self.written = True
        await reshard

    async def read(self, written: asyncio.Event) -> None:
        """Both ways, from the beginning of the streams to what is there when all is written."""
        watch = asyncio.create_task(self._subscribe_to_all())
        await asyncio.gather(*(Poller(self.caller(), name, self.polled[name]).run(written) for name in STREAMS))
        await eventually(self._all_is_fanned_out, CAUGHT_UP_WITHIN_S)
        watch.cancel()
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(watch, *self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _all_is_fanned_out(self) -> bool:
        for task in self.tasks:
            if task.done():
                task.result()
        return all(self.fanned[name].size_bytes >= self.polled[name].size_bytes for name in STREAMS)

    async def _subscribe_to_all(self) -> None:
        call = self.caller()
        while True:
            for name in STREAMS:
                for shard in (await call.patiently("ListShards", StreamName=name))["Shards"]:
                    which = name, shard["ShardId"]
                    if which not in self.subscribers:
                        one = Subscriber(self.caller(1), self.consumers[name], shard["ShardId"], self.fanned[name])
                        self.subscribers[which] = one
                        self.tasks.append(asyncio.create_task(one.run()))
            await asyncio.sleep(1)

    async def _reshard(self) -> None:
        call = self.caller()
        while not self.written:
            await asyncio.sleep(self.chance.uniform(0.5, 3))
            target = self.chance.choice([1, 2, 3, 4])
            asked = {"StreamName": "orders", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"}
            try:
                await call("UpdateShardCount", **asked)
                self.reshards += 1
            except (Unanswered, NotSent):
                continue
            except Refused as error:
                if error.code not in OUTGROWN:
                    raise
            await self.active("orders")

    async def read_back(self, name: str) -> tuple[Counter[str], dict[str, Counter[str]], int]:
        """Everything in the log, by the key that put it; and 5 KiB units of what a delivery stream takes. The partition key
        of a record ends with the number of its access key. These reads are counted as all others."""
        by_key: dict[str, Counter[str]] = defaultdict(Counter)
        total: Counter[str] = Counter()
        units = 0
        for shard in (await self.call.patiently("ListShards", StreamName=name))["Shards"]:
            asked = {"StreamName": name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = (await self.call.patiently("GetShardIterator", **asked))["ShardIterator"]
            while iterator:
                answer = await self.call("GetRecords", ShardIterator=iterator, Limit=5_000)
                self.polled[name].add(answer["Records"], self.call.connection)
                for record in answer["Records"]:
                    size = len(base64.b64decode(record["Data"]))
                    one = counted(size, len(record["PartitionKey"]))
                    by_key[self.keys[int(record["PartitionKey"][-1])].key_id].update(one)
                    total.update(one)
                    units += counted_delivery(size)["delivery-units"]
                iterator = answer.get("NextShardIterator")
                if not answer["Records"] and not answer["MillisBehindLatest"]:
                    break
        return total, by_key, units


class Killer:
    """Kills a part at a time; everything must come back by itself. Remembers when it killed web."""

    def __init__(self, server: Server) -> None:
        self.server, self.chance = server, random.Random(f"{SEED}/kills")
        self.killed: Counter[str] = Counter()
        self.web_at: list[float] = []

    async def run(self, puts: Puts) -> None:
        """KILLS of them, spread over what is put."""
        order = [list(TARGETS)[n % len(TARGETS)] for n in range(KILLS)]
        self.chance.shuffle(order)
        for number, target in enumerate(order):
            await eventually(partial(_down_to, puts, RECORDS * (1 - (number + 1) / (KILLS + 1))), WRITTEN_WITHIN_S)
            await asyncio.to_thread(self._kill, target)

    def _kill(self, target: str) -> None:
        victims = wait_until(partial(_of, target, self.server.pid), f"a living {target}")
        os.kill(self.chance.choice(victims), signal.SIGKILL)
        if target == "web":
            self.web_at.append(time.time())
        self.killed[target] += 1
        wait_until(lambda: _answers(f"{self.server.endpoint}/healthz"), "everything is back", HEALTHY_WITHIN_S)


async def _down_to(puts: Puts, left: float) -> bool:
    return puts.left <= left


async def traffic(teams: list[Team], puts: Puts, killer: Killer) -> None:
    """All that happens."""
    await asyncio.gather(*(team.begin() for team in teams))
    puts.left = RECORDS
    written = asyncio.Event()
    reading = asyncio.gather(*(team.read(written) for team in teams))
    await asyncio.gather(killer.run(puts), *(team.write() for team in teams))
    written.set()
    await reading
    for team in teams:
        team.hang_up()


def test_the_ledger_is_what_the_log_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"TIDEGATE_WEB_PROCESSES": "2"}
    with quick_s3(tmp_path / "s3", SEED, "--no-log") as s3, tidegate(
        tmp_path / "data", core=None, **settings, **s3.settings
    ) as server:  # fmt: skip
        puts, killer = Puts(), Killer(server)
        made = billing_rows.make_teams(tmp_path / "data", TEAMS, BUCKET)
        teams = [Team(server, keys, number, puts) for number, keys in enumerate(made)]
        began = time.monotonic()
        asyncio.run(traffic(teams, puts, killer))
        took_s = time.monotonic() - began
        log = asyncio.run(read_all_back(teams))
        read_ms = round(time.time() * 1_000) + 2_000
        found = _caught_up(tmp_path / "data", read_ms, teams, log)
        s3_units = units_in_s3(s3, teams)
    wrong = [*in_the_log(found, teams, log), *of_clients(found, teams, puts), *of_reads(found, teams, killer)]
    wrong += [*of_deliveries(found, teams, puts, log, s3_units), *of_time(found)]
    with capsys.disabled():
        print(f"\n{summary(teams, puts, killer, took_s, found)}; {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong[:40])


Log = dict[tuple[str, str], tuple[Counter[str], dict[str, Counter[str]], int]]
"""By account and stream: see Team.read_back."""


async def read_all_back(teams: list[Team]) -> Log:
    """One after the other."""
    found = {(team.account, name): await team.read_back(name) for team in teams for name in STREAMS}
    for team in teams:
        team.hang_up()
    return found


def _caught_up(data_dir: Path, read_ms: int, teams: list[Team], log: Log) -> billing_rows.Ledger:
    """The ledger, once everything was read after that time and the delivery streams have taken in what there is."""

    def complete() -> billing_rows.Ledger | None:
        now = billing_rows.ledger(data_dir)
        taken = all(
            now.of(team.account, "deliverystream/copy", "delivery-units") >= log[team.account, "orders"][2]
            for team in teams
        )
        return now if now.read_to_ms > read_ms and taken else None

    try:
        return wait_until(complete, "the ledger has caught up", METERED_WITHIN_S)
    except AssertionError:
        return billing_rows.ledger(data_dir)  # what is missing is told below


def units_in_s3(s3: QuickS3, teams: list[Team]) -> dict[str, Counter[str]]:
    """What was put into the delivery streams, by account, as it lies in S3."""
    found: dict[str, Counter[str]] = {}
    for team in teams:
        total: Counter[str] = Counter()
        for path in (s3.folder / BUCKET).glob(f"{team.account}%2Fdirect%2F*"):
            for line in path.read_bytes().splitlines(keepends=True):
                total.update(counted_delivery(len(line)))
        found[team.account] = total
    return found


def _names(team: Team, stream: str, of: Counter[str]) -> dict[str, int]:
    """What the ledger must have of puts, by meter: of a plan only its own."""
    plan = team.plan(stream)
    sold = {f"{plan}bytes-in": of["rounded"]} if plan else {"payload-units": of["payload-units"]}
    return {"records-in": of["records-in"], "bytes-in": of["bytes-in"], **sold}


def in_the_log(found: billing_rows.Ledger, teams: list[Team], log: Log) -> list[str]:
    """Team, stream and key: exactly what a read-back counts. No meter of another plan."""
    wrong = [] if found.hours == found.days else ["hours and days differ"]
    wrong += [f"{found.shrunk} series shrank"] if found.shrunk else []
    for team in teams:
        for name in STREAMS:
            for key_id, of in log[team.account, name][1].items():
                for meter, value in _names(team, name, of).items():
                    has = found.of(team.account, f"stream/{name}", meter, key_id)
                    if has != value:
                        wrong.append(
                            f"{team.account} {name} {meter} {key_id}: {has:,} in the ledger, {value:,} in the log"
                        )
            sold = {"payload-units", "on-demand-bytes-in", "advantage-bytes-in"} - set(_names(team, name, Counter()))
            wrong += [f"{team.account} {name}: {one}" for one in sold if found.of(team.account, f"stream/{name}", one)]
    return wrong


def of_clients(found: billing_rows.Ledger, teams: list[Team], puts: Puts) -> list[str]:
    """Between what was acknowledged, and that and what was not answered."""
    wrong = []
    for team in teams:
        for where in {*puts.acknowledged, *puts.unanswered}:
            if where[0] == team.account:
                wrong += _between(found, team, where, puts)
    return wrong


def _between(found: billing_rows.Ledger, team: Team, where: Where, puts: Puts) -> list[str]:
    account, resource, key_id = where
    kind, _, name = resource.partition("/")
    least, most = puts.acknowledged[where], puts.acknowledged[where] + puts.unanswered[where]
    if kind == "stream":
        least, most = Counter(_names(team, name, least)), Counter(_names(team, name, most))
    wrong = []
    for meter in most:
        has = found.of(account, resource, meter, key_id)
        if not least[meter] <= has <= most[meter]:
            wrong.append(f"{account} {resource} {meter} {key_id}: {has:,}, clients {least[meter]:,} to {most[meter]:,}")
    return wrong


def of_reads(found: billing_rows.Ledger, teams: list[Team], killer: Killer) -> list[str]:
    """At most what readers got and what may have been on its way; at least what they got, but for the last second before a
    kill of web on the connections that it broke. Without kills: the same."""
    wrong = []
    for team in teams:
        for name in STREAMS:
            for reads, meter in ((team.polled[name], "bytes-out"), (team.fanned[name], "fan-out-bytes")):
                has = found.of(team.account, f"stream/{name}", f"{team.plan(name)}{meter}")
                lost = reads.lost(killer.web_at, SAVED_EVERY_S + NEAR_S)
                least, most = reads.size_bytes - lost, reads.size_bytes + reads.doubtful
                if not least <= has <= most:
                    wrong.append(f"{team.account} {name} {meter}: {has:,}, readers {least:,} to {most:,}")
    return wrong


def of_deliveries(
    found: billing_rows.Ledger, teams: list[Team], puts: Puts, log: Log, in_s3: dict[str, Counter[str]]
) -> list[str]:
    """Direct PUT: what lies in S3. From a stream: what lies in the stream."""
    wrong = []
    for team in teams:
        direct, copy = (f"deliverystream/{name}" for name in ("direct", "copy"))
        wanted = {(direct, meter): value for meter, value in in_s3[team.account].items()}
        wanted[copy, "delivery-units"] = log[team.account, "orders"][2]
        for (resource, meter), value in wanted.items():
            has = found.of(team.account, resource, meter)
            if has != value:
                wrong.append(f"{team.account} {resource} {meter}: {has:,} in the ledger, {value:,} taken in")
    return wrong


def of_time(found: billing_rows.Ledger) -> list[str]:
    """Shards of provisioned streams: as long as their rows say they were open."""
    wrong = []
    for (account, name), value in found.shard_times.items():
        has = found.of(account, f"stream/{name}", "shard-time")
        wanted = value if name == "orders" else 0
        if has != wanted:
            wrong.append(f"{account} {name} shard-time: {has:,} in the ledger, {wanted:,} of its rows")
    return wrong


def summary(
    teams: list[Team], puts: Puts, killer: Killer, took_s: float, found: billing_rows.Ledger
) -> str:  # fmt: skip
    """The figures of the run."""
    acknowledged, unanswered = (
        sum(one["records-in"] + one["delivery-records-in"] for one in those.values())
        for those in (puts.acknowledged, puts.unanswered)
    )
    read = [reads for team in teams for reads in (*team.polled.values(), *team.fanned.values())]
    got = sum(one.size_bytes for one in read)
    has = sum(n for (_, _, meter, _), n in found.hours.items() if meter.endswith(("bytes-out", "fan-out-bytes")))
    doubtful = sum(one.doubtful for one in read)
    return (
        f"{acknowledged:,} records acknowledged, {unanswered:,} unanswered in {took_s:.0f} s; "
        f"{sum(team.reshards for team in teams)} reshards; killed {dict(killer.killed)}; readers got {got:,} bytes, "
        f"{doubtful:,} more may have been on their way, metered {has:,}"
    )
