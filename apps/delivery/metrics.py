"""What is counted of delivery streams: metrics of AWS/Firehose, by the names of apps/metrics/firehose.py."""

from __future__ import annotations

from apps.delivery.models import DestinationType
from apps.metrics.counters import Counters
from apps.metrics.firehose import DELIVERY_KEYS_FROM

NAMES: dict[str, str] = {
    DestinationType.S3: "S3",
    DestinationType.REDSHIFT: "Redshift",
    DestinationType.ELASTICSEARCH: "Elasticsearch",
    DestinationType.OPENSEARCH: "AmazonOpenSearchService",
    DestinationType.OPENSEARCH_SERVERLESS: "AmazonOpenSearchServerless",
    DestinationType.SPLUNK: "Splunk",
    DestinationType.HTTP: "HttpEndpoint",
    DestinationType.ICEBERG: "Iceberg",
}
"""How AWS writes a destination in DeliveryToX."""


def count(counters: Counters, team_id: int, delivery_stream_key: int, metric: str, value: float) -> None:
    """Count one observation of a metric of AWS/Firehose. May be called by any thread."""
    counters.add_from_thread(team_id, series_key(delivery_stream_key), metric, value)


def series_key(delivery_stream_key: int) -> int:
    """What a delivery stream's series are kept under, where data streams have their row id."""
    return DELIVERY_KEYS_FROM + delivery_stream_key


def delivery_metric(destination_type: str, what: str) -> str:
    """`DeliveryToHttpEndpoint.Bytes` of a destination type and "Bytes"."""
    return f"DeliveryTo{NAMES[destination_type]}.{what}"
