"""Users, roles, groups and managed policies as the audit trail keeps them before and after a change."""

from __future__ import annotations

import json
from typing import Any

from apps.access.models import Identity, IdentityKind, ManagedPolicy

MEMBERS_MAX = 100

State = dict[str, Any]


def user(account_id: str, path: str) -> State | None:
    """A user with its groups, policies and access keys. path: as in the ARN, the name last."""
    row = _find(account_id, IdentityKind.USER, path)
    if row is None:
        return None
    keys = row.access_keys.order_by("key_id").values_list("key_id", "is_active")
    return {
        **_of(row),
        "Groups": list(row.groups.order_by("name").values_list("name", flat=True)),
        "AccessKeys": {key_id: "Active" if active else "Inactive" for key_id, active in keys},
    }


def role(account_id: str, path: str) -> State | None:
    """A role with its trust policy and policies."""
    row = _find(account_id, IdentityKind.ROLE, path)
    if row is None:
        return None
    return {
        **_of(row),
        "Description": row.description,
        "MaxSessionDuration": row.max_session_s,
        "AssumeRolePolicyDocument": _document(row.trust_policy),
    }


def group(account_id: str, path: str) -> State | None:
    """A group with its members and policies."""
    row = _find(account_id, IdentityKind.GROUP, path)
    if row is None:
        return None
    return {**_of(row), "Users": list(row.members.order_by("name").values_list("name", flat=True)[:MEMBERS_MAX])}


def policy(account_id: str, path: str) -> State | None:
    """A managed policy with the document that holds, and how many versions there are."""
    name_key = path.rpartition("/")[2].lower()
    row = ManagedPolicy.objects.filter(team__account_id=account_id, name_key=name_key).first()
    if row is None:
        return None
    versions = dict(row.versions.values_list("number", "document"))
    return {
        "DefaultVersionId": f"v{row.default_version}",
        "Versions": [f"v{number}" for number in sorted(versions)],
        "Document": _document(versions.get(row.default_version, "")),
        "Description": row.description,
        "Tags": row.tags,
    }


def _find(account_id: str, kind: str, path: str) -> Identity | None:
    name_key = path.rpartition("/")[2].lower()
    return Identity.objects.filter(team__account_id=account_id, kind=kind, name_key=name_key).first()


def _of(row: Identity) -> State:
    inline = row.inline_policies.order_by("name").values_list("name", "document")
    return {
        "Name": row.name,
        "Path": row.path,
        "PermissionsBoundary": row.boundary_arn or None,
        "InlinePolicies": {name: _document(document) for name, document in inline},
        "AttachedPolicies": list(row.attachments.order_by("policy_arn").values_list("policy_arn", flat=True)),
        "Tags": row.tags,
    }


def _document(text: str) -> Any:
    """A policy as what it says, so that two of them can be compared; as it stands, if it cannot be read."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
