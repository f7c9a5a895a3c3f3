"""Two web processes serve one queue and are killed by turns: what was acknowledged stays so, the rest comes back.

Producers and consumers speak to either process and go on through its deaths. In the end every record whose put was
answered has been acknowledged, and none was delivered after its acknowledgement had been answered.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from tests.wire.conftest import REGION, free_port, start, stop, until_active
from tests.wire.server import ACCESS_KEY_ID, SECRET

KILLS = 6
SEED = int(os.environ.get("TORTURE_SEED", "1"))
VISIBILITY_S = 5
DRAINED_WITHIN_S = 300

pytestmark = [
    pytest.mark.torture,
    # boto3 leaves sockets to the collector when a server is killed under them.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

AWAY = (BotoCoreError, ClientError)


def client(port: int) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET,
        config=BotoConfig(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=30),
    )


class Traffic:
    """Producers and consumers, and what they were answered."""

    def __init__(self, ports: list[int], arn: str) -> None:
        self.arn = arn
        self.ports = ports
        self.put: set[bytes] = set()
        self.acknowledged_at: dict[bytes, float] = {}
        self.unsure: set[bytes] = set()
        """Acknowledged in a call that was not answered: done or not."""
        self.late: list[bytes] = []
        self.deliveries = 0
        self.producing = threading.Event()
        self.consuming = threading.Event()
        self._lock = threading.Lock()

    def produce(self, number: int) -> None:
        clients, count = [client(port) for port in self.ports], 0
        while not self.producing.is_set():
            records = [b"%d/%d" % (number, count + i) for i in range(10)]
            count += 10
            entries = [{"Data": data, "PartitionKey": data.decode()} for data in records]
            try:
                answer = clients[count // 10 % len(clients)].put_records(StreamName="s", Records=entries)
            except AWAY:
                self.producing.wait(0.05)
                continue
            stored = [data for data, one in zip(records, answer["Records"], strict=True) if "SequenceNumber" in one]
            with self._lock:
                self.put.update(stored)
            self.producing.wait(0.1)

    def consume(self, number: int) -> None:
        clients, turn = [client(port) for port in self.ports], number
        while not self.consuming.is_set():
            turn += 1
            began = time.monotonic()
            try:
                got = clients[turn % len(clients)].receive_queue_records(QueueARN=self.arn, WaitTimeSeconds=1)
                self._note(got["QueueRecords"], began)
                keep = [record for record in got["QueueRecords"] if random.random() < 0.8]  # the rest is forgotten
                if keep:
                    self._acknowledge(clients[(turn + 1) % len(clients)], keep)
            except AWAY:
                self.consuming.wait(0.05)

    def _note(self, records: list[dict[str, Any]], began: float) -> None:
        with self._lock:
            self.deliveries += len(records)
            for record in records:
                if self.acknowledged_at.get(record["Data"], float("inf")) < began:
                    self.late.append(record["Data"])

    def _acknowledge(self, by: Any, records: list[dict[str, Any]]) -> None:
        entries = [{"ReceiptHandle": record["ReceiptHandle"]} for record in records]
        try:
            answer = by.acknowledge_queue_records(QueueARN=self.arn, Entries=entries)
        except AWAY:
            with self._lock:
                self.unsure.update(record["Data"] for record in records)
            raise
        done = {one["ReceiptHandle"] for one in answer["Successful"]}
        with self._lock:
            for record in records:
                if record["ReceiptHandle"] in done:
                    self.acknowledged_at.setdefault(record["Data"], time.monotonic())

    @property
    def left(self) -> int:
        with self._lock:
            return len(self.put - self.unsure - set(self.acknowledged_at))


def test_acknowledged_stays_acknowledged():
    luck = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="tidegate-queue-kills-") as folder:
        ports = [free_port(), free_port()]
        servers = [start(port, folder, Path(folder) / f"output-{port}") for port in ports]
        try:
            traffic = Traffic(ports, set_up(ports[0]))
            producers = [threading.Thread(target=traffic.produce, args=(n,)) for n in range(2)]
            consumers = [threading.Thread(target=traffic.consume, args=(n,)) for n in range(4)]
            for thread in producers + consumers:
                thread.start()
            for _ in range(KILLS):
                time.sleep(luck.uniform(0.3, 2))
                victim = luck.randrange(2)
                os.killpg(servers[victim].pid, signal.SIGKILL)
                servers[victim].wait()
                servers[victim] = start(ports[victim], folder, Path(folder) / f"output-{ports[victim]}-again")
            traffic.producing.set()
            deadline = time.monotonic() + DRAINED_WITHIN_S
            while traffic.left and time.monotonic() < deadline:
                time.sleep(0.1)
            traffic.consuming.set()
            for thread in producers + consumers:
                thread.join(60)
        finally:
            for server in servers:
                stop(server)
    assert len(traffic.put - traffic.unsure) > 100
    assert traffic.left == 0
    assert traffic.late == []
    assert traffic.deliveries > len(traffic.put)


def set_up(port: int) -> str:
    """An on-demand stream with a queue; its ARN."""
    kinesis = client(port)
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    stream = until_active(kinesis, "s")["StreamARN"]
    arn = kinesis.create_queue(
        QueueName="q",
        StreamConfigurationList=[{"StreamARN": stream, "StartingPosition": {"Type": "TRIM_HORIZON"}}],
        QueueAttributes={"VisibilityTimeoutSeconds": VISIBILITY_S, "DeadLetterConfiguration": {"TargetType": "NONE"}},
    )["QueueDescription"]["QueueARN"]
    deadline = time.monotonic() + 60
    while kinesis.describe_queue(QueueARN=arn)["QueueDescription"]["QueueStatus"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return arn
