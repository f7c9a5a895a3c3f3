"""Every metric of the namespace AWS/Firehose that Tidegate emits: the one table, beside that of AWS/Kinesis (names.py).

Delivery streams have series of their own: their keys are DELIVERY_KEYS_FROM + the row id, so nothing that is stored of
a data stream can be meant. Numbers go on where names.py ends and, as there, are never changed and never reused.
The `.Success` metrics are samples of 0 and 1: their average is AWS's ratio. Not there are metrics of what Tidegate does not
have: MSK and Snowflake, and reads of the source that are throttled, since deliveries take nothing of its shards' limits.
"""

from __future__ import annotations

from apps.metrics import names
from apps.metrics.names import ALL, SUCCESS, TIMES, Draw, Metric, Unit

NAMESPACE = "AWS/Firehose"
DELIVERY_STREAM = ("DeliveryStreamName",)

DELIVERY_KEYS_FROM = 1 << 40
"""Row ids of data streams have 31 bits."""

DESTINATIONS = (
    "S3",
    "Redshift",
    "AmazonOpenSearchService",
    "AmazonOpenSearchServerless",
    "Elasticsearch",
    "Splunk",
    "HttpEndpoint",
    "Iceberg",
)
"""What stands for X in DeliveryToX. The place of each is part of its metrics' numbers: only ever add at the end."""

_FIRST, _PER_DESTINATION = 200, 10


def _metric(number: int, name: str, unit: Unit, draw: Draw, meaning: str) -> Metric:
    statistics = TIMES if unit in {Unit.MILLISECONDS, Unit.SECONDS} else SUCCESS if draw is Draw.SHARE else ALL
    return Metric(number, name, unit, statistics, draw, meaning, DELIVERY_STREAM)


def _to(place: int, destination: str) -> tuple[Metric, ...]:
    number, name = _FIRST + place * _PER_DESTINATION, f"DeliveryTo{destination}"
    return (
        _metric(number, f"{name}.Bytes", Unit.BYTES, Draw.RATE, f"Bytes delivered to {destination}"),
        _metric(number + 1, f"{name}.Records", Unit.COUNT, Draw.RATE, f"Records delivered to {destination}"),
        _metric(number + 2, f"{name}.Success", Unit.COUNT, Draw.SHARE, "1 for each delivery that worked, else 0"),
        _metric(
            number + 3,
            f"{name}.DataFreshness",
            Unit.SECONDS,
            Draw.MOST,
            "Age of the oldest record that is not delivered yet; 0 if there is none",
        ),
    )


INGEST = (
    _metric(101, "IncomingBytes", Unit.BYTES, Draw.RATE, "Data taken in, after throttling"),
    _metric(102, "IncomingRecords", Unit.COUNT, Draw.RATE, "Records taken in, after throttling"),
    _metric(103, "IncomingPutRequests", Unit.COUNT, Draw.RATE, "PutRecord and PutRecordBatch calls that were taken"),
    _metric(104, "ThrottledRecords", Unit.COUNT, Draw.RATE, "Records refused by the quotas, per call"),
    _metric(105, "BytesPerSecondLimit", Unit.COUNT, Draw.MOST, "Bytes a second that may be put"),
    _metric(106, "RecordsPerSecondLimit", Unit.COUNT, Draw.MOST, "Records a second that may be put"),
    _metric(107, "PutRequestsPerSecondLimit", Unit.COUNT, Draw.MOST, "Put calls a second that may be made"),
)
SOURCE = (
    _metric(110, "DataReadFromKinesisStream.Bytes", Unit.BYTES, Draw.RATE, "Bytes read from the source, also again"),
    _metric(
        111, "DataReadFromKinesisStream.Records", Unit.COUNT, Draw.RATE, "Records read from the source, also again"
    ),
    _metric(112, "KinesisMillisBehindLatest", Unit.MILLISECONDS, Draw.MOST, "How far reading is behind the source"),
)
BACKUP = (
    _metric(120, "BackupToS3.Bytes", Unit.BYTES, Draw.RATE, "Bytes backed up to S3"),
    _metric(121, "BackupToS3.Records", Unit.COUNT, Draw.RATE, "Records backed up to S3"),
    _metric(122, "BackupToS3.Success", Unit.COUNT, Draw.SHARE, "1 for each backup that was written, else 0"),
    _metric(123, "BackupToS3.DataFreshness", Unit.SECONDS, Draw.MOST, "Age of the oldest record not backed up yet"),
)
PROCESSING = (
    _metric(130, "ExecuteProcessing.Duration", Unit.MILLISECONDS, Draw.MEAN, "Time of each call of the transform"),
    _metric(131, "ExecuteProcessing.Success", Unit.COUNT, Draw.SHARE, "1 for each call of the transform that worked"),
    _metric(132, "SucceedProcessing.Records", Unit.COUNT, Draw.RATE, "Records that were processed"),
    _metric(133, "SucceedProcessing.Bytes", Unit.BYTES, Draw.RATE, "Bytes that were processed"),
    _metric(140, "SucceedConversion.Records", Unit.COUNT, Draw.RATE, "Records converted to Parquet or ORC"),
    _metric(141, "SucceedConversion.Bytes", Unit.BYTES, Draw.RATE, "Bytes converted to Parquet or ORC"),
    _metric(142, "FailedConversion.Records", Unit.COUNT, Draw.RATE, "Records that could not be converted"),
    _metric(143, "FailedConversion.Bytes", Unit.BYTES, Draw.RATE, "Bytes that could not be converted"),
    _metric(150, "PartitionCount", Unit.COUNT, Draw.MOST, "Partitions that hold records now"),
    _metric(151, "PartitionCountExceeded", Unit.COUNT, Draw.MOST, "1 while there are as many partitions as may be"),
    _metric(152, "JQProcessing.Duration", Unit.MILLISECONDS, Draw.MEAN, "Time that jq took for a batch"),
    _metric(153, "PerPartitionThroughput", Unit.BYTES_PER_SECOND, Draw.MOST, "Bytes a second of the busiest partition"),
    _metric(154, "DeliveryToS3.ObjectCount", Unit.COUNT, Draw.RATE, "Objects written to S3"),
)
API = (
    _metric(160, "PutRecord.Bytes", Unit.BYTES, Draw.RATE, "Bytes of each PutRecord call"),
    _metric(161, "PutRecord.Latency", Unit.MILLISECONDS, Draw.MEAN, "Time of each PutRecord call"),
    _metric(162, "PutRecord.Requests", Unit.COUNT, Draw.RATE, "PutRecord calls"),
    _metric(163, "PutRecordBatch.Bytes", Unit.BYTES, Draw.RATE, "Bytes of each PutRecordBatch call"),
    _metric(164, "PutRecordBatch.Latency", Unit.MILLISECONDS, Draw.MEAN, "Time of each PutRecordBatch call"),
    _metric(165, "PutRecordBatch.Records", Unit.COUNT, Draw.RATE, "Records of each PutRecordBatch call"),
    _metric(166, "PutRecordBatch.Requests", Unit.COUNT, Draw.RATE, "PutRecordBatch calls"),
    _metric(167, "DescribeDeliveryStream.Latency", Unit.MILLISECONDS, Draw.MEAN, "Time of each such call"),
    _metric(168, "DescribeDeliveryStream.Requests", Unit.COUNT, Draw.RATE, "DescribeDeliveryStream calls"),
    Metric(169, "ListDeliveryStreams.Latency", Unit.MILLISECONDS, TIMES, Draw.MEAN, "Time of each such call", ()),
    Metric(170, "ListDeliveryStreams.Requests", Unit.COUNT, ALL, Draw.RATE, "ListDeliveryStreams calls", ()),
    _metric(171, "UpdateDeliveryStream.Latency", Unit.MILLISECONDS, Draw.MEAN, "Time of each UpdateDestination call"),
    _metric(172, "UpdateDeliveryStream.Requests", Unit.COUNT, Draw.RATE, "UpdateDestination calls"),
)
ENCRYPTION = (
    _metric(180, "KMSKeyAccessDenied", Unit.COUNT, Draw.RATE, "Times that the key's policy refused its use"),
    _metric(181, "KMSKeyDisabled", Unit.COUNT, Draw.RATE, "Times that the key was disabled"),
    _metric(182, "KMSKeyInvalidState", Unit.COUNT, Draw.RATE, "Times that the key could not be used"),
    _metric(183, "KMSKeyNotFound", Unit.COUNT, Draw.RATE, "Times that the key was not there"),
)
DELIVERY = tuple(metric for place, name in enumerate(DESTINATIONS) for metric in _to(place, name))
FURTHER = (
    _metric(190, "DeliveryToHttpEndpoint.ProcessedBytes", Unit.BYTES, Draw.RATE, "Bytes sent, with every retry"),
    _metric(191, "DeliveryToHttpEndpoint.ProcessedRecords", Unit.COUNT, Draw.RATE, "Records sent, with every retry"),
    _metric(
        192, "DeliveryToSplunk.DataAckLatency", Unit.SECONDS, Draw.MEAN, "From sending until Splunk's acknowledgement"
    ),
    _metric(193, "DeliveryToIceberg.IncomingRowCount", Unit.COUNT, Draw.RATE, "Rows offered to the tables"),
    _metric(194, "DeliveryToIceberg.SuccessfulRowCount", Unit.COUNT, Draw.RATE, "Rows appended to the tables"),
    _metric(195, "DeliveryToIceberg.FailedRowCount", Unit.COUNT, Draw.RATE, "Rows that no table takes"),
)

CHANNEL = ("ChannelName", "StreamName")
OF_CHANNELS_ALONE = (
    _metric(196, "DeliveryToS3.FailedRecordCount", Unit.COUNT, Draw.RATE, "Records written under the error prefix"),
    _metric(197, "DeliveryToS3.DLQDeliverySuccess", Unit.COUNT, Draw.SHARE, "1 for each object of failed records"),
    _metric(198, "DeliveryToIceberg.DLQDeliverySuccess", Unit.COUNT, Draw.SHARE, "1 for each object of failed records"),
)
METRICS: tuple[Metric, ...] = (
    *OF_CHANNELS_ALONE, *INGEST, *SOURCE, *BACKUP, *PROCESSING, *API, *ENCRYPTION, *FURTHER, *DELIVERY,
)  # fmt: skip
HEADLINE = tuple(
    metric
    for metric in METRICS
    if metric in (*INGEST[:4], *SOURCE) or (metric in DELIVERY and metric.name.endswith((".Bytes", ".DataFreshness")))
)
"""For lists of delivery streams."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
NUMBERS = frozenset(metric.number for metric in METRICS)
BY_NUMBER: dict[int, Metric] = names.BY_NUMBER | {metric.number: metric for metric in METRICS}
"""The metrics of both namespaces."""


CHANNEL_NAMES: dict[str, Metric] = {
    name: BY_NAME[kept]
    for name, kept in {
        "DeliveryToS3.DataFreshness": "DeliveryToS3.DataFreshness",
        "DeliveryToS3.BytesIn": "DataReadFromKinesisStream.Bytes",
        "DeliveryToS3.BytesOut": "DeliveryToS3.Bytes",
        "DeliveryToS3.RecordCount": "DataReadFromKinesisStream.Records",
        "DeliveryToS3.SuccessfulRecordCount": "DeliveryToS3.Records",
        "DeliveryToS3.FailedRecordCount": "DeliveryToS3.FailedRecordCount",
        "DeliveryToS3.DeliverySuccess": "DeliveryToS3.Success",
        "DeliveryToS3.DLQDeliverySuccess": "DeliveryToS3.DLQDeliverySuccess",
        "DeliveryToIceberg.DataFreshness": "DeliveryToIceberg.DataFreshness",
        "DeliveryToIceberg.BytesIn": "DataReadFromKinesisStream.Bytes",
        "DeliveryToIceberg.BytesOut": "DeliveryToIceberg.Bytes",
        "DeliveryToIceberg.TotalRowCount": "DeliveryToIceberg.IncomingRowCount",
        "DeliveryToIceberg.SuccessfulRowCount": "DeliveryToIceberg.SuccessfulRowCount",
        "DeliveryToIceberg.FailedRowCount": "DeliveryToIceberg.FailedRowCount",
        "DeliveryToIceberg.CommitSuccess": "DeliveryToIceberg.Success",
        "DeliveryToIceberg.DLQDeliverySuccess": "DeliveryToIceberg.DLQDeliverySuccess",
    }.items()
}
"""Channels of data streams are the same engine, with names of their own in AWS/Kinesis: what is kept under which."""


def table_of(stream_id: int) -> dict[str, Metric]:
    """The metrics by name that series of this key may have."""
    return BY_NAME if stream_id >= DELIVERY_KEYS_FROM else names.BY_NAME
