"""Policy documents: JSON to statements, and everything that AWS refuses about them, with its texts.

One text is one document of one kind; the kind says which elements there may be and how long it may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from apps.access.policy.conditions import Condition, UnknownOperator, WrongValue, make
from apps.access.policy.patterns import Context, Pattern

VERSION = "2012-10-17"
OLD_VERSION = "2008-10-17"
TOP = {"Version", "Id", "Statement"}
STATEMENT = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
}  # fmt: skip
PRINCIPAL_TYPES = {"AWS", "Service", "Federated", "CanonicalUser"}

_ACTION = re.compile(r"[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+")
_SID = re.compile(r"[a-zA-Z0-9]*")
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::\d{12}:(?:root|user/\S+|role/\S+|assumed-role/[^/\s]+/[^/\s]+)"
)


class Kind(Enum):
    """What a document is for."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"
    MANAGED = "managed"
    SESSION = "session"
    TRUST = "trust"
    """Who may assume a role."""
    RESOURCE = "resource"
    ENDPOINT = "endpoint"

    @property
    def has_principal(self) -> bool:
        """Does it say who, because it is not attached to somebody?"""
        return self in {Kind.TRUST, Kind.RESOURCE, Kind.ENDPOINT}


CHARACTERS_MAX = {
    Kind.USER: 2_048,
    Kind.GROUP: 5_120,
    Kind.ROLE: 10_240,
    Kind.MANAGED: 6_144,
    Kind.SESSION: 2_048,
    Kind.TRUST: 2_048,
    Kind.RESOURCE: 20_480,
    Kind.ENDPOINT: 20_480,
}
"""AWS's quotas; white space does not count. (USER, GROUP, ROLE: AWS's are for all inline policies of one together.)"""

TEXT_MAX = 131_072
"""Characters of any document with its white space: AWS's model of IAM takes so many."""


class Malformed(Exception):
    """The document is not a policy of its kind; the text is AWS's."""


class TooLarge(Exception):
    """The document is longer than its kind may be. limit: in characters."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} characters")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement names. anybody: `*`. accounts: ids. arns: of users, roles and sessions. negated: all others."""

    anybody: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. actions are in lower case."""

    allows: bool
    actions: tuple[Pattern, ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    principals: Principals | None
    conditions: tuple[Condition, ...]

    @property
    def names(self) -> frozenset[str]:
        """The condition keys whose values decide."""
        texts = [pattern.names for pattern in self.resources]
        return frozenset().union(*texts, *(condition.names for condition in self.conditions))

    def speaks_of(self, action: str, resource: str, context: Context) -> bool:
        """Does it apply to a request? action: in lower case. (Whom it names is evaluation.py's business.)"""
        if any(pattern.matches(action, context) for pattern in self.actions) == self.not_actions:
            return False
        if self.resources and any(p.matches(resource, context) for p in self.resources) == self.not_resources:
            return False
        if self.not_resources and self.allows and not all(p.has_values(context) for p in self.resources):
            return False  # what is to be left out is not known, so nothing is granted
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A document. names: the condition keys that its answer depends on."""

    statements: tuple[Statement, ...]
    names: frozenset[str] = field(default=frozenset())


def parse(text: str, kind: Kind) -> Policy:
    """The policy. Raises Malformed and TooLarge."""
    if len(text) > TEXT_MAX or size(text) > CHARACTERS_MAX[kind]:
        raise TooLarge(CHARACTERS_MAX[kind])
    document = _read(text)
    version = document.get("Version", OLD_VERSION)
    if version not in (VERSION, OLD_VERSION):
        raise Malformed("The policy failed legacy parsing")
    if version != VERSION and kind in {Kind.USER, Kind.GROUP, Kind.ROLE, Kind.MANAGED, Kind.SESSION}:
        raise Malformed(f"Policy document must be version {VERSION} or greater.")
    if not set(document) <= TOP or not isinstance(document.get("Id", ""), str):
        raise Malformed("Syntax errors in policy.")
    raw = document.get("Statement")
    statements: list[Any] = raw if isinstance(raw, list) else [raw]
    if not statements or not all(isinstance(one, dict) for one in statements):
        raise Malformed("Syntax errors in policy.")
    _check_sids(statements)
    made = tuple(_statement(one, kind, variables=version == VERSION) for one in statements)
    return Policy(made, frozenset().union(*(statement.names for statement in made)))


def size(text: str) -> int:
    """The characters that count: AWS leaves white space out."""
    return len("".join(text.split()))


def _read(text: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice")
        return found

    try:
        document = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Malformed("Syntax errors in policy.") from None
    if not isinstance(document, dict):
        raise Malformed("Syntax errors in policy.")
    return document


def _check_sids(statements: list[dict[str, Any]]) -> None:
    sids = [one["Sid"] for one in statements if one.get("Sid") not in (None, "")]
    if not all(isinstance(sid, str) for sid in sids):
        raise Malformed("Syntax errors in policy.")
    if not all(_SID.fullmatch(sid) for sid in sids):
        raise Malformed("Statement IDs (SID) should be alpha-numeric.")
    if len(set(sids)) != len(sids):
        raise Malformed("Statement IDs (SID) in a single policy must be unique.")


def _statement(raw: dict[str, Any], kind: Kind, *, variables: bool) -> Statement:
    if not set(raw) <= STATEMENT or raw.get("Effect") not in ("Allow", "Deny"):
        raise Malformed("Syntax errors in policy.")
    for pair in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if set(pair) <= set(raw):
            raise Malformed("Syntax errors in policy.")
    actions = _texts(raw.get("Action", raw.get("NotAction")), "Policy statement must contain actions.")
    _check_actions(actions, kind)
    resources = _resources(raw, kind)
    return Statement(
        allows=raw["Effect"] == "Allow",
        actions=tuple(Pattern(action.lower(), variables=False) for action in actions),
        not_actions="NotAction" in raw,
        resources=tuple(Pattern(resource, variables=variables) for resource in resources),
        not_resources="NotResource" in raw,
        principals=_principals(raw, kind),
        conditions=tuple(_conditions(raw.get("Condition", {}), variables=variables)),
    )


def _texts(value: Any, missing: str) -> list[str]:
    """One text or a list of some."""
    texts = [value] if isinstance(value, str) else value
    if not texts or texts == [""]:
        raise Malformed(missing)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Malformed("Syntax errors in policy.")
    return texts


def _check_actions(actions: list[str], kind: Kind) -> None:
    for action in actions:
        if action == "*":
            continue
        if ":" not in action:
            raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if not _ACTION.fullmatch(action):
            raise Malformed("The policy failed legacy parsing")
    if kind is Kind.TRUST and not all(action.lower().startswith("sts:") for action in actions):
        raise Malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _resources(raw: dict[str, Any], kind: Kind) -> list[str]:
    if kind is Kind.TRUST:
        if {"Resource", "NotResource"} & set(raw):
            raise Malformed("Has prohibited field Resource")
        return []
    resources = _texts(raw.get("Resource", raw.get("NotResource")), "Policy statement must contain resources.")
    for resource in resources:
        if resource != "*" and resource.count(":") < 5 and not resource.startswith(("arn:*", "${")):
            raise Malformed(f'Resource {resource} must be in ARN format or "*".')
        if resource != "*" and not resource.startswith(("arn:", "*", "${")):
            raise Malformed(f'Resource {resource} must be in ARN format or "*".')
    return resources


def _principals(raw: dict[str, Any], kind: Kind) -> Principals | None:
    given = raw.get("Principal", raw.get("NotPrincipal"))
    if not kind.has_principal:
        if given is not None:
            raise Malformed("Policy document should not specify a principal.")
        return None
    if given is None:
        raise Malformed("Missing required field Principal")
    if given == "*":
        return Principals(anybody=True, accounts=frozenset(), arns=frozenset(), negated="NotPrincipal" in raw)
    if not isinstance(given, dict) or not given or not set(given) <= PRINCIPAL_TYPES:
        raise Malformed("Syntax errors in policy.")
    if "NotPrincipal" in raw and raw["Effect"] == "Allow":
        raise Malformed("Allow with NotPrincipal is not allowed.")
    names = {kind_of: _texts(value, "Syntax errors in policy.") for kind_of, value in given.items()}
    accounts, arns = set(), set()
    for name in names.get("AWS", ()):
        if name == "*":
            continue
        if _ACCOUNT.fullmatch(name):
            accounts.add(name)
        elif not _PRINCIPAL_ARN.fullmatch(name) or "*" in name:
            raise Malformed(f'Invalid principal in policy: "AWS":"{name}"')
        elif name.endswith(":root"):
            accounts.add(name.split(":")[4])
        else:
            arns.add(name)
    return Principals("*" in names.get("AWS", ()), frozenset(accounts), frozenset(arns), "NotPrincipal" in raw)


def _conditions(raw: Any, *, variables: bool) -> Iterator[Condition]:
    if not isinstance(raw, dict):
        raise Malformed("Syntax errors in policy.")
    for operator, keys in raw.items():
        if not isinstance(keys, dict) or not keys:
            raise Malformed("Syntax errors in policy.")
        for key, value in keys.items():
            if ":" not in key:
                raise Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            values = [_scalar(one) for one in (value if isinstance(value, list) else [value])]
            try:
                yield make(operator, key, values, variables=variables)
            except UnknownOperator:
                raise Malformed(f"Invalid Condition type : {operator}.") from None
            except WrongValue:
                raise Malformed("The policy failed legacy parsing") from None


def _scalar(value: Any) -> str:
    """A condition's value: texts, numbers and booleans are the same to AWS."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return value
    raise Malformed("Syntax errors in policy.")
