"""`/metrics`: the streams' metrics as Prometheus reads them (text format 0.0.4).

Each metric of AWS/Kinesis and of AWS/Firehose is a summary without quantiles: `…_sum` and `…_count`, since its process
began. The label `process` keeps several processes apart, so that no counter ever goes back within a process's life; add
them up with `sum by (stream)`, or `sum by (delivery_stream)`. States (DataFreshness, PartitionCount) are observed every
ten seconds: the increase of `_sum` by that of `_count` is their mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgpack

from apps.accounts.models import Team
from apps.cloudwatch.models import Alarm, State
from apps.cloudwatch.named import CHANNELS, DELIVERY_STREAMS, KINDS, STREAMS, Kind, by_key
from apps.metrics import firehose, store, totals
from apps.metrics.firehose import BY_NUMBER
from apps.metrics.names import CONSUMER, SHARD, SHARD_METRICS, STREAM, Metric, Unit, labels_of
from apps.streams.addressing import shard_id_text

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEAMS_MAX = 1_000

_SHARD = {metric.number: metric for metric in SHARD_METRICS}
_LABELS: dict[Kind, tuple[str, ...]] = {
    STREAMS: ("stream",),
    DELIVERY_STREAMS: ("delivery_stream",),
    CHANNELS: ("channel", "stream"),
}
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|\.")
_SUFFIX = {
    Unit.BYTES: "bytes",
    Unit.MILLISECONDS: "milliseconds",
    Unit.SECONDS: "seconds",
    Unit.BYTES_PER_SECOND: "bytes_per_second",
    Unit.COUNT: "",
}

Labels = tuple[tuple[str, str], ...]


class Away(Exception):
    """Redis does not answer: better no answer than counters that are missing."""


def name_of(metric: Metric, *, of_shard: bool) -> str:
    """`PutRecord.Latency` → `tidegate_kinesis_put_record_latency_milliseconds`."""
    name = _WORDS.sub("_", metric.name).lower()
    suffix = _SUFFIX[metric.unit]
    if suffix and not name.endswith(suffix):
        name = f"{name}_{suffix}"
    service = "firehose" if metric.number in firehose.NUMBERS else "kinesis"
    return f"tidegate_{service}_{'shard_' if of_shard else ''}{name}"


def text(team_ids: Iterable[int]) -> str:
    """The whole answer for these teams. Raises Away."""
    families: dict[str, tuple[str, list[tuple[Labels, float, int]]]] = {}
    alarms: list[tuple[Labels, int]] = []
    for team in Team.objects.filter(id__in=list(team_ids)[:TEAMS_MAX]).order_by("id"):
        account = ("account", team.account_id)
        for name, meaning, labels, total, count in _samples(team.pk):
            families.setdefault(name, (meaning, []))[1].append(((account, *labels), total, count))
        for alarm, state in Alarm.objects.filter(team=team).order_by("name").values_list("name", "state"):
            alarms.append(((account, ("alarm", alarm)), int(state == State.ALARM)))
    lines = ["# HELP tidegate_up Tidegate answers.", "# TYPE tidegate_up gauge", "tidegate_up 1"]
    for name in sorted(families):
        meaning, samples = families[name]
        lines += [f"# HELP {name} {meaning}.", f"# TYPE {name} summary"]
        for labels, total, count in samples:
            lines += [f"{name}_sum{_labels(labels)} {total}", f"{name}_count{_labels(labels)} {count}"]
    if alarms:
        lines += ["# HELP tidegate_alarm 1 while the alarm is in ALARM.", "# TYPE tidegate_alarm gauge"]
        lines += [f"tidegate_alarm{_labels(labels)} {value}" for labels, value in alarms]
    return "\n".join(lines) + "\n"


def _samples(team_id: int) -> Iterator[tuple[str, str, Labels, float, int]]:
    """Name, meaning, labels, sum and count of every metric of a team."""
    found = _totals(team_id)
    if found is None:
        raise Away
    names = _names(team_id)
    for process, streams in found.items():
        for key, counted in streams.items():
            if key not in names:
                continue
            for stored, (total, count) in counted.items():
                metric, more = _metric_of(stored)
                if metric is not None:
                    labels = (*names[key], ("process", process), *more)
                    yield name_of(metric, of_shard=metric.dimensions == SHARD), metric.meaning, labels, total, count


def _metric_of(stored: int | str) -> tuple[Metric | None, Labels]:
    """The metric of what is stored, and labels beside the stream's; None: it is a sum over consumers or queues."""
    number, label = labels_of(stored)
    if isinstance(label, int):
        return _SHARD[number], (("shard", shard_id_text(label)),)
    metric = BY_NUMBER[number]
    if label is None:
        return (metric if metric.dimensions == STREAM or number in firehose.NUMBERS else None), ()
    if metric.dimensions == CONSUMER:
        return metric, (("consumer", label),)
    return metric, (("queue", label.partition("/")[2]),)


def _totals(team_id: int) -> dict[str, dict[int, dict[int | str, tuple[float, int]]]] | None:
    """A team's totals by process and stream: (sum, observations) by stored name. None: Redis is away."""
    replies = store.ask([("ZRANGE", f"{totals.TEAMS_KEY}:{team_id}", 0, -1)])
    if replies is None:
        return None
    processes = sorted(name.decode() for name in replies[0])
    hashes = store.ask([("HGETALL", totals.key(team_id, process)) for process in processes]) if processes else []
    if hashes is None:
        return None
    return {
        process: {int(stream): _unpacked(packed) for stream, packed in found.items()}
        for process, found in zip(processes, hashes, strict=True)
    }


def _unpacked(packed: bytes) -> dict[int | str, tuple[float, int]]:
    return {key: (total, count) for key, (total, count) in msgpack.unpackb(packed, strict_map_key=False).items()}


def _names(team_id: int) -> dict[int, Labels]:
    """Labels of those that have series, by key."""
    return {
        key: tuple(zip(_LABELS[kind], name.split("/"), strict=True))
        for kind in KINDS
        for key, name in by_key(team_id, kind).items()
    }


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
