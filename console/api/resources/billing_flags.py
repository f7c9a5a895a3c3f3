"""Billing flags: what metering and closing found odd. A team sees its own and the installation's; people who run the
installation see all, and say that one was seen to."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing import flags
from apps.billing.models import BillingFlag, FlagKind
from apps.teams import billing_corrections
from console import calls
from console.api.operator import SLUG_CHARS_MAX, OperatorView
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.resources.bills import TAG
from console.api.view import ApiView

Json = dict[str, Any]


class FlagSerializer(serializers.Serializer[Any]):
    """Something odd that may change what somebody pays."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(FlagKind.choices)
    resource = serializers.CharField(allow_null=True)
    text = serializers.CharField(help_text="A sentence for people, of the last time.")
    is_of_installation = serializers.BooleanField(help_text="Not of the team alone, as its clock is.")
    first_at_ms = serializers.IntegerField()
    last_at_ms = serializers.IntegerField()
    seen = serializers.IntegerField(help_text="How often.")
    acknowledged_at_ms = serializers.IntegerField(allow_null=True, help_text="When the operator dealt with it.")


class OperatorFlagSerializer(FlagSerializer):
    """The same, with whose it is."""

    team = serializers.CharField(allow_null=True, help_text="The team's short name; null: of the installation.")
    acknowledged_by = serializers.CharField(allow_null=True, help_text="Who dealt with it.")


class FlagQuery(PageQuery):
    """Filters of the list."""

    is_open = serializers.BooleanField(
        allow_null=True, default=None, help_text="Those that nobody dealt with, or the others."
    )


class OperatorFlagQuery(FlagQuery):
    """Of all teams."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, required=False, help_text="Of one, by its short name.")
    kind = serializers.ChoiceField(FlagKind.choices, required=False, help_text="Of one kind.")


class BillingFlags(ApiView):
    """What is odd."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listBillingFlags"}

    @extend_schema(parameters=[FlagQuery], responses=page_of(FlagSerializer))
    def get(self, request: ApiRequest) -> Response:
        """What metering and closing found odd about the team or the installation, the newest first."""
        query = self.query(request, FlagQuery)
        return Response(_page(request, flags.of_team(request.team.pk), query, _flag))


class OperatorFlags(OperatorView):
    """All teams'."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listAllBillingFlags"}

    @extend_schema(parameters=[OperatorFlagQuery], responses=page_of(OperatorFlagSerializer))
    def get(self, request: ApiRequest) -> Response:
        """What metering and closing found odd, of all teams and of the installation, the newest first."""
        query = self.query(request, OperatorFlagQuery)
        rows = filtered(flags.every(), query, {"team": "team__slug", "kind": "kind"})
        return Response(_page(request, rows, query, _of_operator))


class OperatorFlag(OperatorView):
    """One of them."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getBillingFlag"}

    @extend_schema(responses=OperatorFlagSerializer)
    def get(self, request: ApiRequest, flag: int) -> Response:
        """A flag."""
        self.query(request, serializers.Serializer)
        return Response(_of_operator(_one(flag)))


class FlagAcknowledgement(OperatorView):
    """Dealt with."""

    needs: ClassVar = {"POST": "billing:write"}
    names: ClassVar = {"POST": "acknowledgeBillingFlag"}

    @extend_schema(request=None, responses=OperatorFlagSerializer)
    def post(self, request: ApiRequest, flag: int) -> Response:
        """Say that a flag was seen to (AcknowledgeBillingFlag). Of a clock that jumped ahead: that it is right.

        It is open again when the same happens once more.
        """
        billing_corrections.acknowledge(calls.actor(request), request.user, flag)
        return Response(_of_operator(_one(flag)))


def _page(request: ApiRequest, rows: QuerySet[BillingFlag], query: Json, shown: Any) -> Json:
    if query["is_open"] is not None:
        rows = rows.filter(acknowledged_at_ms__isnull=query["is_open"])
    return page(request, rows, ("-at_ms", "-pk"), query, shown)


def _one(pk: int) -> BillingFlag:
    found = flags.every().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _of_operator(row: BillingFlag) -> Json:
    team = None if row.team is None else row.team.slug
    return _flag(row) | {"team": team, "acknowledged_by": row.acknowledged_by or None}


def _flag(row: BillingFlag) -> Json:
    return {
        "id": row.pk,
        "kind": row.kind,
        "resource": row.resource or None,
        "text": row.text,
        "is_of_installation": row.team_id is None,
        "first_at_ms": row.first_at_ms,
        "last_at_ms": row.at_ms,
        "seen": row.seen,
        "acknowledged_at_ms": row.acknowledged_at_ms,
    }
