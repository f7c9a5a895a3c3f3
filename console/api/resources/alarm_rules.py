"""An alarm's rule in plain members, and AWS's members of it."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from apps.cloudwatch.alarms import ACTIONS_OF, period_of
from apps.cloudwatch.evaluation import COMPARISONS, MISSING
from apps.cloudwatch.models import State
from console.api.resources.metrics import SeriesSerializer, metric_of, queries_of

SERIES_MAX: Final = 10
TARGETS_MAX: Final = 5
PERIODS_MAX: Final = 604_800
"""More than a week of seconds no rule looks back."""

EXAMPLE: Final = {
    "series": [{"stream": "orders", "metric": "GetRecords.IteratorAgeMilliseconds", "statistic": "Maximum"}],
    "comparison": "GreaterThanThreshold",
    "threshold": 60_000,
    "evaluation_periods": 5,
    "actions": {"alarm": ["mailto:ann@example.com"]},
}

NUMBER_MAX: Final = 1e300
"""A threshold is less far from zero."""

ACTIONS: Final = {"ok": State.OK, "alarm": State.ALARM, "insufficient_data": State.INSUFFICIENT_DATA}
STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")

Json = dict[str, Any]


class Number(serializers.FloatField):
    """A number that a double holds."""

    def to_internal_value(self, data: Any) -> float:
        """Raises ValidationError also for whole numbers beyond."""
        try:
            return super().to_internal_value(data)
        except OverflowError:
            self.fail("invalid")


class Targets(serializers.ListField):
    """Who is told."""

    child = serializers.CharField(max_length=1_024)

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": TARGETS_MAX, "required": False, "default": list, **options})


class ActionsSerializer(serializers.Serializer[Any]):
    """Who is told when it enters which state: `https://…` (called with AWS's message) and `mailto:…`."""

    alarm = Targets()
    ok = Targets()
    insufficient_data = Targets()


class PutAlarmSerializer(serializers.Serializer[Any]):
    """What an alarm is to be: a series of a metric, or expressions over some of which one is told, against a threshold."""

    description = serializers.CharField(max_length=1_024, default="", allow_blank=True)
    series = serializers.ListField(child=SeriesSerializer(), min_length=1, max_length=SERIES_MAX)
    period_s = serializers.IntegerField(min_value=1, max_value=PERIODS_MAX, default=60)
    comparison = serializers.ChoiceField(sorted(COMPARISONS))
    threshold = Number(min_value=-NUMBER_MAX, max_value=NUMBER_MAX)
    evaluation_periods = serializers.IntegerField(min_value=1, max_value=PERIODS_MAX)
    datapoints_to_alarm = serializers.IntegerField(
        min_value=1, max_value=PERIODS_MAX, required=False, allow_null=True, help_text="Of them. By default all."
    )
    missing_data = serializers.ChoiceField(sorted(MISSING), default="missing", help_text="What a period without is.")
    actions_enabled = serializers.BooleanField(default=True)
    actions = ActionsSerializer(required=False)


def members_of(given: Json) -> Json:
    """PutMetricAlarm's members, without the name. Raises ValidationError."""
    told = [one for one in given["series"] if one["is_told"]]
    if len(told) != 1:
        raise ValidationError({"series": "Exactly one series is told; the others are for its expression."})
    actions = given.get("actions", {})
    params: Json = {
        "ActionsEnabled": given["actions_enabled"],
        "EvaluationPeriods": given["evaluation_periods"],
        "Threshold": given["threshold"],
        "ComparisonOperator": given["comparison"],
        "TreatMissingData": given["missing_data"],
        **{ACTIONS_OF[state]: actions[name] for name, state in ACTIONS.items() if actions.get(name)},
    }
    if given["description"]:
        params["AlarmDescription"] = given["description"]
    if given.get("datapoints_to_alarm") is not None:
        params["DatapointsToAlarm"] = given["datapoints_to_alarm"]
    one = told[0]
    if len(given["series"]) > 1 or {"expression", "id", "label"} & one.keys():
        return params | {"Metrics": queries_of(given["series"], given["period_s"])}
    statistic = one.get("statistic", "Sum")
    member = "Statistic" if statistic in STATISTICS else "ExtendedStatistic"
    unit = {"Unit": one["unit"]} if "unit" in one else {}
    return params | {**metric_of(one), "Period": one.get("period_s", given["period_s"]), member: statistic, **unit}


def plain_rule(settings: Json, *, is_on: bool) -> Json:
    """The rule of an alarm's settings, as it can be put again."""
    if "Metrics" in settings:
        series = [_series(query) for query in settings["Metrics"]]
    else:
        series = [_series({"MetricStat": {"Metric": settings, **_stat(settings)}})]
    return {
        "description": settings.get("AlarmDescription", ""),
        "series": series,
        "period_s": period_of(settings),
        "comparison": settings["ComparisonOperator"],
        "threshold": settings["Threshold"],
        "evaluation_periods": settings["EvaluationPeriods"],
        "datapoints_to_alarm": settings.get("DatapointsToAlarm"),
        "missing_data": settings.get("TreatMissingData", "missing"),
        "actions_enabled": is_on,
        "actions": {name: list(settings.get(ACTIONS_OF[state]) or ()) for name, state in ACTIONS.items()},
    }


def _stat(settings: Json) -> Json:
    unit = {"Unit": settings["Unit"]} if "Unit" in settings else {}
    return {"Stat": settings.get("Statistic") or settings["ExtendedStatistic"], "Period": settings["Period"], **unit}


def _series(query: Json) -> Json:
    """A query of AWS's as SeriesSerializer has it."""
    told: Json = {"id": query["Id"]} if "Id" in query else {}
    told |= {"label": query["Label"]} if query.get("Label") else {}
    told["is_told"] = query.get("ReturnData", True)
    if "Expression" in query:
        told |= {"period_s": query["Period"]} if query.get("Period") else {}
        return told | {"expression": query["Expression"]}
    stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
    told |= {"unit": stat["Unit"]} if "Unit" in stat else {}
    return told | {
        "namespace": metric.get("Namespace", ""),
        "metric": metric.get("MetricName", ""),
        "dimensions": {one["Name"]: one["Value"] for one in metric.get("Dimensions") or ()},
        "statistic": stat["Stat"],
        "period_s": stat["Period"],
    }
