"""What is counted of delivery streams: metrics of AWS/Firehose, by the names of apps/metrics/firehose.py."""

from __future__ import annotations

from collections.abc import Iterable

from apps.base.units import SECOND_MS
from apps.delivery import put_rates, settings
from apps.delivery.models import (
    LOG_KEYS_FROM,
    DeliveryStream,
    DestinationType,
    Lane,
    LaneRole,
    SourceType,
)
from apps.metrics.counters import Counters
from apps.metrics.firehose import DELIVERY_KEYS_FROM
from apps.metrics.models import StreamName
from apps.runtime import Call
from apps.streams.reading import since

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

SEARCH = (DestinationType.ELASTICSEARCH, DestinationType.OPENSEARCH, DestinationType.OPENSEARCH_SERVERLESS)

PARTITIONS_MAX = 500
"""Active partitions of a delivery stream: AWS's quota."""


def count(counters: Counters, team_id: int, delivery_stream_key: int, metric: str, value: float) -> None:
    """Count one observation of a metric of AWS/Firehose. May be called by any thread."""
    counters.add_from_thread(team_id, series_key(delivery_stream_key), metric, value)


def series_key(delivery_stream_key: int) -> int:
    """What a delivery stream's series are kept under, where data streams have their row id."""
    return DELIVERY_KEYS_FROM + delivery_stream_key


def delivery_metric(destination_type: str, what: str) -> str:
    """`DeliveryToHttpEndpoint.Bytes` of a destination type and "Bytes"."""
    return f"DeliveryTo{NAMES[destination_type]}.{what}"


def backup_metric(destination_type: str, what: str) -> str:
    """`BackupToS3.Bytes` of "Bytes"; the copy of what goes to a search service counts as a delivery to S3, as with AWS."""
    return f"{'DeliveryToS3' if destination_type in SEARCH else 'BackupToS3'}.{what}"


KEY_METRICS = {
    "KMSAccessDeniedException": "KMSKeyAccessDenied",
    "KMSDisabledException": "KMSKeyDisabled",
    "KMSInvalidStateException": "KMSKeyInvalidState",
    "KMSNotFoundException": "KMSKeyNotFound",
}
"""What is counted when the key of a delivery stream cannot be used, by the error's code."""

ACCOUNT = 0
"""In the place of a delivery stream's key: metrics of the team as a whole (ListDeliveryStreams)."""


def called(call: Call, delivery_stream_key: int, operation: str) -> None:
    """Count an answered call of the control plane and its time, under AWS's name of it."""
    counters, team_id = call.runtime.counters, call.principal.team_id
    count(counters, team_id, delivery_stream_key, f"{operation}.Requests", 1)
    count(counters, team_id, delivery_stream_key, f"{operation}.Latency", since(call))


def read_from_source(counters: Counters, lane: Lane, records: int, size_bytes: int) -> None:
    """Count what a lane read from a data stream, each time it reads it; nothing for logs of the delivery stream's own."""
    if lane.log_key < LOG_KEYS_FROM:
        team_id, key = lane.delivery_stream.team_id, lane.delivery_stream_id
        count(counters, team_id, key, "DataReadFromKinesisStream.Bytes", size_bytes)
        count(counters, team_id, key, "DataReadFromKinesisStream.Records", records)


def observe(delivery_stream: DeliveryStream, lanes: Iterable[Lane], now_ms: int, counters: Counters) -> None:
    """Count what is a state and no event: ages, partitions, quotas. About every ten seconds, from the lanes' columns."""
    for metric, value in gauges(delivery_stream, list(lanes), now_ms).items():
        count(counters, delivery_stream.team_id, delivery_stream.pk, metric, value)


def gauges(delivery_stream: DeliveryStream, lanes: list[Lane], now_ms: int) -> dict[str, float]:
    """The states by metric."""
    kind = delivery_stream.destination_type
    fresh_in = DestinationType.S3 if kind == DestinationType.REDSHIFT else kind  # AWS: Redshift has its bucket's
    to_destination = [lane for lane in lanes if lane.role in {LaneRole.DELIVER, LaneRole.PROCESS}]
    found: dict[str, float] = {delivery_metric(fresh_in, "DataFreshness"): _age_ms(to_destination, now_ms) / SECOND_MS}
    backups = [lane for lane in lanes if lane.role == LaneRole.BACKUP]
    if backups:
        found[backup_metric(kind, "DataFreshness")] = _age_ms(backups, now_ms) / SECOND_MS
    if delivery_stream.source_type == SourceType.DIRECT_PUT:
        rates = put_rates.read([delivery_stream.team_id], delivery_stream.region)[delivery_stream.team_id]
        found |= {
            "BytesPerSecondLimit": rates.size_bytes,
            "RecordsPerSecondLimit": rates.records,
            "PutRequestsPerSecondLimit": rates.requests,
        }
    else:
        found["KinesisMillisBehindLatest"] = _behind_ms(delivery_stream, lanes, now_ms)
    if settings.partitions(delivery_stream.destination):
        active = sum(lane.role == LaneRole.DELIVER and lane.oldest_waiting_ms is not None for lane in lanes)
        found["PartitionCount"] = active
        found["PartitionCountExceeded"] = int(active >= PARTITIONS_MAX)
    return found


def _age_ms(lanes: list[Lane], now_ms: int) -> int:
    """Of the oldest record that waits in any of them."""
    return max(
        (max(0, now_ms - lane.oldest_waiting_ms) for lane in lanes if lane.oldest_waiting_ms is not None), default=0
    )


def _behind_ms(delivery_stream: DeliveryStream, lanes: list[Lane], now_ms: int) -> int:
    """How far reading is behind the source. A lane that delivers out of the source itself leaves there what AWS would
    have read into its buffer: only what waits longer than the buffer's interval is behind."""
    interval_ms = settings.buffering(delivery_stream.destination_type, delivery_stream.destination).interval_ms
    processing = [lane for lane in lanes if lane.role == LaneRole.PROCESS]
    reading = [lane for lane in lanes if lane.role == LaneRole.DELIVER and lane.parent_id is None]
    return _age_ms(processing, now_ms) if processing else max(0, _age_ms(reading, now_ms) - interval_ms)


def retire(delivery_stream: DeliveryStream, now_ms: int) -> None:
    """Remember the name of one whose row goes: its metrics can be asked for as long as they are kept. In the transaction
    that removes the row. Channels' are not kept."""
    if delivery_stream.channel_id:
        return
    StreamName.objects.get_or_create(
        team_id=delivery_stream.team_id,
        stream_id=series_key(delivery_stream.pk),
        defaults={"name": delivery_stream.name, "deleted_at_ms": now_ms},
    )
