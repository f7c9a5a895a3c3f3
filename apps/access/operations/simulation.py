"""SimulatePrincipalPolicy and SimulateCustomPolicy: what would policies say? By the engine that decides in earnest."""

from __future__ import annotations

from typing import Any

from apps.access import names, rights
from apps.access.errors import InvalidInputException, NoSuchEntityException, checked
from apps.access.models import Identity
from apps.access.paging import page
from apps.access.policy.document import Kind, Policy
from apps.access.policy.evaluation import Grants, Question, decide
from apps.runtime import Call

RESULTS_MAX = 1_000
"""Actions times resources of one call."""

WORK_MAX = 10_000_000
"""Characters of patterns times pairs: both are chosen by the caller, and matching takes as long as both together. A role
with all of its policies at their largest is simulated for 128 pairs."""

REFUSED = ("PolicyExclusionList", "OrderedOrganizationPolicyInputList", "ResourceHandlingOption")

Json = dict[str, Any]


def simulate_principal_policy(call: Call, params: Json) -> Json:
    """The decision on each action and resource for a user, group or role, with more policies if given.

    Kept from AWS: allowed, explicitDeny or implicitDeny; context entries; resource policies and boundaries as texts;
    MissingContextValues. Refused: PolicyExclusionList, ResourceHandlingOption (EC2's).
    Not kept: MatchedStatements.
    """
    source = _source(call, params["PolicySourceArn"])
    found = rights.read([source.pk], groups=True)[source.pk]
    boundary = _policies(params.get("PermissionsBoundaryPolicyInputList")) or found.boundary
    context = {f"aws:principaltag/{key.lower()}": value for key, value in found.tags.items()}
    arn = params.get("CallerArn") or found.arn
    policies = (*found.policies, *_policies(params.get("PolicyInputList")))
    return _simulated(params, Grants(call.principal.account_id, arn, arn, context, policies, boundary))


def simulate_custom_policy(call: Call, params: Json) -> Json:
    """The same for policies that are given as texts and belong to nobody yet.

    Kept from AWS: as SimulatePrincipalPolicy. Refused: ResourceHandlingOption, policies of organizations.
    Not kept: MatchedStatements.
    """
    arn = params.get("CallerArn") or f"arn:aws:iam::{call.principal.account_id}:user/simulated"
    boundary = _policies(params.get("PermissionsBoundaryPolicyInputList")) or None
    policies = _policies(params["PolicyInputList"])
    return _simulated(params, Grants(call.principal.account_id, arn, arn, {}, policies, boundary))


def _source(call: Call, arn: str) -> Identity:
    kind, _, rest = arn.partition(f":iam::{call.principal.account_id}:")[2].partition("/")
    if kind not in names.PARAMETER:
        raise InvalidInputException(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    row = names.find(call, kind, rest.rpartition("/")[2])
    if row.arn != arn:
        raise NoSuchEntityException.named(kind, rest)
    return row


def _policies(texts: list[str] | None) -> tuple[Policy, ...]:
    return tuple(rights.parsed(checked(text, Kind.MANAGED)) for text in texts or ())


def _simulated(params: Json, grants: Grants) -> Json:
    given = [name for name in REFUSED if params.get(name)]
    if given:
        raise InvalidInputException(f"{given[0]} is not part of this version of Tidegate.")
    resources = params.get("ResourceArns") or ["*"]
    if len(params["ActionNames"]) * len(resources) > RESULTS_MAX:
        raise InvalidInputException(f"A simulation has at most {RESULTS_MAX} pairs of action and resource.")
    pairs = [(action, resource) for action in params["ActionNames"] for resource in resources]
    context: dict[str, str | tuple[str, ...]] = dict(grants.context)
    for entry in params.get("ContextEntries") or ():
        values = tuple(entry.get("ContextKeyValues") or ())
        context[entry.get("ContextKeyName", "").lower()] = values[0] if len(values) == 1 else values
    text = params.get("ResourcePolicy")
    policy = rights.resource_policy(checked(text, Kind.RESOURCE)) if text else None
    _check_work(len(pairs), (*(grants.policies or ()), *(grants.boundary or ()), *((policy,) if policy else ())))
    owner = (params.get("ResourceOwner") or "").split(":")[4:5] or [grants.account_id]
    missing = sorted((grants.names | (policy.names if policy is not None else frozenset())) - context.keys())

    def shown(index: int) -> Json:
        action, resource = pairs[index]
        reason = decide(grants, Question(action, resource, owner[0], context, policy))
        return {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": _word(reason),
            "MatchedStatements": [],
            "MissingContextValues": missing,
        }

    return page("EvaluationResults", range(len(pairs)), params, lambda index: f"{index:06d}", shown)


def _check_work(pairs: int, policies: tuple[Policy, ...]) -> None:
    characters = sum(
        len(pattern.text)
        for policy in policies
        for statement in policy.statements
        for patterns in (statement.actions, statement.resources, *(one.values for one in statement.conditions))
        for pattern in patterns
    )
    if pairs * characters > WORK_MAX:
        raise InvalidInputException("The policies are too large for so many pairs of action and resource.")


def _word(reason: str | None) -> str:
    if reason is None:
        return "allowed"
    return "explicitDeny" if reason.startswith("with an explicit deny") else "implicitDeny"
