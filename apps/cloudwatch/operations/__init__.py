"""CloudWatch, operation by operation: the index a reader opens first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.cloudwatch.operations import metrics, put

OPERATIONS: dict[str, Callable[..., Any]] = {
    "GetMetricData": metrics.get_metric_data,
    "GetMetricStatistics": metrics.get_metric_statistics,
    "ListMetrics": metrics.list_metrics,
    "PutMetricData": put.put_metric_data,
}
"""The other operations of AWS's model answer UnsupportedOperationException."""
