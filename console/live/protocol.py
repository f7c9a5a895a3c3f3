"""The words of /ws/v1/live: what a client may say, the limits, and the codes a socket is closed with.

Client: hello {v, team} · sub {id, topic, res, since, names} · unsub {id} · ack {seq} · vis {hidden}
Server: welcome · snap · pts · rows · mark · limit · lag · gap · hb · err · closed {code} (console/rsgi_to_asgi.py)
Topics: `stream/<name>/<panel>` (panels.py), `stream/<name>/shards`, `streams` (rows of the streams in names);
`team/throughput` (all of the team's data streams together); `delivery/<name>/<panel>` of a delivery stream,
`channel/<name>/<panel>`, `deliveries` (rows of the delivery streams in names).

Ids are the client's own. Times are UTC seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from console.live.panels import ALL_PANELS

VERSION = 1

TOPICS_MAX = 50
SOCKETS_PER_USER_MAX = 8
"""In one web process: it is the process's memory that this bounds. A count across processes would lock a person out
for as long as the entries of a killed process live."""

MESSAGE_BYTES_MAX = 65_536
MESSAGES_PER_10_S_MAX = 100
NAMES_MAX = 200

HEARTBEAT_S = 15
HZ_MAX = 4
RECHECK_S = 60
"""Seconds after which session, membership, role and streams are looked at again."""

SIGN_IN = 4401
NO_ACCESS = 4403
SLOW = 4408
TOO_MANY = 4429
RESTART = 1012
BAD_MESSAGE = 1007
TOO_BIG = 1009

RESOLUTIONS_S = (1, 10, 60, 300, 1_800, 3_600)

SHARDS = "shards"
STREAMS = "streams"
DELIVERIES = "deliveries"
TEAM = "team/throughput"

_STREAM_TOPIC = re.compile(r"(stream|delivery|channel)/([a-zA-Z0-9_.-]{1,128})/([a-z-]{1,20})")


class ProtocolError(Exception):
    """The client said something it may not say; the text goes to it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a subscription is about. stream is empty for the topics that are lists and for the team's, else the name of
    what `of` says."""

    kind: str
    stream: str = ""
    of: str = "stream"

    @property
    def need(self) -> str:
        """The permission that it takes."""
        return "stream:read" if self.of in {"stream", "team"} else "delivery:read"


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """Anything a client says; which fields count depends on op."""

    op: str
    v: int = 0
    team: str = ""
    id: str = ""
    topic: str = ""
    res: int = 1
    since: float | None = None
    names: list[str] = msgspec.field(default_factory=list)
    seq: int = 0
    hidden: bool = False


_DECODER = msgspec.json.Decoder(Message)


def decode(text: str) -> Message:
    """One message of a client. Raises ProtocolError."""
    try:
        message = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise ProtocolError(str(error)) from None
    if len(message.id) > 40 or len(message.names) > NAMES_MAX or any(len(name) > 128 for name in message.names):
        raise ProtocolError("an id, a name or the number of names is too long")
    return message


def encode(message: dict[str, Any]) -> str:
    """One message of the server."""
    return msgspec.json.encode(message).decode()


def topic_of(text: str) -> Topic | None:
    """The topic, or None if there is none of that name."""
    if text == STREAMS:
        return Topic(STREAMS)
    if text == DELIVERIES:
        return Topic(DELIVERIES, of="delivery")
    if text == TEAM:
        return Topic("throughput", of="team")
    found = _STREAM_TOPIC.fullmatch(text)
    if found is None:
        return None
    of, name, panel = found.groups()
    if of != "stream":
        panel = f"delivery/{panel}"
    return Topic(panel, name, of) if panel in ALL_PANELS or (of == "stream" and panel == SHARDS) else None
