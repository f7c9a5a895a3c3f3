"""An alarm's rule in plain words, and back: metrics by what they are about, thresholds with a unit, periods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from apps.cloudwatch.alarms import period_of
from apps.delivery.metrics import NAMES, delivery_metric
from apps.metrics import firehose, names
from apps.metrics.names import SHARD_LEVEL
from apps.streams.addressing import shard_id_text
from console.pages import plot, words

Json = dict[str, Any]

COMPARISONS: Final = {
    "GreaterThanThreshold": "above",
    "GreaterThanOrEqualToThreshold": "at or above",
    "LessThanThreshold": "below",
    "LessThanOrEqualToThreshold": "at or below",
}
STATISTICS: Final = {
    "Maximum": "Highest value", "Average": "Average", "Minimum": "Lowest value", "Sum": "Sum", "SampleCount": "Number of samples",
}  # fmt: skip
SAID: Final = {
    "Maximum": "Highest", "Average": "Average", "Minimum": "Lowest", "Sum": "Sum of", "SampleCount": "Number of samples of",
}  # fmt: skip
PERIODS: Final = {
    10: "10 seconds", 30: "30 seconds", 60: "1 minute", 300: "5 minutes", 900: "15 minutes", 3_600: "1 hour",
    21_600: "6 hours", 86_400: "1 day",
}  # fmt: skip
MISSING: Final = {
    "notBreaching": "Counts as fine",
    "missing": "Leads to “not enough data”",
    "ignore": "Keeps the state as it is",
    "breaching": "Counts as over the threshold",
}
STATES: Final = {
    "ALARM": ("bad", "In alarm"),
    "OK": ("ok", "OK"),
    "INSUFFICIENT_DATA": ("off", "Not enough data"),
}

LABELS: Final = {
    "GetRecords.IteratorAgeMilliseconds": "Iterator age of readers",
    "SubscribeToShardEvent.MillisBehindLatest": "Iterator age of fan-out consumers",
    "WriteProvisionedThroughputExceeded": "Records refused by the write limits",
    "ReadProvisionedThroughputExceeded": "Reads refused by the read limits",
    "IncomingBytes": "Incoming bytes",
    "IncomingRecords": "Incoming records",
    "GetRecords.Bytes": "Bytes read by GetRecords",
    "GetRecords.Records": "Records read by GetRecords",
    "PutRecords.Latency": "Latency of PutRecords",
    "PutRecord.Latency": "Latency of PutRecord",
    "GetRecords.Latency": "Latency of GetRecords",
    "PutRecords.Success": "Success of PutRecords",
    "PutRecord.Success": "Success of PutRecord",
    "GetRecords.Success": "Success of GetRecords",
    "PutRecords.FailedRecords": "Records that failed inside",
    "ThrottledRecords": "Records refused by the quotas",
    "KinesisMillisBehindLatest": "How far reading is behind the source",
    "ExecuteProcessing.Success": "Success of the transform",
    "FailedConversion.Records": "Records that could not be converted",
    "PartitionCount": "Active partitions",
    "BackupToS3.DataFreshness": "Freshness of the backup",
    "BackupToS3.Success": "Success of backups",
    "OutgoingBytes": "Outgoing bytes",
    "OutgoingRecords": "Outgoing records",
    "IteratorAgeMilliseconds": "Iterator age",
}

_TO = re.compile(r"DeliveryTo(\w+)\.(DataFreshness|Success|Bytes|Records)\Z")
_PARTS = {"DataFreshness": "Age of the oldest record waiting", "Success": "Success of deliveries",
          "Bytes": "Bytes delivered", "Records": "Records delivered"}  # fmt: skip

_STREAM_METRICS = (
    "GetRecords.IteratorAgeMilliseconds", "WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded",
    "IncomingBytes", "IncomingRecords", "GetRecords.Bytes", "GetRecords.Records", "PutRecord.Latency", "PutRecords.Latency",
    "GetRecords.Latency", "PutRecord.Success", "PutRecords.Success", "GetRecords.Success", "PutRecords.FailedRecords",
)  # fmt: skip
_DELIVERY_METRICS = (
    "IncomingBytes", "IncomingRecords", "ThrottledRecords", "KinesisMillisBehindLatest", "ExecuteProcessing.Success",
    "FailedConversion.Records", "PartitionCount", "BackupToS3.DataFreshness", "BackupToS3.Success",
)  # fmt: skip
_DELIVERED = ("DataFreshness", "Success", "Bytes", "Records")

THRESHOLD = re.compile(r"\s*(-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-zA-Z%/]*)\s*\Z", re.IGNORECASE)
_TIMES = {"ms": 1.0, "s": 1_000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_SIZES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Watched:
    """What an alarm looks at. kind: stream, shard, delivery, own (a metric that was put) or expression."""

    kind: str
    name: str
    metric: str
    shard: int | None = None

    @property
    def label(self) -> str:
        """The metric in words."""
        return label_of(self.metric)

    @property
    def about(self) -> str:
        """Whose metric it is, in words."""
        return f"{self.name}, shard {self.shard:04d}" if self.shard is not None else self.name


def label_of(metric: str) -> str:
    """A metric in words; AWS's name where there are none."""
    found = _TO.match(metric)
    return _PARTS[found[2]] if found else LABELS.get(metric, metric)


def choices_of(kind: str, destination_type: str = "") -> list[tuple[str, str]]:
    """(AWS's name, words) of the metrics that one may choose, of a stream, a shard or a delivery stream."""
    if kind == "shard":
        return [(name, label_of(name)) for name in SHARD_LEVEL]
    if kind == "stream":
        return [(name, label_of(name)) for name in _STREAM_METRICS]
    types = [destination_type] if destination_type in NAMES else []
    delivered = [delivery_metric(one, what) for one in types for what in _DELIVERED]
    return [(name, label_of(name)) for name in (*delivered, *_DELIVERY_METRICS)]


def metric_of(kind: str, name: str, metric: str, shard: int | None) -> Json:
    """PutMetricAlarm's members for what a form chose."""
    if kind == "delivery":
        return _metric(firehose.NAMESPACE, metric, DeliveryStreamName=name)
    more = {"ShardId": shard_id_text(shard)} if shard is not None else {}
    return _metric(names.NAMESPACE, metric, StreamName=name, **more)


def _metric(namespace: str, metric: str, **dimensions: str) -> Json:
    pairs = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": metric, "Dimensions": pairs}


def watched(settings: Json) -> Watched:
    """What an alarm's settings are about."""
    if "Metrics" in settings:
        told = next(query for query in settings["Metrics"] if query.get("ReturnData", True))
        text = told.get("Expression") or told["MetricStat"]["Metric"].get("MetricName", "")
        return Watched("expression", "", str(told.get("Label") or text)[:200])
    dimensions = {one["Name"]: one["Value"] for one in settings.get("Dimensions") or ()}
    namespace, metric = settings["Namespace"], settings["MetricName"]
    if namespace == names.NAMESPACE and set(dimensions) == {"StreamName"}:
        return Watched("stream", dimensions["StreamName"], metric)
    digits = dimensions.get("ShardId", "").removeprefix("shardId-")
    if namespace == names.NAMESPACE and set(dimensions) == {"StreamName", "ShardId"} and digits.isdecimal():
        return Watched("shard", dimensions["StreamName"], metric, int(digits))
    if namespace == firehose.NAMESPACE and set(dimensions) == {"DeliveryStreamName"}:
        return Watched("delivery", dimensions["DeliveryStreamName"], metric)
    return Watched("own", ", ".join([namespace, *dimensions.values()]), metric)


def unit_of(settings: Json) -> str:
    """CloudWatch's word for what is compared; empty where nobody knows or it is a number of samples."""
    if "Metrics" in settings or settings.get("Statistic") == "SampleCount":
        return ""
    return plot.unit_of(settings["Namespace"], settings["MetricName"]) or str(settings.get("Unit") or "")


def sentence(settings: Json) -> str:
    """`Highest iterator age of readers is above 60 s for 5 minutes`, without whose it is."""
    seen, stat = watched(settings), settings.get("Statistic") or ""
    label = seen.label if not stat else f"{SAID.get(stat, stat)} {lower_first(seen.label)}"
    each = f" per {span(period_of(settings)).removeprefix('1 ')}" if stat in {"Sum", "SampleCount"} else ""
    value = exact(settings["Threshold"], unit_of(settings))
    return f"{label}{each} is {COMPARISONS[settings['ComparisonOperator']]} {value} {how_long(settings)}"


def lower_first(text: str) -> str:
    """A label within a sentence; AWS's names stay as they are."""
    return text if "." in text or text[1:2].isupper() or not text.partition(" ")[2] else text[:1].lower() + text[1:]


def how_long(settings: Json) -> str:
    """`for 5 minutes`, `in 3 of 5 minutes`, `in 2 of 3 periods of 5 minutes`."""
    period_s, periods = period_of(settings), settings["EvaluationPeriods"]
    needed = settings.get("DatapointsToAlarm", periods)
    if needed == periods:
        return f"for {span(period_s * periods)}"
    if period_s == 60:
        return f"in {needed} of {periods} minutes"
    return f"in {needed} of {periods} periods of {span(period_s)}"


def span(seconds: int) -> str:
    """`10 seconds`, `5 minutes`, `1 hour`, `7 days`."""
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return words.plural(seconds // size, word)
    return words.plural(seconds, "second")


def threshold_of(text: str, unit: str) -> float:
    """A threshold as people write it: `60 s`, `5 MB`, `80%`, `1,000`. Raises ValueError with a sentence."""
    found = THRESHOLD.match(text)
    if found is None:
        raise ValueError("Write a number, and a unit if you like: 60 s, 5 MiB, 1000.")
    value, given = float(found[1].replace(",", "")), found[2].lower()
    if not given:
        return value
    if given in _TIMES and unit in {"Milliseconds", "Seconds"}:
        return value * _TIMES[given] / (1 if unit == "Milliseconds" else 1_000)
    if given.removesuffix("/s") in _SIZES and unit in {"Bytes", "Bytes/Second"}:
        return value * _SIZES[given.removesuffix("/s")]
    if given == "%" and unit == "Count":
        return value / 100
    raise ValueError(f"This metric is not counted in {found[2]}. {hint(unit)}")


def exact(threshold: float, unit: str) -> str:
    """A threshold in words that threshold_of reads as the same number: `90 s`, `96 MiB`, `0.99`."""
    if unit in {"Milliseconds", "Seconds"} and threshold:
        return plot.exact_time(threshold * (1_000 if unit == "Seconds" else 1))
    if unit in {"Bytes", "Bytes/Second"}:
        for word in ("GiB", "MiB", "KiB", "GB", "MB", "kB"):
            size, is_binary = _SIZES[word.lower()], word.endswith("iB")
            too_long = word == "KiB" and threshold >= 2**20
            if threshold >= size and threshold % (size if is_binary else size / 100) == 0 and not too_long:
                return f"{threshold / size:.10g} {word}"
    return f"{threshold:,.0f}" if threshold == round(threshold) else f"{threshold:.15g}"


def hint(unit: str) -> str:
    """How thresholds of a unit are written."""
    if unit in {"Milliseconds", "Seconds"}:
        return "A time, such as 500 ms, 60 s or 15 min."
    if unit in {"Bytes", "Bytes/Second"}:
        return "An amount in one period, such as 512 KiB or 48 MiB."
    return "A number; for success, a share such as 99%."
