"""Budgets: what a team wants to spend in a month, how that stands, whom it tells and what it told."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.base.outgoing import URL_CHARACTERS_MAX
from apps.billing import bills, budgets
from apps.billing.budgets import Spending, Standing
from apps.billing.models import Budget, BudgetAction, BudgetAlert, SpendingHold
from apps.billing.months import Month
from apps.teams import billing_budgets, budget_alerts
from apps.teams.billing_budgets import Wanted
from console import asker, calls
from console.api.paging import PageQuery, page, page_of, whole
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Budgets"
RESOURCE_CHARS_MAX: Final = 200
EMAIL_CHARS_MAX: Final = 254
EXAMPLE: Final = {
    "name": "Production",
    "amount_cents": 130_000,
    "thresholds": [50, 80, 100],
    "on_forecast": True,
    "emails": ["mira@acme.example"],
}

Json = dict[str, Any]


class PutBudgetSerializer(serializers.Serializer[Any]):
    """What a budget is to be."""

    name = serializers.CharField(max_length=budgets.NAME_CHARS_MAX)
    amount_cents = serializers.IntegerField(
        min_value=1, max_value=budgets.AMOUNT_CENTS_MAX, help_text="Of a month, in cents of the price book's currency."
    )
    thresholds = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=budgets.PERCENT_MAX),
        min_length=1,
        max_length=budgets.THRESHOLDS_MAX,
        default=list(budgets.TEMPLATE),
        help_text="Percent of the amount, rising.",
    )
    resource = serializers.CharField(
        max_length=RESOURCE_CHARS_MAX,
        default="",
        allow_blank=True,
        help_text="As stream/orders; empty: the whole team.",
    )
    on_forecast = serializers.BooleanField(default=False, help_text="Tell also when the forecast reaches a threshold.")
    emails = serializers.ListField(
        child=serializers.CharField(max_length=EMAIL_CHARS_MAX),
        max_length=budgets.EMAILS_MAX,
        default=list,
        help_text="Of members who may see costs.",
    )
    webhook = serializers.CharField(
        max_length=URL_CHARACTERS_MAX,
        required=False,
        allow_null=True,
        help_text="Called by POST with JSON; null: none. It is kept encrypted and not told again.",
    )
    action = serializers.ChoiceField(
        BudgetAction.choices,
        default=BudgetAction.NOTHING,
        help_text="At 100 %. Others than nothing need billing:enforce.",
    )


class ChangedBudgetSerializer(PutBudgetSerializer):
    """What is to change; the rest stays."""

    def get_fields(self) -> dict[str, Any]:
        """All may be left out, and have no defaults."""
        fields = super().get_fields()
        for field in fields.values():
            field.required, field.default = False, serializers.empty
        return fields


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    amount_cents = serializers.IntegerField()
    thresholds = serializers.ListField(child=serializers.IntegerField())
    resource = serializers.CharField(allow_blank=True)
    on_forecast = serializers.BooleanField()
    emails = serializers.ListField(child=serializers.CharField())
    webhook_host = serializers.CharField(allow_null=True, help_text="All of its address that is told.")
    action = serializers.ChoiceField(BudgetAction.choices)
    action_by = serializers.CharField(allow_null=True, help_text="Who let it act.")
    action_at_ms = serializers.IntegerField(allow_null=True)
    created_at_ms = serializers.IntegerField()
    changed_at_ms = serializers.IntegerField()


class StandingSerializer(serializers.Serializer[Any]):
    """How a budget stands in the running month."""

    month = serializers.CharField(help_text="As 2026-11, of UTC.")
    currency = serializers.CharField()
    spent_cents = serializers.IntegerField(help_text="Of the whole team it is the statement's total.")
    percent = serializers.IntegerField(help_text="Spent, rounded down.")
    forecast_cents = serializers.IntegerField(allow_null=True, help_text="null: there is none yet.")
    no_forecast = serializers.CharField(allow_blank=True, help_text="Why there is none.")
    holds = serializers.BooleanField(help_text="It throttles or pauses the team's writes now.")
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is not in the sum, as sentences.")


class ListedBudgetSerializer(BudgetSerializer):
    """A budget and how it stands."""

    standing = StandingSerializer()


class ToldSerializer(serializers.Serializer[Any]):
    """What came of telling somebody."""

    who = serializers.CharField(help_text="An address, or webhook.")
    ok = serializers.BooleanField()
    text = serializers.CharField()


class BudgetAlertSerializer(serializers.Serializer[Any]):
    """A threshold that was reached."""

    id = serializers.IntegerField()
    month = serializers.CharField()
    threshold_percent = serializers.IntegerField()
    kind = serializers.ChoiceField(("spent", "forecast"))
    figure_cents = serializers.IntegerField(help_text="What was spent, or foreseen.")
    amount_cents = serializers.IntegerField(help_text="Of the budget, then.")
    at_ms = serializers.IntegerField()
    is_done = serializers.BooleanField(help_text="Everybody was told, or given up.")
    told = ToldSerializer(many=True, help_text="Empty where another alert of the same moment told for this one.")


class BudgetTestSerializer(serializers.Serializer[Any]):
    """What was sent."""

    told = ToldSerializer(many=True)


class Budgets(ApiView):
    """All of them, and one more."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read", "POST": "billing:write"}
    names: ClassVar = {"GET": "listBudgets", "POST": "createBudget"}
    creates = True
    examples: ClassVar = {"POST": EXAMPLE}

    @extend_schema(responses=page_of(ListedBudgetSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's budgets by name, and how each stands now."""
        self.query(request, serializers.Serializer)
        rows = billing_budgets.of_team(request.team)
        standings = _standings(request, rows)
        return Response(whole([_shown(row) | {"standing": standings[row.pk]} for row in rows]))

    @extend_schema(request=PutBudgetSerializer, responses={201: BudgetSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a budget. It is looked at within a minute, and once a minute from then on."""
        given = self.read(request, PutBudgetSerializer)
        wanted = Wanted(**{**given, "webhook": given.get("webhook") or ""})
        return Response(_shown(billing_budgets.create(asker.by(request), wanted, settings.CONFIG)), 201)


class OneBudget(ApiView):
    """One of them."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read", "PATCH": "billing:write", "DELETE": "billing:write"}
    names: ClassVar = {"GET": "getBudget", "PATCH": "changeBudget", "DELETE": "deleteBudget"}
    examples: ClassVar = {"PATCH": {"amount_cents": 150_000}}

    @extend_schema(responses=BudgetSerializer)
    def get(self, request: ApiRequest, budget: int) -> Response:
        """A budget's settings; how it stands is told at an address of its own, so that the ETag is of what people change."""
        return Response(_shown(billing_budgets.one(request.team, budget)))

    @extend_schema(request=ChangedBudgetSerializer, responses=BudgetSerializer)
    def patch(self, request: ApiRequest, budget: int) -> Response:
        """Change a budget. Raising the amount above what is spent lifts a hold at once. One that acts needs billing:enforce for
        a change of amount or action."""
        row = billing_budgets.one(request.team, budget)
        given = self.read(request, ChangedBudgetSerializer)
        if "webhook" in given:
            given["webhook"] = given["webhook"] or ""
        changed = billing_budgets.update(asker.by(request), row.pk, Wanted(**{**_now(row), **given}), settings.CONFIG)
        return Response(_shown(changed))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, budget: int) -> Response:
        """Delete a budget with its alerts; a hold by it is lifted at once."""
        billing_budgets.delete(asker.by(request), budget, settings.CONFIG)
        return Response(status=204)


class BudgetStanding(ApiView):
    """How one stands."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getBudgetStanding"}

    @extend_schema(responses=StandingSerializer)
    def get(self, request: ApiRequest, budget: int) -> Response:
        """What is spent of a budget in the running month, and what is foreseen."""
        row = billing_budgets.one(request.team, budget)
        return Response(_standings(request, [row])[row.pk])


class BudgetAlerts(ApiView):
    """What one told."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listBudgetAlerts"}

    @extend_schema(parameters=[PageQuery], responses=page_of(BudgetAlertSerializer))
    def get(self, request: ApiRequest, budget: int) -> Response:
        """The thresholds that a budget has reached, newest first, with whom it told; kept for 13 months."""
        rows = BudgetAlert.objects.filter(budget=billing_budgets.one(request.team, budget))
        query = self.query(request, PageQuery)
        return Response(page(request, rows, ("-at_ms", "-id"), query, _shown_alert))


class BudgetTests(ApiView):
    """A trial of whom it tells."""

    tag = TAG
    needs: ClassVar = {"POST": "billing:write"}
    names: ClassVar = {"POST": "testBudget"}

    @extend_schema(request=None, responses=BudgetTestSerializer)
    def post(self, request: ApiRequest, budget: int) -> Response:
        """Send mail and webhook of a budget now, marked as a test, and wait for what comes of it."""
        told = budget_alerts.test(calls.runtime(), asker.by(request), budget)
        return Response({"told": [{"who": one.who, "ok": one.ok, "text": one.text} for one in told]})


def _shown(row: Budget) -> Json:
    address = urlsplit(billing_budgets.webhook_of(row, settings.CONFIG))
    return {
        "id": row.pk,
        "name": row.name,
        "amount_cents": row.amount_cents,
        "thresholds": row.thresholds,
        "resource": row.resource,
        "on_forecast": row.on_forecast,
        "emails": row.emails,
        "webhook_host": address.netloc or None,
        "action": row.action,
        "action_by": row.action_by or None,
        "action_at_ms": row.action_at_ms,
        "created_at_ms": row.created_at_ms,
        "changed_at_ms": row.changed_at_ms,
    }


def _now(row: Budget) -> Json:
    """As Wanted has it, the webhook as it is."""
    names = ("name", "amount_cents", "thresholds", "resource", "on_forecast", "emails", "action")
    return {name: getattr(row, name) for name in names}


def _standings(request: ApiRequest, rows: list[Budget]) -> dict[int, Json]:
    now_ms, region = calls.now_ms(), settings.CONFIG.region
    month = Month.at(now_ms)
    currency = bills.currency_of(region, month)
    holding = set(SpendingHold.objects.filter(team=request.team).values_list("budget_id", flat=True))
    found = Spending(request.team, region, month, now_ms).standings(rows, with_forecast=True)

    def shown(row: Budget, standing: Standing) -> Json:
        return {
            "month": str(month),
            "currency": currency,
            "spent_cents": standing.spent_cents,
            "percent": budgets.percent_of(standing.spent_cents, row.amount_cents),
            "forecast_cents": standing.forecast_cents,
            "no_forecast": standing.no_forecast,
            "holds": row.pk in holding,
            "problems": list(standing.problems),
        }

    return {row.pk: shown(row, found[row.pk]) for row in rows}


def _shown_alert(row: BudgetAlert) -> Json:
    return {
        "id": row.pk,
        "month": row.month,
        "threshold_percent": row.threshold,
        "kind": "forecast" if row.forecast else "spent",
        "figure_cents": row.spent_cents,
        "amount_cents": row.amount_cents,
        "at_ms": row.at_ms,
        "is_done": row.due_at_ms is None,
        "told": [{"who": who, "ok": one["ok"], "text": one["text"]} for who, one in row.told.items()],
    }
