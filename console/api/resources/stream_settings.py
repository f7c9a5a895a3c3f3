"""What a stream is set to, and the operations of AWS's that set it: at its making, and later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from apps.base.errors import ServiceError
from apps.streams.models import Stream, StreamMode, Tag
from console import calls
from console.api.problems import Partly
from console.api.request import ApiRequest

ACTIVE_WITHIN_S = 10.0
"""How long a call waits for a stream to be ACTIVE before its next step."""

OWN_KEY = "alias/aws/kinesis"
"""What AWS calls the key that it keeps for an account."""

Json = dict[str, Any]

_IN_CREATE_STREAM: Final = {
    "open_shards": "ShardCount",
    "max_record_size_kib": "MaxRecordSizeInKiB",
    "distribution_strategy": "RecordDistributionStrategy",
    "warm_throughput_mibps": "WarmThroughputMiBps",
    "tags": "Tags",
}
"""What CreateStream takes by itself, by our name."""


class Steps:
    """Operations one after the other; what was done when one is refused is told."""

    def __init__(self, request: ApiRequest, name: str) -> None:
        self.request, self.name = request, name
        self.done: list[str] = []
        self._busy = False

    def do(self, operation: str, *, busy: bool = False, **params: Any) -> None:
        """Carry one out. busy: it needs the stream to be ACTIVE, and leaves it for a moment. Raises ServiceError if nothing
        was done before, else Partly."""
        self.run(operation, lambda: calls.call(self.request, operation, **params), busy=busy)

    def run(self, operation: str, step: Callable[[], Any], *, busy: bool = False) -> None:
        """The same for what is more than one call."""
        try:
            if self._busy:
                calls.wait_until_active(self.request, self.name, ACTIVE_WITHIN_S)
                self._busy = False
            step()
        except TimeoutError as error:
            text = f"The stream is not ACTIVE after {ACTIVE_WITHIN_S:.0f} seconds, so {operation} was not called."
            raise Partly(503, text, self.done) from error
        except ServiceError as error:
            if not self.done:
                raise
            raise Partly.after(error, operation, self.done) from error
        self.done.append(operation)
        self._busy = self._busy or busy


def create(request: ApiRequest, given: Json) -> None:
    """CreateStream, and what it does not take. given: of NewStreamSerializer. Raises ServiceError, Partly."""
    params: Json = {"StreamName": given["name"]}
    params |= {
        _IN_CREATE_STREAM[name]: value for name, value in given.items() if name in _IN_CREATE_STREAM and value != {}
    }
    if "mode" in given:
        params["StreamModeDetails"] = {"StreamMode": given["mode"]}
    steps = Steps(request, given["name"])
    steps.do("CreateStream", busy=True, **params)
    row = Stream(name=given["name"], retention_hours=24)
    for name in ("retention_hours", "shard_level_metrics", "encryption"):
        if name in given:
            _CHANGES[name](steps, row, given[name])


def change(request: ApiRequest, stream: Stream, given: Json) -> None:
    """Set what is given and is not so already. given: of ChangedStreamSerializer. Raises ServiceError, Partly."""
    steps, order = Steps(request, stream.name), list(_CHANGES)
    if given.get("mode") == StreamMode.PROVISIONED:  # which distribution by AUTO would be in the way of
        order.remove("distribution_strategy")
        order.insert(order.index("mode"), "distribution_strategy")
    for name in order:
        if name in given:
            _CHANGES[name](steps, stream, given[name])


def _at_once(_operation: str, step: Callable[[], Any]) -> None:
    step()


def replace_tags(
    request: ApiRequest,
    stream: Stream,
    wanted: dict[str, str],
    run: Callable[[str, Callable[[], Any]], None] = _at_once,
) -> None:
    """Make the tags these. Adding comes first, so that a refusal leaves them as they were. Raises ServiceError."""
    now = dict(Tag.objects.filter(stream=stream).values_list("key", "value"))
    added = {key: value for key, value in wanted.items() if now.get(key) != value}
    removed = sorted(set(now) - set(wanted))
    if added:
        run(
            "AddTagsToStream",
            lambda: calls.call(request, "AddTagsToStream", StreamName=stream.name, Tags=added),
        )
    if removed:
        run(
            "RemoveTagsFromStream",
            lambda: calls.call(request, "RemoveTagsFromStream", StreamName=stream.name, TagKeys=removed),
        )


def _tags(steps: Steps, stream: Stream, wanted: dict[str, str]) -> None:
    replace_tags(steps.request, stream, wanted, steps.run)


def _retention(steps: Steps, stream: Stream, hours: int) -> None:
    if hours != stream.retention_hours:
        operation = ("Increase" if hours > stream.retention_hours else "Decrease") + "StreamRetentionPeriod"
        steps.do(operation, StreamName=stream.name, RetentionPeriodHours=hours)


def _record_size(steps: Steps, stream: Stream, kib: int) -> None:
    if kib != stream.max_record_size_kib:
        steps.do("UpdateMaxRecordSize", StreamARN=str(stream.arn), MaxRecordSizeInKiB=kib)


def _monitoring(steps: Steps, stream: Stream, wanted: list[str]) -> None:
    on, off = set(wanted) - set(stream.shard_level_metrics), set(stream.shard_level_metrics) - set(wanted)
    if on:
        steps.do("EnableEnhancedMonitoring", StreamName=stream.name, ShardLevelMetrics=sorted(on))
    if off:
        steps.do("DisableEnhancedMonitoring", StreamName=stream.name, ShardLevelMetrics=sorted(off))


def _encryption(steps: Steps, stream: Stream, wanted: Json) -> None:
    now, key = stream.encryption_key_id, wanted.get("key_id", OWN_KEY)
    if wanted["type"] == "KMS" and not (now and key == now):
        steps.do("StartStreamEncryption", busy=True, StreamName=stream.name, EncryptionType="KMS", KeyId=key)
    elif wanted["type"] == "NONE" and now:
        steps.do("StopStreamEncryption", busy=True, StreamName=stream.name, EncryptionType="KMS", KeyId=now)


def _mode(steps: Steps, stream: Stream, mode: str) -> None:
    if mode != stream.mode:
        details = {"StreamMode": mode}
        steps.do("UpdateStreamMode", busy=True, StreamARN=str(stream.arn), StreamModeDetails=details)


def _distribution(steps: Steps, stream: Stream, strategy: str) -> None:
    if strategy != stream.distribution_strategy:
        operation = "UpdateStreamRecordDistributionStrategy"
        steps.do(operation, StreamARN=str(stream.arn), RecordDistributionStrategy=strategy)


def _warm(steps: Steps, stream: Stream, mibps: int) -> None:
    if mibps != (stream.warm_throughput_mibps or 0):
        steps.do("UpdateStreamWarmThroughput", busy=True, StreamARN=str(stream.arn), WarmThroughputMiBps=mibps)


def _shards(steps: Steps, stream: Any, count: int) -> None:
    if count != stream.open_shards:
        params = {"TargetShardCount": count, "ScalingType": "UNIFORM_SCALING"}
        steps.do("UpdateShardCount", busy=True, StreamName=stream.name, **params)


_CHANGES: Final[dict[str, Callable[[Steps, Stream, Any], None]]] = {
    "tags": _tags,
    "retention_hours": _retention,
    "max_record_size_kib": _record_size,
    "shard_level_metrics": _monitoring,
    "encryption": _encryption,
    "mode": _mode,
    "distribution_strategy": _distribution,
    "warm_throughput_mibps": _warm,
    "open_shards": _shards,
}
"""In this order: what leaves the stream ACTIVE comes first."""
