"""The whole application in ASGI's words, as another server would run it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.base.clock import SystemClock
from apps.gateway import app as gateway_app
from apps.wire import sigv4
from console.asgi import application
from tests.support.teams import ACCESS_KEY_ID, SECRET, TestTeam, make_team

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team(transactional_db: None) -> TestTeam:
    return make_team()


@pytest.fixture
async def served(team: TestTeam) -> AsyncIterator[None]:
    """The application between lifespan's startup and shutdown."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    running = asyncio.create_task(application({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    yield
    await told.put({"type": "lifespan.shutdown"})
    assert await said.get() == {"type": "lifespan.shutdown.complete"}
    await running
    with pytest.raises(AssertionError):
        gateway_app.runtime()


async def ask(method: str, path: str, headers: dict[str, str], *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 4567),
    }
    coming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.Event().wait()  # the client stays
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    if not sent:
        return 0, {}, b""
    named = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], named, b"".join(message.get("body", b"") for message in sent[1:])


def signed(operation: str, body: bytes) -> dict[str, str]:
    headers = {
        "host": "localhost:4567",
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"Kinesis_20131202.{operation}",
    }
    return headers | sigv4.sign(
        "POST", "/", headers, body, key_id=ACCESS_KEY_ID, secret=SECRET, region="us-east-1", service="kinesis",
        now_ms=SystemClock().now_ms(),
    )  # fmt: skip


@pytest.mark.usefixtures("served")
async def test_the_gateway_answers_signed_requests() -> None:
    body = b'{"StreamName":"s","ShardCount":1}'
    status, headers, answer = await ask("POST", "/", signed("CreateStream", body), body[:5], body[5:])
    assert (status, answer, headers["content-length"]) == (200, b"", "0")
    status, headers, answer = await ask("POST", "/", signed("ListStreams", b"{}"), b"{}")
    assert (status, json.loads(answer)["StreamNames"]) == (200, ["s"])
    assert headers["content-type"] == "application/x-amz-json-1.1"


@pytest.mark.usefixtures("served")
async def test_a_client_that_goes_is_not_answered() -> None:
    headers = signed("ListStreams", b"{}") | {"content-length": "3"}
    assert await ask("POST", "/", headers, b"{}") == (0, {}, b"")


@pytest.mark.usefixtures("served")
async def test_health_and_pages() -> None:
    status, _, answer = await ask("GET", "/healthz", {"host": "localhost"})
    assert (status, json.loads(answer)["parts"]["database"]) == (503, "ok")
    status, headers, _ = await ask("GET", "/", {"host": "localhost"})
    assert status == 302
    assert headers["location"].startswith("/")
