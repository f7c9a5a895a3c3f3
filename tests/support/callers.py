"""Users, roles and sessions for tests, and calls as they come over the wire: signed, through the gateway or from its decoder on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from apps.access.ids import unique_id
from apps.access.models import Attachment, Identity, InlinePolicy
from apps.access.rights import changed
from apps.accounts import keys
from apps.accounts.models import Team
from apps.base.clock import FakeClock
from apps.gateway.app import Gateway
from apps.gateway.request import Request, Response, Stream
from apps.gateway.services import SERVICES, Route
from apps.wire import json11, sigv4

NOW_MS = 1_795_163_467_000
PEER = "192.0.2.1:40000"


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def says(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    """A statement of an identity policy."""
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def trusting(principal: Any, *actions: str, **more: Any) -> str:
    """A trust policy."""
    wanted = list(actions) or ["sts:AssumeRole"]
    return document({"Effect": "Allow", "Principal": principal, "Action": wanted, **more})


def make_identity(
    team: Team, kind: str, name: str, *policies: str, attached: tuple[str, ...] = (), **fields: Any
) -> Identity:
    """A user, role or group with inline policies."""
    row = Identity.objects.create(
        team=team,
        kind=kind,
        name=name,
        name_key=name.lower(),
        unique_id=unique_id(kind),
        created_at_ms=NOW_MS,
        **fields,
    )
    for number, text in enumerate(policies):
        InlinePolicy.objects.create(identity=row, name=f"p{number}", document=text)
    for arn in attached:
        Attachment.objects.create(identity=row, policy_arn=arn)
    changed(team.pk)
    return row


@dataclass(frozen=True)
class Keys:
    """What a client signs with."""

    key_id: str
    secret: str
    token: str | None = None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Keys:
        """Of an answer of STS or CreateAccessKey."""
        return cls(answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("SessionToken"))


def make_key(team: Team, identity: Identity | None = None) -> Keys:
    """A new access key."""
    row, secret = keys.create(team, None, "", NOW_MS, identity=identity)
    return Keys(row.key_id, secret)


class Connection:
    """What a server knows of a connection, as granian has it."""

    def __init__(self, client: str = PEER, scheme: str = "http") -> None:
        self.client = client
        self.scheme = scheme


class Wire:
    """Signed requests to a gateway, in this process."""

    def __init__(self, gateway: Gateway, clock: FakeClock) -> None:
        self.gateway = gateway
        self.clock = clock

    async def send(self, by: Keys, operation: str, body: bytes, **options: Any) -> Response:
        """One request of Kinesis. options: host, peer, scheme, headers."""
        answer = await self.open(by, operation, body, **options)
        assert isinstance(answer, Response)
        return answer

    async def open(self, by: Keys, operation: str, body: bytes, **options: Any) -> Response | Stream:
        """The same for an answer that goes on."""
        host = options.get("host", "localhost:4567")
        headers = {
            "host": host,
            "content-type": json11.CONTENT_TYPE,
            "x-amz-target": f"Kinesis_20131202.{operation}",
            "content-length": str(len(body)),
            **options.get("headers", {}),
        }
        signed: dict[str, Any] = {
            "key_id": by.key_id, "secret": by.secret, "region": "us-east-1", "service": "kinesis",
            "now_ms": self.clock.now_ms(),
        }  # fmt: skip
        headers |= sigv4.sign("POST", "/", headers, body, session_token=by.token, **signed)
        scope = Connection(options.get("peer", PEER), options.get("scheme", "http"))
        return await self.gateway.answer(Request("POST", "/", "", headers, _pieces(body), to_end=False, scope=scope))

    async def __call__(self, by: Keys, operation: str, options: dict[str, Any] | None = None, **params: Any) -> Any:
        """The answer of one call, or (code, text) of its error."""
        answer = await self.send(by, operation, json.dumps(params).encode(), **(options or {}))
        found: Any = json.loads(answer.body) if answer.body else None
        if answer.status == 200:
            return found
        return found["__type"], found.get("message")

    async def other(self, by: Keys, route: Route) -> str:
        """The whole answer, as text, of an empty call of another service than Kinesis."""
        model = SERVICES[route.service].model
        form = not model.target_prefix or "query" in model.protocols
        body = f"Action={route.name}&Version={model.api_version}".encode() if form else b"{}"
        kind = "application/x-www-form-urlencoded" if form else json11.CONTENT_TYPE
        headers = {"host": "localhost:4567", "content-type": kind, "content-length": str(len(body))}
        headers |= {} if form else {"x-amz-target": f"{model.target_prefix}.{route.name}"}
        signed: dict[str, Any] = {
            "key_id": by.key_id, "secret": by.secret, "region": "us-east-1", "service": route.signing_name,
            "now_ms": self.clock.now_ms(),
        }  # fmt: skip
        headers |= sigv4.sign("POST", "/", headers, body, session_token=by.token, **signed)
        answer = await self.gateway.answer(Request("POST", "/", "", headers, _pieces(body), to_end=False))
        assert isinstance(answer, Response)
        return f"{answer.status} {answer.body!r}"

    def forget(self) -> None:
        """As if what is known of keys were a second older than it may be: what changes is seen without waiting."""
        for credential in self.gateway.credentials._known.values():
            credential.read_at_s = float("-inf")


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


in_database = sync_to_async
"""For rows made in an asynchronous test."""
