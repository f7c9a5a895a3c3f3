"""What a chart shows: named columns made of metrics, and how a column is worked out of a bucket.

Base units only: bytes and counts per second, seconds, shares of 1. A column is None where nothing can be said: nobody
counted, or (for a mean, a percentile, an age, a share) there was no observation. A rate without traffic is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.metrics import firehose, latency
from apps.metrics.buckets import NOTHING, Points
from apps.metrics.history import History
from apps.metrics.names import BY_NAME, Draw, Metric, Unit

Value = float | None

_FACTORS = {Unit.MILLISECONDS: 0.001}

HAS_HIGHEST = frozenset({Draw.RATE, Draw.MEAN})
BANDED_FROM_PERCENT = 90


@dataclass(frozen=True, slots=True)
class Column:
    """One line of a chart: the sum (for ages the highest) of these metrics. delivered: they are of AWS/Firehose.
    percent: the percentile of the one metric, which is of latency.TIMED."""

    name: str
    metrics: tuple[str, ...]
    label: str
    unit: str
    delivered: bool = False
    percent: int | None = None

    @property
    def rows(self) -> list[Metric]:
        """What is known of its metrics."""
        table = firehose.BY_NAME if self.delivered else BY_NAME
        return [table[name] for name in self.metrics]

    @property
    def draw(self) -> Draw:
        """How its metrics are drawn."""
        return self.rows[0].draw if self.percent is None else Draw.PERCENTILE

    @property
    def banded(self) -> bool:
        """Wide buckets have a band up to highest(). Of percentiles only the high ones: a median's would cover them."""
        return self.draw in HAS_HIGHEST if self.percent is None else self.percent >= BANDED_FROM_PERCENT

    @property
    def factor(self) -> float:
        """From the metric's unit to the base unit."""
        return _FACTORS.get(self.rows[0].unit, 1.0)

    def value(self, points: Points, seconds: int) -> Value:
        """Of a bucket that counted for so many seconds."""
        if self.percent is not None:
            ms = latency.percentile(points, self.metrics[0], self.rows[0].number, self.percent)
            return None if ms is None else ms * self.factor
        found = [points.get(metric.number, NOTHING) for metric in self.rows]
        if self.draw is Draw.RATE:
            return sum(point.total for point in found) / seconds
        count = sum(point.count for point in found)
        if not count:
            return None
        if self.draw is Draw.MOST:
            return max(point.most for point in found if point.count) * self.factor
        return sum(point.total for point in found) / count * self.factor

    def highest(self, points: Points) -> Value:
        """What the mean of a wide bucket hides: its busiest second, or the slowest call."""
        found = [points.get(metric.number, NOTHING) for metric in self.rows]
        if self.draw is Draw.RATE:
            return sum(point.peak for point in found)
        most = [point.most for point in found if point.count]
        return max(most) * self.factor if most else None


_IN_BYTES = Column("in_bytes", ("IncomingBytes",), "Incoming", "B/s")
_OUT_BYTES = Column("out_bytes", ("GetRecords.Bytes", "SubscribeToShardEvent.Bytes"), "Outgoing", "B/s")
_THROTTLED = Column("throttled", ("WriteProvisionedThroughputExceeded",), "Throttled", "records/s")
_AGES = ("GetRecords.IteratorAgeMilliseconds", "SubscribeToShardEvent.MillisBehindLatest")


def _percentiles(name: str, operation: str) -> tuple[Column, ...]:
    """An operation's latency: the median, and what one call in a hundred exceeds."""
    return tuple(
        Column(f"{name}_p{percent}", (f"{operation}.Latency",), f"{operation} p{percent}", "s", percent=percent)
        for percent in (50, 99)
    )


PANELS: dict[str, tuple[Column, ...]] = {
    "throughput": (_IN_BYTES, _OUT_BYTES, _THROTTLED, Column("age", _AGES, "Iterator age", "s")),
    "bytes": (_IN_BYTES, _OUT_BYTES),
    "records": (
        Column("in_records", ("IncomingRecords",), "Incoming", "records/s"),
        Column("out_records", ("GetRecords.Records", "SubscribeToShardEvent.Records"), "Outgoing", "records/s"),
    ),
    "write-latency": (*_percentiles("put_record", "PutRecord"), *_percentiles("put_records", "PutRecords")),
    "read-latency": _percentiles("get_records", "GetRecords"),
    "throttles": (
        Column("write", ("WriteProvisionedThroughputExceeded",), "Records refused", "1/s"),
        Column("read", ("ReadProvisionedThroughputExceeded",), "GetRecords calls refused", "1/s"),
    ),
    "age": (
        Column("shared", ("GetRecords.IteratorAgeMilliseconds",), "GetRecords", "s"),
        Column("fan_out", ("SubscribeToShardEvent.MillisBehindLatest",), "Fan-out", "s"),
    ),
    "success": (
        Column("put_record", ("PutRecord.Success",), "PutRecord", "1"),
        Column("put_records", ("PutRecords.Success",), "PutRecords", "1"),
        Column("get_records", ("GetRecords.Success",), "GetRecords", "1"),
    ),
}
"""By the last part of the topic `stream/<name>/<panel>`."""


def _column(name: str, metrics: tuple[str, ...], label: str, unit: str) -> Column:
    return Column(name, metrics, label, unit, delivered=True)


def _to(what: str) -> tuple[str, ...]:
    """A metric of every destination: a delivery stream has one of them."""
    return tuple(f"DeliveryTo{name}.{what}" for name in firehose.DESTINATIONS)


_TAKEN = _column("in_bytes", ("IncomingBytes", "DataReadFromKinesisStream.Bytes"), "Incoming", "B/s")
_DELIVERED = _column("out_bytes", _to("Bytes"), "Delivered", "B/s")
_REFUSED = _column("throttled", ("ThrottledRecords",), "Throttled", "records/s")
_FRESHNESS = _column("age", _to("DataFreshness"), "Oldest record waiting", "s")
_BACKED_UP = _column("backup", ("BackupToS3.DataFreshness",), "Backup", "s")

DELIVERY_PANELS: dict[str, tuple[Column, ...]] = {
    "delivery/throughput": (_TAKEN, _DELIVERED, _REFUSED, _FRESHNESS),
    "delivery/bytes": (_TAKEN, _DELIVERED, _column("backup_bytes", ("BackupToS3.Bytes",), "Backed up", "B/s")),
    "delivery/records": (
        _column("in_records", ("IncomingRecords", "DataReadFromKinesisStream.Records"), "Incoming", "records/s"),
        _column("out_records", _to("Records"), "Delivered", "records/s"),
    ),
    "delivery/freshness": (_FRESHNESS, _BACKED_UP),
    "delivery/success": (
        _column("destination", _to("Success"), "Deliveries", "1"),
        _column("backup", ("BackupToS3.Success",), "Backups", "1"),
        _column("transform", ("ExecuteProcessing.Success",), "Transforms", "1"),
    ),
    "delivery/latency": (
        _column("put_record", ("PutRecord.Latency",), "PutRecord", "s"),
        _column("put_record_batch", ("PutRecordBatch.Latency",), "PutRecordBatch", "s"),
        _column("transform", ("ExecuteProcessing.Duration",), "Transform", "s"),
    ),
    "delivery/throttles": (_REFUSED,),
    "delivery/processing": (
        _column("processed", ("SucceedProcessing.Records",), "Processed", "records/s"),
        _column("converted", ("SucceedConversion.Records",), "Converted", "records/s"),
        _column("unconverted", ("FailedConversion.Records",), "Not converted", "records/s"),
    ),
    "delivery/partitions": (_column("partitions", ("PartitionCount",), "Active partitions", "1"),),
    "delivery/objects": (_column("objects", ("DeliveryToS3.ObjectCount",), "Objects", "1/s"),),
    "delivery/behind": (_column("behind", ("KinesisMillisBehindLatest",), "Behind the stream", "s"),),
}
"""By `delivery/` and the last part of the topics `delivery/<name>/<panel>` and `channel/<name>/<panel>`."""

ALL_PANELS = PANELS | DELIVERY_PANELS


def column_names(panel: Sequence[Column], width_s: int) -> list[str]:
    """The columns in order; wide buckets have `<name>_max` behind them, for the band that shows spikes."""
    names = [column.name for column in panel]
    return names + [f"{column.name}_max" for column in panel if _banded(column, width_s)]


def _banded(column: Column, width_s: int) -> bool:
    return width_s > 1 and column.banded


def wants_classes(panel: Sequence[Column]) -> bool:
    """Does a history have to be read with the classes of latencies?"""
    return any(column.percent is not None for column in panel)


def row(panel: Sequence[Column], points: Points | None, width_s: int, seconds: int) -> list[Value]:
    """The values of one bucket, in the order of column_names. seconds: how much of it has passed."""
    if points is None:
        return [None] * len(column_names(panel, width_s))
    values = [column.value(points, seconds) for column in panel]
    return values + [column.highest(points) for column in panel if _banded(column, width_s)]


def columns(panel: Sequence[Column], history: History, now_s: int) -> list[list[Value]]:
    """A history as uPlot wants it: a list per column. The running bucket is divided by what has passed of it."""
    rows = [
        row(panel, points, history.width_s, max(1, min(history.width_s, now_s - start_s)))
        for start_s, points in zip(history.times, history.buckets, strict=True)
    ]
    return [[short(value) for value in column] for column in zip(*rows, strict=True)] if rows else []


def short(value: Value) -> Value:
    """Four significant digits: what a chart can show, in fewer bytes."""
    if value is None or value == 0:
        return value
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded
