"""Metrics equal truth, over the wire: 100,000 random calls (TORTURE_TRUTH_CALLS) by eight clients on two web processes that
share Valkey, with throttles and faults, and a subscription. Then every sum and count that GetMetricData tells is the one
that the clients counted."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from apps.wire import sigv4
from apps.wire.eventstream import Decoder
from tests.bench.server import ROOT, Server, clean_environment, tidegate
from tests.support.truth import Client, Refused, Truth, queries_of

CALLS = int(os.environ.get("TORTURE_TRUTH_CALLS", "100000"))
CLIENTS = 8
SHARDS = 4
REGION = "us-east-1"
SETTLED_S = 120
LEVELS = ["IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords", "ReadProvisionedThroughputExceeded"]

pytestmark = [
    pytest.mark.torture,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Wire:
    """One connection that signs, and speaks JSON 1.1. (An HTTP library would take most of the machine's time.)"""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.host = server.endpoint.removeprefix("http://")
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def post(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body. Every answer but a subscription's says how long it is."""
        if self.writer is None or self.reader is None:
            host, _, port = self.host.partition(":")
            self.reader, self.writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", *lines, f"content-length: {len(body)}", "", ""])
        self.writer.write(head.encode() + body)
        await self.writer.drain()
        said = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(said.partition("content-length:")[2].split("\r\n", 1)[0])
        return int(said.split(" ", 2)[1]), await self.reader.readexactly(length)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()

    def signed(self, operation: str, params: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        body = json.dumps(_plain(params)).encode()
        headers = {
            "host": self.host,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"Kinesis_20131202.{operation}",
        }
        headers |= sigv4.sign(
            "POST", "/", headers, body, key_id=self.server.access_key, secret=self.server.secret_key, region=REGION,
            service="kinesis", now_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip
        return headers, body

    async def ask(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        headers, body = self.signed(operation, params)
        status, answer = await self.post(headers, body)
        said = json.loads(answer) if answer else {}
        if status != 200:
            raise Refused(said["__type"])
        return {**said, "Records": [_raw(record) for record in said["Records"]]} if "Records" in said else said


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    if "Data" in params:
        return {**params, "Data": base64.b64encode(params["Data"]).decode()}
    if "Records" in params:
        return {**params, "Records": [_plain(record) for record in params["Records"]]}
    return params


def _raw(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "Data": base64.b64decode(record["Data"])} if "Data" in record else record


async def follow(wire: Wire, client: Client, consumer_arn: str, shard_id: str, over: asyncio.Event) -> None:
    """One subscription after the other, each read to its end, until it is over."""
    asked: dict[str, Any] = {
        "ConsumerARN": consumer_arn,
        "ShardId": shard_id,
        "StartingPosition": {"Type": "TRIM_HORIZON"},
    }
    while not over.is_set():
        headers, body = wire.signed("SubscribeToShard", asked)
        async with (
            httpx.AsyncClient(timeout=60) as http,
            http.stream("POST", wire.server.endpoint + "/", headers=headers, content=body) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
                client.truth.add(("SubscribeToShard.Success", "consumer", "c"), 0)
                await asyncio.sleep(6)
                continue
            client.truth.add(("SubscribeToShard.Success", "consumer", "c"), 1)
            decoder = Decoder()
            async for data in answer.aiter_raw():
                for frame in decoder.feed(data):
                    if frame.headers.get(":event-type") == "SubscribeToShardEvent":
                        event = json.loads(frame.payload)
                        client.event("c", shard_id, [_raw(record) for record in event["Records"]])
                        number = event["ContinuationSequenceNumber"]
                        asked["StartingPosition"] = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}


async def load(server: Server, truth: Truth, consumer_arn: str) -> None:
    """All calls, and a subscription that lives as long as they do and a little longer."""
    wires = [Wire(server) for _ in range(CLIENTS + 1)]
    clients = [Client(wire.ask, "s", SHARDS, truth, number) for number, wire in enumerate(wires)]
    for client in clients:
        client.sizes = (0, 1, 100, 1_000, 5_000)
    over = asyncio.Event()
    reading = asyncio.create_task(follow(wires[-1], clients[-1], consumer_arn, "shardId-000000000000", over))

    async def work(client: Client) -> None:
        for _ in range(CALLS // CLIENTS):
            await client.call()

    await asyncio.gather(*(work(client) for client in clients[:-1]))
    await asyncio.sleep(8)
    over.set()
    await wires[0].ask("DeregisterStreamConsumer", {"ConsumerARN": consumer_arn})
    await asyncio.wait_for(reading, 60)
    for wire in wires:
        wire.close()


def test_every_sum_and_count_is_what_the_clients_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tidegate(tmp_path / "data", TIDEGATE_THROTTLE="on", TIDEGATE_WEB_PROCESSES="2") as server:
        kinesis, watch = (_client(server, name) for name in ("kinesis", "cloudwatch"))
        kinesis.create_stream(StreamName="s", ShardCount=SHARDS)
        kinesis.get_waiter("stream_exists").wait(StreamName="s", WaiterConfig={"Delay": 1})
        kinesis.enable_enhanced_monitoring(StreamName="s", ShardLevelMetrics=LEVELS)
        arn = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
        consumer_arn = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
        _faults(tmp_path, "s", "--throttle", "2", "--errors", "2")
        _until(lambda: _active(kinesis, consumer_arn), 30)
        time.sleep(2)  # both processes see by now what is switched on
        truth, began_s = Truth(), time.time()
        asyncio.run(load(server, truth, consumer_arn))
        took_s = time.time() - began_s
        queries, wanted = queries_of(truth, "s")
        wrong = _until(lambda: _wrong(watch, queries, wanted, began_s), SETTLED_S, last=True)
    with capsys.disabled():
        throttled = (
            truth.seen["WriteProvisionedThroughputExceeded"][0] + truth.seen["ReadProvisionedThroughputExceeded"][0]
        )
        print(
            f"\n{sum(truth.calls.values()):,} calls in {took_s:.0f} s, {throttled:,} throttled, "
            f"{truth.seen['SubscribeToShardEvent.Success', 'consumer', 'c'][0]:,} events; {len(wanted)} sums and counts compared"
        )
    assert wrong == {}


def _wrong(watch: Any, queries: list[dict[str, Any]], wanted: dict[str, Any], began_s: float) -> dict[Any, Any]:
    found: dict[str, float] = dict.fromkeys(wanted, 0)
    for first in range(0, len(queries), 100):
        pages = watch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries[first : first + 100], StartTime=began_s - 120, EndTime=time.time() + 60
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                found[result["Id"]] += sum(result["Values"])
    return {wanted[key]: value for key, value in found.items() if value != wanted[key][1]}


def _until(condition: Any, seconds: float, *, last: bool = False) -> Any:
    """Until condition answers something true (last: something empty); its last answer."""
    ends_s = time.monotonic() + seconds
    while True:
        answer = condition()
        if bool(answer) != last or time.monotonic() > ends_s:
            return answer
        time.sleep(1)


def _active(kinesis: Any, consumer_arn: str) -> bool:
    described = kinesis.describe_stream_consumer(ConsumerARN=consumer_arn)["ConsumerDescription"]
    return bool(described["ConsumerStatus"] == "ACTIVE")


def _client(server: Server, name: str) -> Any:
    return boto3.client(
        name,
        endpoint_url=server.endpoint,
        region_name=REGION,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )


def _faults(tmp_path: Path, *arguments: str) -> None:
    environment = clean_environment() | {"TIDEGATE_DATA_DIR": str(tmp_path / "data")}
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "faults", *arguments], env=environment, cwd=ROOT, check=True
    )
