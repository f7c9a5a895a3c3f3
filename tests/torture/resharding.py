"""Traffic while a stream is resharded at random, and the proof that every reader saw every acknowledged record once, in
order per partition key.

Eight producers put attempts with ids of their own and never repeat one. Three consumers read by parent and child links:
one polls, one subscribes, one joins late from TRIM_HORIZON; each begins a shard only when it has read all its parents to
the end. Whoever runs it gives a client (in this process, or boto3) and lets time pass.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

PRODUCERS = 8
KEYS_PER_PRODUCER = 3
OPEN_SHARDS_MAX = 10
HASHES = 2**128
PATIENCE_S = 600.0
"""A machine whose disk is busy with other things may take a minute for one flush."""


THROTTLED = "ProvisionedThroughputExceededException"
LATER = {THROTTLED, "LimitExceededException", "ResourceInUseException"}
"""What a reader or the resharder is told when it should come again."""

OUTGROWN = LATER | {"InvalidArgumentException", "ValidationException", "ResourceNotFoundException"}
"""What a reshard chosen by an older list may be told."""


class Refused(Exception):
    """An AWS error, by its code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Client(Protocol):
    """Kinesis, with answers keyed by AWS's names and Refused for errors."""

    async def call(self, operation: str, **params: Any) -> Any: ...
    def subscribe(self, **params: Any) -> AsyncIterator[dict[str, Any]]: ...
    async def pause(self) -> None:
        """Let a moment pass before the same is tried again."""


@dataclass
class Plan:
    """What one run does; everything random in it comes from the seed."""

    seed: int
    reshards: int = 6
    puts: int = 40
    shards: int = 2

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Sizes by the seed, too."""
        dice = random.Random(seed)
        return cls(seed, dice.randint(4, 8), dice.randint(15, 40), dice.randint(1, 4))

    def chance(self, who: str) -> random.Random:
        """The dice of one actor."""
        return random.Random(f"{self.seed}/{who}")


@dataclass
class Ledger:
    """What was acknowledged, per partition key in the order of the attempts; and what was refused."""

    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)

    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))


class Producer:
    """Attempts one after the other; a key belongs to one producer, so the order of its attempts is known."""

    def __init__(self, client: Client, stream: str, name: str, ledger: Ledger, chance: random.Random) -> None:
        self.client, self.stream, self.name, self.ledger, self.chance = client, stream, name, ledger, chance
        self.number = 0

    def _record(self) -> dict[str, Any]:
        self.number += 1
        key = f"{self.name}.{self.chance.randrange(KEYS_PER_PRODUCER)}"
        return {
            "PartitionKey": key,
            "Data": f"{self.name}-{self.number:06d}".encode() + b"." * self.chance.randrange(200),
        }

    async def run(self, puts: int) -> None:
        for _ in range(puts):
            if self.chance.random() < 0.3:
                await self._put_one(self._record())
            else:
                await self._put_many([self._record() for _ in range(self.chance.randrange(1, 12))])

    async def _put_one(self, record: dict[str, Any]) -> None:
        try:
            await self.client.call("PutRecord", StreamName=self.stream, **record)
        except Refused as error:
            self._failed([record], error.code)
        except asyncio.CancelledError:
            self._failed([record], "InternalFailure")
            raise
        else:
            self.ledger.acknowledged[record["PartitionKey"]].append(id_of(record))

    async def _put_many(self, records: list[dict[str, Any]]) -> None:
        try:
            answer = await self.client.call("PutRecords", StreamName=self.stream, Records=records)
        except Refused as error:
            self._failed(records, error.code)
            return
        except asyncio.CancelledError:
            self._failed(records, "InternalFailure")
            raise
        for record, result in zip(records, answer["Records"], strict=True):
            if result.get("ErrorCode"):
                self._failed([record], result["ErrorCode"])
            else:
                self.ledger.acknowledged[record["PartitionKey"]].append(id_of(record))

    def _failed(self, records: list[dict[str, Any]], code: str) -> None:
        bucket = self.ledger.unanswered if "Internal" in code or "Unavailable" in code else self.ledger.refused
        bucket.update(map(id_of, records))


def id_of(record: dict[str, Any]) -> str:
    return record["Data"].decode().rstrip(".")


class Consumer:
    """Reads every shard once, parents before children. read(shard id) is what kinds differ in."""

    def __init__(self, client: Client, stream: str, name: str, chance: random.Random) -> None:
        self.client, self.stream, self.name, self.chance = client, stream, name, chance
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.count = 0
        self.finished: set[str] = set()
        self._started: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None

    async def begin(self) -> None:
        """Start with the shards that have no parent in the list."""
        shards: list[dict[str, Any]] = []
        params: dict[str, Any] = {"StreamName": self.stream}
        while True:
            answer = await self._patiently("ListShards", **params)
            shards += answer["Shards"]
            if "NextToken" not in answer:
                break
            params = {"NextToken": answer["NextToken"]}
        known = {shard["ShardId"] for shard in shards}
        for shard in shards:
            if not known & {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")}:
                self._start(shard["ShardId"])

    def _start(self, shard_id: str) -> None:
        if shard_id not in self._started:
            self._started.add(shard_id)
            task = asyncio.create_task(self._follow(shard_id), name=f"{self.name} {shard_id}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    async def _follow(self, shard_id: str) -> None:
        children = await self.read(shard_id)
        self.finished.add(shard_id)
        for child in children:
            if self.finished >= set(child["ParentShards"]):
                self._start(child["ShardId"])

    async def read(self, shard_id: str) -> list[dict[str, Any]]:
        """All of a shard; answers its children."""
        raise AssertionError

    def take(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            self.seen[record["PartitionKey"]].append(id_of(record))
        self.count += len(records)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=PATIENCE_S) if tasks else (set(), set())
        assert not left, f"{self.name} goes on after it was cancelled: {left}"

    async def _patiently(self, operation: str, **params: Any) -> Any:
        while True:
            try:
                return await self.client.call(operation, **params)
            except Refused as error:
                if error.code not in LATER:
                    raise
            await self.client.pause()


class Poller(Consumer):
    """GetRecords with limits of all sizes; now and then a new iterator from the last number."""

    async def read(self, shard_id: str) -> list[dict[str, Any]]:
        place = {"StreamName": self.stream, "ShardId": shard_id}
        answer = await self._patiently("GetShardIterator", ShardIteratorType="TRIM_HORIZON", **place)
        iterator, last = answer["ShardIterator"], None
        while True:
            limit = self.chance.choice([1, 7, 50, 1_000])
            answer = await self._patiently("GetRecords", ShardIterator=iterator, Limit=limit)
            self.take(answer["Records"])
            if answer["Records"]:
                last = answer["Records"][-1]["SequenceNumber"]
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                return answer["ChildShards"]
            if last is not None and self.chance.random() < 0.05:
                again = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": last}
                iterator = (await self._patiently("GetShardIterator", **again, **place))["ShardIterator"]
            if not answer["Records"]:
                await self.client.pause()


class Subscriber(Consumer):
    """SubscribeToShard; now and then it goes and comes back with the last continuation number."""

    def __init__(self, *given: Any, arn: str, leaves: float) -> None:
        super().__init__(*given)
        self.arn, self.leaves = arn, leaves

    async def read(self, shard_id: str) -> list[dict[str, Any]]:
        position: dict[str, Any] = {"Type": "TRIM_HORIZON"}
        while True:
            events = self.client.subscribe(ConsumerARN=self.arn, ShardId=shard_id, StartingPosition=position)
            try:
                async for event in events:
                    self.take(event["Records"])
                    number = event.get("ContinuationSequenceNumber")
                    if number is None:
                        return event["ChildShards"]
                    position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
                    if self.chance.random() < self.leaves:
                        break
            except Refused as error:
                if error.code not in LATER:
                    raise
            finally:
                await events.aclose()
            await self.client.pause()


class Resharder:
    """Splits, merges and new counts, one after the other; what an older list made it choose may be refused."""

    def __init__(self, client: Client, stream: str, chance: random.Random) -> None:
        self.client, self.stream, self.chance = client, stream, chance
        self.done: list[str] = []

    async def run(self, times: int) -> None:
        for _ in range(20 * times):
            if len(self.done) >= times:
                return
            shards = (await self.client.call("ListShards", StreamName=self.stream))["Shards"]
            opened = [s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
            opened.sort(key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))
            operation, params = self._choose(opened)
            try:
                await self.client.call(operation, StreamName=self.stream, **params)
            except Refused as error:
                if error.code not in OUTGROWN:
                    raise
            else:
                self.done.append(operation)
            await self._until_active()
            for _ in range(self.chance.randrange(4)):
                await self.client.pause()
        raise AssertionError(f"only {len(self.done)} of {times} reshards were taken")

    async def _until_active(self) -> None:
        while True:
            answer = await self.client.call("DescribeStreamSummary", StreamName=self.stream)
            if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return
            await self.client.pause()

    def _choose(self, opened: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        kind = self.chance.choice(["split", "split", "merge", "merge", "count"])
        if kind == "split" and len(opened) < OPEN_SHARDS_MAX:
            shard = self.chance.choice(opened)
            low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
            cut = self.chance.randrange(low + 2, high) if self.chance.random() < 0.7 else (low + high) // 2
            return "SplitShard", {"ShardToSplit": shard["ShardId"], "NewStartingHashKey": str(cut)}
        if kind == "merge" and len(opened) > 1:
            at = self.chance.randrange(len(opened) - 1)
            return "MergeShards", {
                "ShardToMerge": opened[at]["ShardId"], "AdjacentShardToMerge": opened[at + 1]["ShardId"],
            }  # fmt: skip
        least, most = -(-len(opened) // 2), min(OPEN_SHARDS_MAX, 2 * len(opened))
        return "UpdateShardCount", {
            "TargetShardCount": self.chance.randint(least, most),
            "ScalingType": "UNIFORM_SCALING",
        }


@dataclass
class Result:
    """What a run came to."""

    acknowledged: int
    refused: int
    reshards: list[str]
    shards: int
    problems: list[str]


async def torture(client: Client, stream: str, plan: Plan, arn: str, *, leaves: float) -> Result:
    """One run on a stream that is ACTIVE, with an ACTIVE consumer. leaves: how often the subscriber goes and returns."""
    ledger = Ledger()
    consumers: list[Consumer] = [
        Poller(client, stream, "poller", plan.chance("poller")),
        Subscriber(client, stream, "subscriber", plan.chance("subscriber"), arn=arn, leaves=leaves),
    ]
    for consumer in consumers:
        await consumer.begin()
    producers = [Producer(client, stream, f"p{i}", ledger, plan.chance(f"p{i}")) for i in range(PRODUCERS)]
    resharder = Resharder(client, stream, plan.chance("resharder"))
    writing = [asyncio.create_task(producer.run(plan.puts)) for producer in producers]
    resharding = asyncio.create_task(resharder.run(plan.reshards))
    late = Poller(client, stream, "late joiner", plan.chance("late"))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(resharder.done) < plan.reshards // 2 and not resharding.done():
                await client.pause()
            consumers.append(late)
            await late.begin()
            await asyncio.gather(resharding, *writing)
            await _until(client, lambda: all(_has_all(consumer, ledger) for consumer in consumers))
            for _ in range(5):  # whatever comes twice comes now
                await client.pause()
    except TimeoutError:
        pass  # what is missing is told below
    finally:
        for task in (resharding, *writing):
            task.cancel()
        for consumer in consumers:
            await consumer.stop()
    shards = (await client.call("ListShards", StreamName=stream))["Shards"]
    problems = [problem for consumer in consumers for problem in _problems(consumer, ledger)]
    return Result(ledger.count(), len(ledger.refused), resharder.done, len(shards), problems)


async def _until(client: Client, condition: Callable[[], bool]) -> None:
    while not condition():
        await client.pause()


def _has_all(consumer: Consumer, ledger: Ledger) -> bool:
    if consumer.failure is not None:
        raise consumer.failure
    return consumer.count >= ledger.count()


def _problems(consumer: Consumer, ledger: Ledger) -> list[str]:
    """What is wrong with what a consumer saw, as sentences."""
    found: list[str] = []
    for key in ledger.acknowledged.keys() | consumer.seen.keys():
        put, seen = ledger.acknowledged.get(key, []), consumer.seen.get(key, [])
        known = [attempt for attempt in seen if attempt not in ledger.unanswered]
        wrong = [f"{attempt} was acknowledged and not seen" for attempt in set(put) - set(known)]
        wrong += [f"{attempt} was not acknowledged and is seen" for attempt in set(known) - set(put)]
        wrong += [f"{attempt} is seen {times} times" for attempt, times in Counter(seen).items() if times > 1]
        if known != put and not wrong:
            wrong = [f"the records of {key} are out of order: put {put}, seen {known}"]
        found += [f"{consumer.name}: {problem}" for problem in wrong]
    return found
