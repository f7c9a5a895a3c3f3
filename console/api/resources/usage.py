"""Usage: what was used of each meter, from the ledger. Bills come with the engine that makes them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.db.models import F, QuerySet, Sum
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing.meters import METERS
from apps.billing.models import UsageDay, UsageHour
from apps.billing.usage_sums import KeyDay, TeamDay
from console import calls
from console.api.paging import PageQuery, filtered, page, page_of, whole
from console.api.request import ApiRequest
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

TAG: Final = "Usage"
SPAN_DEFAULT_MS: Final = 30 * DAY_MS
SPAN_MAX_MS: Final = 400 * DAY_MS
STEPS: Final = {"hour": HOUR_MS, "day": DAY_MS}
GROUPS: Final = {"resource": "resource", "key": "meter_key"}

Json = dict[str, Any]


class UsageSerializer(serializers.Serializer[Any]):
    """What was used of a meter within an hour or a day."""

    at_ms = serializers.IntegerField(help_text="When the hour or the day (of UTC) begins.")
    meter = serializers.ChoiceField(list(METERS))
    unit = serializers.CharField(help_text="Of the quantity.")
    quantity = serializers.RegexField(r"^[0-9]+$", help_text="Digits: it may be larger than 2^53.")
    resource = serializers.CharField(allow_null=True, help_text="As stream/orders; null: of all together.")
    key = serializers.CharField(allow_null=True, help_text="Who used it: an access key, a token; null: all together.")


class UsageQuery(PageQuery):
    """What is summed up, and how."""

    from_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, help_text="By default 30 days before the end."
    )
    to_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, help_text="By default now; of days, with all of today."
    )
    step = serializers.ChoiceField(list(STEPS), default="day", help_text="One row for each.")
    group = serializers.ListField(
        child=serializers.ChoiceField(list(GROUPS)), default=list, max_length=len(GROUPS), help_text="Apart by these."
    )
    meter = serializers.ChoiceField(list(METERS), required=False, help_text="Of one meter.")
    resource = serializers.CharField(max_length=200, required=False, help_text="Of one resource.")
    key = serializers.CharField(max_length=128, required=False, help_text="Of one key.")


class MeterSerializer(serializers.Serializer[Any]):
    """What is measured."""

    name = serializers.CharField()
    unit = serializers.CharField()
    meaning = serializers.CharField()


class Usage(ApiView):
    """The ledger."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listUsage"}

    @extend_schema(parameters=[UsageQuery], responses=page_of(UsageSerializer))
    def get(self, request: ApiRequest) -> Response:
        """What the team used, by hour or by day, oldest first."""
        query = self.query(request, UsageQuery)
        to_ms = query.get("to_ms", calls.now_ms())
        from_ms = query.get("from_ms", max(0, to_ms - SPAN_DEFAULT_MS))
        if not 0 < to_ms - from_ms <= SPAN_MAX_MS:
            raise ValidationError({"from_ms": f"Before the end, by at most {SPAN_MAX_MS // DAY_MS} days."})
        rows = filtered(_rows(request.team.pk, query, from_ms, to_ms), query, {"meter": "meter", **GROUPS})
        columns = ["at_ms", "meter", *(column for name, column in GROUPS.items() if name in query["group"])]
        summed = rows.values(*columns).annotate(n=Sum("quantity"))
        return Response(page(request, summed, columns, query, _shown))


class Meters(ApiView):
    """What there is to be used."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listMeters"}

    @extend_schema(responses=page_of(MeterSerializer))
    def get(self, request: ApiRequest) -> Response:
        """Every meter, with its unit and what it counts."""
        self.query(request, serializers.Serializer)
        items = [{"name": one.name, "unit": one.unit, "meaning": one.meaning} for one in METERS.values()]
        return Response(whole(items))


def _rows(team_id: int, query: Json, from_ms: int, to_ms: int) -> QuerySet[Any]:
    """The hours that are asked for, with at_ms; or the days they add up to, where they are whole days."""
    step_ms = STEPS[query["step"]]
    from_ms -= from_ms % step_ms
    if step_ms == HOUR_MS or ("to_ms" in query and to_ms % DAY_MS):  # of the last day only the hours before the end
        hours = UsageHour.objects.filter(team_id=team_id, hour_ms__gte=from_ms, hour_ms__lt=to_ms)
        return hours.annotate(at_ms=F("hour_ms") - F("hour_ms") % step_ms)
    told_apart = {name for name in GROUPS if name in query or name in query["group"]}
    model: type[UsageDay | KeyDay | TeamDay] = (
        UsageDay if "resource" in told_apart else KeyDay if told_apart else TeamDay
    )
    days = model._default_manager.filter(team_id=team_id, day_ms__gte=from_ms, day_ms__lt=to_ms)  # noqa: SLF001 - Django documents it
    return days.annotate(at_ms=F("day_ms"))


def _shown(row: Json) -> Json:
    return {
        "at_ms": row["at_ms"],
        "meter": row["meter"],
        "unit": METERS[row["meter"]].unit,
        "quantity": str(row["n"]),
        "resource": row.get("resource"),
        "key": row.get("meter_key"),
    }
