"""What IAM's and STS' operations are about, for policies: as apps/streams/operations/resources.py is for Kinesis.

IAM's names are derived: a call with UserName is about that user, one with PolicyArn and no name about that policy. The
tables are made from the operations, so none can be without an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps.access.models import Identity
from apps.access.names import PARAMETER
from apps.access.operations import iam, sts
from apps.runtime import Call

Json = dict[str, Any]
Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

_ABOUT_GROUP = {"AddUserToGroup", "RemoveUserFromGroup"}
_ABOUT_LISTS = {
    "ListUsers": "user/*", "ListRoles": "role/*", "ListGroups": "group/*", "ListPolicies": "policy/*",
    "ListAccountAliases": "*",
}  # fmt: skip


def _kind(operation: str, params: Json) -> str:
    if operation in _ABOUT_GROUP:
        return "group"
    return next((kind for kind, name in PARAMETER.items() if params.get(name)), "")


def about(operation: str, call: Call, params: Json) -> str:
    """The ARN of an IAM operation's resource."""
    prefix = f"arn:aws:iam::{call.principal.account_id}:"
    if operation in _ABOUT_LISTS:
        return "*" if _ABOUT_LISTS[operation] == "*" else prefix + _ABOUT_LISTS[operation]
    kind = _kind(operation, params)
    if kind:
        return f"{prefix}{kind}{_path_and_name(call, kind, params)}"
    if (params.get("PolicySourceArn") or "").startswith(prefix):
        return str(params["PolicySourceArn"])
    if params.get("PolicyArn"):
        return str(params["PolicyArn"])
    if params.get("PolicyName"):
        return f"{prefix}policy{params.get('Path') or '/'}{params['PolicyName']}"
    grants = call.principal.grants
    return grants.principal_arn if grants is not None else f"{prefix}root"


def _path_and_name(call: Call, kind: str, params: Json) -> str:
    """As they were made: a name is found whatever its case, and a policy that speaks of it must be found, too."""
    name = params[PARAMETER[kind]]
    rows = Identity.objects.filter(team_id=call.principal.team_id, kind=kind, name_key=name.lower())
    path, name = rows.values_list("path", "name").first() or (params.get("Path") or "/", name)
    return f"{path}{name}"


def role_arn(_call: Call, params: Json) -> str:
    """The role that is to be assumed."""
    return str(params["RoleArn"])


def nothing(_call: Call, _params: Json) -> str:
    """No resource."""
    return "*"


IAM_RESOURCES: dict[str, Locate] = {operation: partial(about, operation) for operation in iam.OPERATIONS}


def _new_name(call: Call, params: Json) -> list[tuple[str, str]]:
    """Whoever renames a user must be allowed to do so to both names: policies know users by their names."""
    if not params.get("NewUserName") and not params.get("NewPath"):
        return []
    old_path, _, old_name = _path_and_name(call, "user", params).rpartition("/")
    path, name = params.get("NewPath") or f"{old_path}/", params.get("NewUserName") or old_name
    return [("iam:UpdateUser", f"arn:aws:iam::{call.principal.account_id}:user{path}{name}")]


def _tagged(operation: str, action: str, call: Call, params: Json) -> list[tuple[str, str]]:
    return [(action, about(operation, call, params))] if params.get("Tags") else []


IAM_ALSO: dict[str, Also] = {
    "UpdateUser": _new_name,
    "CreateUser": partial(_tagged, "CreateUser", "iam:TagUser"),
    "CreateRole": partial(_tagged, "CreateRole", "iam:TagRole"),
    "CreatePolicy": partial(_tagged, "CreatePolicy", "iam:TagPolicy"),
}
"""What must be allowed beside, as (action, resource)."""

STS_RESOURCES: dict[str, Locate] = {
    operation: role_arn if operation == "AssumeRole" else nothing for operation in sts.OPERATIONS
}
