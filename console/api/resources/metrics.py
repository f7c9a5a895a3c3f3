"""Metrics: what there is, and their values over time. Names, statistics and expressions are CloudWatch's."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import HOUR_MS, SECOND_MS
from apps.cloudwatch import listing
from apps.cloudwatch.named import DELIVERY_STREAMS, STREAMS
from apps.cloudwatch.periods import PERIOD_S_MAX, span_of
from apps.cloudwatch.queries import DATAPOINTS_MAX
from console import calls
from console.api import paging
from console.api.paging import PageQuery, page_of
from console.api.request import ApiRequest
from console.api.view import ApiView

TAG: Final = "Metrics"
SERIES_MAX: Final = 100
TIME_MS_MAX: Final = 253_402_300_799_000
"""The end of the year 9999."""

DIMENSIONS_MAX: Final = 30

Json = dict[str, Any]


class SeriesSerializer(serializers.Serializer[Any]):
    """A statistic of a metric, or an expression over other series."""

    id = serializers.RegexField(
        r"^[a-z][a-zA-Z0-9_]*\Z", max_length=255, required=False, help_text="What expressions call it."
    )
    stream = serializers.CharField(max_length=128, required=False, help_text="Of a data stream, by its name;")
    delivery_stream = serializers.CharField(max_length=64, required=False, help_text="of a delivery stream;")
    namespace = serializers.CharField(max_length=255, required=False, help_text="or of any namespace.")
    metric = serializers.CharField(max_length=255, required=False, help_text="As IncomingBytes.")
    dimensions = serializers.DictField(
        child=serializers.CharField(max_length=1_024), required=False, help_text="Beside the stream's own."
    )
    statistic = serializers.CharField(max_length=20, required=False, help_text="As Sum, Average, p99. By default Sum.")
    unit = serializers.CharField(max_length=40, required=False)
    expression = serializers.CharField(max_length=2_048, required=False, help_text="As `m1 / PERIOD(m1)`.")
    label = serializers.CharField(max_length=255, required=False)  # type: ignore[assignment]  # the metaclass takes it away
    period_s = serializers.IntegerField(
        min_value=1, max_value=PERIOD_S_MAX, required=False, help_text="Its own; by default that of all."
    )
    is_told = serializers.BooleanField(default=True, help_text="false: only for expressions.")

    def validate(self, attrs: Json) -> Json:
        """A metric of one thing, or an expression."""
        if ("metric" in attrs) == ("expression" in attrs):
            raise ValidationError("Exactly one of metric and expression is needed.")
        places = [name for name in ("stream", "delivery_stream", "namespace") if name in attrs]
        if "metric" in attrs and len(places) != 1:
            raise ValidationError("Exactly one of stream, delivery_stream and namespace is needed.")
        beside = {*places, "dimensions", "statistic", "unit"} & attrs.keys()
        if "expression" in attrs and beside:
            raise ValidationError({min(beside): "An expression has none."})
        if len(attrs.get("dimensions", {})) >= DIMENSIONS_MAX:
            raise ValidationError({"dimensions": f"Fewer than {DIMENSIONS_MAX}."})
        return attrs


class MetricsQuerySerializer(serializers.Serializer[Any]):
    """Which series, and of which time."""

    start_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, help_text="By default an hour before the end."
    )
    end_ms = serializers.IntegerField(min_value=0, max_value=TIME_MS_MAX, required=False, help_text="By default now.")
    period_s = serializers.IntegerField(
        min_value=1, max_value=PERIOD_S_MAX, default=60, help_text="1, 5, 10, 20, 30, or a multiple of 60."
    )
    series = serializers.ListField(child=SeriesSerializer(), min_length=1, max_length=SERIES_MAX)


class ColumnSerializer(serializers.Serializer[Any]):
    """What a column of values is of."""

    id = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # the metaclass takes it away


class MetricsAnswerSerializer(serializers.Serializer[Any]):
    """Values in columns."""

    period_s = serializers.IntegerField()
    columns = ColumnSerializer(many=True)
    t = serializers.ListField(child=serializers.IntegerField(), help_text="When each period begins: UTC, milliseconds.")
    d = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True)),
        help_text="For each column a value for each period; null: there is none.",
    )


class MetricNameSerializer(serializers.Serializer[Any]):
    """A metric that has data."""

    namespace = serializers.CharField()
    metric = serializers.CharField()
    dimensions = serializers.DictField(child=serializers.CharField(allow_blank=True))


class MetricNameQuery(PageQuery):
    """Filters of the names."""

    stream = serializers.CharField(max_length=128, required=False, help_text="Of one data stream.")
    delivery_stream = serializers.CharField(max_length=64, required=False, help_text="Of one delivery stream.")
    namespace = serializers.CharField(max_length=255, required=False, help_text="As AWS/Kinesis.")
    metric = serializers.CharField(max_length=255, required=False, help_text="Of this name.")
    is_recent = serializers.BooleanField(default=False, help_text="With data in the last three hours, not two weeks.")


class MetricsQuery(ApiView):
    """Values over time."""

    tag = TAG
    needs: ClassVar = {"POST": "alarm:read"}
    names: ClassVar = {"POST": "queryMetrics"}
    examples: ClassVar = {
        "POST": {"period_s": 60, "series": [{"stream": "orders", "metric": "IncomingBytes", "statistic": "Sum"}]}
    }

    @extend_schema(request=MetricsQuerySerializer, responses={200: MetricsAnswerSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Metrics and expressions over them as columns over one row of times (GetMetricData)."""
        given = self.read(request, MetricsQuerySerializer)
        now_ms = calls.now_ms()
        end_ms = given.get("end_ms", now_ms)
        start_ms = given.get("start_ms", max(0, end_ms - HOUR_MS))
        period_s = given["period_s"]
        span = span_of(start_ms, end_ms, period_s, now_ms // SECOND_MS)
        _check_size(span.count, sum(one["is_told"] for one in given["series"]))
        answer = calls.cloudwatch(
            request,
            "GetMetricData",
            StartTime=start_ms,
            EndTime=end_ms,
            ScanBy="TimestampAscending",
            MetricDataQueries=queries_of(given["series"], period_s),
        )
        found = answer["MetricDataResults"]
        _check_size(span.count, len(found))
        if "NextToken" in answer:
            raise _too_much()
        times = sorted({start_s * SECOND_MS for start_s in span.starts}.union(*(one["Timestamps"] for one in found)))
        return Response(
            {
                "period_s": period_s,
                "columns": [{"id": one["Id"], "label": one["Label"]} for one in found],
                "t": times,
                "d": [_column(one, times) for one in found],
            }
        )


class MetricNames(ApiView):
    """What can be asked for."""

    tag = TAG
    needs: ClassVar = {"GET": "alarm:read"}
    names: ClassVar = {"GET": "listMetrics"}

    @extend_schema(parameters=[MetricNameQuery], responses=page_of(MetricNameSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The team's metrics that have data (ListMetrics)."""
        query = self.query(request, MetricNameQuery)
        clock, limit = calls.runtime().clock, query["limit"]
        lately_s = listing.RECENT_S if query["is_recent"] else listing.LISTED_S
        wanted = listing.Wanted(
            clock.now_ms() // SECOND_MS - lately_s, query.get("namespace"), query.get("metric"), _of(query)
        )
        after = paging.opened(request, query["cursor"], ("place", "number")) or ("", 0)
        found = list(islice(listing.metrics(request.team.pk, wanted, clock, (after[0], after[1])), limit + 1))
        items = [
            {"namespace": one.namespace, "metric": one.name, "dimensions": dict(one.dimensions)}
            for _, one in found[:limit]
        ]
        more = len(found) > limit
        cursor = paging.cursor(request, ("place", "number"), found[limit - 1][0]) if more else None
        return Response({"items": items, "next_cursor": cursor})


def queries_of(series: list[Json], period_s: int) -> list[Json]:
    """GetMetricData's queries; those without an id get one."""
    used = {one["id"] for one in series if "id" in one}
    queries: list[Json] = []
    for number, one in enumerate(series, 1):
        name = one.get("id") or next(f"s{n}" for n in range(number, number + len(series) + 1) if f"s{n}" not in used)
        used.add(name)
        query: Json = {"Id": name, "ReturnData": one["is_told"]}
        own_s = one.get("period_s", period_s)
        if "label" in one:
            query["Label"] = one["label"]
        if "expression" in one:
            query |= {"Expression": one["expression"], "Period": own_s}
        else:
            query["MetricStat"] = {"Metric": metric_of(one), "Period": own_s, "Stat": one.get("statistic", "Sum")}
            query["MetricStat"] |= {"Unit": one["unit"]} if "unit" in one else {}
        queries.append(query)
    return queries


def metric_of(one: Json) -> Json:
    """AWS's Metric of a series that is none of an expression."""
    dimensions = dict(one.get("dimensions", {}))
    namespace = one.get("namespace")
    for member, kind in (("stream", STREAMS), ("delivery_stream", DELIVERY_STREAMS)):
        if member in one:
            namespace, dimensions[kind.dimension] = kind.namespace, one[member]
    told = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": one["metric"], "Dimensions": told}


def _of(query: Json) -> tuple[tuple[str, str | None], ...]:
    kinds = (("stream", STREAMS), ("delivery_stream", DELIVERY_STREAMS))
    return tuple((kind.dimension, query[member]) for member, kind in kinds if member in query)


def _check_size(periods: int, columns: int) -> None:
    if periods * columns > DATAPOINTS_MAX:
        raise _too_much()


def _too_much() -> ValidationError:
    text = f"That is more than {DATAPOINTS_MAX:,} values: ask for fewer series, a longer period or less time."
    return ValidationError({"series": text})


def _column(one: Json, times: list[int]) -> list[float | None]:
    values = dict(zip(one["Timestamps"], one["Values"], strict=True))
    return [value if value is not None and math.isfinite(value) else None for value in map(values.get, times)]
