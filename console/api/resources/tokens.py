"""API tokens: one makes one's own, and who may manage them sees and revokes everybody's."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.accounts.models import ApiToken
from apps.accounts.permissions import ACTIONS
from apps.base.units import DAY_MS
from apps.teams import tokens
from console import asker, calls
from console.api.paging import PageQuery, page, page_of
from console.api.request import ApiRequest
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

TAG: Final = "API tokens"
LASTS_MS: Final = 90 * DAY_MS
"""If it is not said."""

Json = dict[str, Any]


class TokenSerializer(serializers.Serializer[Any]):
    """A token, without its text."""

    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="How its text begins.")
    owner = serializers.CharField(help_text="The member's e-mail address.")
    scopes = serializers.ListField(child=serializers.CharField(), help_text="As it was made.")
    actions = serializers.ListField(child=serializers.CharField(), help_text="Of these, what its member may do now.")
    has_expired = serializers.BooleanField()
    expires_at_ms = serializers.IntegerField(allow_null=True, help_text="null: never.")
    created_at_ms = serializers.IntegerField()
    last_used_at_ms = serializers.IntegerField(allow_null=True, help_text="To a few minutes.")
    last_used_from = serializers.CharField(allow_blank=True, help_text="The address.")


class MadeTokenSerializer(TokenSerializer):
    """A token with its text, this once."""

    token = serializers.CharField(help_text="Keep it: it is not told again.")


class NewTokenSerializer(serializers.Serializer[Any]):
    """A token to be made."""

    name = serializers.CharField(max_length=tokens.NAME_CHARS_MAX)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(list(ACTIONS)),
        min_length=1,
        max_length=len(ACTIONS),
        help_text="At most what the asking token may do.",
    )
    expires_at_ms = serializers.IntegerField(
        min_value=0,
        max_value=TIME_MS_MAX,
        required=False,
        allow_null=True,
        help_text="null: never. Not after the asking token; by default in 90 days.",
    )


class TokenQuery(PageQuery):
    """Filters of the list."""

    owner = serializers.CharField(max_length=254, required=False, help_text="Of one member, by the e-mail address.")


class Tokens(ApiView):
    """Those that the asker may see, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "", "POST": "token:write"}
    names: ClassVar = {"GET": "listTokens", "POST": "createToken"}
    creates = True
    examples: ClassVar = {"POST": {"name": "nightly report", "scopes": ["stream:read", "billing:read"]}}

    @extend_schema(parameters=[TokenQuery], responses=page_of(TokenSerializer))
    def get(self, request: ApiRequest) -> Response:
        """One's own tokens, the newest first; with token:manage everybody's."""
        query = self.query(request, TokenQuery)
        rows, now_ms = tokens.visible(asker.by(request)), calls.now_ms()
        rows = rows.filter(membership__user__email=query["owner"].lower()) if "owner" in query else rows
        return Response(
            page(request, rows, ("-created_at_ms", "public_id"), query, lambda row: token_shown(row, now_ms))
        )

    @extend_schema(request=NewTokenSerializer, responses={201: MadeTokenSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a token of one's own. Its text is in this answer alone."""
        given, now_ms = self.read(request, NewTokenSerializer), calls.now_ms()
        own_end_ms = token_shown(request.auth, now_ms)["expires_at_ms"]
        default_ms = now_ms + LASTS_MS if own_end_ms is None else min(own_end_ms, now_ms + LASTS_MS)
        ends_ms = given.get("expires_at_ms", default_ms)
        if own_end_ms is not None and (ends_ms is None or ends_ms > own_end_ms):
            raise ValidationError({"expires_at_ms": "A token makes none that lasts longer than itself."})
        made, text = tokens.create(asker.by(request), given["name"], given["scopes"], ends_ms)
        return Response(token_shown(made, now_ms) | {"token": text}, 201)


class OneToken(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "", "DELETE": ""}
    names: ClassVar = {"GET": "getToken", "DELETE": "revokeToken"}

    @extend_schema(responses=TokenSerializer)
    def get(self, request: ApiRequest, token: str) -> Response:
        """A token, without its text."""
        found = tokens.visible(asker.by(request)).filter(public_id=token).first()
        if found is None:
            raise Http404
        return Response(token_shown(found, calls.now_ms()))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, token: str) -> Response:
        """End a token at once: one's own with token:write, everybody's with token:manage."""
        tokens.revoke(asker.by(request), token)
        return Response(status=204)


def token_shown(row: ApiToken, now_ms: int) -> Json:
    """A token as the API tells it."""
    return {
        "id": row.public_id,
        "name": row.name,
        "prefix": row.shown_prefix,
        "owner": row.membership.user.email,
        "scopes": list(row.scopes),
        "actions": sorted(row.actions),
        "has_expired": tokens.has_expired(row, now_ms),
        "expires_at_ms": None if row.expiry is None else int(row.expiry.timestamp() * 1_000),
        "created_at_ms": row.created_at_ms,
        "last_used_at_ms": row.last_used_at_ms,
        "last_used_from": row.last_used_from,
    }
