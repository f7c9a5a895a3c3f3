"""The tab Connect: endpoint, region, a key and what it may do, code that runs as pasted, and a call to try."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from apps.accounts.keys import works
from apps.accounts.models import AccessKey
from apps.accounts.permissions import allowed, roles_with
from apps.base.errors import ServiceError
from apps.streams.models import Stream
from console import calls
from console.pages import client_code
from console.pages.samples import Sample
from console.pages.shell import TeamRequest, forbidden, is_fragment, team_page
from console.pages.stream import find, frame

KEYS_SHOWN = 50

PRODUCE = ("kinesis:PutRecord", "kinesis:PutRecords")
CONSUME = ("kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:GetShardIterator", "kinesis:GetRecords")
"""What producers and polling consumers call."""

TEST_CALLS = {"put": ("PutRecord", "record:write"), "describe": ("DescribeStreamSummary", "stream:read")}
"""By button: the operation, and the permission of a person for it."""

TEST_RECORD = {"PartitionKey": "test-call", "Data": b'{"event": "test.call", "from": "console"}'}


@dataclass(frozen=True, slots=True)
class Right:
    """Whether a key may do something with the stream."""

    action: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """What a test call answered."""

    operation: str
    took_ms: int
    failed: bool
    answer: Sample


@team_page("stream:read")
def connect(request: TeamRequest, name: str) -> HttpResponse:
    """Produce and consume, in six languages each."""
    return render(request, "stream/connect.html", _context(request, find(request, name)))


@require_POST
@team_page("stream:read")
def test_call(request: TeamRequest, name: str) -> HttpResponse:
    """Make one call as the person who asks, and show what came back; htmx gets the panel alone."""
    stream = find(request, name)
    operation, need = TEST_CALLS.get(request.POST.get("call", ""), TEST_CALLS["describe"])
    if not allowed(request.actions, need):
        return forbidden(request, need)
    tried = _tried(request, stream, operation)
    if is_fragment(request):
        return render(request, "stream/test_call.html", {"stream": stream, "tried": tried, **_needs(request)})
    return render(request, "stream/connect.html", {**_context(request, stream), "tried": tried})


def _tried(request: TeamRequest, stream: Stream, operation: str) -> Tried:
    params: dict[str, Any] = {"StreamName": stream.name, **(TEST_RECORD if operation == "PutRecord" else {})}
    began_ms = calls.now_ms()
    try:
        answer: Any = calls.call(request, operation, **params)
        failed = False
    except ServiceError as error:
        answer, failed = {"__type": error.code, "message": error.message}, True
    text = json.dumps(_as_sent(answer), indent=2)
    return Tried(operation, max(0, calls.now_ms() - began_ms), failed, Sample("json", "JSON", "json", text))


def _as_sent(value: Any, name: str = "") -> Any:
    """Times as they go over the wire, in seconds."""
    if isinstance(value, dict):
        return {key: _as_sent(part, key) for key, part in value.items()}
    return value / 1_000 if name.endswith("Timestamp") and isinstance(value, int) else value


def _context(request: TeamRequest, stream: Any) -> dict[str, Any]:
    keys: list[AccessKey] = []
    if allowed(request.actions, "key:read"):
        mine = AccessKey.objects.filter(team=request.team, is_active=True).select_related("identity")
        now_ms = calls.now_ms()
        keys = [key for key in mine.order_by("-last_used_at_ms", "-id")[:KEYS_SHOWN] if works(key, now_ms)]
    wanted = request.GET.get("key", "")
    key = next((one for one in keys if one.key_id == wanted), keys[0] if keys else None)
    return {
        **frame(request, stream, "stream-connect"),
        **_needs(request),
        "produce": client_code.put_in_all(stream.name),
        "consume": client_code.read_in_all(stream.name),
        "keys": keys,
        "key": key,
        "rights": _rights(request, stream, key) if key is not None else [],
    }


def _needs(request: TeamRequest) -> dict[str, str]:
    """Why the button that puts a record is locked; empty if it is not."""
    need = TEST_CALLS["put"][1]
    return {"put_locked": "" if allowed(request.actions, need) else f"Needs {need}: {', '.join(roles_with(need))}"}


def _rights(request: TeamRequest, stream: Stream, key: AccessKey) -> list[Right]:
    """What the key may do with the stream. A key of the team itself may do all; a user's is asked of the policy engine."""
    actions = (*PRODUCE, *CONSUME)
    if key.identity is None:
        return [Right(action, allowed=True) for action in actions]
    params: dict[str, Any] = {
        "PolicySourceArn": key.identity.arn,
        "ActionNames": list(actions),
        "ResourceArns": [str(stream.arn)],
    }
    if stream.resource_policy:
        params["ResourcePolicy"] = stream.resource_policy
    try:
        answer = calls.iam(request, "SimulatePrincipalPolicy", **params)
    except ServiceError:
        return []
    return [Right(one["EvalActionName"], one["EvalDecision"] == "allowed") for one in answer["EvaluationResults"]]
