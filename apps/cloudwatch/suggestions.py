"""Alarms that a team's streams could do with: late readers, refused writes, a limit that is near, deliveries that wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from django.db.models import Count, Q

from apps.base.units import MIB
from apps.cloudwatch.models import Alarm
from apps.delivery.metrics import delivery_metric
from apps.delivery.models import DeliveryStream
from apps.metrics import firehose, names
from apps.streams.models import Stream, StreamMode

STREAMS_LOOKED_AT = 100
SHOWN = 12

LATE_MS = 60_000
NEAR_LIMIT = 0.8
STALE_S = 900

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An alarm that is not there yet: PutMetricAlarm's members, what it watches, and why one would want it."""

    params: Json
    about: str
    why: str

    @property
    def name(self) -> str:
        """The alarm's name."""
        return str(self.params["AlarmName"])


def suggested(team_id: int, shown: int = SHOWN) -> list[Suggestion]:
    """Those that the team has no alarm of that name for: one of each kind, then the next of each."""
    have = set(Alarm.objects.filter(team_id=team_id).values_list("name", flat=True))
    found = [one for one in _all(team_id) if one.name not in have]
    return found[:shown]


def _all(team_id: int) -> Iterator[Suggestion]:
    is_open = Q(shards__opened_at_ms__isnull=False, shards__closed_at_ms__isnull=True)
    rows = Stream.objects.filter(team_id=team_id).annotate(open=Count("shards", filter=is_open)).order_by("name")
    streams: Sequence[Any] = list(rows[:STREAMS_LOOKED_AT])
    delivery_streams = DeliveryStream.objects.filter(team_id=team_id, channel_id="").order_by("name")
    of_deliveries = [_freshness(row) for row in delivery_streams[:STREAMS_LOOKED_AT]]
    limited = [stream for stream in streams if stream.mode == StreamMode.PROVISIONED and stream.open]
    kinds = (map(_late, streams), map(_throttled, streams), of_deliveries, map(_near_limit, limited))
    return (one for one in chain.from_iterable(zip_longest(*kinds)) if one is not None)


def _rule(name: str, namespace: str, metric: str, dimension: str, of: str, **rule: Any) -> Json:
    return {
        "AlarmName": name, "Namespace": namespace, "MetricName": metric, "Period": 60,
        "Dimensions": [{"Name": dimension, "Value": of}], "ComparisonOperator": "GreaterThanThreshold", **rule,
    }  # fmt: skip


def _of_stream(stream: Any, suffix: str, metric: str, **rule: Any) -> Json:
    return _rule(f"{stream.name}-{suffix}", names.NAMESPACE, metric, "StreamName", stream.name, **rule)


def _late(stream: Any) -> Suggestion:
    params = _of_stream(
        stream, "iterator-age", "GetRecords.IteratorAgeMilliseconds", Statistic="Maximum", EvaluationPeriods=5,
        Threshold=LATE_MS, TreatMissingData="notBreaching",
    )  # fmt: skip
    return Suggestion(params, stream.name, "readers are more than a minute behind for five minutes")


def _throttled(stream: Any) -> Suggestion:
    params = _of_stream(
        stream, "write-throttles", "WriteProvisionedThroughputExceeded", Statistic="Sum", EvaluationPeriods=5,
        DatapointsToAlarm=3, Threshold=0, TreatMissingData="notBreaching",
    )  # fmt: skip
    return Suggestion(params, stream.name, "writes are refused in three of five minutes")


def _near_limit(stream: Any) -> Suggestion:
    threshold = round(NEAR_LIMIT * stream.open * MIB * 60)
    params = _of_stream(
        stream, "near-write-limit", "IncomingBytes", Statistic="Sum", EvaluationPeriods=5, Threshold=threshold,
        TreatMissingData="notBreaching",
    )  # fmt: skip
    return Suggestion(params, stream.name, f"more than 80% of what {stream.open} shards take, for five minutes")


def _freshness(row: Any) -> Suggestion:
    params = _rule(
        f"{row.name}-freshness", firehose.NAMESPACE,
        delivery_metric(row.destination_type, "DataFreshness"), "DeliveryStreamName",
        row.name, Statistic="Maximum", EvaluationPeriods=5, Threshold=STALE_S, TreatMissingData="notBreaching",
    )  # fmt: skip
    return Suggestion(params, row.name, "a record has waited for more than 15 minutes to be delivered")
