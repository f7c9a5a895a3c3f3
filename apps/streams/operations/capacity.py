"""UpdateStreamMode, UpdateStreamWarmThroughput, UpdateStreamRecordDistributionStrategy, UpdateMaxRecordSize."""

from __future__ import annotations

from typing import Any

from apps.base.units import DAY_MS
from apps.leases import hold
from apps.queues.models import Queue
from apps.runtime import Call
from apps.streams import demand, named, time_meters, topology
from apps.streams.errors import InvalidArgumentException, ResourceInUseException, ValidationException
from apps.streams.models import RecordDistributionStrategy, Stream, StreamMode, StreamStatus
from apps.streams.operations.reshard import start
from apps.streams.operations.stream import (
    check_on_demand_quota,
    check_shard_quota,
    check_warm_throughput,
    open_shard_count,
    warm_throughput,
)
from apps.streams.quotas import QUOTAS, limit

Json = dict[str, Any]


def update_stream_mode(call: Call, params: Json) -> None:
    """Switch between on-demand and provisioned; the shards stay as they are, reads and writes go on.

    Kept from AWS: UPDATING and then ACTIVE; two switches within 24 hours; the mode it has already is no error and no
    switch; WarmThroughputMiBps only towards on-demand and with the billing commitment; not to provisioned while the
    stream has queues; quotas of shards and of on-demand streams.
    Ours: not to provisioned while records are distributed by AUTO, so that no producer's records are refused of a
    sudden. A switch to provisioned forgets the warm throughput.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    mode, warm = params["StreamModeDetails"]["StreamMode"], params.get("WarmThroughputMiBps")
    if warm is not None and mode != StreamMode.ON_DEMAND:
        raise ValidationException(f"WarmThroughputMiBps is not expected when StreamMode={mode}")
    named.hold_team(call)
    stream = named.find(call, params)
    named.change(stream)
    named.require_active(stream)
    if mode == stream.mode:
        if warm is not None:
            raise InvalidArgumentException(
                f"Stream {stream.name} under account {call.principal.account_id} is in {mode} mode already. "
                "Use UpdateStreamWarmThroughput to change its warm throughput."
            )
        return
    recent = [at_ms for at_ms in stream.mode_changes_ms if at_ms > call.now_ms - DAY_MS]
    switches = limit(stream.team_id, stream.region, "mode-switches-per-day")
    if len(recent) >= switches:
        raise QUOTAS["mode-switches-per-day"].exceeded(
            stream=stream.name, account=call.principal.account_id, current=len(recent), limit=switches
        )
    (_check_provisioned if mode == StreamMode.PROVISIONED else _check_on_demand)(call, stream, warm)
    _switch(call, stream, mode, warm, [*recent, call.now_ms])


def _check_provisioned(call: Call, stream: Stream, _warm: int | None) -> None:
    if Queue.objects.filter(stream=stream).exists():
        raise ResourceInUseException(
            f"Stream {stream.name} under account {call.principal.account_id} cannot be switched to PROVISIONED mode "
            "because it has queues. Delete them with DeleteQueue first."
        )
    if stream.distribution_strategy == RecordDistributionStrategy.AUTO:
        raise InvalidArgumentException(
            f"Stream {stream.name} under account {call.principal.account_id} cannot be switched to PROVISIONED mode "
            "while its RecordDistributionStrategy is AUTO. Set it to USER_PARTITION_KEY first."
        )
    check_shard_quota(call, open_shard_count(stream))


def _check_on_demand(call: Call, stream: Stream, warm: int | None) -> None:
    check_on_demand_quota(call)
    if warm:
        check_warm_throughput(call, stream.name, warm)


def _switch(call: Call, stream: Stream, mode: str, warm: int | None, switches: list[int]) -> None:
    """Book the time in the old mode, then change. What the stream has is what it needs, until its load says more."""
    at_ms = time_meters.settle(stream, call.now_ms)
    stream.mode = mode
    stream.mode_changes_ms = switches
    stream.warm_throughput_mibps = warm or None
    stream.save(update_fields=["mode", "mode_changes_ms", "warm_throughput_mibps"])
    time_meters.begin_state(stream, at_ms)
    stream.shards.filter(closed_at_ms__isnull=True).update(observed_at_ms=0)
    open_shards = open_shard_count(stream)
    if mode == StreamMode.ON_DEMAND:
        demand.needed(stream, call.now_ms, open_shards)
        hold.ensure("throttling", "on-demand", call.now_ms)
    start(call, stream, topology.plan_uniform(warm) if warm and warm > open_shards else [])


def update_stream_warm_throughput(call: Call, params: Json) -> Json:
    """Grow an on-demand stream before the load comes, or (with less, or 0) let it shrink again. Answers at once.

    Kept from AWS: on-demand only, with the billing commitment only (0 always), UPDATING and then ACTIVE, the quota.
    What is released goes as scaling.py takes capacity away: shard by shard, and not below what the load needs.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    warm = params["WarmThroughputMiBps"]
    named.hold_team(call)  # else the commitment could end between the look at it and the change
    stream = named.find(call, params)
    if stream.mode != StreamMode.ON_DEMAND:
        raise ValidationException(
            f"Request is invalid. Stream {stream.name} under account {call.principal.account_id} is in Provisioned mode."
        )
    if warm:
        check_warm_throughput(call, stream.name, warm)
    named.change(stream)
    named.require_active(stream)
    stream.warm_throughput_mibps = warm or None
    stream.save(update_fields=["warm_throughput_mibps"])
    grows = warm > open_shard_count(stream)
    start(call, stream, topology.plan_uniform(warm) if grows else [])
    return {
        "StreamARN": str(stream.arn),
        "StreamName": stream.name,
        "WarmThroughput": warm_throughput(stream) or {"TargetMiBps": 0, "CurrentMiBps": open_shard_count(stream)},
    }


def update_stream_record_distribution_strategy(call: Call, params: Json) -> None:
    """By whom records are placed from now on: by their keys, or evenly by us (AUTO). Old records stay where they are.

    Kept from AWS: on-demand only (InvalidArgumentException otherwise), at any time, without UPDATING; with AUTO keys and
    explicit hash keys are ignored for the placing, a key may be left out, and is absent in reads then.
    Not kept: other processes follow within a second. StreamId is reserved in the model and means nothing.
    """
    stream = named.find(call, params)
    if stream.mode != StreamMode.ON_DEMAND:
        raise InvalidArgumentException(
            f"RecordDistributionStrategy cannot be changed: stream {stream.name} under account "
            f"{call.principal.account_id} is not in ON_DEMAND mode."
        )
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    Stream.objects.filter(pk=stream.pk).update(distribution_strategy=params["RecordDistributionStrategy"])


def update_max_record_size(call: Call, params: Json) -> None:
    """How large one record may be, key and data: 1 to 10 MiB. Records stored already stay readable.

    Kept from AWS: the bounds (the model's), the stream by its ARN. What a shard takes over time stays 1 MiB/s; only
    what it may have saved up grows to the largest record.
    Not kept: the stream stays ACTIVE; other processes follow within a second. StreamId is reserved in the model and
    means nothing.
    """
    stream = named.find(call, params)
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    Stream.objects.filter(pk=stream.pk).update(max_record_size_kib=params["MaxRecordSizeInKiB"])
