"""A client that makes random calls and counts, from what it sent and what it was answered alone, what the metrics of its
stream must say. `ask` is any way to call an operation; it answers a dict, or raises Refused with AWS's code."""

import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

TOO_LARGE = 1_048_576
THROTTLED = "ProvisionedThroughputExceededException"
EXPECTED = frozenset(
    {THROTTLED, "InternalFailure", "InvalidArgumentException", "ValidationException", "ServiceUnavailable"}
)
"""A throttle, a fault, a record that is too large (two names), a log that is too busy."""


class Refused(Exception):
    """An error answer."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Truth:
    """What one or more clients counted: [sum, observations] by metric; shard-level ones as (metric, shard id)."""

    def __init__(self) -> None:
        self.seen: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
        self.calls: Counter[str] = Counter()

    def add(self, metric: Any, value: int) -> None:
        self.seen[metric][0] += value
        self.seen[metric][1] += 1


class Client:
    """Calls on one stream, one after the other. sizes: of the records' data, each as likely as the others."""

    sizes: tuple[int, ...] = (0, 1, 100, 1_000, 20_000, 100_000)

    def __init__(self, ask: Ask, stream: str, shards: int, truth: Truth, seed: int) -> None:
        self.ask = ask
        self.stream = stream
        self.shard_ids = [f"shardId-{index:012d}" for index in range(shards)]
        self.truth = truth
        self.chance = random.Random(seed)
        self.iterators: dict[str, str] = {}

    async def call(self) -> None:
        """One call of a random kind."""
        act = self.chance.choices([self.put, self.put_many, self.get], [4, 4, 3])[0]
        self.truth.calls[act.__name__] += 1
        await act()

    def record(self) -> dict[str, Any]:
        size = self.chance.choice(self.sizes)
        if self.chance.random() < 0.003:
            size = TOO_LARGE
        key = self.chance.choice(["k", "ключ", "a" * 256, "π"])
        hash_key = str(self.chance.randrange(2**128))
        return {"Data": bytes(size), "PartitionKey": key, "ExplicitHashKey": hash_key}

    async def put(self) -> None:
        record, add = self.record(), self.truth.add
        try:
            answer = await self.ask("PutRecord", {"StreamName": self.stream, **record})
        except Refused as refused:
            _check(refused)
            add("PutRecord.Success", 0)
            if refused.code == THROTTLED:
                add("WriteProvisionedThroughputExceeded", 1)
            return
        size = _size(record)
        for metric, value in (
            ("IncomingBytes", size),
            ("IncomingRecords", 1),
            ("WriteProvisionedThroughputExceeded", 0),
            ("PutRecord.Bytes", size),
            ("PutRecord.Success", 1),
            (("IncomingBytes", answer["ShardId"]), size),
            (("IncomingRecords", answer["ShardId"]), 1),
        ):
            add(metric, value)

    async def put_many(self) -> None:
        records, add = [self.record() for _ in range(self.chance.choice([1, 2, 10, 40]))], self.truth.add
        try:
            answer = await self.ask("PutRecords", {"StreamName": self.stream, "Records": records})
        except Refused as refused:
            _check(refused)
            add("PutRecords.Success", 0)
            return
        results = answer["Records"]
        stored = [(record, result) for record, result in zip(records, results, strict=True) if "ShardId" in result]
        codes = Counter(result["ErrorCode"] for result in results if "ErrorCode" in result)
        assert answer["FailedRecordCount"] == codes.total() == len(records) - len(stored)
        size = sum(_size(record) for record, _ in stored)
        if stored:
            add("IncomingBytes", size)
            add("IncomingRecords", len(stored))
        add("WriteProvisionedThroughputExceeded", codes[THROTTLED])
        for name, value in (
            ("Bytes", size),
            ("Success", int(bool(stored))),
            ("TotalRecords", len(records)),
            ("SuccessfulRecords", len(stored)),
            ("ThrottledRecords", codes[THROTTLED]),
            ("FailedRecords", codes["InternalFailure"]),
        ):
            add(f"PutRecords.{name}", value)
        for shard_id in {result["ShardId"] for _, result in stored}:
            here = [record for record, result in stored if result["ShardId"] == shard_id]
            add(("IncomingBytes", shard_id), sum(_size(record) for record in here))
            add(("IncomingRecords", shard_id), len(here))

    async def get(self) -> None:
        shard_id, add = self.chance.choice(self.shard_ids), self.truth.add
        iterator = self.iterators.get(shard_id)
        if iterator is None or self.chance.random() < 0.1:
            kind = self.chance.choice(["TRIM_HORIZON", "LATEST"])
            asked = {"StreamName": self.stream, "ShardId": shard_id, "ShardIteratorType": kind}
            try:
                iterator = (await self.ask("GetShardIterator", asked))["ShardIterator"]
            except Refused:
                return
        try:
            answer = await self.ask(
                "GetRecords", {"ShardIterator": iterator, "Limit": self.chance.choice([1, 50, 10_000])}
            )
        except Refused as refused:
            _check(refused)
            add("GetRecords.Success", 0)
            if refused.code == THROTTLED:
                add("ReadProvisionedThroughputExceeded", 1)
                add(("ReadProvisionedThroughputExceeded", shard_id), 1)
            return
        self.iterators[shard_id] = answer["NextShardIterator"]
        size = sum(_size(record) for record in answer["Records"])
        for metric, value in (
            ("GetRecords.Bytes", size),
            ("GetRecords.Records", len(answer["Records"])),
            ("GetRecords.Success", 1),
            ("ReadProvisionedThroughputExceeded", 0),
            (("ReadProvisionedThroughputExceeded", shard_id), 0),
            (("OutgoingBytes", shard_id), size),
            (("OutgoingRecords", shard_id), len(answer["Records"])),
        ):
            add(metric, value)

    def event(self, consumer: str, shard_id: str, records: list[dict[str, Any]]) -> None:
        """An event of a subscription came."""
        size = sum(_size(record) for record in records)
        for name, value in (("Bytes", size), ("Records", len(records)), ("Success", 1)):
            self.truth.add((f"SubscribeToShardEvent.{name}", "consumer", consumer), value)
        self.truth.add(("OutgoingBytes", shard_id), size)
        self.truth.add(("OutgoingRecords", shard_id), len(records))


def _check(refused: Refused) -> None:
    assert refused.code in EXPECTED, refused.code


def _size(record: dict[str, Any]) -> int:
    return len(record["Data"]) + len(record["PartitionKey"].encode())


def queries_of(truth: Truth, stream: str) -> tuple[list[dict[str, Any]], dict[str, tuple[Any, int]]]:
    """GetMetricData's queries for all that was counted, and by Id what each must come to."""
    queries, wanted = [], {}
    for number, (metric, (total, count)) in enumerate(sorted(truth.seen.items(), key=str)):
        dimensions = [{"Name": "StreamName", "Value": stream}]
        name = metric
        if isinstance(metric, tuple):
            name = metric[0]
            dimensions += [
                {"Name": "ConsumerName", "Value": metric[2]}
                if len(metric) == 3
                else {"Name": "ShardId", "Value": metric[1]}
            ]
        for stat, value in (("Sum", total), ("SampleCount", count)):
            key = f"q{number}_{stat.lower()}"
            of = {"Namespace": "AWS/Kinesis", "MetricName": name, "Dimensions": dimensions}
            queries.append({"Id": key, "MetricStat": {"Metric": of, "Period": 60, "Stat": stat}})
            wanted[key] = (metric, value)
    return queries, wanted
