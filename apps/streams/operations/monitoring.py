"""EnableEnhancedMonitoring and DisableEnhancedMonitoring: which metrics are kept for each shard."""

from __future__ import annotations

from typing import Any

from apps.metrics.names import SHARD_LEVEL
from apps.runtime import Call
from apps.streams import named, time_meters
from apps.streams.models import StreamStatus

ALL = "ALL"


def enable_enhanced_monitoring(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """Switch shard-level metrics on; those that are on stay on.

    Kept from AWS: ALL means all seven; the lists before and after; ResourceInUseException unless the stream is ACTIVE.
    Not kept: the stream does not become UPDATING for a moment. A process counts them within a second.
    """
    return _switch(call, params, on=True)


def disable_enhanced_monitoring(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """Switch shard-level metrics off; those that are off stay off. What was kept can be read for as long as ever.

    Kept from AWS: ALL, the two lists, ResourceInUseException. Not kept: as EnableEnhancedMonitoring.
    """
    return _switch(call, params, on=False)


def _switch(call: Call, params: dict[str, Any], *, on: bool) -> dict[str, Any]:
    stream = named.find(call, params)
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    before = set(stream.shard_level_metrics)
    asked = set(params["ShardLevelMetrics"])
    asked = set(SHARD_LEVEL) if ALL in asked else asked
    after = before | asked if on else before - asked
    if after != before:
        at_ms = time_meters.settle(stream, call.now_ms)
        stream.shard_level_metrics = sorted(after)
        stream.save(update_fields=["shard_level_metrics"])
        time_meters.begin_state(stream, at_ms)
    return {
        "StreamName": stream.name,
        "CurrentShardLevelMetrics": sorted(before),
        "DesiredShardLevelMetrics": stream.shard_level_metrics,
        "StreamARN": str(stream.arn),
    }
