"""Clients of the truth test of bills: they put, read and subscribe over raw HTTP, and count what they were told.

What a put was answered with is *acknowledged*; what was sent and not answered is *unanswered*; what was refused is nothing.
Readers count what reached them, when, and what may have been given to them on the way into a kill.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from apps.wire import sigv4
from apps.wire.eventstream import Decoder
from tests.support.kpl import aggregate

REGION = "us-east-1"
TARGETS = {"kinesis": "Kinesis_20131202", "firehose": "Firehose_20150804"}
ANSWERED_WITHIN_S = 30.0
LATER = {"LimitExceededException", "ResourceInUseException", "ThrottlingException", "ResourceNotFoundException"}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
KIB, UNIT, DELIVERY_UNIT = 1_024, 25 * 1_024, 5 * 1_024
EDGES = (1, KIB - 4, KIB - 3, KIB, 2 * KIB, DELIVERY_UNIT, DELIVERY_UNIT + 1, UNIT - 4, UNIT - 3, UNIT + 1, 2 * UNIT)
"""Sizes about which roundings turn; partition keys are four bytes."""

Where = tuple[str, str, str]
"""(account id, resource, access key id)."""


class Refused(Exception):
    """An error answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Unanswered(Exception):
    """Sent, and no answer came, or one that leaves open what happened."""


class NotSent(Exception):
    """Nobody took the connection: nothing happened."""


@dataclass(frozen=True)
class Key:
    """An access key of a team. number tells a team's keys apart, within records too."""

    account_id: str
    key_id: str
    secret: str
    number: int


@dataclass(eq=False)
class Connection:
    """One that answers came on. broken_at: when it was found to be."""

    broken_at: float | None = None


class Caller:
    """One client that signs; it has one connection at a time."""

    def __init__(self, endpoint: str, key: Key) -> None:
        self.endpoint, self.key = endpoint, key
        self.host = endpoint.removeprefix("http://")
        self.connection = Connection()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def signed(self, service: str, operation: str, params: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """Headers and body."""
        body = json.dumps(params).encode()
        headers = {
            "host": self.host,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{TARGETS[service]}.{operation}",
        }
        headers |= sigv4.sign(
            "POST", "/", headers, body, key_id=self.key.key_id, secret=self.key.secret, region=REGION, service=service,
            now_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip
        return headers, body

    async def __call__(self, operation: str, service: str = "kinesis", **params: Any) -> dict[str, Any]:
        """The answer. Raises Refused, Unanswered, NotSent."""
        headers, body = self.signed(service, operation, params)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", *lines, f"content-length: {len(body)}", "", ""])
        reader, writer = await self._connected()
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                writer.write(head.encode() + body)
                await writer.drain()
                said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(said.partition("content-length:")[2].split("\r\n", 1)[0])
                answer = await reader.readexactly(length)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            self._broke()
            raise Unanswered(str(error)) from error
        except asyncio.CancelledError:
            self.close()
            raise
        found: dict[str, Any] = json.loads(answer) if answer else {}
        status = int(said.split(" ", 2)[1])
        if status >= 500:
            raise Unanswered(answer[:200].decode(errors="replace"))
        if status != 200:
            raise Refused(found["__type"].rpartition("#")[2], found.get("message", found.get("Message", "")))
        return found

    async def patiently(self, operation: str, service: str = "kinesis", **params: Any) -> dict[str, Any]:
        """The answer of a call that may be repeated."""
        while True:
            try:
                return await self(operation, service, **params)
            except (Unanswered, NotSent):
                pass
            except Refused as error:
                if error.code not in LATER:
                    raise
            await asyncio.sleep(0.2)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self._broke()
        if self._streams is None:
            self.connection = Connection()
            host, _, port = self.host.partition(":")
            try:
                async with asyncio.timeout(5):
                    self._streams = await asyncio.open_connection(host, int(port), limit=1 << 20)
            except (OSError, TimeoutError) as error:
                raise NotSent(str(error)) from error
        return self._streams

    def _broke(self) -> None:
        self.connection.broken_at = time.time()
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def data_of(key: Key, size: int, chance: random.Random) -> bytes:
    """So many bytes that say which key put them; they end a line."""
    start = chance.randrange(64)
    body = (LETTERS * (size // len(LETTERS) + 3))[start : start + size]
    return (f"{key.number}{body}"[: max(0, size - 1)] or str(key.number)).encode() + (b"\n" if size > 1 else b"")


def a_size(chance: random.Random) -> int:
    """Mostly small, some about the edges of roundings, a few large."""
    kind = chance.random()
    if kind < 0.02:
        return chance.choice(EDGES)
    if kind < 0.0202:
        return chance.randrange(100 * KIB, 900 * KIB)
    return round(10 ** chance.uniform(0, 3.4 if kind < 0.99 else 4.6))


def counted(data_bytes: int, key_bytes: int) -> Counter[str]:
    """What one stored record adds to each meter of puts, by the rules of the price list."""
    size = data_bytes + key_bytes
    return Counter({
        "records-in": 1, "bytes-in": size, "payload-units": max(1, -(-size // UNIT)), "rounded": -(-size // KIB) * KIB,
    })  # fmt: skip


def counted_delivery(data_bytes: int) -> Counter[str]:
    """The same of a record put into a delivery stream."""
    return Counter({
        "delivery-records-in": 1, "delivery-bytes-in": data_bytes, "delivery-units": max(1, -(-data_bytes // DELIVERY_UNIT)),
    })  # fmt: skip


@dataclass
class Puts:
    """What was put, by where and meter."""

    acknowledged: dict[Where, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unanswered: dict[Where, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    left: int = 0
    """Records that may still be put."""

    def take(self, records: int) -> int:
        """Leave to put as many; 0: it is over."""
        allowed = min(records, self.left)
        self.left -= allowed
        return allowed


class Putter:
    """Puts batch after batch under one key: into streams, and into a delivery stream."""

    def __init__(self, call: Caller, puts: Puts, streams: list[str], delivery: str, chance: random.Random) -> None:
        self.call, self.puts, self.streams, self.delivery, self.chance = call, puts, streams, delivery, chance

    async def run(self) -> None:
        """Until no more may be put."""
        while records := self.puts.take(self.chance.randint(1, 500)):
            if self.chance.random() < 0.15:
                await self.deliver(records)
            else:
                await self.put(self.chance.choice(self.streams), records)

    def _data(self) -> bytes:
        if self.chance.random() < 0.01:
            users = [(f"u{n}", data_of(self.call.key, a_size(self.chance) % 900 + 2, self.chance)) for n in range(10)]
            return aggregate(users)
        return data_of(self.call.key, a_size(self.chance), self.chance)

    async def put(self, stream: str, count: int) -> None:
        """PutRecord for one, else PutRecords. The partition key ends with the number of the access key."""
        records, total = [], 0
        for _ in range(count):
            data = self._data()
            if total + len(data) > 4 << 20:
                break
            total += len(data)
            records.append((f"{self.chance.randrange(1_000):03d}{self.call.key.number}", data))
        self.puts.left += count - len(records)
        entries = [{"PartitionKey": key, "Data": base64.b64encode(data).decode()} for key, data in records]
        where = (self.call.key.account_id, f"stream/{stream}", self.call.key.key_id)
        each = [counted(len(data), len(key)) for key, data in records]
        if count == 1:
            await self._attempt(where, each, "PutRecord", StreamName=stream, **entries[0])
        else:
            await self._attempt(where, each, "PutRecords", "Records", StreamName=stream, Records=entries)

    async def deliver(self, count: int) -> None:
        """PutRecordBatch, of records that are lines."""
        datas = [data_of(self.call.key, max(2, a_size(self.chance) % (64 * KIB)), self.chance) for _ in range(count)]
        while sum(map(len, datas)) > 3 << 20:
            datas.pop()
        self.puts.left += count - len(datas)
        where = (self.call.key.account_id, f"deliverystream/{self.delivery}", self.call.key.key_id)
        entries = [{"Data": base64.b64encode(data).decode()} for data in datas]
        each = [counted_delivery(len(data)) for data in datas]
        asked = {"DeliveryStreamName": self.delivery, "Records": entries}
        await self._attempt(where, each, "PutRecordBatch", "RequestResponses", "firehose", **asked)

    async def _attempt(
        self, where: Where, each: list[Counter[str]], operation: str, of: str = "", service: str = "kinesis", **asked: Any
    ) -> None:  # fmt: skip
        try:
            answer = await self.call(operation, service, **asked)
        except NotSent:
            self.puts.left += len(each)
            await asyncio.sleep(0.1)
        except Unanswered:
            self._add(self.puts.unanswered, where, each)
            await asyncio.sleep(0.1)
        else:
            codes = [one.get("ErrorCode") for one in answer[of]] if of else [None]
            for one, code in zip(each, codes, strict=True):
                assert code in {None, "InternalFailure", "ServiceUnavailableException"}, code
                (self.puts.unanswered if code else self.puts.acknowledged)[where].update(one)

    @staticmethod
    def _add(into: dict[Where, Counter[str]], where: Where, each: Iterable[Counter[str]]) -> None:
        for one in each:
            into[where].update(one)


@dataclass
class Reads:
    """Bytes of data and partition keys that reached readers, of one stream by one way. times: (when, bytes, on what), for what a
    kill may lose. doubtful: what may have been given once more, on the way into a kill."""

    records: int = 0
    size_bytes: int = 0
    doubtful: int = 0
    times: list[tuple[float, int, Connection]] = field(default_factory=list)

    def add(self, records: list[dict[str, Any]], on: Connection) -> int:
        """They came now; their bytes."""
        size = sum(size_of(record) for record in records)
        self.records += len(records)
        self.size_bytes += size
        self.times.append((time.time(), size, on))
        return size

    def lost(self, kills: list[float], within_s: float) -> int:
        """What kills may have taken from the meters: bytes that came so shortly before one, or after it, on a connection that
        it broke."""
        total = 0
        for at, size, connection in self.times:
            if connection.broken_at is not None:
                last = max((kill for kill in kills if kill <= connection.broken_at), default=math.inf)
                total += size if at >= last - within_s else 0
        return total


def size_of(record: dict[str, Any]) -> int:
    """Bytes of data (base64) and partition key of a record as it is answered."""
    text = record["Data"]
    return len(text) // 4 * 3 - (2 if text.endswith("==") else text.endswith("=")) + len(record["PartitionKey"])


class Poller:
    """Reads all shards of a stream by GetRecords, children too, until told to stop at their ends."""

    def __init__(self, call: Caller, stream: str, reads: Reads) -> None:
        self.call, self.stream, self.reads = call, stream, reads
        self.iterators: dict[str, str | None] = {}
        self.caught_up = False
        """Nothing was found in a whole round."""

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over and all is read."""
        while not (over.is_set() and self.caught_up):
            self.caught_up = not await self._round()
            if self.caught_up:
                await asyncio.sleep(0.3)

    async def _round(self) -> bool:
        """True if there was something."""
        for shard in (await self.call.patiently("ListShards", StreamName=self.stream))["Shards"]:
            if shard["ShardId"] not in self.iterators:
                asked = {"StreamName": self.stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
                answer = await self.call.patiently("GetShardIterator", **asked)
                self.iterators[shard["ShardId"]] = answer["ShardIterator"]
        found = False
        for shard_id, iterator in list(self.iterators.items()):
            if iterator is not None:
                answer, size = await self._get(iterator)
                self.iterators[shard_id] = answer.get("NextShardIterator")
                found = found or size > 0 or answer.get("MillisBehindLatest", 0) > 0
        return found

    async def _get(self, iterator: str) -> tuple[dict[str, Any], int]:
        """An answer and its bytes. Each try without an answer may have been counted, and had no more than the answer has."""
        unanswered = 0
        while True:
            try:
                answer = await self.call("GetRecords", ShardIterator=iterator, Limit=2_000)
            except Unanswered:
                unanswered += 1
                await asyncio.sleep(0.1)
            except NotSent:
                await asyncio.sleep(0.1)
            else:
                size = self.reads.add(answer["Records"], self.call.connection)
                self.reads.doubtful += size * unanswered
                return answer, size


class Subscriber:
    """Follows one shard by SubscribeToShard, one subscription after the other."""

    def __init__(self, call: Caller, consumer_arn: str, shard_id: str, reads: Reads) -> None:
        self.call, self.shard_id, self.reads = call, shard_id, reads
        self.asked: dict[str, Any] = {
            "ConsumerARN": consumer_arn,
            "ShardId": shard_id,
            "StartingPosition": {"Type": "TRIM_HORIZON"},
        }
        self.size_bytes = 0
        self.ended = False
        """The shard is closed and read to its end."""
        self._broken_at: list[float] = []
        self._connection = Connection()

    async def run(self) -> None:
        """Until the shard ends, or it is cancelled."""
        while not self.ended:
            try:
                await self._subscribe()
            except httpx.ConnectError:
                await asyncio.sleep(0.3)
            except (httpx.HTTPError, OSError):
                self._connection.broken_at = time.time()
                self._broken_at.append(self._connection.broken_at)
                await asyncio.sleep(0.3)

    async def _subscribe(self) -> None:
        self._connection = Connection()
        headers, body = self.call.signed("kinesis", "SubscribeToShard", self.asked)
        async with (
            httpx.AsyncClient(timeout=httpx.Timeout(30, connect=5)) as http,
            http.stream("POST", self.call.endpoint + "/", headers=headers, content=body) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
                await asyncio.sleep(1)
                return
            decoder = Decoder()
            async for data in answer.aiter_raw():
                for frame in decoder.feed(data):
                    if frame.headers.get(":event-type") == "SubscribeToShardEvent":
                        self._take(json.loads(frame.payload))

    def _take(self, event: dict[str, Any]) -> None:
        records = event["Records"]
        self.size_bytes += self.reads.add(records, self._connection)
        for record in records:
            arrived = record["ApproximateArrivalTimestamp"]
            self._broken_at = [at for at in self._broken_at if arrived <= at + 1]
            self.reads.doubtful += size_of(record) * len(self._broken_at)
        number = event.get("ContinuationSequenceNumber")
        self.ended = number is None
        self.asked["StartingPosition"] = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
