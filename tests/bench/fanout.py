"""Put to event with twenty subscribers on one shard, at a steady 1,000 records/s: each record at each subscriber.

    python -m tests.bench.fanout --endpoint http://127.0.0.1:4567 --access-key K --secret-key S

The client parses frames, not records: every frame says the number up to which its subscriber has now been served
(ContinuationSequenceNumber), and that number holds the record's ordinal. A record's time at a subscriber is from the
start of its put to the arrival of the first frame that reaches it. Puts go out on a schedule, whatever the answers do.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import subprocess
import sys
import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import boto3

from tests.bench import server as servers
from tests.bench.loadgen import Conn, Signer, data, ms, pct

CONSUMERS = 20
RECORDS_PER_S = 1_000
SECONDS = 15.0
WARM_UP_S = 3.0
PUT_CONNECTIONS = 32
NUMBER = b'"ContinuationSequenceNumber":"'
BAR_P50_MS, BAR_P99_MS = 5.0, 20.0


def ordinal_of(number: bytes | str) -> int:
    """A record's place in its shard, out of its sequence number."""
    return int(number) >> 80 & (1 << 64) - 1


@dataclass
class Subscriber:
    """One open answer: its bytes so far, and when which ordinal was reached."""

    connection: Conn
    buffer: bytearray = field(default_factory=bytearray)
    in_body: bool = False
    times: list[float] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)

    def receive(self, now: float) -> None:
        """Take what has come. Every chunk of the HTTP answer holds whole frames."""
        self.buffer += self.connection.sock.recv(1 << 20)
        if not self.in_body:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            if not self.buffer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"SubscribeToShard answered {bytes(self.buffer)!r}")
            del self.buffer[: head + 4]
            self.in_body = True
        while (end := self.buffer.find(b"\r\n")) >= 0:
            size = int(self.buffer[:end], 16)
            if len(self.buffer) < end + 4 + size:
                return
            self._frame(bytes(self.buffer[end + 2 : end + 2 + size]), now)
            del self.buffer[: end + 4 + size]

    def _frame(self, frame: bytes, now: float) -> None:
        at = frame.rfind(NUMBER)
        if at >= 0:
            begin = at + len(NUMBER)
            self.times.append(now)
            self.ordinals.append(ordinal_of(frame[begin : frame.index(b'"', begin)]))

    def reached(self, ordinal: int) -> float | None:
        """When that record had come."""
        at = bisect_left(self.ordinals, ordinal)
        return self.times[at] if at < len(self.times) else None


@dataclass
class Puts:
    """What was put: start and ordinal of each record, and how late the schedule was kept."""

    started: dict[int, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    """Seconds from a put's start to its answer."""


def prepare(endpoint: str, access_key: str, secret_key: str, consumers: int) -> tuple[Any, str, list[str]]:
    """A stream of one shard with ACTIVE consumers: client, name, consumer ARNs."""
    client = boto3.client(
        "kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )  # fmt: skip
    name = f"fanout-{random.getrandbits(32):x}"
    client.create_stream(StreamName=name, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    arn = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    arns = []
    for number in range(consumers):
        while True:  # five may be CREATING at once
            try:
                made = client.register_stream_consumer(StreamARN=arn, ConsumerName=f"c{number}")
                break
            except client.exceptions.LimitExceededException:
                time.sleep(0.2)
        arns.append(made["Consumer"]["ConsumerARN"])
    for consumer in arns:
        while (
            client.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE"
        ):
            time.sleep(0.05)
    return client, name, arns


def subscribe(signer: Signer, arn: str) -> Subscriber:
    """Begin to be pushed what is put from now on."""
    connection = Conn(signer)
    body = {"ConsumerARN": arn, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}
    connection.start(signer.wire("SubscribeToShard", json.dumps(body).encode()))
    return Subscriber(connection)


def requests_of(signer: Signer, name: str, per_call: int, count: int) -> list[bytes]:
    """Signed requests to send in turn."""
    chance, found = random.Random(5), []
    for _ in range(count):
        records = [{"Data": data(chance, 100), "PartitionKey": f"k{chance.getrandbits(16)}"} for _ in range(per_call)]
        if per_call == 1:
            found.append(signer.wire("PutRecord", json.dumps({"StreamName": name, **records[0]}).encode()))
        else:
            found.append(signer.wire("PutRecords", json.dumps({"StreamName": name, "Records": records}).encode()))
    return found


def drive(signer: Signer, subscribers: list[Subscriber], requests: list[bytes], per_call: int, seconds: float) -> Puts:
    """Put on schedule and take what comes, on one thread, until a second after the last put."""
    puts, selector = Puts(), selectors.DefaultSelector()
    idle = deque(Conn(signer) for _ in range(PUT_CONNECTIONS))
    for connection in idle:
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    for subscriber in subscribers:
        selector.register(subscriber.connection.sock, selectors.EVENT_READ, subscriber)
    clock, every = time.perf_counter, per_call / RECORDS_PER_S
    began = clock() + 0.5
    due, last, sent = began, began + seconds, 0
    while (now := clock()) < last + 1.0:
        while due <= now and due < last and idle:
            connection = idle.popleft()
            puts.late.append(now - due)
            connection.start(requests[sent % len(requests)])
            sent += 1
            due += every
        ready = selector.select(max(0.0, min(due, last + 1.0) - clock()) if due < last else 0.05)
        now = clock()
        for key, _ in ready:
            if isinstance(key.data, Subscriber):
                key.data.receive(now)
            elif (answer := key.data.receive()) is not None:
                _note(puts, key.data.t0, answer)
                puts.answered.append(now - key.data.t0)
                idle.append(key.data)
    return puts


def _note(puts: Puts, started: float, answer: tuple[int, bytes]) -> None:
    status, body = answer
    if status != 200:
        raise SystemExit(f"a put answered {status}: {body[:200]!r}")
    said = json.loads(body)
    for result in said.get("Records", [said]):
        puts.started[ordinal_of(result["SequenceNumber"])] = started


def measure(
    endpoint: str,
    access_key: str,
    secret_key: str,
    per_call: int = 1,
    seconds: float = SECONDS,
    consumers: int = CONSUMERS,
) -> dict[str, Any]:
    """p50 and p99 in ms over all records and subscribers, without the first seconds."""
    signer = Signer(endpoint, access_key, secret_key, "us-east-1")
    client, name, arns = prepare(endpoint, access_key, secret_key, consumers)
    requests = requests_of(signer, name, per_call, 2_000 // per_call)
    subscribers = [subscribe(signer, arn) for arn in arns]
    puts = drive(signer, subscribers, requests, per_call, seconds)
    client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
    from_s = min(puts.started.values()) + WARM_UP_S
    counted = [(ordinal, at) for ordinal, at in puts.started.items() if at >= from_s]
    times, missing = [], 0
    for subscriber in subscribers:
        for ordinal, at in counted:
            reached = subscriber.reached(ordinal)
            if reached is None:
                missing += 1
            else:
                times.append(reached - at)
    frames = sum(len(subscriber.times) for subscriber in subscribers)
    return {
        "records": len(puts.started), "consumers": consumers, "per_call": per_call, "missing": missing,
        "records_per_s": round(len(puts.started) / seconds), "p50_ms": ms(pct(times, 0.5)), "p99_ms": ms(pct(times, 0.99)),
        "max_ms": ms(max(times)), "put_p50_ms": ms(pct(puts.answered, 0.5)), "put_p99_ms": ms(pct(puts.answered, 0.99)),
        "frames_per_s": round(frames / seconds), "schedule_late_p99_ms": ms(pct(puts.late, 0.99)),
    }  # fmt: skip


def lines(server: servers.Server) -> list[tuple[str, str, str, str, bool]]:
    """For the bench's table: what, ours, theirs (nobody pushes), the bar, whether it holds."""
    command = [sys.executable, "-m", "tests.bench.fanout", "--endpoint", server.endpoint]
    command += ["--access-key", server.access_key, "--secret-key", server.secret_key]
    done = subprocess.run(
        servers.pinned(command, servers.GENERATOR_CORE), cwd=servers.ROOT, stdout=subprocess.PIPE, check=True
    )
    row = json.loads(done.stdout)
    p50_ms, p99_ms, all_came = row["p50_ms"], row["p99_ms"], not row["missing"]
    what = f"put -> event at {CONSUMERS} subscribers, {row['records_per_s']} records/s"
    return [
        (f"{what}, p50", f"{p50_ms:.2f} ms", "", f"<= {BAR_P50_MS:.0f} ms", all_came and p50_ms <= BAR_P50_MS),
        (f"{what}, p99", f"{p99_ms:.2f} ms", "", f"<= {BAR_P99_MS:.0f} ms", all_came and p99_ms <= BAR_P99_MS),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--endpoint", "--access-key", "--secret-key"):
        parser.add_argument(option, required=True)
    parser.add_argument("--per-call", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    print(json.dumps(measure(given.endpoint, given.access_key, given.secret_key, given.per_call, given.seconds)))
