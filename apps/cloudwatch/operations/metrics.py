"""GetMetricData, GetMetricStatistics, ListMetrics. They read in a thread, outside any transaction: Redis is asked too."""

from __future__ import annotations

from itertools import islice
from typing import Any

from apps.accounts.bridge import in_thread
from apps.base.errors import ValidationException
from apps.cloudwatch import listing, tokens
from apps.cloudwatch.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
)
from apps.cloudwatch.expressions import Line
from apps.cloudwatch.periods import span_of
from apps.cloudwatch.queries import DATAPOINTS_MAX, Queries, checked, identity_of
from apps.cloudwatch.reading import Buckets, Reader
from apps.cloudwatch.statistics import statistic
from apps.metrics.series import Value
from apps.runtime import Call

STATISTICS_DATAPOINTS_MAX = 1_440
METRICS_PER_PAGE = 500

Json = dict[str, Any]


async def get_metric_data(call: Call, params: Json) -> Json:
    """Metrics and expressions over them as time series.

    Kept from AWS: queries and Ids and their errors; periods, rounding of the start; both orders; MaxDatapoints and pages;
    500 queries, 100,800 datapoints. Math: + - * / ^, comparisons, and the functions of expressions.FUNCTIONS, METRICS,
    SEARCH (words that must all be found), TIME_SERIES. Percentiles of metrics that were put.
    Refused: other functions, percentiles of AWS/Kinesis, trimmed means, dynamic labels, other accounts.
    Not kept: Messages; LabelOptions means nothing without dynamic labels and is refused.
    """
    if params.get("LabelOptions"):
        raise ValidationException("LabelOptions is not supported: dynamic labels are not.")
    return await in_thread(_get_metric_data, call, params)


def _get_metric_data(call: Call, params: Json) -> Json:
    page = tokens.read(params, (int,)) or [0]
    by_id = checked(params["MetricDataQueries"])
    queries = Queries(Reader(call.principal.team_id, call.runtime.clock), params["StartTime"], params["EndTime"], by_id)
    descending = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    wanted = min(params.get("MaxDatapoints", DATAPOINTS_MAX), DATAPOINTS_MAX)
    if wanted < 1:
        raise InvalidParameterValueException("The parameter MaxDatapoints must be at least 1.")
    found, total = [], 0
    for name, query in by_id.items():
        if query.get("ReturnData", True):
            lines = queries.lines(name)
            total += sum(len(line.points) for line in lines)
            found += [(name, query.get("Label") or line.label or name, line) for line in lines]
    answers, skip, left = [], page[0], wanted
    for name, label, line in found:
        times = sorted(line.points, reverse=descending)
        part = times[skip : skip + left]
        if part or (not times and not page[0]):
            answers.append(_result(name, label, line, part, complete=skip + len(part) >= len(times)))
        skip, left = max(0, skip - len(times)), left - len(part)
    answer: Json = {"MetricDataResults": answers, "Messages": []}
    if page[0] + wanted < total:
        answer["NextToken"] = tokens.issue(params, [page[0] + wanted])
    return answer


def _result(name: str, label: str, line: Line, times: list[int], *, complete: bool) -> Json:
    return {
        "Id": name,
        "Label": label,
        "Timestamps": [time * 1_000 for time in times],
        "Values": [line.points[time] for time in times],
        "StatusCode": "Complete" if complete else "PartialData",
    }


async def get_metric_statistics(call: Call, params: Json) -> Json:
    """Statistics of one metric, bucket by bucket.

    Kept from AWS: the five statistics, percentiles of metrics that were put, units (all of them if none is named), at most
    1,440 datapoints, no order among them. Refused: percentiles of AWS/Kinesis, trimmed means.
    """
    names = [*(params.get("Statistics") or ()), *(params.get("ExtendedStatistics") or ())]
    if not names:
        raise MissingRequiredParameterException("The parameter Statistics or ExtendedStatistics is required.")
    return await in_thread(_get_metric_statistics, call, params, names)


def _get_metric_statistics(call: Call, params: Json, names: list[str]) -> Json:
    reader = Reader(call.principal.team_id, call.runtime.clock)
    span = span_of(params["StartTime"], params["EndTime"], params["Period"], reader.now_s)
    if span.count > STATISTICS_DATAPOINTS_MAX:
        raise InvalidParameterCombinationException(
            f"You have requested up to {span.count:,} datapoints, which exceeds the limit of "
            f"{STATISTICS_DATAPOINTS_MAX:,}. You may reduce the datapoints requested by increasing Period, or decreasing "
            "the time range."
        )
    identity = identity_of(params["Namespace"], params["MetricName"], params.get("Dimensions"))
    functions = {name: statistic(name, identity.namespace) for name in names}
    plain = set(params.get("Statistics") or ())

    def point(start_s: int, unit: str, value: Value) -> Json | None:
        values = {name: found for name, of in functions.items() if (found := of(value)) is not None}
        extended = {name: found for name, found in values.items() if name not in plain}
        told = {name: found for name, found in values.items() if name in plain}
        if extended:
            told["ExtendedStatistics"] = extended  # type: ignore[assignment]
        return {"Timestamp": start_s * 1_000, "Unit": unit, **told} if told else None

    by_unit: dict[str, Buckets] = reader.values(identity, params.get("Unit"), span)
    points = [point(start_s, unit, value) for unit, buckets in by_unit.items() for start_s, value in buckets.items()]
    return {"Label": identity.name, "Datapoints": [found for found in points if found is not None]}


async def list_metrics(call: Call, params: Json) -> Json:
    """Metrics with data in the last two weeks (RecentlyActive: three hours), 500 a page.

    Kept from AWS: filters by namespace, name and dimensions, also by a dimension's name alone. Refused: linked accounts.
    """
    if params.get("IncludeLinkedAccounts") or params.get("OwningAccount"):
        raise InvalidParameterValueException("Metrics of other accounts are not shared.")
    return await in_thread(_list_metrics, call, params)


def _list_metrics(call: Call, params: Json) -> Json:
    name, position = tokens.read(params, (str, int)) or ("", 0)
    now_s = call.runtime.clock.now_ms() // 1_000
    lately = listing.RECENT_S if params.get("RecentlyActive") else listing.LISTED_S
    dimensions = tuple((one["Name"], one.get("Value")) for one in params.get("Dimensions") or ())
    wanted = listing.Wanted(now_s - lately, params.get("Namespace"), params.get("MetricName"), dimensions)
    found = listing.metrics(call.principal.team_id, wanted, call.runtime.clock, (name, position))
    page = list(islice(found, METRICS_PER_PAGE + 1))
    answer: Json = {
        "Metrics": [
            {
                "Namespace": identity.namespace,
                "MetricName": identity.name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in identity.dimensions],
            }
            for _, identity in page[:METRICS_PER_PAGE]
        ]
    }
    if len(page) > METRICS_PER_PAGE:
        answer["NextToken"] = tokens.issue(params, list(page[METRICS_PER_PAGE - 1][0]))
    return answer
