"""Every metric of the namespace AWS/Kinesis that Tidegate emits: the one table.

The hot path counts by name: `counters.add(team_id, stream_id, "IncomingBytes", n)`. One observation per call of an
operation, as AWS counts them, also when it is 0 (a call without a throttled record is a sample of 0). Names, units
and statistics are CloudWatch's; times are milliseconds here as there, and become seconds where they are drawn.

A metric's number stands for its name in what is stored (flush.py, models.py). It is never changed and never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "AWS/Kinesis"


class Unit(StrEnum):
    """CloudWatch's words."""

    BYTES = "Bytes"
    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    BYTES_PER_SECOND = "Bytes/Second"


class Draw(StrEnum):
    """What a chart shows of a bucket."""

    RATE = "rate"
    """Sum divided by the bucket's seconds."""
    MEAN = "mean"
    """Sum divided by count; the highest value beside it."""
    MOST = "most"
    """The highest value: ages, where a mean would hide the one who lags."""
    PERCENTILE = "percentile"
    """What so many percent of the calls did not exceed (latency.py); no metric is drawn so by itself, columns of charts are."""
    SHARE = "share"
    """Sum divided by count of samples that are 0 or 1."""


STREAM = ("StreamName",)
CONSUMER = ("StreamName", "ConsumerName")
SHARD = ("StreamName", "ShardId")
QUEUE = ("QueueId", "QueueName")
"""A queue's label in counters.add_labelled is `<queue id>/<queue name>`; no consumer's name has a slash."""

ALL = ("Sum", "Average", "Minimum", "Maximum", "SampleCount")
TIMES = ("Average", "Minimum", "Maximum", "SampleCount")
SUCCESS = ("Sum", "Average", "SampleCount")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called, what it counts, how it is drawn."""

    number: int
    name: str
    unit: Unit
    statistics: tuple[str, ...]
    draw: Draw
    meaning: str
    dimensions: tuple[str, ...] = STREAM


METRICS: tuple[Metric, ...] = (
    Metric(1, "IncomingBytes", Unit.BYTES, ALL, Draw.RATE, "Keys and data stored, per PutRecord or PutRecords call"),
    Metric(2, "IncomingRecords", Unit.COUNT, ALL, Draw.RATE, "Records stored, per PutRecord or PutRecords call"),
    Metric(
        3,
        "WriteProvisionedThroughputExceeded",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records refused by the write limits, per call; 0 where none was",
    ),
    Metric(4, "PutRecord.Bytes", Unit.BYTES, ALL, Draw.RATE, "Bytes of each PutRecord call"),
    Metric(5, "PutRecord.Latency", Unit.MILLISECONDS, TIMES, Draw.MEAN, "Time of each PutRecord call"),
    Metric(
        6, "PutRecord.Success", Unit.COUNT, SUCCESS, Draw.SHARE, "1 for each PutRecord that stored its record, else 0"
    ),
    Metric(7, "PutRecords.Bytes", Unit.BYTES, ALL, Draw.RATE, "Bytes stored by each PutRecords call"),
    Metric(8, "PutRecords.Latency", Unit.MILLISECONDS, TIMES, Draw.MEAN, "Time of each PutRecords call"),
    Metric(
        9,
        "PutRecords.Success",
        Unit.COUNT,
        SUCCESS,
        Draw.SHARE,
        "1 for each PutRecords that stored at least one record, else 0",
    ),
    Metric(10, "PutRecords.TotalRecords", Unit.COUNT, ALL, Draw.RATE, "Records sent in each PutRecords call"),
    Metric(11, "PutRecords.SuccessfulRecords", Unit.COUNT, ALL, Draw.RATE, "Records stored by each PutRecords call"),
    Metric(
        12,
        "PutRecords.FailedRecords",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records of each PutRecords call refused by an internal failure",
    ),
    Metric(
        13,
        "PutRecords.ThrottledRecords",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records of each PutRecords call refused by the write limits",
    ),
    Metric(14, "GetRecords.Bytes", Unit.BYTES, ALL, Draw.RATE, "Bytes answered by each GetRecords call"),
    Metric(15, "GetRecords.Records", Unit.COUNT, ALL, Draw.RATE, "Records answered by each GetRecords call"),
    Metric(16, "GetRecords.Latency", Unit.MILLISECONDS, TIMES, Draw.MEAN, "Time of each GetRecords call"),
    Metric(
        17, "GetRecords.Success", Unit.COUNT, SUCCESS, Draw.SHARE, "1 for each GetRecords that was answered, else 0"
    ),
    Metric(
        18,
        "GetRecords.IteratorAgeMilliseconds",
        Unit.MILLISECONDS,
        TIMES,
        Draw.MOST,
        "Age of the last record of each GetRecords call; 0 at the tip",
    ),
    Metric(
        19,
        "ReadProvisionedThroughputExceeded",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "1 for each GetRecords call refused by the read limits, 0 for each that was not",
    ),
    Metric(
        20,
        "SubscribeToShard.Success",
        Unit.COUNT,
        SUCCESS,
        Draw.SHARE,
        "1 for each subscription that began, 0 for each refused",
        CONSUMER,
    ),
    Metric(
        21,
        "SubscribeToShard.RateExceeded",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Subscriptions refused because one is active or calls came too fast",
        CONSUMER,
    ),
    Metric(
        22,
        "SubscribeToShardEvent.Bytes",
        Unit.BYTES,
        ALL,
        Draw.RATE,
        "Bytes of each event pushed to a consumer",
        CONSUMER,
    ),
    Metric(
        23,
        "SubscribeToShardEvent.Records",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records of each event pushed to a consumer",
        CONSUMER,
    ),
    Metric(
        24,
        "SubscribeToShardEvent.MillisBehindLatest",
        Unit.MILLISECONDS,
        TIMES,
        Draw.MOST,
        "Age of the last record of each event; 0 at the tip",
        CONSUMER,
    ),
    Metric(
        25,
        "SubscribeToShardEvent.Success",
        Unit.COUNT,
        SUCCESS,
        Draw.SHARE,
        "1 for each event pushed, 0 for one that failed",
        CONSUMER,
    ),
    Metric(40, "ReceivedQueueRecords", Unit.COUNT, ALL, Draw.RATE, "Records of each ReceiveQueueRecords call", QUEUE),
    Metric(41, "AcknowledgedQueueRecords", Unit.COUNT, ALL, Draw.RATE, "Records that each call acknowledged", QUEUE),
    Metric(
        42,
        "EmptyReceives",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "1 for each ReceiveQueueRecords that got nothing, else 0",
        QUEUE,
    ),
    Metric(
        43,
        "VisibleQueueRecords",
        Unit.COUNT,
        ALL,
        Draw.MOST,
        "Records that can be received, once a minute; 1,000,000 at most",
        QUEUE,
    ),
    Metric(44, "InFlightQueueRecords", Unit.COUNT, ALL, Draw.MOST, "Records in flight, once a minute", QUEUE),
    Metric(
        45,
        "VisibleDeadLetterQueueRecords",
        Unit.COUNT,
        ALL,
        Draw.MOST,
        "Dead letters that can be received, once a minute; 1,000,000 at most",
        QUEUE,
    ),
)
"""All are kept per stream; those of dimension CONSUMER and QUEUE are summed over the stream's consumers and queues."""

SHARD_METRICS: tuple[Metric, ...] = (
    Metric(1, "IncomingBytes", Unit.BYTES, ALL, Draw.RATE, "Keys and data stored in the shard", SHARD),
    Metric(2, "IncomingRecords", Unit.COUNT, ALL, Draw.RATE, "Records stored in the shard", SHARD),
    Metric(
        3,
        "WriteProvisionedThroughputExceeded",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records refused by the shard's write limits",
        SHARD,
    ),
    Metric(
        26,
        "ThrottledBytes",
        Unit.BYTES,
        ALL,
        Draw.RATE,
        "Keys and data refused by the shard's write limits. Ours, not AWS's",
        SHARD,
    ),
    Metric(
        27, "OutgoingBytes", Unit.BYTES, ALL, Draw.RATE, "Bytes read from the shard by GetRecords and fan-out", SHARD
    ),
    Metric(
        28,
        "OutgoingRecords",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "Records read from the shard by GetRecords and fan-out",
        SHARD,
    ),
    Metric(
        29,
        "IteratorAgeMilliseconds",
        Unit.MILLISECONDS,
        TIMES,
        Draw.MOST,
        "Age of the last record of each GetRecords call on the shard; 0 at the tip",
        SHARD,
    ),
    Metric(
        19,
        "ReadProvisionedThroughputExceeded",
        Unit.COUNT,
        ALL,
        Draw.RATE,
        "1 for each GetRecords call refused by the shard's read limits, 0 for each that was not",
        SHARD,
    ),
)
"""The sums of all but the last two are counted always, by counters.add_shard_write and add_shard_read, one call per
shard and operation, and kept for minutes, for the shard map. SHARD_LEVEL has those that EnableEnhancedMonitoring switches on."""

SHARD_LEVEL: dict[str, Metric] = {metric.name: metric for metric in SHARD_METRICS if metric.name != "ThrottledBytes"}
"""By AWS's name: counted by counters.add_labelled and kept like a stream's metrics, from when they are switched on."""

ALIASES: dict[str, str] = {
    "PutRecords.Records": "PutRecords.SuccessfulRecords",
    "GetRecords.IteratorAge": "GetRecords.IteratorAgeMilliseconds",
}
"""Names that AWS has deprecated and still answers."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
BY_NUMBER: dict[int, Metric] = {metric.number: metric for metric in METRICS}


def stored_under(metric: str, label: str | int) -> str:
    """What a consumer's or a shard's metric is called in what is stored of its stream: `22@consumer`, `1#5`."""
    if isinstance(label, str):
        return f"{BY_NAME[metric].number}@{label}"
    return f"{SHARD_LEVEL[metric].number}#{label}"


def labels_of(stored: str | int) -> tuple[int, str | int | None]:
    """The counterpart: a metric's number, and the consumer or shard that it is of."""
    if isinstance(stored, int):
        return stored, None
    number, at, consumer = stored.partition("@")
    if at:
        return int(number), consumer
    number, _, index = stored.partition("#")
    return int(number), int(index)
