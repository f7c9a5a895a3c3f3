"""Load at three times a shard's limits, and what came of it: per second, and record by record."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.bench.server import Server
from tests.torture.traffic import client

THREADS = 8
RECORDS_PER_S = 1_000
BYTES_PER_S = 1 << 20
TIMES = 3
COUNTED_FROM_S = 2
"""The third second: the first ones may also spend what an idle shard had saved up."""

THROTTLED = "ProvisionedThroughputExceededException"


@dataclass
class Load:
    """Calls of so many records of so many bytes (key and data)."""

    name: str
    records_per_call: int
    record_bytes: int

    @property
    def calls_per_s(self) -> float:
        """Three times what the shard takes of the dimension that binds."""
        binding = max(self.records_per_call / RECORDS_PER_S, self.records_per_call * self.record_bytes / BYTES_PER_S)
        return TIMES / binding


SMALL = Load("1,000 records/s", 75, 100)
LARGE = Load("1 MiB/s", 15, 10 * 1024)


@dataclass
class Taken:
    """records and bytes accepted in each second since the start; ids by answer; answers that were not exact."""

    records: Counter[int] = field(default_factory=Counter)
    size_bytes: Counter[int] = field(default_factory=Counter)
    offered: int = 0
    acknowledged: list[str] = field(default_factory=list)
    throttled: int = 0
    wrong: list[str] = field(default_factory=list)

    def share(self, seconds: int, *, of_bytes: bool) -> float:
        """Accepted from the third second on, as a part of the limit."""
        taken, rate = (self.size_bytes, BYTES_PER_S) if of_bytes else (self.records, RECORDS_PER_S)
        return sum(taken[s] for s in range(COUNTED_FROM_S, seconds)) / (rate * (seconds - COUNTED_FROM_S))


class Sender(threading.Thread):
    """An even share of the load, on a schedule that does not wait for answers longer than it must."""

    def __init__(self, server: Server, stream: str, load: Load, number: int, began: float, seconds: int) -> None:
        super().__init__(name=f"sender-{number}")
        self.kinesis = client(server.endpoint, server.access_key, server.secret_key)
        self.stream, self.load, self.number, self.began, self.seconds = stream, load, number, began, seconds
        self.taken = Taken()
        self._chance = random.Random(number)
        self._count = 0

    def run(self) -> None:
        every = THREADS / self.load.calls_per_s
        due = self.began + every * self.number / THREADS
        while due < self.began + self.seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            self._call()
            due += every

    def _call(self) -> None:
        records = [self._record() for _ in range(self.load.records_per_call)]
        answer = self.kinesis.put_records(StreamName=self.stream, Records=records)
        second = int(time.monotonic() - self.began)
        results, taken = answer["Records"], self.taken
        stored = [result for result in results if "ErrorCode" not in result]
        taken.offered += len(records)
        taken.records[second] += len(stored)
        taken.size_bytes[second] += len(stored) * self.load.record_bytes
        taken.throttled += len(results) - len(stored)
        for record, result in zip(records, results, strict=True):
            if "ErrorCode" not in result:
                taken.acknowledged.append(record["Data"][:16].decode())
        self._check(answer, stored)

    def _check(self, answer: dict[str, Any], stored: list[Any]) -> None:
        results, say = answer["Records"], self.taken.wrong.append
        if answer["FailedRecordCount"] != len(results) - len(stored):
            say(f"FailedRecordCount {answer['FailedRecordCount']}, {len(results) - len(stored)} entries failed")
        if results[: len(stored)] != stored:
            say("an entry was stored after one of its shard was throttled")
        for result in results[len(stored) :]:
            if result.get("ErrorCode") != THROTTLED or "Rate exceeded for shard" not in result["ErrorMessage"]:
                say(f"an entry failed with {result}")

    def _record(self) -> dict[str, Any]:
        self._count += 1
        name = f"{self.number:02d}-{self._count:013d}".encode()
        return {"PartitionKey": "k", "Data": name + self._chance.randbytes(self.load.record_bytes - 1 - len(name))}


def offer(server: Server, stream: str, load: Load, seconds: int) -> Taken:
    """The load for so many seconds; the sums of all senders."""
    began = time.monotonic() + 0.5
    senders = [Sender(server, stream, load, number, began, seconds) for number in range(THREADS)]
    for sender in senders:
        sender.start()
    total = Taken()
    for sender in senders:
        sender.join(seconds + 60)
        assert not sender.is_alive()
        total.records += sender.taken.records
        total.size_bytes += sender.taken.size_bytes
        total.offered += sender.taken.offered
        total.throttled += sender.taken.throttled
        total.acknowledged += sender.taken.acknowledged
        total.wrong += sender.taken.wrong
    return total


def stored_ids(server: Server, stream: str) -> list[str]:
    """The ids of all records of the stream's one shard, read at the pace it allows."""
    kinesis = client(server.endpoint, server.access_key, server.secret_key)
    shard = {"StreamName": stream, "ShardId": "shardId-000000000000"}
    iterator = kinesis.get_shard_iterator(ShardIteratorType="TRIM_HORIZON", **shard)["ShardIterator"]
    found: list[str] = []
    while True:
        try:
            answer = kinesis.get_records(ShardIterator=iterator)
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            time.sleep(0.2)
            continue
        found += [record["Data"][:16].decode() for record in answer["Records"]]
        iterator = answer["NextShardIterator"]
        if not answer["Records"]:
            return found
