"""Members of the team, and requests for access."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.models import AccessRequest, Membership
from apps.accounts.permissions import ACTIONS
from apps.teams import access_requests, members
from apps.teams.authority import RoleChoice, choice, held
from console import asker
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Members"
ROLE_CHARS_MAX: Final = 24

Json = dict[str, Any]


class RoleField(serializers.CharField):
    """One of the six roles, or one of the team's own."""

    def __init__(self, **options: Any) -> None:
        words = "The role's key: `admin`, `viewer`, `own:12`."
        super().__init__(**{"max_length": ROLE_CHARS_MAX, "help_text": words, **options})


class MemberSerializer(serializers.Serializer[Any]):
    """A person in the team."""

    id = serializers.IntegerField()
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)
    role = RoleField()
    role_label = serializers.CharField(help_text="As people see it.")
    is_active = serializers.BooleanField(help_text="false: may not sign in.")
    joined_at_ms = serializers.IntegerField()
    last_seen_at_ms = serializers.IntegerField(allow_null=True, help_text="On a page of the team, to a few minutes.")


class ChangedMemberSerializer(serializers.Serializer[Any]):
    """Another role."""

    role = RoleField()


class MemberQuery(PageQuery):
    """Filters of the list."""

    q = serializers.CharField(max_length=254, required=False, help_text="Part of the name or the address.")
    role = RoleField(required=False)


class AskedAccessSerializer(serializers.Serializer[Any]):
    """A member asks for a permission."""

    id = serializers.IntegerField()
    member = serializers.IntegerField(help_text="The member's id.")
    email = serializers.EmailField()
    action = serializers.ChoiceField(list(ACTIONS))
    reason = serializers.CharField(allow_blank=True)
    created_at_ms = serializers.IntegerField()


class AskAccessSerializer(serializers.Serializer[Any]):
    """What one asks for."""

    action = serializers.ChoiceField(list(ACTIONS))
    reason = serializers.CharField(max_length=access_requests.REASON_CHARS_MAX, default="", allow_blank=True)


class Members(ApiView):
    """All of them."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read"}
    names: ClassVar = {"GET": "listMembers"}

    @extend_schema(parameters=[MemberQuery], responses=page_of(MemberSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's members, in the order in which they came. New ones are invited."""
        query = self.query(request, MemberQuery)
        rows = _rows(request)
        if "q" in query:
            rows = rows.filter(Q(user__email__icontains=query["q"]) | Q(user__name__icontains=query["q"]))
        if "role" in query:
            role = role_of(request, query["role"])
            rows = rows.filter(own_role=role.own_role) if role.own_role else rows.filter(role=role.role)
        return Response(page(request, rows, ("pk",), query, _shown))


class OneMember(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "PATCH": "member:write", "DELETE": "member:write"}
    names: ClassVar = {"GET": "getMember", "PATCH": "changeMemberRole", "DELETE": "removeMember"}
    examples: ClassVar = {"PATCH": {"role": "developer"}}

    @extend_schema(responses=MemberSerializer)
    def get(self, request: ApiRequest, member: int) -> Response:
        """A member with their role."""
        return Response(_shown(members.member_of(request.team, member)))

    @extend_schema(request=ChangedMemberSerializer, responses=MemberSerializer)
    def patch(self, request: ApiRequest, member: int) -> Response:
        """Give a member another role. Neither it nor the old one may have what the token may not do."""
        target = members.member_of(request.team, member)
        role = role_of(request, self.read(request, ChangedMemberSerializer)["role"])
        return Response(_shown(members.change_role(asker.by(request), target, role)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, member: int) -> Response:
        """Take a member out of the team. Their tokens end, and the open invitations that they sent."""
        members.remove(asker.by(request), members.member_of(request.team, member))
        return Response(status=204)


class AccessRequests(ApiView):
    """What members ask for."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "POST": ""}
    names: ClassVar = {"GET": "listAccessRequests", "POST": "requestAccess"}
    creates = True
    examples: ClassVar = {"POST": {"action": "stream:create", "reason": "A stream for the new orders service."}}

    @extend_schema(parameters=[PageQuery], responses=page_of(AskedAccessSerializer))
    def get(self, request: ApiRequest) -> Response:
        """Requests for access that nobody has answered, the oldest first."""
        query = self.query(request, PageQuery)
        return Response(page(request, access_requests.open_of(request.team), ("created_at_ms", "pk"), query, _asked))

    @extend_schema(request=AskAccessSerializer, responses={201: AskedAccessSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Ask for a permission that one's role lacks. Any member may."""
        given = self.read(request, AskAccessSerializer)
        return Response(_asked(access_requests.ask(asker.by(request), given["action"], given["reason"])), 201)


class GrantAccess(ApiView):
    """Yes."""

    tag = TAG
    needs: ClassVar = {"POST": "member:write"}
    names: ClassVar = {"POST": "grantAccess"}
    examples: ClassVar = {"POST": {"role": "developer"}}

    @extend_schema(request=ChangedMemberSerializer, responses={200: MemberSerializer})
    def post(self, request: ApiRequest, access_request: int) -> Response:
        """Give the member a role that has what they ask for."""
        asked = access_requests.request_of(request.team, access_request)
        role = role_of(request, self.read(request, ChangedMemberSerializer)["role"])
        return Response(_shown(access_requests.grant(asker.by(request), asked, role)))


class RefuseAccess(ApiView):
    """No."""

    tag = TAG
    needs: ClassVar = {"POST": "member:write"}
    names: ClassVar = {"POST": "refuseAccess"}

    @extend_schema(request=None, responses={204: None})
    def post(self, request: ApiRequest, access_request: int) -> Response:
        """Say no. The member may ask again."""
        access_requests.refuse(asker.by(request), access_requests.request_of(request.team, access_request))
        return Response(status=204)


def role_of(request: ApiRequest, key: str) -> RoleChoice:
    """The team's role of this key. Raises UnknownRole."""
    return choice(request.team, key)


def _rows(request: ApiRequest) -> QuerySet[Membership]:
    return Membership.objects.filter(team=request.team).select_related("user", "own_role")


def _shown(row: Membership) -> Json:
    return {
        "id": row.pk,
        "email": row.user.email,
        "name": row.user.name,
        "role": held(row).key,
        "role_label": row.role_label,
        "is_active": row.user.is_active,
        "joined_at_ms": row.created_at_ms,
        "last_seen_at_ms": row.last_seen_at_ms,
    }


def _asked(row: AccessRequest) -> Json:
    return {
        "id": row.pk,
        "member": row.membership_id,
        "email": row.membership.user.email,
        "action": row.action,
        "reason": row.reason,
        "created_at_ms": row.created_at_ms,
    }
