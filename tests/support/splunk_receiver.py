"""A strict HTTP event collector with indexer acknowledgement, as Splunk's documentation has it."""

from __future__ import annotations

import json
import ssl
import uuid
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.receiver import Receiver, Reply, Request

COLLECTOR = "/services/collector"


class SplunkReceiver(Receiver):
    """taken: bodies in order, as (channel, ackId, bytes). acknowledges: answers true for what was taken; False withholds.

    As the real one: ackIds count up per channel, and an acknowledgement is given once. token, enabled, acks: of the HEC
    token. sticky: requests without the cookie that the first answer set do not know any ackId.
    """

    def __init__(
        self, *, token: str = "a0b1c2d3-0000-4000-8000-123456789abc", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(port=port, tls=tls)
        self.token = token
        self.enabled = self.acks = self.acknowledges = True
        self.sticky = False
        self.taken: list[tuple[str, int, bytes]] = []
        self.given: dict[str, set[int]] = defaultdict(set)
        self.asked = 0
        self.wrong: list[str] = []
        self._next: dict[str, int] = defaultdict(int)

    @property
    def data(self) -> list[bytes]:
        """What was taken, in order."""
        return [body for _, _, body in self.taken]

    def events(self) -> list[Any]:
        """What was taken at the Event endpoint, with repeats."""
        return [event for body in self.data for event in _concatenated(body)]

    def handle(self, request: Request) -> Reply:
        """As HEC answers."""
        parts = urlsplit(request.path)
        if request.method != "POST" or not parts.path.startswith(COLLECTOR):
            return Reply.json(404, b'{"text":"The requested URL was not found on this server.","code":404}')
        authorization = request.headers.get("authorization", "")
        if not authorization:
            return _said(401, 2, "Token is required")
        if not authorization.startswith("Splunk "):
            return _said(401, 3, "Invalid authorization")
        if authorization != f"Splunk {self.token}":
            return _said(403, 4, "Invalid token")
        if not self.enabled:
            return _said(403, 1, "Token disabled")
        channel = request.headers.get("x-splunk-request-channel") or parse_qs(parts.query).get("channel", [""])[0]
        if not channel:
            return _said(400, 10, "Data channel is missing")
        try:
            uuid.UUID(channel)
        except ValueError:
            return _said(400, 11, "Invalid data channel")
        match parts.path.removeprefix(COLLECTOR):
            case "/ack":
                return self._acknowledge(request, channel)
            case "/raw" | "/raw/1.0":
                return self._take(channel, request.body)
            case "" | "/event" | "/event/1.0":
                return self._events(channel, request.body)
        return Reply.json(404, b"{}")

    def _events(self, channel: str, body: bytes) -> Reply:
        if not body:
            return _said(400, 5, "No data")
        try:
            events = _concatenated(body)
        except ValueError:
            return _said(400, 6, "Invalid data format", **{"invalid-event-number": 0})
        for number, event in enumerate(events):
            if not isinstance(event, dict) or "event" not in event:
                return _said(400, 12, "Event field is required", **{"invalid-event-number": number})
            if event["event"] == "":
                return _said(400, 13, "Event field cannot be blank", **{"invalid-event-number": number})
        return self._take(channel, body)

    def _take(self, channel: str, body: bytes) -> Reply:
        if not body:
            return _said(400, 5, "No data")
        ack = self._next[channel]
        self._next[channel] += 1
        self.taken.append((channel, ack, body))
        self.given[channel].add(ack)
        reply = _said(200, 0, "Success", **({"ackId": ack} if self.acks else {}))
        if self.sticky:
            reply.headers["Set-Cookie"] = "AWSELB=node-1;PATH=/;EXPIRES=Wed, 21 Oct 2037 07:28:00 GMT"
        return reply

    def _acknowledge(self, request: Request, channel: str) -> Reply:
        self.asked += 1
        if not self.acks:
            return _said(400, 14, "ACK is disabled")
        if self.sticky and request.headers.get("cookie") != "AWSELB=node-1":
            return _said(400, 11, "Invalid data channel")
        wanted = json.loads(request.body)["acks"]
        known = self.given[channel] if self.acknowledges else set()
        answer = {str(ack): ack in known for ack in wanted}
        self.given[channel] -= set(wanted) & known
        return Reply.json(200, json.dumps({"acks": answer}).encode())


def _said(status: int, code: int, text: str, **members: Any) -> Reply:
    return Reply.json(status, json.dumps({"text": text, "code": code} | members).encode())


def _concatenated(body: bytes) -> list[Any]:
    decoder, text, found, at = json.JSONDecoder(), body.decode().strip(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        while at < len(text) and text[at].isspace():
            at += 1
    return found
