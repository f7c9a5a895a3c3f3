"""kinesis:AssociateStreamsWithQueue: who creates a queue must also be allowed to read the stream by one."""

from __future__ import annotations

from typing import Any

from apps.access import callers
from apps.access.policy.evaluation import Question, decide, denial
from apps.access.rights import resource_policy
from apps.access.source import request_values, source_of
from apps.base.errors import AccessDeniedException
from apps.runtime import Call
from apps.streams.models import Stream

ACTION = "kinesis:AssociateStreamsWithQueue"


def check(call: Call, stream: Stream, params: dict[str, Any]) -> None:
    """Raises AccessDeniedException unless the caller's policies and the stream's allow it. As everywhere, a key of the
    team on a stream without a policy has nothing to ask."""
    policy = resource_policy(stream.resource_policy)
    if call.principal.grants is None and policy is None:
        return
    account_id = call.principal.account_id
    grants = call.principal.grants or callers.of_team(account_id)
    names = grants.names | policy.names if policy is not None else grants.names
    tags = dict(stream.tags.values_list("key", "value")) if names else {}
    context = {**grants.context, **request_values(names, call, source_of(call), tags, params)}
    asked = Question(ACTION, str(stream.arn), account_id, context, policy)
    reason = decide(grants, asked)
    if reason is not None:
        raise AccessDeniedException(denial(grants, asked, reason))
