"""Credits of the team, and what metering and closing found odd: both are the operator's to change, and told here."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing import crediting, flags
from apps.billing.exports.cells import money
from apps.billing.models import BillingFlag, FlagKind
from console.api.paging import PageQuery, page, page_of, whole
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS, TAG
from console.api.view import ApiView

MONTH: Final = r"^[0-9]{4}-[0-9]{2}$"

Json = dict[str, Any]


class CreditSerializer(serializers.Serializer[Any]):
    """Money given to the team: it takes off bills, the oldest first."""

    id = serializers.IntegerField()
    reason = serializers.CharField()
    amount = serializers.RegexField(CENTS)
    left = serializers.RegexField(CENTS, help_text="What closed bills have left of it.")
    from_month = serializers.RegexField(MONTH, help_text="The first month that it is good for.")
    to_month = serializers.RegexField(MONTH, allow_null=True, help_text="The last one; null: no end.")
    created_at_ms = serializers.IntegerField()


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


class FlagQuery(PageQuery):
    """Filters of the list."""

    is_open = serializers.BooleanField(
        allow_null=True, default=None, help_text="Those that nobody dealt with, or the others."
    )


class Credits(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listCredits"}

    @extend_schema(responses=page_of(CreditSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's credits, the oldest first, also those that are used up. They are told at once."""
        self.query(request, serializers.Serializer)
        return Response(whole([_credit(one) for one in crediting.left(request.team.pk)]))


class BillingFlags(ApiView):
    """What is odd."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listBillingFlags"}

    @extend_schema(parameters=[FlagQuery], responses=page_of(FlagSerializer))
    def get(self, request: ApiRequest) -> Response:
        """What metering and closing found odd about the team or the installation, the newest first."""
        query = self.query(request, FlagQuery)
        rows = flags.of_team(request.team.pk)
        if query["is_open"] is not None:
            rows = rows.filter(acknowledged_at_ms__isnull=query["is_open"])
        return Response(page(request, rows, ("-at_ms", "-pk"), query, _flag))


def _credit(one: crediting.Left) -> Json:
    row = one.credit
    return {
        "id": row.pk,
        "reason": row.reason,
        "amount": money(row.amount_cents),
        "left": money(one.cents),
        "from_month": row.from_month,
        "to_month": row.to_month or None,
        "created_at_ms": row.created_at_ms,
    }


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
