"""Showback: what all teams are charged in a month, beside one another; any team's statement, deleted teams' too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.models import Team
from apps.billing import bills, showback
from apps.billing.exports.cells import money
from apps.billing.models import Bill
from apps.billing.months import Month
from apps.billing.showback import Showback, TeamMonth
from console import calls
from console.api.operator import OperatorView
from console.api.paging import PageQuery, cursor, opened
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS, DECIMAL, BillWithLinesSerializer, month_named, with_lines

ORDER: Final = ("number",)
MONTH: Final = r"^[0-9]{4}-[0-9]{2}$"
FIRST_MONTH: Final = Month(2000, 1)
PLACES: Final = 6
"""Of a cost for each GB."""

Json = dict[str, Any]


class TeamMonthSerializer(serializers.Serializer[Any]):
    """A team's month. Of a deleted team there is only the bill: what it does not say is null."""

    team = serializers.CharField(allow_null=True, help_text="The short name; null: the team was deleted.")
    name = serializers.CharField()
    account_id = serializers.CharField()
    number = serializers.CharField(help_text="Of its bill, or the one that the bill will have.")
    state = serializers.ChoiceField([str(one) for one in bills.State])
    usage = serializers.RegexField(CENTS, help_text="Usage and corrections.")
    credits = serializers.RegexField(CENTS, help_text="What credits take off; not negative.")
    total = serializers.RegexField(CENTS)
    full_days = serializers.RegexField(CENTS, allow_null=True, help_text="Usage of the days that are over.")
    same_days_before = serializers.RegexField(CENTS, allow_null=True, help_text="Of the same days of the month before.")
    bytes_in = serializers.RegexField(DECIMAL, allow_null=True, help_text="Digits.")
    bytes_out = serializers.RegexField(DECIMAL, allow_null=True, help_text="Digits.")
    cost_per_gb_in = serializers.RegexField(DECIMAL, allow_null=True, help_text="Usage cost for each GB that came in.")
    has_own_prices = serializers.BooleanField()
    at_everybodys_prices = serializers.RegexField(CENTS, allow_null=True, help_text="The same usage at those.")
    margin = serializers.RegexField(CENTS, allow_null=True, help_text="What own prices bring above everybody's.")
    at_aws_list = serializers.RegexField(CENTS, allow_null=True, help_text="The same usage at AWS's list.")
    above_aws_list = serializers.RegexField(CENTS, allow_null=True)
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is not in it, as sentences.")


class ShowbackSerializer(serializers.Serializer[Any]):
    """A page of teams, and what all teams are charged."""

    items = TeamMonthSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    month = serializers.RegexField(MONTH)
    currency = serializers.CharField()
    full_days = serializers.IntegerField(allow_null=True, help_text="How many are compared; null: the whole month.")
    usage = serializers.RegexField(CENTS, help_text="Of all teams, as the next two.")
    credits = serializers.RegexField(CENTS)
    total = serializers.RegexField(CENTS)


class ShowbackQuery(PageQuery):
    """Of which month."""

    month = serializers.RegexField(MONTH, max_length=7, required=False, help_text="By default this one, of UTC.")


class ShowbackOfMonth(OperatorView):
    """All teams."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getShowback"}

    @extend_schema(parameters=[ShowbackQuery], responses=ShowbackSerializer)
    def get(self, request: ApiRequest) -> Response:
        """What all teams are charged in a month. By name, then bills of deleted ones: each as its statement says, beside
        everybody's prices and AWS's list."""
        query = self.query(request, ShowbackQuery)
        month = _month(query["month"]) if "month" in query else Month.at(calls.now_ms())
        found = showback.of_month(settings.CONFIG.region, month, calls.now_ms())
        return Response(_page(request, query, found))


class TeamBill(OperatorView):
    """One team's month."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getTeamBill"}

    @extend_schema(responses=BillWithLinesSerializer)
    def get(self, request: ApiRequest, team: str, month: str) -> Response:
        """Any team's month with its lines, as the team itself sees it."""
        self.query(request, serializers.Serializer)
        found = Team.objects.filter(slug=team).first()
        if found is None:
            raise Http404
        made = bills.statement(found, settings.CONFIG.region, month_named(month), calls.now_ms())
        return Response(with_lines(made))


class NumberedBill(OperatorView):
    """A closed bill."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getBillByNumber"}

    @extend_schema(responses=BillWithLinesSerializer)
    def get(self, request: ApiRequest, number: str) -> Response:
        """A closed bill by its number: those of deleted teams have no other address."""
        self.query(request, serializers.Serializer)
        row = Bill.objects.filter(number=number).first()
        if row is None:
            raise Http404
        return Response(with_lines(bills.of_bill(row)))


def _month(name: str) -> Month:
    month = month_named(name)
    if month < FIRST_MONTH:
        raise Http404
    return month


def _page(request: ApiRequest, query: Json, found: Showback) -> Json:
    teams = list(found.teams)
    after = opened(request, query["cursor"], ORDER)
    first = 0 if after is None else next((n for n, one in enumerate(teams, 1) if one.number == after[0]), len(teams))
    shown = teams[first : first + query["limit"]]
    has_more = first + len(shown) < len(teams)
    return {
        "items": [_team(one) for one in shown],
        "next_cursor": cursor(request, ORDER, [shown[-1].number]) if has_more and shown else None,
        "month": str(found.month),
        "currency": found.currency,
        "full_days": found.same_days,
        "usage": money(sum(one.usage_cents for one in teams)),
        "credits": money(sum(one.credits_cents for one in teams)),
        "total": money(sum(one.total_cents for one in teams)),
    }


def _team(one: TeamMonth) -> Json:
    return {
        "team": one.slug or None,
        "name": one.name,
        "account_id": one.account_id,
        "number": one.number,
        "state": str(one.state),
        "usage": money(one.usage_cents),
        "credits": money(one.credits_cents),
        "total": money(one.total_cents),
        "full_days": _money(one.same_cents),
        "same_days_before": _money(one.before_cents),
        "bytes_in": _digits(one.bytes_in),
        "bytes_out": _digits(one.bytes_out),
        "cost_per_gb_in": None if one.per_gb is None else _decimal(one.per_gb),
        "has_own_prices": one.has_own_prices,
        "at_everybodys_prices": _money(one.standard_cents),
        "margin": _money(one.margin_cents),
        "at_aws_list": _money(one.list_cents),
        "above_aws_list": _money(one.above_list_cents),
        "problems": list(one.problems),
    }


def _money(cents: int | None) -> str | None:
    return None if cents is None else money(cents)


def _digits(count: int | None) -> str | None:
    return None if count is None else str(count)


def _decimal(value: Decimal) -> str:
    return f"{value:.{PLACES}f}"
