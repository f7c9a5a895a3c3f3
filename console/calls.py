"""How the console changes and reads things: by the same call that a signed request ends in."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from apps.accounts.principal import Principal
from apps.base.errors import ServiceError, ValidationException
from apps.gateway.invoke import invoke_sync
from apps.runtime import Runtime

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


def call(request: Asker, operation: str, **params: Any) -> Any:
    """One Kinesis operation as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "kinesis", operation, params)


def firehose(request: Asker, operation: str, then: Callable[[], None] | None = None, **params: Any) -> Any:
    """One operation of Data Firehose as the signed-in person. then: done in the same transaction. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "firehose", operation, params, then=then)


def glue(request: Asker, operation: str, **params: Any) -> Any:
    """One operation of the catalogue as the signed-in person. Raises ServiceError."""
    return invoke_sync(runtime(), principal(request), "glue", operation, params)


def person(request: Asker) -> str:
    """Who asks, as the audit trail names people in entries that are no call of AWS's."""
    return f"{principal(request).arn}, {request.user.email}"


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
