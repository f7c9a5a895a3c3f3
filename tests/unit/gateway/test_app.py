"""The gateway without a server: what happens when an operation fails in ways no client can cause."""

import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from django.db import OperationalError

from apps.access.credentials import Credential, Row
from apps.accounts.principal import Principal
from apps.base.errors import ServiceError
from apps.gateway import app, failures
from apps.gateway.app import Gateway
from apps.gateway.request import IdMaker, Request, Response, Stream
from apps.gateway.services import TARGETS, Route
from apps.recordlog.interface import LogBusy, LogFull
from apps.wire import json11, sigv4
from apps.wire.eventstream import Decoder
from apps.wire.identify import Identified
from tests.support.runtimes import memory_runtime

KEY_ID, SECRET = "AKIDUNIT", "secret"


class Broken(RuntimeError):
    """A bug with a secret in its text."""


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    runtime = memory_runtime()
    await runtime.open()
    made = Gateway(runtime)
    principal = Principal(1, "123456789012", KEY_ID)
    made.credentials._known[KEY_ID] = Credential(KEY_ID, SECRET, principal, Row(b"", 1, ""), read_at_s=float("inf"))
    yield made
    await runtime.close()


@pytest.fixture
def replace(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Put another function in an operation's place."""

    def put(operation: str, function: Any) -> None:
        old = TARGETS[f"Kinesis_20131202.{operation}"]
        route = Route(old.service, old.name, old.operation, function, None, on_loop=True)
        key = ("POST", json11.CONTENT_TYPE, f"Kinesis_20131202.{operation}")
        monkeypatch.setitem(app.USUAL, key, Identified(json11, route))

    return put


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def ask(gateway: Gateway, operation: str, data: bytes = b"{}") -> Response | Stream:
    headers = {
        "host": "localhost",
        "content-type": json11.CONTENT_TYPE,
        "x-amz-target": f"Kinesis_20131202.{operation}",
        "content-length": str(len(data)),
    }
    now_ms = gateway.runtime.clock.now_ms()
    region = gateway.runtime.config.region
    headers |= sigv4.sign(
        "POST", "/", headers, data, key_id=KEY_ID, secret=SECRET, region=region, service="kinesis", now_ms=now_ms
    )
    return await gateway.answer(Request("POST", "/", "", headers, body(data), to_end=False))


async def test_a_bug_is_one_log_line_and_no_text(gateway: Gateway, replace: Callable[[str, Any], None]) -> None:
    async def broken(_call: Any, _params: Any) -> None:
        raise Broken("the password is hunter2")

    replace("ListStreams", broken)
    with structlog.testing.capture_logs() as logs:
        answer = await ask(gateway, "ListStreams")
    assert isinstance(answer, Response)
    assert (answer.status, json.loads(answer.body)) == (500, {"__type": "InternalFailure"})
    [line] = logs
    assert line["event"] == "request_failed"
    assert line["request_id"] == dict(answer.headers)["x-amzn-RequestId"]
    assert line["operation"] == "ListStreams"
    assert isinstance(line["exc_info"], Broken)


@pytest.mark.parametrize("error", [LogBusy("x"), LogFull("x"), OperationalError("database is locked")])
async def test_parts_that_are_away_are_repeatable(
    gateway: Gateway, replace: Callable[[str, Any], None], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_call: Any, _params: Any) -> None:
        raise error

    monkeypatch.setattr(failures, "_warned_s", {})
    replace("ListStreams", away)
    with structlog.testing.capture_logs() as logs:
        answers = [await ask(gateway, "ListStreams") for _ in range(3)]
    for answer in answers:
        assert isinstance(answer, Response)
        assert answer.status == 503
        assert json.loads(answer.body)["__type"] == "ServiceUnavailable"
        assert dict(answer.headers)["retry-after"] == "1"
    assert [line["event"] for line in logs] == ["part_unavailable"]


async def test_a_bug_in_a_stream_is_its_last_frame(gateway: Gateway, replace: Callable[[str, Any], None]) -> None:
    closed = []

    class Events:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            raise Broken("inside")

        async def aclose(self) -> None:
            closed.append(True)

    async def subscribe(_call: Any, _params: Any) -> Events:
        return Events()

    replace("SubscribeToShard", subscribe)
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1"
    asked = {"ConsumerARN": arn, "ShardId": "0", "StartingPosition": {"Type": "LATEST"}}
    answer = await ask(gateway, "SubscribeToShard", json.dumps(asked).encode())
    assert isinstance(answer, Stream)
    with structlog.testing.capture_logs() as logs:
        frames = [frame async for data in answer.frames for frame in Decoder().feed(data)]
    assert [frame.headers.get(":event-type") for frame in frames] == ["initial-response", None]
    assert frames[1].headers[":message-type"] == "exception"
    assert b"inside" not in frames[1].payload
    assert [line["event"] for line in logs] == ["request_failed"]
    await answer.frames.aclose()
    assert closed


async def test_a_stream_that_was_never_begun_is_closed(gateway: Gateway, replace: Callable[[str, Any], None]) -> None:
    closed = []

    class Events:
        async def aclose(self) -> None:
            closed.append(True)

    async def subscribe(_call: Any, _params: Any) -> Events:
        return Events()

    replace("SubscribeToShard", subscribe)
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1"
    asked = {"ConsumerARN": arn, "ShardId": "0", "StartingPosition": {"Type": "LATEST"}}
    answer = await ask(gateway, "SubscribeToShard", json.dumps(asked).encode())
    assert isinstance(answer, Stream)
    await answer.frames.aclose()
    assert closed


async def test_errors_of_operations_keep_their_status_and_members(
    gateway: Gateway, replace: Callable[[str, Any], None]
) -> None:
    class Teapot(ServiceError):
        code = "TeapotException"
        status = 418

    async def refuse(_call: Any, _params: Any) -> None:
        raise Teapot("short and stout", Handle=1)

    replace("ListStreams", refuse)
    answer = await ask(gateway, "ListStreams")
    assert isinstance(answer, Response)
    assert answer.status == 418
    assert json.loads(answer.body) == {"__type": "TeapotException", "message": "short and stout", "Handle": 1}


def test_ids() -> None:
    makers = [IdMaker(), IdMaker()]
    found = {
        ids.request_id: dict(ids.headers)["x-amz-id-2"] for _ in range(1_000) for ids in (maker() for maker in makers)
    }
    assert len(found) == len(set(found.values())) == 2_000
    for request_id, extended in found.items():
        assert str(uuid.UUID(request_id)) == request_id
        assert uuid.UUID(request_id).version == 4
        assert 64 <= len(base64.b64decode(extended, validate=True)) <= 80
