"""May this caller do this? AWS's evaluation of all policies that have a say: pure, from values alone.

An explicit deny anywhere wins. Without one, every floor that limits (endpoint, boundary, session) must allow, and the
caller's own policies or the resource's must: within one account either, across accounts both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from apps.access.policy.document import Policy, Principals, Statement
from apps.access.policy.patterns import Context

DECISIONS_MAX = 2_000
"""Decisions remembered for one caller; when there are more, all are forgotten."""


class Naming(IntEnum):
    """How closely a policy names a caller; a closer one grants more."""

    NOT = 0
    ACCOUNT = 1
    """The caller's account: its own policies must allow, too."""
    ROLE = 2
    """Everybody, or the role whose session it is: boundary and session policies still limit."""
    EXACTLY = 3
    """The user or the session itself: granted, whatever else is silent."""


@dataclass(frozen=True, slots=True, eq=False)
class Grants:
    """A caller with what it may do. policies None: the whole account's rights. boundary, sessions: None or empty, no limit.

    arn: as texts name the caller (a session has one of its own). principal_arn: the user or role behind it. decided:
    what was found out before; it goes with this object, which is made anew when anything of it changes.
    """

    account_id: str
    arn: str
    principal_arn: str
    context: Mapping[str, str | tuple[str, ...]]
    policies: tuple[Policy, ...] | None = None
    boundary: tuple[Policy, ...] | None = None
    sessions: tuple[Policy, ...] | None = None
    session: Any = None
    """What its token holds (apps/access/sessions.py), if it has temporary credentials."""
    decided: dict[tuple[object, ...], str | None] = field(default_factory=dict)

    names: frozenset[str] = field(init=False)
    """Condition keys that its policies ask for."""

    def __post_init__(self) -> None:
        every = (*(self.policies or ()), *(self.boundary or ()), *(self.sessions or ()))
        object.__setattr__(self, "names", frozenset().union(*(policy.names for policy in every)))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. resource_account: whose the resource is. resource_policy, endpoint_policy: None where there is none.
    must_be_named: the resource's policy must allow within its own account, too, as roles' trust policies must."""

    action: str
    resource: str
    resource_account: str
    context: Context
    resource_policy: Policy | None = None
    endpoint_policy: Policy | None = None
    must_be_named: bool = False


def decide(grants: Grants, asked: Question) -> str | None:
    """None: allowed. Else why not, as AWS's text goes on after the resource."""
    action = asked.action.lower()
    denied = _explicit_deny(grants, asked, action)
    if denied is not None:
        return f"with an explicit deny in {denied}"
    missing = _no_allow(grants, asked, action)
    return None if missing is None else f"because no {missing} allows the {asked.action} action"


def decide_once(grants: Grants, asked: Question, values: Mapping[str, str | tuple[str, ...]]) -> str | None:
    """decide() with the caller's context and these values of the request, remembered per caller and question."""
    key = (asked.action, asked.resource, asked.resource_policy, asked.endpoint_policy, *values.items())
    try:
        return grants.decided[key]
    except KeyError:
        pass
    reason = decide(grants, replace(asked, context={**grants.context, **values}))
    if len(grants.decided) >= DECISIONS_MAX:
        grants.decided.clear()
    grants.decided[key] = reason
    return reason


def _explicit_deny(grants: Grants, asked: Question, action: str) -> str | None:
    if asked.endpoint_policy is not None and _says(asked.endpoint_policy, grants, asked, action, allows=False):
        return "a VPC endpoint policy"
    if asked.resource_policy is not None and _says(asked.resource_policy, grants, asked, action, allows=False):
        return "a resource-based policy"
    for policies, name in (
        (grants.policies, "an identity-based policy"),
        (grants.boundary, "a permissions boundary"),
        (grants.sessions, "a session policy"),
    ):
        if policies and _any_applies(policies, asked, action, allows=False):
            return name
    return None


def _no_allow(grants: Grants, asked: Question, action: str) -> str | None:
    """What is silent, and should not be."""
    endpoint = asked.endpoint_policy
    if endpoint is not None and not _says(endpoint, grants, asked, action, allows=True):
        return "VPC endpoint policy"
    named = Naming.NOT
    if asked.resource_policy is not None:
        named = _says(asked.resource_policy, grants, asked, action, allows=True)
    across = asked.resource_account != grants.account_id
    if (across or asked.must_be_named) and not named:
        return "resource-based policy"
    if not across and named is Naming.EXACTLY:
        return None
    by_resource = not across and named is Naming.ROLE
    if (
        not by_resource
        and grants.policies is not None
        and not _any_applies(grants.policies, asked, action, allows=True)
    ):
        return "identity-based policy"
    if grants.boundary is not None and not _any_applies(grants.boundary, asked, action, allows=True):
        return "permissions boundary"
    if grants.sessions is not None and not _any_applies(grants.sessions, asked, action, allows=True):
        return "session policy"
    return None


def _any_applies(policies: Iterable[Policy], asked: Question, action: str, *, allows: bool) -> bool:
    return any(
        statement.allows is allows and statement.speaks_of(action, asked.resource, asked.context)
        for policy in policies
        for statement in policy.statements
    )


def _says(policy: Policy, grants: Grants, asked: Question, action: str, *, allows: bool) -> Naming:
    """The closest naming of the caller in the statements of that effect that apply."""
    closest = Naming.NOT
    for statement in policy.statements:
        if statement.allows is allows:
            named = _named(statement, grants)
            if named > closest and statement.speaks_of(action, asked.resource, asked.context):
                closest = named
    return closest


def _named(statement: Statement, grants: Grants) -> Naming:
    principals = statement.principals
    if principals is None:
        return Naming.NOT
    if not principals.negated:
        return _listed(principals, grants)
    return Naming.NOT if _is_left_out(principals, grants) else Naming.ROLE


def _is_left_out(principals: Principals, grants: Grants) -> bool:
    """Does NotPrincipal name the caller? An account there means its root user alone, and a role none of its sessions:
    AWS wants all three beside each other, and denies whoever is not named himself."""
    if principals.anybody or grants.arn in principals.arns:
        return True
    return grants.policies is None and grants.account_id in principals.accounts


def _listed(principals: Principals, grants: Grants) -> Naming:
    if grants.arn in principals.arns:
        return Naming.EXACTLY
    if principals.anybody or grants.principal_arn in principals.arns:
        return Naming.ROLE
    return Naming.ACCOUNT if grants.account_id in principals.accounts else Naming.NOT


def denial(grants: Grants, asked: Question, reason: str) -> str:
    """AWS's whole text."""
    return f"User: {grants.arn} is not authorized to perform: {asked.action} on resource: {asked.resource} {reason}"
