"""May this call be? The gate before every operation: whose resource it is, what all policies say, and as whom it runs.

A key of the team on the team's own resources has nothing to ask, unless the resource, or the network endpoint that the
call came by, has a policy. A call on another account's resource runs, if the policies of both sides allow it, as a
caller of the owner's account: the operation then finds the resource where it is, and usage is booked where AWS books
it, on the owner.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apps.access import callers
from apps.access.endpoints import Endpoints, EndpointView, came_by, read_now
from apps.access.policy.evaluation import Grants, Question, decide_once, denial
from apps.access.source import Source, request_values, source_of
from apps.accounts.principal import Principal
from apps.base.errors import AccessDeniedException
from apps.gateway.services import Route
from apps.gateway.tagged import tags_now, tags_of_delivery_stream
from apps.runtime import Call
from apps.streams import protection
from apps.streams.operations.resources import ACROSS_ACCOUNTS
from apps.streams.protection import Protection

ALWAYS_ALLOWED = frozenset({("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "AssumeRole")})
"""AWS answers the first two whatever policies say; AssumeRole asks the role's trust policy, and asks for itself."""

NEVER_LOCKED_OUT = frozenset({"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"})
"""A key of the team may always mend a policy that shuts everybody out, as AWS's root user may."""


async def admit(route: Route, call: Call, request: Any) -> Call:
    """The call to run an operation of the data plane with. Raises AccessDeniedException and what the request's own
    tokens raise."""
    arn, source = route.locate(call, request), source_of(call)
    if _asks_nobody(call, arn, source):
        return _admitted(call, call.principal)
    endpoint = await call.runtime.part(Endpoints).find(source.endpoint_id) if source.endpoint_id else None
    return _settle(route, call, request, arn, await _found(call, arn), source, endpoint)


def admit_now(route: Route, call: Call, request: Any) -> Call:
    """The same in the transaction of a control-plane operation."""
    arn, source = route.locate(call, request), source_of(call)
    if _asks_nobody(call, arn, source):
        return _admitted(call, call.principal)
    endpoint = read_now(source.endpoint_id) if source.endpoint_id else None
    admitted = _settle(route, call, request, arn, _found_now(call, arn), source, endpoint)
    for action, other in route.also(call, request):
        _require(call, action, other, _found_now(call, other), source, endpoint, request)
    return admitted


async def _found(call: Call, arn: str) -> Protection:
    found = await protection.of(call, arn)
    return found if found.tags else replace(found, tags=await tags_of_delivery_stream(call, arn))


def _found_now(call: Call, arn: str) -> Protection:
    found = protection.of_now(call, arn)
    return found if found.tags else replace(found, tags=tags_now(call, arn))


def _require(
    call: Call, action: str, arn: str, found: Protection, source: Source, endpoint: EndpointView | None, request: Any
) -> None:
    """What an operation needs beside its own action. Never granted across accounts: what it needs are rights to rule."""
    principal = call.principal
    grants = _grants(principal)
    policy = found.policy if found.account_id == principal.account_id else None
    limits = endpoint.policy if endpoint is not None else None
    asked = Question(action, arn, found.account_id, {}, policy, limits)
    _check(grants, asked, call, source, found, request)


def _asks_nobody(call: Call, arn: str, source: Source) -> bool:
    """From inside, with the team's rights, on the team's own: people's rights are the console's business."""
    if source.request is not None or call.principal.grants is not None:
        return False
    return protection.account_of(arn, call.principal.account_id) == call.principal.account_id


def _settle(
    route: Route, call: Call, request: Any, arn: str, found: Protection, source: Source, endpoint: EndpointView | None
) -> Call:
    principal = call.principal
    grants = _grants(principal)
    action, arn = route.action, found.arn or arn
    if source.endpoint_id:
        came_by(source, endpoint, action=action, resource=arn, caller=grants.arn)
    if (route.service, route.name) in ALWAYS_ALLOWED:
        # What is left to ask is the endpoint's policy: nobody else has a say, here.
        grants = replace(grants, policies=None, boundary=None, sessions=None, decided={})
        found = Protection(principal.account_id, principal.team_id)
    own = found.account_id == principal.account_id
    policy = found.policy if own or route.name in ACROSS_ACCOUNTS else None
    if own and principal.grants is None and route.name in NEVER_LOCKED_OUT:
        policy = None
    limits = endpoint.policy if endpoint is not None else None
    asked = Question(action, arn, found.account_id, {}, policy, limits)
    _check(grants, asked, call, source, found, request)
    if own:
        return _admitted(call, principal)
    assert found.team_id is not None, "a policy that allows is a resource that exists"
    meter_key = f"account:{principal.account_id}"
    return _admitted(call, Principal(found.team_id, found.account_id, meter_key, grants=grants, audits=False))


def _grants(principal: Principal) -> Grants:
    return principal.grants if principal.grants is not None else callers.of_team(principal.account_id)


def _check(grants: Grants, asked: Question, call: Call, source: Source, found: Protection, request: Any) -> None:
    """Raises AccessDeniedException. Only the values of the request that the policies ask for are looked up."""
    names = grants.names
    for policy in (asked.resource_policy, asked.endpoint_policy):
        if policy is not None and policy.names:
            names |= policy.names
    values = request_values(names, call, source, found.tags, request) if names else {}
    reason = decide_once(grants, asked, values)
    if reason is not None:
        raise AccessDeniedException(denial(grants, asked, reason))


def _admitted(call: Call, principal: Principal) -> Call:
    return Call(call.runtime, principal, call.request_id, call.now_ms, call.source, admitted=True)
