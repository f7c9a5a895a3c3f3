"""What others put into delivery streams, byte for byte as they send it: the Kinesis Agent, EventBridge, CloudWatch Logs
subscriptions, IoT rules, the AWS CLI. Each with its user agent and headers, through the gateway."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from django.db import connections

from apps.base.clock import FakeClock
from apps.gateway.app import Gateway
from apps.gateway.request import Request, Response
from apps.runtime import Runtime
from apps.wire import sigv4
from tests.support.callers import Connection, Keys, in_database, make_key
from tests.support.delivery_rows import make_delivery
from tests.support.runtimes import memory_runtime
from tests.support.teams import make_team

pytestmark = pytest.mark.django_db(transaction=True)

JSON = "application/x-amz-json-1.1"


@dataclass
class Door:
    """A gateway, a key, and a delivery stream's log."""

    runtime: Runtime
    gateway: Gateway
    keys: Keys
    log_key: int

    async def send(self, operation: str, body: bytes, **headers: str) -> Any:
        """One request; its answer."""
        sent = {
            "host": "firehose.us-east-1.amazonaws.com",
            "content-type": JSON,
            "x-amz-target": f"Firehose_20150804.{operation}",
            "content-length": str(len(body)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        sent |= sigv4.sign(
            "POST", "/", sent, body, key_id=self.keys.key_id, secret=self.keys.secret, region="us-east-1",
            service="firehose", now_ms=self.runtime.clock.now_ms(), session_token=None,
        )  # fmt: skip
        answer = await self.gateway.answer(
            Request("POST", "/", "", sent, pieces(body), to_end=False, scope=Connection())
        )
        assert isinstance(answer, Response)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def stored(self) -> list[bytes]:
        read = await self.runtime.record_log.read(self.log_key, 1, 10_000, 1 << 24)
        return [data for part in read.slices for data in part.records[1::2]]


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


def rows(clock: FakeClock) -> tuple[Keys, int]:
    team = make_team()
    row = make_delivery(team, "d")
    log = row.logs.create(purpose="direct", created_at_ms=clock.now_ms())
    return make_key(team.team), log.log_key


@pytest_asyncio.fixture
async def door(transactional_db: None, clock: FakeClock) -> AsyncIterator[Door]:
    keys, log_key = await in_database(rows)(clock)
    runtime = memory_runtime(clock)
    await runtime.open()
    await runtime.record_log.create(log_key)
    yield Door(runtime, Gateway(runtime), keys, log_key)
    await runtime.close()
    await in_database(connections.close_all)()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_the_kinesis_agent(door):
    """Lines of a file with their newlines, in a batch, by the Java SDK."""
    lines = [b'127.0.0.1 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.0" 200 2326\n', "zwölf\n".encode()]
    body = json.dumps({"DeliveryStreamName": "d", "Records": [{"Data": b64(line)} for line in lines]}).encode()
    answer = await door.send(
        "PutRecordBatch",
        body,
        user_agent="aws-kinesis-agent-java/2.0.12, aws-sdk-java/1.12.430 Linux/6.1 OpenJDK_64-Bit_Server_VM/17.0.9",
        amz_sdk_invocation_id="4f9d6b52-4b3c-4a7e-9a0e-2c8f1f0c7f51",
        amz_sdk_retry="0/0/500",
        amz_sdk_request="attempt=1;max=4",
    )
    assert answer["FailedPutCount"] == 0
    assert all(set(one) == {"RecordId"} for one in answer["RequestResponses"])
    assert await door.stored() == lines


async def test_an_event_of_eventbridge(door):
    """A rule's target gets each matched event as one record, its JSON without a newline."""
    event = (
        b'{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Object Created","source":"aws.s3",'
        b'"account":"123456789012","time":"2026-11-12T00:00:00Z","region":"us-east-1",'
        b'"resources":["arn:aws:s3:::amzn-s3-demo-bucket1"],"detail":{"version":"0","bucket":{"name":"amzn-s3-demo-bucket1"}}}'
    )
    body = json.dumps({"DeliveryStreamName": "d", "Records": [{"Data": b64(event)}]}).encode()
    answer = await door.send("PutRecordBatch", body, user_agent="AWS Internal")
    assert (answer["FailedPutCount"], await door.stored()) == (0, [event])


async def test_a_subscription_of_cloudwatch_logs(door):
    """First a control message, then data; each record is one gzip member."""
    control = {
        "messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
        "subscriptionFilters": [],
        "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE: Checking health of destination Firehose."}],
    }  # fmt: skip
    data = {
        "messageType": "DATA_MESSAGE", "owner": "111111111111", "logGroup": "CloudTrail/logs", "logStream": "a",
        "subscriptionFilters": ["Destination"],
        "logEvents": [{"id": "3195310660696698337880902507980421114328961542429EXAMPLE", "timestamp": 1, "message": "hi"}],
    }  # fmt: skip
    packed = [gzip.compress(json.dumps(one).encode(), mtime=0) for one in (control, data)]
    for blob in packed:
        body = json.dumps({"Records": [{"Data": b64(blob)}], "DeliveryStreamName": "d"}).encode()
        assert (await door.send("PutRecordBatch", body, user_agent="AWS Internal"))["FailedPutCount"] == 0
    assert await door.stored() == packed
    assert [json.loads(gzip.decompress(one))["messageType"] for one in packed] == ["CONTROL_MESSAGE", "DATA_MESSAGE"]


async def test_an_iot_rule(door):
    """One record with the rule's separator behind it; in batch mode each member of an array is a record."""
    reading = b'{"temperature": 21.5}\n'
    body = json.dumps({"DeliveryStreamName": "d", "Record": {"Data": b64(reading)}}).encode()
    answer = await door.send("PutRecord", body, user_agent="AWS IoT Rules Engine")
    assert set(answer) == {"RecordId", "Encrypted"}
    batch = {"DeliveryStreamName": "d", "Records": [{"Data": b64(reading)}, {"Data": b64(b'{"temperature": 22}\n')}]}
    answer = await door.send("PutRecordBatch", json.dumps(batch).encode(), user_agent="AWS IoT Rules Engine")
    assert answer["FailedPutCount"] == 0
    assert await door.stored() == [reading, reading, b'{"temperature": 22}\n']


async def test_the_aws_cli(door):
    body = b'{"DeliveryStreamName": "d", "Record": {"Data": "aGVsbG8="}}'
    agent = "aws-cli/2.17.0 md/awscrt#0.20.11 ua/2.0 os/linux#6.1 md/arch#x86_64 lang/python#3.11.8 md/command#firehose.put-record"
    await door.send("PutRecord", body, user_agent=agent, content_type=f"{JSON}; charset=utf-8")
    assert await door.stored() == [b"hello"]


async def test_records_that_are_long_take_the_other_way_to_the_same_place(door):
    blobs = [bytes([n]) * (900 + n) for n in range(20)]
    body = json.dumps({"Records": [{"Data": b64(blob)} for blob in blobs], "DeliveryStreamName": "d"}).encode()
    assert (await door.send("PutRecordBatch", body))["FailedPutCount"] == 0
    assert await door.stored() == blobs
