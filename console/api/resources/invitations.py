"""Invitations into the team. The link is told once, in the answer that makes it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.models import Invitation
from apps.teams import invitations
from apps.teams.authority import held
from apps.teams.invitations import ACCEPTED, EXPIRED, OPEN, REVOKED
from console import asker, calls
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.resources.members import RoleField, role_of
from console.api.view import ApiView
from console.pages.invitations import send

TAG: Final = "Invitations"
STATUSES: Final = (OPEN, EXPIRED, ACCEPTED, REVOKED)

Json = dict[str, Any]


class InvitationSerializer(serializers.Serializer[Any]):
    """Somebody is asked to join."""

    id = serializers.IntegerField()
    email = serializers.EmailField()
    role = RoleField()
    role_label = serializers.CharField(help_text="As people see it.")
    status = serializers.ChoiceField(STATUSES)
    invited_by = serializers.CharField(allow_null=True, help_text="An e-mail address.")
    created_at_ms = serializers.IntegerField()
    expires_at_ms = serializers.IntegerField()
    accepted_at_ms = serializers.IntegerField(allow_null=True)
    revoked_at_ms = serializers.IntegerField(allow_null=True)


class SentInvitationSerializer(InvitationSerializer):
    """An invitation with its link, this once."""

    link = serializers.CharField(
        help_text="For that person alone; it is not told again. Empty where a mail server has it."
    )
    is_mailed = serializers.BooleanField(help_text="It is on its way by mail. Never without a mail server.")


class NewInvitationSerializer(serializers.Serializer[Any]):
    """Whom, and as what."""

    email = serializers.EmailField(max_length=invitations.EMAIL_CHARS_MAX)
    role = RoleField()


class InvitationQuery(PageQuery):
    """Filters of the list."""

    status = serializers.ChoiceField(STATUSES, required=False, help_text="In this status.")


class Invitations(ApiView):
    """All of them, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "POST": "member:write"}
    names: ClassVar = {"GET": "listInvitations", "POST": "inviteMember"}
    creates = True
    examples: ClassVar = {"POST": {"email": "ann@example.com", "role": "viewer"}}

    @extend_schema(parameters=[InvitationQuery], responses=page_of(InvitationSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's invitations, the newest first; those that are over are kept."""
        query, now_ms = self.query(request, InvitationQuery), calls.now_ms()
        rows = Invitation.objects.filter(team=request.team).select_related("own_role", "invited_by")
        rows = rows.filter(_in(query["status"], now_ms)) if "status" in query else rows
        return Response(page(request, rows, ("-created_at_ms", "-pk"), query, lambda row: _shown(row, now_ms)))

    @extend_schema(request=NewInvitationSerializer, responses={201: SentInvitationSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Invite somebody. The link goes out by mail; without a mail server it is in this answer alone."""
        given = self.read(request, NewInvitationSerializer)
        role = role_of(request, given["role"])
        return _sent(request, *invitations.invite(asker.by(request), given["email"], role))


class OneInvitation(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "member:read", "DELETE": "member:write"}
    names: ClassVar = {"GET": "getInvitation", "DELETE": "revokeInvitation"}

    @extend_schema(responses=InvitationSerializer)
    def get(self, request: ApiRequest, invitation: int) -> Response:
        """An invitation, without its link."""
        return Response(_shown(invitations.invitation_of(request.team, invitation), calls.now_ms()))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, invitation: int) -> Response:
        """Revoke it: the link stops working, for good."""
        invitations.revoke(asker.by(request), invitations.invitation_of(request.team, invitation))
        return Response(status=204)


class Resend(ApiView):
    """Once more."""

    tag = TAG
    needs: ClassVar = {"POST": "member:write"}
    names: ClassVar = {"POST": "resendInvitation"}
    creates = True

    @extend_schema(request=None, responses={201: SentInvitationSerializer})
    def post(self, request: ApiRequest, invitation: int) -> Response:
        """Send it with a new link, good for seven days more. The old one stops working."""
        found = invitations.invitation_of(request.team, invitation)
        return _sent(request, *invitations.resend(asker.by(request), found))


def _sent(request: ApiRequest, made: Invitation, token: str) -> Response:
    link, is_mailed = send(request, made, token)
    return Response(_shown(made, calls.now_ms()) | {"link": link, "is_mailed": is_mailed and not link}, 201)


def _in(status: str, now_ms: int) -> Q:
    waiting = Q(accepted_at_ms=None, revoked_at_ms=None)
    return {
        OPEN: waiting & Q(expires_at_ms__gt=now_ms),
        EXPIRED: waiting & Q(expires_at_ms__lte=now_ms),
        ACCEPTED: Q(accepted_at_ms__isnull=False),
        REVOKED: Q(accepted_at_ms=None, revoked_at_ms__isnull=False),
    }[status]


def _shown(row: Invitation, now_ms: int) -> Json:
    return {
        "id": row.pk,
        "email": row.email,
        "role": held(row).key,
        "role_label": row.role_label,
        "status": invitations.status(row, now_ms),
        "invited_by": row.invited_by.email if row.invited_by is not None else None,
        "created_at_ms": row.created_at_ms,
        "expires_at_ms": row.expires_at_ms,
        "accepted_at_ms": row.accepted_at_ms,
        "revoked_at_ms": row.revoked_at_ms,
    }
