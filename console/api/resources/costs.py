"""Costs: what usage costs, told apart; by the day; and what the month will have cost."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import DAY_MS
from apps.billing import reports
from apps.billing.dimensions import DIMENSIONS, SERVICES
from apps.billing.exports.cells import money
from apps.billing.forecast import NoForecast
from apps.billing.months import Month
from apps.billing.rating import decimal_text
from apps.billing.reports import OTHERS, By, Group, Period, Report, Where
from console import calls
from console.api.paging import PageQuery, cursor, opened
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS, DECIMAL
from console.api.view import ApiView

TAG: Final = "Costs"
SPAN_MAX_MS: Final = 400 * DAY_MS
LAST_MS: Final = Month(9_999, 12).start_ms
"""Until when: the last month that another follows is over."""
DAYS_TOP_MAX: Final = 50
ORDER: Final = ("amount", "label")

Json = dict[str, Any]


class CostQuery(PageQuery):
    """What is added up, and how it is told apart."""

    group = serializers.ChoiceField([str(by) for by in By], default="dimension", help_text="One row for each.")
    tag_key = serializers.CharField(max_length=128, required=False, help_text="Of `group=tag`: whose values.")
    from_ms = serializers.IntegerField(
        min_value=0, max_value=LAST_MS - DAY_MS, required=False,
        help_text="A UTC midnight; by default the begin of this month.",
    )  # fmt: skip
    to_ms = serializers.IntegerField(
        min_value=0, max_value=LAST_MS, required=False,
        help_text="A UTC midnight, not in it; by default the end of the month that `from_ms` is in.",
    )  # fmt: skip
    service = serializers.ChoiceField(SERVICES, required=False, help_text="Of one service.")
    dimension = serializers.ChoiceField(list(DIMENSIONS), required=False, help_text="Of one dimension.")
    resource = serializers.CharField(max_length=200, required=False, help_text="Of one, as stream/orders.")
    key = serializers.CharField(
        max_length=128, required=False, allow_blank=True, help_text="Of one access key; empty: of none."
    )
    tag = serializers.CharField(
        max_length=400, required=False, help_text="Of resources with this tag, as `env=prod`; `env=`: without it."
    )


class CostSerializer(serializers.Serializer[Any]):
    """What a group costs."""

    label = serializers.CharField(  # type: ignore[assignment]  # the metaclass takes it away
        allow_null=True, help_text="The group: days as their first millisecond; null: without a tag, or of no key."
    )
    amount = serializers.RegexField(DECIMAL, help_text="Before rounding, 12 places at most.")
    cost = serializers.RegexField(CENTS, help_text="Rounded half-up to the cent by itself.")
    quantity = serializers.RegexField(DECIMAL, allow_null=True, help_text="Of dimensions, in units of sale.")
    unit = serializers.CharField(allow_null=True, help_text="Of the quantity.")


class CostPageSerializer(serializers.Serializer[Any]):
    """A page of groups, dearest first (days in their order), and what all of them add up to."""

    items = CostSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    from_ms = serializers.IntegerField()
    to_ms = serializers.IntegerField()
    currency = serializers.CharField()
    usage = serializers.RegexField(CENTS, help_text="Of all groups. Of all usage of a month: the bill's.")
    rounding = serializers.RegexField(CENTS, help_text="What `cost` of all groups is less than `usage`.")
    corrections = serializers.RegexField(
        CENTS, help_text="Usage that came late or was put right; of a whole month only."
    )
    credits = serializers.RegexField(CENTS, help_text="Taken off; of a whole month only.")
    total = serializers.RegexField(CENTS, help_text="Of a whole month: the bill's total.")
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is not in it, as sentences.")


class DailyQuery(CostQuery):
    """The same, by day."""

    limit = None  # type: ignore[assignment]  # told at once: `top` is the bound
    cursor = None  # type: ignore[assignment]
    group = serializers.ChoiceField(
        [str(by) for by in By if by != By.DAY], default="service", help_text="One series for each."
    )
    top = serializers.IntegerField(
        min_value=1, max_value=DAYS_TOP_MAX, default=10, help_text="So many groups, the others added up."
    )


class CostSeriesSerializer(serializers.Serializer[Any]):
    """A group through the days."""

    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # the metaclass takes it away
    is_others = serializers.BooleanField(help_text="All that are not among the first, together.")
    amounts = serializers.ListField(
        child=serializers.RegexField(DECIMAL), help_text="One for each day, before rounding."
    )


class DailyCostsSerializer(serializers.Serializer[Any]):
    """Costs by day and group."""

    days_ms = serializers.ListField(child=serializers.IntegerField(), help_text="When each day of UTC begins.")
    currency = serializers.CharField()
    series = CostSeriesSerializer(many=True)


class ForecastDaySerializer(serializers.Serializer[Any]):
    """A day that is not over."""

    at_ms = serializers.IntegerField()
    low = serializers.RegexField(CENTS)
    likely = serializers.RegexField(CENTS)
    high = serializers.RegexField(CENTS)
    is_today = serializers.BooleanField()


class ForecastSerializer(serializers.Serializer[Any]):
    """What the month will have cost, before credits; or why nobody can tell."""

    month = serializers.CharField()
    currency = serializers.CharField()
    reason = serializers.CharField(allow_null=True, help_text="Why there is none; then all others are null.")
    spent = serializers.RegexField(CENTS, allow_null=True)
    low = serializers.RegexField(CENTS, allow_null=True, help_text="80 of 100 such months lie between low and high.")
    likely = serializers.RegexField(CENTS, allow_null=True)
    high = serializers.RegexField(CENTS, allow_null=True)
    full_days = serializers.IntegerField(allow_null=True, help_text="What it was made of.")
    days = ForecastDaySerializer(many=True)


class ForecastQuery(serializers.Serializer[Any]):
    """Of what."""

    resource = serializers.CharField(max_length=200, required=False, help_text="Of one, as stream/orders.")


class Costs(ApiView):
    """What usage costs."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listCosts"}

    @extend_schema(parameters=[CostQuery], responses=CostPageSerializer)
    def get(self, request: ApiRequest) -> Response:
        """What usage costs by groups, dearest first. Of a whole month without filters, the total is the bill's."""
        query = self.query(request, CostQuery)
        by, period = By(query["group"]), _period(query)
        report = reports.costs(
            request.team, settings.CONFIG.region, period, by, calls.now_ms(), where=_where(query),
            tag_key=_tag_key(query, by),
        )  # fmt: skip
        return Response(_page(request, query, report))


class DailyCosts(ApiView):
    """The same through the days."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getDailyCosts"}

    @extend_schema(parameters=[DailyQuery], responses=DailyCostsSerializer)
    def get(self, request: ApiRequest) -> Response:
        """What each day of UTC cost, by groups; what is not among the first is added up."""
        query = self.query(request, DailyQuery)
        by, region, period = By(query["group"]), settings.CONFIG.region, _period(query)
        found = reports.daily(
            request.team, region, period, by, where=_where(query), tag_key=_tag_key(query, by), top=query["top"]
        )
        series = [
            {
                "label": None if label == OTHERS else label or None,
                "is_others": label == OTHERS,
                "amounts": [decimal_text(amount) for amount in found.amounts[label]],
            }
            for label in found.labels
        ]
        currency = reports.bills.currency_of(region, Month.at(period.from_ms))
        return Response({"days_ms": list(found.days), "currency": currency, "series": series})


class CostForecast(ApiView):
    """What the month will have cost."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "getCostForecast"}

    @extend_schema(parameters=[ForecastQuery], responses=ForecastSerializer)
    def get(self, request: ApiRequest) -> Response:
        """The forecast of this month with its 80 % range. Without 7 full days of costs there is none, and it says why."""
        query, now_ms, region = self.query(request, ForecastQuery), calls.now_ms(), settings.CONFIG.region
        found = reports.outlook(request.team, region, now_ms, query.get("resource", ""))
        month = Month.at(now_ms)
        told: Json = {"month": str(month), "currency": reports.bills.currency_of(region, month)}
        if isinstance(found, NoForecast):
            empty = dict.fromkeys(("spent", "low", "likely", "high", "full_days"))
            return Response(told | {"reason": found.reason, **empty, "days": []})
        amounts = {
            "spent": found.spent_cents, "low": found.low_cents, "likely": found.likely_cents, "high": found.high_cents,
        }  # fmt: skip
        days = [
            {
                "at_ms": day.day_ms,
                "low": money(day.low_cents),
                "likely": money(day.likely_cents),
                "high": money(day.high_cents),
                "is_today": day.is_today,
            }
            for day in found.days
        ]
        texts = {name: money(cents) for name, cents in amounts.items()}
        return Response(told | texts | {"reason": None, "full_days": found.full_days, "days": days})


def _period(query: Json) -> Period:
    from_ms = query.get("from_ms", Month.at(calls.now_ms()).start_ms)
    to_ms = query.get("to_ms", Month.at(from_ms).end_ms)
    for name, value in (("from_ms", from_ms), ("to_ms", to_ms)):
        if value % DAY_MS:
            raise ValidationError({name: "A UTC midnight: costs are by day."})
    if not 0 < to_ms - from_ms <= SPAN_MAX_MS:
        raise ValidationError({"to_ms": f"After the begin, by at most {SPAN_MAX_MS // DAY_MS} days."})
    return Period(from_ms, to_ms)


def _where(query: Json) -> Where:
    key, mark, value = query.get("tag", "").partition("=")
    if "tag" in query and (not mark or not key):
        raise ValidationError({"tag": "Write it as key=value, or as key= for resources without it."})
    return Where(
        resource=query.get("resource", ""),
        service=query.get("service", ""),
        dimension=query.get("dimension", ""),
        key=query.get("key"),
        tag=(key, value) if mark else None,
    )


def _tag_key(query: Json, by: By) -> str:
    if by == By.TAG and not query.get("tag_key"):
        raise ValidationError({"tag_key": "Say whose values make the groups."})
    return str(query.get("tag_key", ""))


def _page(request: ApiRequest, query: Json, report: Report) -> Json:
    groups = [group for group in report.groups if group.amount or report.by == By.DAY]
    after = opened(request, query["cursor"], ORDER)
    if after is not None:
        groups = groups[_place_after(groups, after) :]
    shown = groups[: query["limit"]]
    more = len(groups) > len(shown)
    return {
        "items": [_group(group) for group in shown],
        "next_cursor": cursor(request, ORDER, [str(shown[-1].amount), shown[-1].label]) if more else None,
        "from_ms": report.period.from_ms,
        "to_ms": report.period.to_ms,
        "currency": report.currency,
        "usage": money(report.usage_cents),
        "rounding": money(report.rounding_cents),
        "corrections": money(report.corrections_cents),
        "credits": money(report.credits_cents),
        "total": money(report.total_cents),
        "problems": list(report.problems),
    }


def _place_after(groups: list[Group], after: list[Any]) -> int:
    """Behind the last row that was told; where usage went on meanwhile, behind the row of the same name."""
    place = next((n for n, group in enumerate(groups) if group.label == after[1]), None)
    return len(groups) if place is None else place + 1


def _group(group: Group) -> Json:
    sold = group.dimension if group.quantity is not None else None
    return {
        "label": group.label or None,
        "amount": decimal_text(group.amount),
        "cost": money(group.cents),
        "quantity": None if group.quantity is None else decimal_text(group.quantity),
        "unit": None if sold is None else sold.unit,
    }
