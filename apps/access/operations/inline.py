"""Inline policies of users, roles and groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from apps.access import names
from apps.access.errors import LimitExceededException, NoSuchEntityException, checked
from apps.access.models import InlinePolicy
from apps.access.names import PARAMETER
from apps.access.paging import page
from apps.access.policy.document import CHARACTERS_MAX, Kind, size
from apps.access.rights import changed
from apps.runtime import Call

KINDS = {"user": Kind.USER, "role": Kind.ROLE, "group": Kind.GROUP}

Json = dict[str, Any]


def put(kind: str) -> Callable[[Call, Json], None]:
    """Put…Policy for one kind."""

    def put_policy(call: Call, params: Json) -> None:
        """Write a policy of that name, anew or over the one there is; it holds everywhere within a second.

        Kept from AWS: the checks, and the size of all inline policies of one together (2,048 characters for users,
        10,240 for roles, 5,120 for groups; white space aside). Not kept: nothing.
        """
        names.hold_team(call)
        row = names.named(call, kind, params)
        document = checked(params["PolicyDocument"], KINDS[kind], row.name)
        others = row.inline_policies.exclude(name=params["PolicyName"]).values_list("document", flat=True)
        limit = CHARACTERS_MAX[KINDS[kind]]
        if size(document) + sum(size(other) for other in others) > limit:
            raise LimitExceededException(f"Maximum policy size of {limit} bytes exceeded for {kind} {row.name}")
        InlinePolicy.objects.update_or_create(identity=row, name=params["PolicyName"], defaults={"document": document})
        changed(row.team_id)

    return put_policy


def get(kind: str) -> Callable[[Call, Json], Json]:
    """Get…Policy for one kind."""

    def get_policy(call: Call, params: Json) -> Json:
        """An inline policy as it was put, percent-encoded.

        Kept from AWS: its errors. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        found = row.inline_policies.filter(name=params["PolicyName"]).first()
        if found is None:
            raise NoSuchEntityException.named(f"{kind} policy", params["PolicyName"])
        document = quote(found.document, safe="")
        return {PARAMETER[kind]: row.name, "PolicyName": found.name, "PolicyDocument": document}

    return get_policy


def delete(kind: str) -> Callable[[Call, Json], None]:
    """Delete…Policy for one kind."""

    def delete_policy(call: Call, params: Json) -> None:
        """Delete an inline policy.

        Kept from AWS: its errors. Not kept: nothing.
        """
        row = names.named(call, kind, params)
        gone, _ = row.inline_policies.filter(name=params["PolicyName"]).delete()
        if not gone:
            raise NoSuchEntityException.named(f"{kind} policy", params["PolicyName"])
        changed(row.team_id)

    return delete_policy


def listed(kind: str) -> Callable[[Call, Json], Json]:
    """List…Policies for one kind."""

    def list_policies(call: Call, params: Json) -> Json:
        """Names of inline policies.

        Kept from AWS: pages. Not kept: nothing.
        """
        found = names.named(call, kind, params).inline_policies.values_list("name", flat=True)
        return page("PolicyNames", found, params, str, str)

    return list_policies
