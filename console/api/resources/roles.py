"""Roles: the six that every team has, and the team's own."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.models import TeamRole
from apps.accounts.permissions import ACTIONS
from apps.accounts.roles import OWN_ROLE
from apps.teams import own_roles
from apps.teams.authority import Gone, RoleChoice, UnknownRole, choice, choices
from console import asker, calls
from console.api.paging import page_of, whole
from console.api.problems import Conflict
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Roles"
EXAMPLE: Final = {
    "name": "On call",
    "description": "Looks, and reshards at night.",
    "actions": ["stream:read", "stream:reshard", "alarm:read", "alarm:write"],
}

Json = dict[str, Any]


class RoleSerializer(serializers.Serializer[Any]):
    """What a member may do."""

    key = serializers.CharField(help_text="As `admin`; of the team's own `own:12`.")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    actions = serializers.ListField(child=serializers.ChoiceField(list(ACTIONS)))
    is_own = serializers.BooleanField(help_text="The team made it; the six cannot be changed.")


class HeldRoleSerializer(RoleSerializer):
    """A role with those who have it."""

    holders = serializers.ListField(
        child=serializers.CharField(), help_text="Of an own role: addresses of members, and of those who are invited."
    )


class PutRoleSerializer(serializers.Serializer[Any]):
    """What a role is to be."""

    name = serializers.CharField(max_length=own_roles.NAME_CHARS_MAX)
    description = serializers.CharField(max_length=own_roles.DESCRIPTION_CHARS_MAX, default="", allow_blank=True)
    actions = serializers.ListField(
        child=serializers.ChoiceField(list(ACTIONS)),
        min_length=1,
        max_length=len(ACTIONS),
        help_text="At most what the asking token may do.",
    )


class Roles(ApiView):
    """All of them, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "POST": "member:write"}
    names: ClassVar = {"GET": "listRoles", "POST": "createRole"}
    creates = True
    examples: ClassVar = {"POST": EXAMPLE}

    @extend_schema(responses=page_of(RoleSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The six roles, and the team's own by name."""
        self.query(request, serializers.Serializer)
        return Response(whole([_shown(one) for one in choices(request.team)]))

    @extend_schema(request=PutRoleSerializer, responses={201: RoleSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a role of the team's own: a choice of permissions."""
        given = self.read(request, PutRoleSerializer)
        made = own_roles.create(asker.by(request), given["name"], given["description"], given["actions"])
        return Response(_shown(_own(made)), 201)


class OneRole(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "PUT": "member:write", "DELETE": "member:write"}
    names: ClassVar = {"GET": "getRole", "PUT": "putRole", "DELETE": "deleteRole"}
    examples: ClassVar = {"PUT": EXAMPLE}

    @extend_schema(responses=HeldRoleSerializer)
    def get(self, request: ApiRequest, role: str) -> Response:
        """A role with what it may do, and who has it."""
        return Response(self._told(_one(request, role)))

    @extend_schema(request=PutRoleSerializer, responses=HeldRoleSerializer)
    def put(self, request: ApiRequest, role: str) -> Response:
        """Change a role of the team's own; whoever has it may do the new permissions at once."""
        found = _changeable(request, role)
        given = self.read(request, PutRoleSerializer)
        made = own_roles.update(asker.by(request), found, given["name"], given["description"], given["actions"])
        return Response(self._told(_own(made)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, role: str) -> Response:
        """Delete a role of the team's own that nobody has."""
        own_roles.delete(asker.by(request), _changeable(request, role))
        return Response(status=204)

    def _told(self, found: RoleChoice) -> Json:
        own = found.own_role
        return _shown(found) | {"holders": own_roles.holders_of(own, calls.now_ms()) if own is not None else []}


def _own(row: TeamRole) -> RoleChoice:
    return RoleChoice(OWN_ROLE, row)


def _one(request: ApiRequest, key: str) -> RoleChoice:
    """Raises Gone."""
    try:
        return choice(request.team, key)
    except UnknownRole as error:
        raise Gone("There is no such role.") from error


def _changeable(request: ApiRequest, key: str) -> TeamRole:
    """Raises Gone, Conflict for one of the six."""
    found = _one(request, key).own_role
    if found is None:
        raise Conflict("This is one of the six roles that every team has. Make one of the team's own instead.")
    return found


def _shown(role: RoleChoice) -> Json:
    return {
        "key": role.key,
        "name": role.label,
        "description": role.own_role.description if role.own_role is not None else "",
        "actions": sorted(role.actions),
        "is_own": role.own_role is not None,
    }
