"""How the console changes and reads things: by the same call that a signed request ends in."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from apps.access.changes import Actor, session_name
from apps.access.source import address_of
from apps.accounts.principal import Principal
from apps.base.errors import ServiceError, ValidationException
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime
from apps.throttle.interface import Budget

if TYPE_CHECKING:
    from django import forms

    from apps.accounts.models import Team, User

METER_KEY = "console"
"""What usage is booked under that a person causes in the console; of the REST API it is the token's name."""


class Asker(Protocol):
    """A request inside a team: a page's or the API's."""

    user: User
    team: Team
    meter_key: str
    META: Any

    @property
    def headers(self) -> Any:
        """Case-insensitive."""


_VALUE_AT = re.compile(r"Value '[^']*' at '([A-Za-z0-9.]+)' failed to satisfy constraint: (.+)", re.DOTALL)


def runtime() -> Runtime:
    """This web process's Runtime."""
    from apps.gateway import app

    return app.runtime()


def now_ms() -> int:
    """The time by the process's clock."""
    return runtime().clock.now_ms()


def principal(request: Asker) -> Principal:
    """The signed-in person, speaking for the team of the page."""
    return Principal(request.team.id, request.team.account_id, request.meter_key, request.user.pk)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Django's request as apps/access/source.py looks at one."""

    peer: str
    headers: Any


def take(name: str, budget: Budget) -> bool:
    """One of a budget that all web processes share; False: none is left. Taken on the runtime's loop, because budgets are
    settled between processes there, and nowhere else."""

    async def taken() -> bool:
        return runtime().throttle.take(name, budget, 1, 0, now_ms())

    return runtime().wait_for(taken())


def address(request: Any) -> str:
    """The address that a request comes from: behind a trusted proxy, the one that it names."""
    sender = _Sender(request.META.get("REMOTE_ADDR") or "", request.headers)
    return address_of(sender, runtime().config.trusted_proxies)


def request_id(request: Any) -> str:
    """The request's id: the one that the API answers with; of a page one is made at the first asking."""
    known: str | None = getattr(request, "request_id", None)
    if known is None:
        known = request.request_id = str(uuid.uuid4())
    return known


def actor(request: Any) -> Actor:
    """Who makes this request and from where, for the audit trail: a page's (of a team or of none), or the API's."""
    team, session = getattr(request, "team", None), getattr(request, "session", None)
    is_person = getattr(request.user, "is_authenticated", False)
    account_id = team.account_id if team is not None else ""
    return Actor(
        account_id=account_id,
        principal=f"arn:aws:iam::{account_id}:root",
        key_id=getattr(request, "meter_key", METER_KEY),
        at_ms=now_ms(),
        person_id=request.user.pk if is_person else None,
        person=request.user.email if is_person else "",
        session=session_name(getattr(session, "session_key", None) or ""),
        address=address(request),
        agent=request.headers.get("User-Agent", ""),
        request_id=request_id(request),
    )


def call(request: Asker, operation: str, **params: Any) -> Any:
    """One Kinesis operation as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "kinesis", operation, params, actor=actor(request))


def firehose(request: Asker, operation: str, then: Callable[[], None] | None = None, **params: Any) -> Any:
    """One operation of Data Firehose as the signed-in person. then: done in the same transaction. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "firehose", operation, params, actor=actor(request), then=then)


def glue(request: Asker, operation: str, **params: Any) -> Any:
    """One operation of the catalogue as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "glue", operation, params, actor=actor(request))


def iam(request: Asker, operation: str, **params: Any) -> Any:
    """One operation of identities and policies as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "iam", operation, params, actor=actor(request))


def cloudwatch(request: Asker, operation: str, **params: Any) -> Any:
    """One operation of CloudWatch as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "cloudwatch", operation, params, actor=actor(request))


def wait_until_active(request: Asker, name: str, timeout_s: float) -> None:
    """Return when the stream is ACTIVE. Raises TimeoutError, and ServiceError if it is gone."""
    pause = threading.Event()
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = call(request, "DescribeStreamSummary", StreamName=name)
        if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
            return
        pause.wait(0.1)
    raise TimeoutError(name)


def put_error(form: forms.Form, error: ServiceError, fields: dict[str, str]) -> None:
    """Write an AWS error at the field it speaks of.

    fields: from an AWS member (`ShardCount`) or error code (`LimitExceededException`) to the form's field; what is
    not in it is written above the form.
    """
    text = error.message or error.code
    field = fields.get(error.code)
    if isinstance(error, ValidationException):
        found = _VALUE_AT.search(text)
        if found:
            member = found[1].split(".")[0]
            field = fields.get(member[0].upper() + member[1:], field)
            text = found[2]
    form.add_error(field, text)
