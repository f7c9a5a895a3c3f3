"""Credits: money given to teams for their bills. A team sees its own; people who run the installation give and take back."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing import crediting
from apps.billing.exports.cells import money
from apps.billing.models import Credit
from apps.teams import billing_credits
from console import calls
from console.api.operator import SLUG_CHARS_MAX, OperatorView, team_named
from console.api.paging import PageQuery, filtered, page, page_of, whole
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS, TAG
from console.api.view import ApiView

MONTH: Final = r"^[0-9]{4}-[0-9]{2}$"
AMOUNT: Final = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
AMOUNT_CHARS_MAX, MONTH_CHARS_MAX = 12, 7

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


class OperatorCreditSerializer(CreditSerializer):
    """The same, with whose it is."""

    team = serializers.CharField(help_text="The team's short name.")
    created_by = serializers.CharField(allow_null=True, help_text="Who gave it.")


class CreditQuery(PageQuery):
    """Filters of the list."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, required=False, help_text="Of one, by its short name.")


class NewCreditSerializer(serializers.Serializer[Any]):
    """A gift."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, help_text="The team's short name.")
    amount = serializers.RegexField(
        AMOUNT, max_length=AMOUNT_CHARS_MAX, help_text="As 250 or 99.50, of the installation's currency."
    )
    reason = serializers.CharField(max_length=billing_credits.REASON_CHARS_MAX, help_text="It stands on the bill.")
    from_month = serializers.RegexField(
        MONTH, max_length=MONTH_CHARS_MAX, help_text="The first month that it is good for."
    )
    to_month = serializers.RegexField(
        MONTH, max_length=MONTH_CHARS_MAX, required=False, allow_null=True, default=None,
        help_text="The last one; null: until it is used up.",
    )  # fmt: skip


class Credits(ApiView):
    """All of the team's."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listCredits"}

    @extend_schema(responses=page_of(CreditSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's credits, the oldest first, also those that are used up. They are told at once."""
        self.query(request, serializers.Serializer)
        return Response(whole([_credit(one.credit, one.cents) for one in crediting.left(request.team.pk)]))


class OperatorCredits(OperatorView):
    """All teams'."""

    needs: ClassVar = {"GET": "billing:read", "POST": "billing:write"}
    names: ClassVar = {"GET": "listAllCredits", "POST": "createCredit"}
    creates = True
    examples: ClassVar = {
        "POST": {"team": "shop", "amount": "250", "reason": "Trial", "from_month": "2026-11", "to_month": "2027-01"}
    }

    @extend_schema(parameters=[CreditQuery], responses=page_of(OperatorCreditSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The credits of all teams, the newest first, also those that are used up."""
        query = self.query(request, CreditQuery)
        rows = filtered(_rows(), query, {"team": "team__slug"})
        return Response(page(request, rows, ("-created_at_ms", "-pk"), query, _of_operator))

    @extend_schema(request=NewCreditSerializer, responses={201: OperatorCreditSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Give a team money for its bills (GiveCredit). A credit never changes; an unused one can be taken back."""
        given = self.read(request, NewCreditSerializer)
        made = billing_credits.give(
            calls.actor(request), request.user, team_named(given["team"]).pk, given["amount"], given["reason"],
            given["from_month"], given["to_month"] or "",
        )  # fmt: skip
        return Response(_of_operator(_one(made.pk)), 201)


class OperatorCredit(OperatorView):
    """One of them."""

    needs: ClassVar = {"GET": "billing:read", "DELETE": "billing:write"}
    names: ClassVar = {"GET": "getCredit", "DELETE": "deleteCredit"}

    @extend_schema(responses=OperatorCreditSerializer)
    def get(self, request: ApiRequest, credit: int) -> Response:
        """A credit, and what closed bills have left of it."""
        self.query(request, serializers.Serializer)
        return Response(_of_operator(_one(credit)))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, credit: int) -> Response:
        """Take back a credit that no closed bill has used (TakeBackCredit). One that is on a bill stays: 409."""
        billing_credits.take_back(calls.actor(request), request.user, credit)
        return Response(status=204)


def _rows() -> QuerySet[Credit]:
    return Credit.objects.select_related("team").annotate(used=Coalesce(Sum("uses__amount_cents"), 0))


def _one(pk: int) -> Credit:
    found = _rows().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _of_operator(row: Any) -> Json:
    return _credit(row, row.amount_cents - row.used) | {"team": row.team.slug, "created_by": row.created_by or None}


def _credit(row: Credit, left_cents: int) -> Json:
    return {
        "id": row.pk,
        "reason": row.reason,
        "amount": money(row.amount_cents),
        "left": money(left_cents),
        "from_month": row.from_month,
        "to_month": row.to_month or None,
        "created_at_ms": row.created_at_ms,
    }
