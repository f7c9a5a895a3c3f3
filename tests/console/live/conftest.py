"""A hub on a real Valkey, a team with a stream, and websocket clients that speak the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from apps.base.clock import FakeClock
from apps.streams.models import Shard, Stream, StreamStatus
from console.live import hub as hub_module
from console.live import subscription
from console.live.consumer import LiveConsumer
from console.live.hub import Hub
from tests.support.metrics import process, second_process, valkey, valkey_server

__all__ = ["process", "second_process", "valkey", "valkey_server"]

HOST = "localhost:4567"
WITHIN_S = 60
"""Only a test that fails waits so long."""


def make_stream(team: Any, name: str, shards: int = 2) -> Stream:
    stream = Stream.objects.create(
        team=team, region="us-east-1", name=name, stream_id=f"{team.slug}-{name}"[:24], status=StreamStatus.ACTIVE,
        created_at_ms=0,
    )  # fmt: skip
    for index in range(shards):
        Shard.objects.create(stream=stream, index=index, start_hash="0", end_hash="1", created_s=0)
    return stream


def session_for(user: Any) -> str:
    session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session.session_key


class Client:
    """One browser tab."""

    def __init__(self, hub: Hub, session_key: str | None, origin: str = f"http://{HOST}") -> None:
        from console.websockets import build

        headers = [(b"origin", origin.encode()), (b"host", HOST.encode())]
        if session_key:
            headers.append((b"cookie", f"{django_settings.SESSION_COOKIE_NAME}={session_key}".encode()))
        scope = {
            "type": "websocket",
            "path": "/ws/v1/live",
            "headers": headers,
            "query_string": b"",
            "subprotocols": [],
        }
        self.socket = ApplicationCommunicator(build(), scope)
        self.acks = True

    async def open(self, team: str | None = "first") -> "Client":
        answer = await self.connect()
        assert answer["type"] == "websocket.accept", answer
        if team is not None:
            await self.say(op="hello", v=1, team=team)
            assert (await self.hear())["op"] == "welcome"
        return self

    async def connect(self) -> dict[str, Any]:
        await self.socket.send_input({"type": "websocket.connect"})
        return await self.socket.receive_output(timeout=WITHIN_S)

    async def say(self, **message: Any) -> None:
        await self.send(text=json.dumps(message))

    async def send(self, **what: Any) -> None:
        await self.socket.send_input({"type": "websocket.receive", **what})

    async def hear(self, *ops: str, timeout_s: float = WITHIN_S) -> dict[str, Any]:
        """The next message (of these kinds); acknowledged as a browser does."""
        while True:
            output = await self.socket.receive_output(timeout=timeout_s)
            assert output["type"] == "websocket.send", output
            message = json.loads(output["text"])
            if self.acks and "seq" in message:
                await self.say(op="ack", seq=message["seq"])
            if not ops or message["op"] in ops:
                return message

    async def sub(self, topic: str, **more: Any) -> dict[str, Any]:
        """Subscribe as `a1`; the first answer."""
        await self.say(op="sub", id="a1", topic=topic, **more)
        return await self.hear("snap", "rows", "err", "gap")

    async def closed(self, timeout_s: float = WITHIN_S) -> int:
        """Wait until the server closes; the code."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = await self.socket.receive_output(timeout=timeout_s)
                if message["type"] == "websocket.close":
                    await self.close()
                    return message["code"]

    async def acknowledge(self) -> None:
        """Take what is there without waiting, and say so; a close stays where it is."""
        queue = self.socket.output_queue
        while not queue.empty() and queue._queue[0]["type"] == "websocket.send":
            message = json.loads(queue.get_nowait()["text"])
            if "seq" in message:
                await self.say(op="ack", seq=message["seq"])

    async def close(self) -> None:
        """Close the tab, unless the test broke off with a timeout."""
        if self.socket.future.done():
            return
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await self.socket.wait(timeout=WITHIN_S)


@pytest.fixture
async def hub(valkey, clock: FakeClock, monkeypatch, transactional_db) -> AsyncIterator[Hub]:
    made = Hub(SimpleNamespace(clock=clock, config=django_settings.CONFIG))
    monkeypatch.setattr(LiveConsumer, "hub", made)
    for name in ("ROWS_EVERY_S", "FACTS_EVERY_S", "TAIL_ELSE_S"):
        monkeypatch.setattr(subscription, name, 0.2)
    monkeypatch.setattr(subscription, "TAIL_EVERY_S", {})
    monkeypatch.setattr(hub_module, "SILENT_WAITS_MAX", 10_000)  # nobody flushes each second of real time here
    yield made
    assert made.sockets == {}
    assert made._seconds == {}
    assert made._polled == {}


@pytest.fixture
async def team(transactional_db):
    from tests.support.teams import make_team

    made = await sync_to_async(make_team)()
    made.__dict__["stream"] = await sync_to_async(make_stream)(made.team, "orders")
    return made
