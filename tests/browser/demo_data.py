"""A team as it looks in everyday use: nine streams, records, an hour of metrics, keys, jobs.

Records are put for real. The metrics' past is written as another web process would have flushed it, and goes on being
written every second, so that charts and figures have something to show without a load generator.
"""

import json
import math
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import boto3
from botocore.config import Config

from apps.base.clock import FakeClock
from apps.metrics import connection
from apps.metrics.counters import Counters
from apps.metrics.flush import Flusher
from tests.browser import demo_alarms, demo_billing, demo_budgets, demo_deliveries, demo_people, demo_prices
from tests.support.processes import ROOT, Up, environment, eventually

EMAIL, PASSWORD = "mira@acme.example", "correct-horse-battery"
VIEWER_EMAIL = "viewer@acme.example"
SETTINGS = {
    "TIDEGATE_ADMIN_EMAIL": EMAIL,
    "TIDEGATE_ADMIN_PASSWORD": PASSWORD,
    "TIDEGATE_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "TIDEGATE_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "TIDEGATE_ACCOUNT_ID": "123456789012",
}
HOUR_S = 3_600
CREATED_AT_ONCE = 4
"""AWS lets five streams of a team be in the making."""
BYTES_PER_RECORD = 1_400
MB = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A stream and its traffic: megabytes a second in and out, age of its readers, share of records refused."""

    name: str
    shards: int | None
    tags: tuple[str, ...]
    hours: int
    in_mb: float
    out_mb: float
    age_ms: float
    refused: float = 0
    load: dict[int, float] = field(default_factory=dict)
    """Share of the write limit by shard number, where it is not even."""


KINDS = (
    Kind("clickstream-web", None, ("web", "pii"), 24, 2.4, 9.1, 240),
    Kind("orders-events", 2, ("core",), 168, 3.6, 2.5, 38_200, 18, {2: 0.44, 3: 0.52, 6: 1.28, 7: 0.71, 5: 0.33}),
    Kind("payments-ledger", 4, ("core", "pci"), 720, 1.2, 2.3, 85),
    Kind("iot-telemetry-eu", 8, ("edge",), 24, 4.9, 11.2, 1_100),
    Kind("inventory-cdc", 2, ("db",), 48, 0.31, 0.31, 120),
    Kind("fraud-scores", None, ("ml",), 24, 0.88, 1.7, 95),
    Kind("search-queries", None, ("web",), 24, 2.1, 2.1, 310),
    Kind("ad-impressions", 6, ("web",), 24, 3.3, 9.6, 410),
)
QUIET = "session-replay"
SPLITS = ("shardId-000000000000", "shardId-000000000001", "shardId-000000000004")

PEOPLE = """
from apps.accounts.models import Membership, Team, User
from apps.accounts.roles import Role
team = Team.objects.get()
Team.objects.update(name="Acme Retail")
User.objects.update(name="Mira Okafor")
empty = Team.objects.create(account_id="210987654321", slug="empty", name="Fresh start", created_at_ms=1)
Membership.objects.create(team=empty, user=User.objects.get(email="mira@acme.example"), role=Role.OWNER)
viewer = User.objects.create_user("viewer@acme.example", "correct-horse-battery", name="Ola Nowak")
Membership.objects.create(team=team, user=viewer, role=Role.VIEWER)
"""


def kinesis_of(running: Up):
    return boto3.client(
        "kinesis",
        endpoint_url=running.endpoint,
        region_name="us-east-1",
        aws_access_key_id=SETTINGS["TIDEGATE_ACCESS_KEY_ID"],
        aws_secret_access_key=SETTINGS["TIDEGATE_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 10, "mode": "standard"}, read_timeout=60),
    )


def seed(running: Up) -> "Metrics":
    """All of it; the metrics go on until stop()."""
    rows = f"{PEOPLE}{demo_people.CODE}{demo_billing.CODE}{demo_budgets.CODE}{demo_prices.CODE}"
    team_id = int(shell(running, f"{rows}print(team.pk)").split()[-1])
    kinesis = kinesis_of(running)
    for first in range(0, len(KINDS), CREATED_AT_ONCE):
        _create(kinesis, KINDS[first : first + CREATED_AT_ONCE])
    _reshard(kinesis)
    _put_orders(kinesis)
    demo_deliveries.seed(running)
    demo_alarms.seed(running)
    ids = json.loads(shell(running, _IDS))
    metrics = Metrics(running, team_id, ids)
    metrics.start()
    kinesis.close()
    return metrics


def _create(kinesis, kinds: tuple[Kind, ...]) -> None:
    for kind in kinds:
        size = {"ShardCount": kind.shards} if kind.shards else {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
        kinesis.create_stream(StreamName=kind.name, Tags=dict.fromkeys(kind.tags, ""), **size)
    for kind in kinds:
        _active(kinesis, kind.name)
        if kind.hours != 24:
            kinesis.increase_stream_retention_period(StreamName=kind.name, RetentionPeriodHours=kind.hours)


_IDS = """
import json
from apps.streams.models import Stream
print(json.dumps({s.name: [s.pk, [h.index for h in s.shards.filter(closed_at_ms=None)]] for s in Stream.objects.all()}))
"""


def shell(running: Up, code: str) -> str:
    """Run code against the database of a running Tidegate."""
    given = environment(TIDEGATE_DATA_DIR=str(running.data_dir), TIDEGATE_PORT=str(running.port), **SETTINGS)
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def _active(kinesis, name: str) -> None:
    def is_active() -> bool:
        found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return found["StreamStatus"] == "ACTIVE"

    eventually(is_active, what=f"{name} is active")


def _reshard(kinesis) -> None:
    """The history that the shard map draws."""
    name = "orders-events"
    for shard_id in SPLITS:
        shards = {shard["ShardId"]: shard["HashKeyRange"] for shard in kinesis.list_shards(StreamName=name)["Shards"]}
        start, end = (int(shards[shard_id][key]) for key in ("StartingHashKey", "EndingHashKey"))
        kinesis.split_shard(StreamName=name, ShardToSplit=shard_id, NewStartingHashKey=str((start + end + 1) // 2))
        _active(kinesis, name)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="billing-service")


def _put_orders(kinesis, count: int = 60) -> None:
    """One by one, so that their times differ as they do in life."""
    chance = random.Random(7)
    for n in range(count):
        customer = f"cust-{chance.choice((88213, 10977, 60412, 33120, 71904, 11543))}"
        order = {
            "event": chance.choice(("order.placed", "order.paid", "order.updated", "order.shipped", "order.refunded")),
            "order_id": f"ord_{chance.randrange(36**5):05X}",
            "total": round(chance.uniform(10, 320), 2),
            "currency": "EUR",
            "items": chance.randrange(1, 9),
        }
        kinesis.put_record(StreamName="orders-events", PartitionKey=customer, Data=json.dumps(order).encode())
        if n % 7 == 0:
            time.sleep(0.01)


class Metrics(threading.Thread):
    """An hour of metrics in Redis, and another second of them every second."""

    def __init__(self, running: Up, team_id: int, ids: dict[str, list]) -> None:
        super().__init__(name="demo-metrics", daemon=True)
        self._url = f"unix://{running.data_dir / 'redis.sock'}"
        self._team_id = team_id
        self._ids = ids
        self._client = connection.synchronous(self._url)
        self._clock = FakeClock(0)
        self._counters = Counters()
        self._flusher = Flusher(self._counters, self._clock, serves=True)
        self._stopping = threading.Event()
        self._at = int(time.time()) - HOUR_S

    def run(self) -> None:
        now = int(time.time())
        while self._at < now - 330:  # ten seconds at a time, where charts are no finer
            self._second(self._at, 10)
        while not self._stopping.is_set():
            while self._at < int(time.time()):
                self._second(self._at, 1)
            self._stopping.wait(0.2)

    def stop(self) -> None:
        self._stopping.set()
        self.join(5)
        self._client.close()

    def caught_up(self) -> bool:
        """The past is written."""
        return self._at >= int(time.time()) - 2

    def _second(self, at: int, seconds: int) -> None:
        for kind in KINDS:
            self._count(kind, at, seconds)
        self._clock.set((at + 1) * 1000)
        self._flusher.collect()
        for step in self._flusher.steps():
            with self._client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                pipe.execute()
            step.confirm()
        self._at = at + seconds

    def _count(self, kind: Kind, at: int, seconds: int) -> None:
        stream_id, shards = self._ids[kind.name]
        phase = sum(map(ord, kind.name))
        shape = _wave(at + phase) * (1 + 0.25 * math.sin(at / (400 + phase % 300) + phase))
        in_bytes, out_bytes = kind.in_mb * MB * shape * seconds, kind.out_mb * MB * _wave(at * 0.77 + phase) * seconds
        add = self._counters.add
        add(self._team_id, stream_id, "IncomingBytes", in_bytes)
        add(self._team_id, stream_id, "IncomingRecords", in_bytes / BYTES_PER_RECORD)
        add(self._team_id, stream_id, "GetRecords.Bytes", out_bytes)
        add(self._team_id, stream_id, "GetRecords.Records", out_bytes / BYTES_PER_RECORD)
        add(self._team_id, stream_id, "GetRecords.IteratorAgeMilliseconds", kind.age_ms * (0.9 + 0.1 * shape))
        for much in (0.8, 1, 1, 1.2, 1.5, 2, 3 + shape):  # most calls take about the same, few take long
            self._counters.add_latency(self._team_id, stream_id, "PutRecords.Latency", round((2.1 + shape) * much))
            self._counters.add_latency(self._team_id, stream_id, "GetRecords.Latency", round((1.2 + shape) * much))
        for operation in ("PutRecords", "GetRecords"):
            add(self._team_id, stream_id, f"{operation}.Success", 1)
        recent = at > time.time() - 900
        add(
            self._team_id,
            stream_id,
            "WriteProvisionedThroughputExceeded",
            round(kind.refused * shape) * seconds if recent else 0,
        )
        for index in shards:
            share = kind.load.get(index, in_bytes / seconds / len(shards) / 2**20)
            wanted = int(share * 2**20 * seconds)
            stored = min(wanted, 2**20 * seconds)
            self._counters.add_shard_write(
                self._team_id,
                stream_id,
                index,
                stored,
                stored // BYTES_PER_RECORD,
                wanted - stored,
                (wanted - stored) // BYTES_PER_RECORD,
            )
            self._counters.add_shard_read(self._team_id, stream_id, index, int(stored * 0.7), stored // 1200)


def _wave(t: float) -> float:
    """Around 1, with a rise now and then, as traffic has."""
    noise = (math.sin(t * 12.9898) * 43758.5453) % 1
    return (
        1 + 0.13 * math.sin(t / 41) + 0.05 * math.sin(t / 7.3) + 0.06 * noise + 0.28 * max(0.0, math.sin(t / 95)) ** 8
    )


def pages(running: Up) -> dict[str, str]:
    """Addresses that depend on what was put and printed, by their name in addresses.py."""
    kinesis = kinesis_of(running)
    iterator = kinesis.get_shard_iterator(
        StreamName="orders-events", ShardId="shardId-000000000006", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator, Limit=10)["Records"]
    kinesis.close()
    written = eventually(lambda: demo_deliveries.object_of(running, "stock-ticker"), what="an object")
    return {
        "OBJECT": f"/t/first/delivery/stock-ticker/objects/{written}",
        "RECORD": f"/t/first/streams/orders-events/records/6/{records[-1]['SequenceNumber']}",
        "SETUP": re.search(r"(/setup\?token=\S+)", running.output())[1],
    }
