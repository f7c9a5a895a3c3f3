"""SubscribeToShard over HTTP/1.1 and HTTP/2: frames, pushes, clients that go, clients that do not read."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import h2.events
import pytest

from apps.recordlog.lmdb import LOOK_INTERVAL_S
from apps.wire.eventstream import Decoder, Frame
from tests.support.processes import HAPPENED_WITHIN_S
from tests.wire.conftest import Endpoint
from tests.wire.http2 import Http2
from tests.wire.raw import call, connect, head, headers_for, sign
from tests.wire.test_bodies import anonymous_bytes, worker_of

MIB = 1 << 20


@pytest.fixture
def consumer(kinesis: Any, make_stream: Callable[..., str], request: pytest.FixtureRequest) -> tuple[str, str]:
    """A stream with one shard, and the ARN of its ACTIVE consumer."""
    name = make_stream(request.node.originalname.replace("_", "-")[:100] + f"-{time.monotonic_ns()}"[-12:])
    return name, register(kinesis, name)


def register(kinesis: Any, stream: str) -> str:
    stream_arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    arn = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName="reader")["Consumer"]["ConsumerARN"]
    deadline = time.monotonic() + HAPPENED_WITHIN_S
    while kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(arn)


def body_for(arn: str, kind: str = "TRIM_HORIZON") -> bytes:
    asked = {"ConsumerARN": arn, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": kind}}
    return json.dumps(asked).encode()


def subscribe(endpoint: Endpoint, arn: str) -> socket.socket:
    """An HTTP/1.1 connection on which the answer comes in chunks."""
    body = body_for(arn)
    connection = connect(endpoint)
    connection.sendall(head(endpoint, sign(endpoint, headers_for("SubscribeToShard"), body), len(body)) + body)
    return connection


def frames(connection: socket.socket) -> Iterator[Frame]:
    """Frames out of a chunked answer, until it ends."""
    data, decoder = b"", Decoder()
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536) or pytest.fail("closed by the server")
    top, _, data = data.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: application/vnd.amazon.eventstream" in top
    assert b"transfer-encoding: chunked" in top
    while True:
        while b"\r\n" not in data:
            data += connection.recv(65_536) or pytest.fail("closed by the server")
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        while len(data) < length + 2:
            data += connection.recv(65_536) or pytest.fail("closed by the server")
        if not length:
            return
        yield from decoder.feed(data[:length])
        data = data[length + 2 :]


def test_boto3_is_pushed_what_is_put(kinesis: Any, consumer: tuple[str, str]) -> None:
    name, arn = consumer
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=arn, ShardId="shardId-000000000000", StartingPosition={"Type": "TRIM_HORIZON"}
    )
    stream = answer["EventStream"]
    got: list[bytes] = []
    kinesis.put_record(StreamName=name, Data=b"first", PartitionKey="k")
    for event in stream:
        records = event["SubscribeToShardEvent"]["Records"]
        got += [record["Data"] for record in records]
        assert event["SubscribeToShardEvent"]["ContinuationSequenceNumber"]
        if got == [b"first"]:
            kinesis.put_record(StreamName=name, Data=b"second", PartitionKey="k")
        if len(got) == 2:
            break
    stream.close()
    assert got == [b"first", b"second"]


def test_the_first_frame_is_the_initial_response(endpoint: Endpoint, consumer: tuple[str, str]) -> None:
    with subscribe(endpoint, consumer[1]) as connection:
        first = next(frames(connection))
    assert first.payload == b"{}"
    assert first.headers == {
        ":message-type": "event",
        ":event-type": "initial-response",
        ":content-type": "application/x-amz-json-1.1",
    }


def test_a_push_comes_with_the_answer_to_the_put(kinesis: Any, endpoint: Endpoint, consumer: tuple[str, str]) -> None:
    """Not by the next look at the log, nor by the next heartbeat: those come without regard to how long puts take."""
    name, arn = consumer
    putting, waiting = [], []
    with subscribe(endpoint, arn) as connection:
        coming = (frame for frame in frames(connection) if frame.headers[":event-type"] == "SubscribeToShardEvent")
        for number in range(20):
            began = time.monotonic()
            kinesis.put_record(StreamName=name, Data=str(number).encode(), PartitionKey="k")
            answered = time.monotonic()
            while not json.loads(next(coming).payload)["Records"]:
                pass
            putting.append(answered - began)
            waiting.append(time.monotonic() - answered)
    assert median(waiting) < LOOK_INTERVAL_S / 2 + 5 * median(putting)


def test_over_http2(kinesis: Any, endpoint: Endpoint, consumer: tuple[str, str]) -> None:
    name, arn = consumer
    kinesis.put_record(StreamName=name, Data=b"over http/2", PartitionKey="k")
    body, decoder, got = body_for(arn), Decoder(), []
    with Http2(endpoint) as client:
        stream = client.request(sign(endpoint, headers_for("SubscribeToShard"), body), body)
        for event in client.events(stream):
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
                assert headers[":status"] == "200"
                assert not {"connection", "transfer-encoding"} & set(headers)
            if isinstance(event, h2.events.DataReceived):
                got += list(decoder.feed(event.data))
            if len(got) > 1 and json.loads(got[-1].payload)["Records"]:
                break
        other = client.request(sign(endpoint, headers_for("ListStreams"), b"{}"), b"{}")
        assert client.answer(other).status == 200
    assert got[0].headers[":event-type"] == "initial-response"
    assert json.loads(got[-1].payload)["Records"][0]["PartitionKey"] == "k"


def test_errors_before_the_first_frame_are_ordinary_answers(endpoint: Endpoint, consumer: tuple[str, str]) -> None:
    answer = call(endpoint, "SubscribeToShard", body_for(consumer[1].rpartition(":")[0] + ":1"))
    assert (answer.status, answer.json["__type"]) == (400, "ResourceNotFoundException")
    with subscribe(endpoint, consumer[1]) as connection:
        next(frames(connection))
        again = call(endpoint, "SubscribeToShard", body_for(consumer[1]))
    assert (again.status, again.json["__type"]) == (400, "ResourceInUseException")


def test_an_error_in_the_middle_is_the_last_frame(kinesis: Any, endpoint: Endpoint, consumer: tuple[str, str]) -> None:
    with subscribe(endpoint, consumer[1]) as connection:
        coming = frames(connection)
        next(coming)
        kinesis.delete_stream(StreamName=consumer[0], EnforceConsumerDeletion=True)
        *_, last = coming
    assert last.headers[":message-type"] == "exception"
    assert last.headers[":exception-type"] == "ResourceNotFoundException"


def test_a_client_that_does_not_read_does_not_grow_the_server(
    kinesis: Any, endpoint: Endpoint, consumer: tuple[str, str]
) -> None:
    if endpoint.pid is None:
        pytest.skip("needs this suite's own server, which does not throttle")
    name, arn = consumer
    for _ in range(8):
        kinesis.put_records(StreamName=name, Records=[{"Data": bytes(1_000_000), "PartitionKey": "k"}] * 5)
    worker = worker_of(endpoint.pid)
    before, grown = anonymous_bytes(worker), 0
    with subscribe(endpoint, arn) as connection:
        coming = frames(connection)
        next(coming)
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            grown = max(grown, anonymous_bytes(worker) - before)
            time.sleep(0.02)
        got = 0
        while got < 40:  # and it goes on where it was when the client reads again
            got += len(json.loads(next(coming).payload)["Records"])
    assert grown < 20 * MIB, f"{grown / MIB:.0f} MiB"
