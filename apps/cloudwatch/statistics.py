"""What a statistic makes of a bucket: AWS's five, and percentiles where the distribution is known."""

from __future__ import annotations

import re
from collections.abc import Callable

from apps.base.errors import ValidationException
from apps.metrics import firehose
from apps.metrics.names import NAMESPACE
from apps.metrics.series import Value

_PLAIN: dict[str, Callable[[Value], float]] = {
    "SampleCount": lambda value: value.count,
    "Sum": lambda value: value.total,
    "Average": lambda value: value.total / value.count,
    "Minimum": lambda value: value.least,
    "Maximum": lambda value: value.most,
}

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)\Z")

Statistic = Callable[[Value], float | None]


def statistic(name: str, namespace: str) -> Statistic:
    """The function of a statistic by AWS's name; it answers None where there is nothing to tell.

    Raises ValidationException for one that AWS does not know, that is not kept, or that we do not have.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    found = _PERCENTILE.match(name)
    if found is None:
        raise ValidationException(
            f"The value {name[:64]} for parameter Stat is not supported. "
            "Tidegate has SampleCount, Sum, Average, Minimum, Maximum and percentiles (p0 to p100)."
        )
    if namespace in {NAMESPACE, firehose.NAMESPACE}:
        raise ValidationException(
            f"The statistic {name} is not kept for metrics of {namespace}: their distributions are not kept exactly. "
            "Use SampleCount, Sum, Average, Minimum or Maximum."
        )
    return _percentile(float(found.group(1)))


def _percentile(percent: float) -> Statistic:
    def of(value: Value) -> float | None:
        if value.sketch is not None:
            return value.sketch.percentile(percent, value.least, value.most)
        if value.count == 1 or value.least == value.most:
            return value.most
        return None  # a statistic set says nothing of what lies between

    return of
