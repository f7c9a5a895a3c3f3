"""PutMetricData: metrics of clients' own, KCL's and KPL's among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from apps.base.units import DAY_MS, HOUR_MS
from apps.cloudwatch.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    LimitExceededFault,
    MissingRequiredParameterException,
)
from apps.cloudwatch.queries import identity_of
from apps.metrics import series
from apps.metrics.series import Observed, TooManySeries, Value
from apps.metrics.sketch import Sketch
from apps.runtime import Call

DATA_MAX = 1_000
VALUES_MAX = 150
DIMENSIONS_MAX = 30
VALUE_MAX = 2.0**360
"""AWS takes no larger numbers, either way."""

OLDEST_MS = 14 * DAY_MS
NEWEST_MS = 2 * HOUR_MS
RESERVED = "AWS/"
RESOLUTIONS = (1, 60)

Json = dict[str, Any]


def put_metric_data(call: Call, params: Json) -> None:
    """Add values to metrics; all of them or none.

    Kept from AWS: values, values with counts, statistic sets; units; a resolution of a minute or a second; two weeks back
    and two hours ahead; 1,000 metrics a call, 150 values and 30 dimensions a metric; namespaces that begin with AWS/ are
    its own. A team has at most 10,000 metrics, those without a value for 15 days not counted (LimitExceeded).
    Refused: entities.
    """
    if params.get("EntityMetricData") or params.get("StrictEntityValidation"):
        raise InvalidParameterValueException("The parameter EntityMetricData is not supported.")
    data = params.get("MetricData")
    if not data:
        raise MissingRequiredParameterException("The parameter MetricData is required.")
    if len(data) > DATA_MAX:
        raise InvalidParameterValueException(f"The collection MetricData must not have a size greater than {DATA_MAX}.")
    namespace = params["Namespace"]
    if namespace.startswith(RESERVED):
        raise InvalidParameterValueException(f"The value {RESERVED} for parameter Namespace is invalid.")
    observed = [
        _observed(call, namespace, f"MetricData.member.{number}", datum) for number, datum in enumerate(data, 1)
    ]
    try:
        series.record(call.principal.team_id, observed, call.now_ms // 1_000)
    except TooManySeries:
        raise LimitExceededFault(
            f"The account has {series.SERIES_MAX} metrics, which is the maximum, and all of them are in use."
        ) from None


def _observed(call: Call, namespace: str, where: str, datum: Json) -> Observed:
    if len(datum.get("Dimensions") or ()) > DIMENSIONS_MAX:
        raise InvalidParameterValueException(
            f"The collection {where}.Dimensions must not have a size greater than {DIMENSIONS_MAX}."
        )
    resolution = datum.get("StorageResolution", 60)
    if resolution not in RESOLUTIONS:
        raise InvalidParameterValueException(f"The parameter {where}.StorageResolution must be 1 or 60.")
    identity = identity_of(namespace, datum["MetricName"], datum.get("Dimensions"))
    time_ms = datum.get("Timestamp", call.now_ms)
    if not call.now_ms - OLDEST_MS <= time_ms <= call.now_ms + NEWEST_MS:
        raise InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks, and no more than two hours "
            "ahead."
        )
    value = _value(where, datum)
    return Observed(identity, datum.get("Unit", "None"), time_ms // 1_000, value, resolution == 1)


def _value(where: str, datum: Json) -> Value:
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if not given:
        raise MissingRequiredParameterException(f"At least one of the parameters must be specified: {where}.Value.")
    if len(given) > 1:
        raise InvalidParameterCombinationException(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and you have specified both."
        )
    if given == ["StatisticValues"]:
        return _statistic_set(f"{where}.StatisticValues", datum["StatisticValues"])
    values = datum["Values"] if given == ["Values"] else [datum["Value"]]
    counts = datum.get("Counts")
    if counts is not None and (given != ["Values"] or len(counts) != len(values)):
        raise InvalidParameterValueException(
            f"The parameters {where}.Values and {where}.Counts must be of the same size."
        )
    if not 1 <= len(values) <= VALUES_MAX:
        raise InvalidParameterValueException(f"The collection {where}.Values must have 1 to {VALUES_MAX} members.")
    return _distribution(where, values, counts or [1.0] * len(values))


def _distribution(where: str, values: Sequence[float], counts: Sequence[float]) -> Value:
    sketch = Sketch()
    for value, count in zip(values, counts, strict=True):
        _check(f"{where}.Value", value)
        _check(f"{where}.Counts", count)
        if count <= 0:
            raise InvalidParameterValueException(f"The value {count} for parameter {where}.Counts is invalid.")
        sketch.add(value, count)
    total = math.fsum(value * count for value, count in zip(values, counts, strict=True))
    return Value(math.fsum(counts), total, min(values), max(values), sketch)


def _statistic_set(where: str, given: Json) -> Value:
    for name in ("SampleCount", "Sum", "Minimum", "Maximum"):
        _check(f"{where}.{name}", given[name])
    if given["SampleCount"] <= 0:
        raise InvalidParameterValueException(
            f"The value {given['SampleCount']} for parameter {where}.SampleCount is invalid."
        )
    if given["Minimum"] > given["Maximum"]:
        raise InvalidParameterValueException(f"The parameter {where}.Minimum must be at most {where}.Maximum.")
    return Value(given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"])


def _check(where: str, number: float) -> None:
    if not math.isfinite(number) or abs(number) > VALUE_MAX:
        raise InvalidParameterValueException(f"The value {number} for parameter {where} is invalid.")
