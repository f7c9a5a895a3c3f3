"""Access keys: what AWS clients sign with. A secret is told once, in the answer that makes it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.keys import is_over, works
from apps.accounts.models import AccessKey
from apps.base.units import DAY_MS
from apps.teams import keys
from console import asker, calls
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Access keys"
STATUSES: Final = ("active", "inactive", "ended")

Json = dict[str, Any]


class AccessKeySerializer(serializers.Serializer[Any]):
    """An access key, without its secret."""

    access_key_id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    user = serializers.CharField(
        allow_null=True, help_text="The IAM user whose key it is; null: the team, with all rights."
    )
    status = serializers.ChoiceField(
        STATUSES, help_text="ended: another key took its place, and their overlap is over."
    )
    created_by = serializers.CharField(allow_null=True, help_text="An e-mail address.")
    created_at_ms = serializers.IntegerField()
    last_used_at_ms = serializers.IntegerField(allow_null=True)
    last_used_from = serializers.CharField(allow_blank=True, help_text="The address.")
    last_used_service = serializers.CharField(allow_blank=True)
    ends_at_ms = serializers.IntegerField(allow_null=True, help_text="When it stops, because another took its place.")
    replaced_by = serializers.CharField(allow_null=True, help_text="The id of that one.")


class MadeAccessKeySerializer(AccessKeySerializer):
    """An access key with its secret, this once."""

    secret_access_key = serializers.CharField(help_text="Keep it: it is not told again.")


class NewAccessKeySerializer(serializers.Serializer[Any]):
    """A key to be made."""

    name = serializers.CharField(max_length=keys.NAME_CHARS_MAX)


class ChangedAccessKeySerializer(serializers.Serializer[Any]):
    """What is to change of a key."""

    is_active = serializers.BooleanField()


class RotationSerializer(serializers.Serializer[Any]):
    """How a key is replaced."""

    overlap_ms = serializers.IntegerField(
        min_value=0, max_value=keys.OVERLAP_MAX_MS, default=DAY_MS, help_text="So long both keys work."
    )


class AccessKeyQuery(PageQuery):
    """Filters of the list."""

    q = serializers.CharField(max_length=128, required=False, help_text="Part of the name.")


class AccessKeys(ApiView):
    """All of the team's, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "key:read", "POST": "key:write"}
    names: ClassVar = {"GET": "listAccessKeys", "POST": "createAccessKey"}
    creates = True
    examples: ClassVar = {"POST": {"name": "orders service"}}

    @extend_schema(parameters=[AccessKeyQuery], responses=page_of(AccessKeySerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's access keys, the newest first."""
        query, now_ms = self.query(request, AccessKeyQuery), calls.now_ms()
        rows = filtered(_rows(request), query, {"q": "name__icontains"})
        return Response(page(request, rows, ("-created_at_ms", "-pk"), query, lambda row: _shown(row, now_ms)))

    @extend_schema(request=NewAccessKeySerializer, responses={201: MadeAccessKeySerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a key of the team. Its secret is in this answer alone, and whoever has it may do all that the team may by AWS's
        operations; so whoever makes it must hold all of that, a token in its scopes."""
        made, secret = keys.create(asker.by(request), self.read(request, NewAccessKeySerializer)["name"])
        return _made(made, secret)


class OneAccessKey(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "key:read", "PATCH": "key:write", "DELETE": "key:write"}
    names: ClassVar = {"GET": "getAccessKey", "PATCH": "updateAccessKey", "DELETE": "deleteAccessKey"}
    examples: ClassVar = {"PATCH": {"is_active": False}}

    @extend_schema(responses=AccessKeySerializer)
    def get(self, request: ApiRequest, key: str) -> Response:
        """A key, without its secret."""
        found = _rows(request).filter(key_id=key).first()
        if found is None:
            raise Http404
        return Response(_shown(found, calls.now_ms()))

    @extend_schema(request=ChangedAccessKeySerializer, responses=AccessKeySerializer)
    def patch(self, request: ApiRequest, key: str) -> Response:
        """Disable or enable it; it holds everywhere within a second. Enabling needs what making one needs."""
        given = self.read(request, ChangedAccessKeySerializer)
        return Response(_shown(keys.set_active(asker.by(request), key, active=given["is_active"]), calls.now_ms()))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, key: str) -> Response:
        """Delete a key that does not work any more. Disable it first."""
        keys.delete(asker.by(request), key)
        return Response(status=204)


class Rotation(ApiView):
    """Another in its place."""

    tag = TAG
    needs: ClassVar = {"POST": "key:write"}
    names: ClassVar = {"POST": "rotateAccessKey"}
    creates = True
    examples: ClassVar = {"POST": {"overlap_ms": DAY_MS}}

    @extend_schema(request=RotationSerializer, responses={201: MadeAccessKeySerializer})
    def post(self, request: ApiRequest, key: str) -> Response:
        """Make a key that takes this one's place. Both work for a while, then the old one stops by itself. Needs what making
        one needs."""
        made, secret = keys.rotate(asker.by(request), key, self.read(request, RotationSerializer)["overlap_ms"])
        return _made(made, secret)


class CancelRotation(ApiView):
    """The old one goes on."""

    tag = TAG
    needs: ClassVar = {"POST": "key:write"}
    names: ClassVar = {"POST": "cancelKeyRotation"}

    @extend_schema(request=None, responses={200: AccessKeySerializer})
    def post(self, request: ApiRequest, key: str) -> Response:
        """Let a key that is being replaced go on. The new one stays as it is. Needs what making one needs."""
        return Response(_shown(keys.cancel_rotation(asker.by(request), key), calls.now_ms()))


def _rows(request: ApiRequest) -> QuerySet[AccessKey]:
    mine = AccessKey.objects.filter(team=request.team)
    return mine.select_related("created_by", "identity", "replaced_by")


def _made(row: AccessKey, secret: str) -> Response:
    return Response(_shown(row, calls.now_ms()) | {"secret_access_key": secret}, 201)


def _shown(row: AccessKey, now_ms: int) -> Json:
    return {
        "access_key_id": row.key_id,
        "name": row.name,
        "user": row.identity.name if row.identity is not None else None,
        "status": "active" if works(row, now_ms) else "ended" if row.is_active and is_over(row, now_ms) else "inactive",
        "created_by": row.created_by.email if row.created_by is not None else None,
        "created_at_ms": row.created_at_ms,
        "last_used_at_ms": row.last_used_at_ms,
        "last_used_from": row.last_used_from,
        "last_used_service": row.last_used_service,
        "ends_at_ms": row.ends_at_ms,
        "replaced_by": row.replaced_by.key_id if row.replaced_by is not None else None,
    }
