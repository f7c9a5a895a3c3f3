"""The websocket of live metrics: one per browser tab, many topics on it. protocol.py has the words.

A connection keeps no queue. It knows what it looks at, and how far the client was told; one loop sends what is newest
when the client has taken the last message, four times a second at most (pace.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

import structlog
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer

from apps.gateway import app as gateway
from apps.metrics import store
from console.live import protocol
from console.live.hub import Hub, in_thread
from console.live.pace import Pace
from console.live.protocol import Message, ProtocolError, decode, encode
from console.live.standing import Standing, series_ids, signed_in, standing
from console.live.subscription import Subscription, refused

log = structlog.get_logger(__name__)

SEND_S = 30.0
"""A client that does not read blocks a message so long at most."""

GOODBYE_S = 2.0
"""The same for the last one."""

TICK_S = 0.25
"""How often the loop looks at the clock when nothing happens."""

Json = dict[str, Any]


class Closed(Exception):
    """End this connection with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One connection."""

    channel_layer_alias = ""
    """None: the one subscription of the hub serves all connections (channel layers keep a queue per connection)."""

    hub: Hub | None = None
    """Given by tests; else the one of this web process."""

    _task: asyncio.Task[None] | None
    _joined = False

    async def connect(self) -> None:
        """The door (console/websockets.py) has seen to the origin. Who is not signed in is told so, and closed."""
        self._hub: Hub = self.hub or gateway.runtime().part(Hub)
        self._clock = self._hub.clock
        self._session_key = self.scope["session"].session_key
        self._user_id = await in_thread(signed_in, self._session_key)
        self._team = ""
        self._standing: Standing | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._pace = Pace()
        self._told = 0
        self._seq = 0
        self._hidden = False
        self._wake = asyncio.Event()
        self._heard_ms: deque[int] = deque(maxlen=protocol.MESSAGES_PER_10_S_MAX)
        await self.accept()
        if self._user_id is None:
            await self._close(protocol.SIGN_IN)
        elif len(self._hub.sockets.get(self._user_id, ())) >= protocol.SOCKETS_PER_USER_MAX:
            await self._close(protocol.TOO_MANY)
        else:
            self._generation = self._hub.generation
            self._hub.join(self, self._user_id, self._wake.set)
            self._joined = True
            self._task = asyncio.create_task(self._run())

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels hands it over
        """Leave everything."""
        self._end()

    def _end(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if task is not asyncio.current_task():
            task.cancel()
        for subscription in self._subscriptions.values():
            subscription.close(self._hub, self)
        self._subscriptions.clear()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Also tells the client to come back when the process stops, and leaves nothing behind if something breaks.

        A client that we closed counts as a socket of its user until it is really gone: one that does not read holds
        its connection open, and the server cannot take it away.
        """
        self._task = None
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await send({"type": "websocket.close", "code": protocol.RESTART})
            raise
        finally:
            self._end()
            if self._joined:
                assert self._user_id is not None
                self._hub.part(self, self._user_id)

    async def dispatch(self, message: Json) -> None:
        """Channels' own asks a thread to close database connections before each message; none is used here."""
        await getattr(self, get_handler_name(message))(message)

    # What the client says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """One message; text is the only kind."""
        try:
            if self._task is not None:
                await self._handle(decode(self._bounded(text_data)))
        except ProtocolError as error:
            await self._say({"op": "err", "code": "bad_message", "why": str(error)})
        except Closed as closed:
            await self._close(closed.code)

    def _bounded(self, text: str | None) -> str:
        if text is None:
            raise Closed(protocol.BAD_MESSAGE)
        if len(text) > protocol.MESSAGE_BYTES_MAX:
            raise Closed(protocol.TOO_BIG)
        now_ms = self._clock.now_ms()
        full = len(self._heard_ms) == self._heard_ms.maxlen
        if full and 0 <= now_ms - self._heard_ms[0] < 10_000:
            raise Closed(protocol.TOO_MANY)
        self._heard_ms.append(now_ms)
        return text

    async def _handle(self, message: Message) -> None:
        match message.op:
            case "hello":
                await self._hello(message)
            case "ack":
                self._pace.acked(message.seq)
                self._wake.set()
            case "vis":
                self._hidden = message.hidden
                self._wake.set()
            case "unsub":
                self._drop(message.id)
            case "sub":
                await self._subscribe(message)
            case _:
                raise ProtocolError(f"no op {message.op[:40]!r}")

    async def _hello(self, message: Message) -> None:
        if message.v != protocol.VERSION:
            raise ProtocolError(f"version {message.v} is not spoken here, {protocol.VERSION} is")
        assert self._user_id is not None
        for subscription_id in list(self._subscriptions):
            self._drop(subscription_id)
        self._team = message.team
        told = dict(self._hub.standing)
        self._standing = await in_thread(standing, self._user_id, message.team)
        if self._standing is None:
            raise Closed(protocol.NO_ACCESS)
        self._checked_ms = self._clock.now_ms()
        self._told = told.get(self._standing.team_id, 0)
        welcome = {"op": "welcome", "v": protocol.VERSION, "now": self._clock.now_ms() / 1_000}
        welcome |= {"epoch": await in_thread(store.epoch), "hb": protocol.HEARTBEAT_S, "max_hz": protocol.HZ_MAX}
        await self._say(welcome)

    async def _subscribe(self, message: Message) -> None:
        """Every subscription asks again who this is and what the role may do."""
        topic = protocol.topic_of(message.topic)
        if self._standing is None:
            raise ProtocolError("say hello first")
        if topic is None or message.res not in protocol.RESOLUTIONS_S or not message.id:
            await self._say(refused(message, "bad_topic"))
            return
        self._drop(message.id)
        if len(self._subscriptions) >= protocol.TOPICS_MAX:
            await self._say(refused(message, "too_many_topics", max=protocol.TOPICS_MAX))
            return
        mine = await self._look()
        if not mine.may(topic.need):
            await self._say(refused(message, "forbidden", need=topic.need))
            return
        stream_id = 0
        if topic.stream:
            stream_id = (await in_thread(series_ids, mine.team_id, topic.of, [topic.stream])).get(topic.stream, 0)
            if not stream_id:
                await self._say(refused(message, "not_found"))
                return
        names = tuple(sorted(set(message.names)))
        subscription = Subscription(message.id, topic, mine.team_id, stream_id, message.res, names)
        self._subscriptions[message.id] = subscription
        subscription.open(self._hub, self, self._wake.set)
        await self._snapshot(subscription, message.since)
        self._wake.set()

    def _drop(self, subscription_id: str) -> None:
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is not None:
            subscription.close(self._hub, self)

    async def _snapshot(self, subscription: Subscription, since: float | None) -> None:
        for answer in await subscription.snapshot(self._hub, since):
            await self._say(answer, counted=True)
        subscription.ready = True

    # What the client is told

    async def _run(self) -> None:
        """The loop of one connection: permissions, heartbeat, what is new."""
        self._checked_ms = self._beat_ms = self._clock.now_ms()
        self._told_s = 0.0
        """By the loop's clock, which is never set: this one paces, it does not tell the time."""
        try:
            while True:
                await self._wait()
                now_ms = self._clock.now_ms()
                if abs(now_ms - self._checked_ms) >= protocol.RECHECK_S * 1_000 or self._was_told():
                    await self._recheck()
                if abs(now_ms - self._beat_ms) >= protocol.HEARTBEAT_S * 1_000:
                    self._beat_ms = now_ms
                    await self._say({"op": "hb", "now": now_ms / 1_000}, counted=True)
                await self._tell(now_ms)
        except Closed as closed:
            await self._close(closed.code)
        except Exception:
            log.exception("live_connection_failed")
            await self._close(protocol.RESTART)

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        self._wake.clear()

    async def _tell(self, now_ms: int) -> None:
        if self._pace.is_dead(now_ms):
            raise Closed(protocol.SLOW)
        if self._pace.changed(now_ms):
            await self._say_lag()
        if self._generation != self._hub.generation:
            self._generation = self._hub.generation
            for subscription in self._ready():
                await self._snapshot(subscription, subscription.last_t)
        told_s = asyncio.get_running_loop().time()
        if self._hidden or self._pace.is_full or told_s - self._told_s < self._pace.interval_ms / 1_000:
            return
        for subscription in self._ready():
            for answer in subscription.news():
                self._told_s = told_s
                await self._say(answer, counted=True)

    def _ready(self) -> list[Subscription]:
        """Those whose snapshot has left: news before it would make no sense to the client."""
        return [subscription for subscription in self._subscriptions.values() if subscription.ready]

    async def _say_lag(self) -> None:
        slow = self._pace.interval_ms > 1_000 // protocol.HZ_MAX
        for subscription in list(self._subscriptions.values()):
            res = max(subscription.res_s, self._pace.interval_ms // 1_000)
            await self._say(
                {"op": "lag", "id": subscription.id, "res": res, "why": "slow_client" if slow else "caught_up"}
            )

    async def _say(self, message: Json, *, counted: bool = False) -> None:
        if counted:
            self._seq += 1
            message["seq"] = self._seq
        text = encode(message)
        if counted:
            self._pace.sent(self._seq, len(text), self._clock.now_ms())
        try:
            async with asyncio.timeout(SEND_S):
                await self.send(text_data=text)
        except TimeoutError:
            raise Closed(protocol.SLOW) from None

    # Permissions

    async def _look(self) -> Standing:
        """Who this is now. Raises Closed."""
        if await in_thread(signed_in, self._session_key) != self._user_id or self._user_id is None:
            raise Closed(protocol.SIGN_IN)
        found = await in_thread(standing, self._user_id, self._team)
        if found is None or (self._standing is not None and found.team_id != self._standing.team_id):
            raise Closed(protocol.NO_ACCESS)
        self._standing = found
        return found

    def _was_told(self) -> bool:
        """Did somebody's place in this team change?"""
        return self._standing is not None and self._told != self._hub.standing.get(self._standing.team_id, 0)

    async def _recheck(self) -> None:
        """Once a minute, and when somebody's place in the team changed: signed in, a member, allowed, the streams there?"""
        self._checked_ms = self._clock.now_ms()
        if self._standing is None:
            if await in_thread(signed_in, self._session_key) != self._user_id:
                raise Closed(protocol.SIGN_IN)
            return
        self._told = self._hub.standing.get(self._standing.team_id, 0)
        mine = await self._look()
        known: dict[tuple[str, str], int] = {}
        for of in {s.topic.of for s in self._subscriptions.values() if s.topic.stream}:
            wanted = [s.topic.stream for s in self._subscriptions.values() if s.topic.of == of]
            found = await in_thread(series_ids, mine.team_id, of, wanted)
            known |= {(of, name): key for name, key in found.items()}
        for subscription in list(self._subscriptions.values()):
            topic, answer = subscription.topic, {"op": "err", "id": subscription.id}
            if not mine.may(topic.need):
                answer |= {"code": "forbidden", "need": topic.need}
            elif topic.stream and known.get((topic.of, topic.stream)) != subscription.stream_id:
                answer |= {"code": "not_found"}
            else:
                continue
            self._drop(subscription.id)
            await self._say(answer)

    async def _close(self, code: int) -> None:
        """End it, and say why if the client still listens."""
        self._end()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(GOODBYE_S):
                await self.close(code)
