"""CreateStream, DeleteStream, DescribeStream, DescribeStreamSummary, ListStreams, and the two retention calls."""

from __future__ import annotations

import secrets
import string
from typing import Any

from apps.base.units import HOUR_MS
from apps.capacity import commitment
from apps.leases import hold
from apps.leases.wake import wake
from apps.queues.models import Queue
from apps.runtime import Call
from apps.streams import named, retention, storage_meters, time_meters, tokens, topology
from apps.streams.addressing import shard_index
from apps.streams.errors import (
    InvalidArgumentException,
    ResourceInUseException,
    ValidationException,
)
from apps.streams.limits import RECORD_KIB_DEFAULT
from apps.streams.metered_states import hour_of
from apps.streams.metering import note_tags
from apps.streams.models import (
    ConsumerStatus,
    RecordDistributionStrategy,
    Shard,
    Stream,
    StreamMode,
    StreamStatus,
)
from apps.streams.operations.shards import describe as describe_shard
from apps.streams.operations.shards import shown
from apps.streams.operations.tags import Tagged, check_count, check_tags
from apps.streams.quotas import ON_DEMAND_SHARDS_AT_START, QUOTAS, limit

STREAMS_PER_PAGE = 100
SHARDS_PER_DESCRIPTION = 100
"""What one call answers at most, whatever its Limit says (up to 10,000)."""

RETENTION_HOURS_MIN = 24
RETENTION_HOURS_MAX = 8_760

CREATED_BEFORE_S = 2
"""The shards of a new stream carry a creation second so long before the call, as recorded from AWS (2 to 7 s)."""

Json = dict[str, Any]


def create_stream(call: Call, params: Json) -> None:
    """A stream that is CREATING; a worker makes its shards and turns it ACTIVE.

    Kept from AWS: on-demand with four shards where neither ShardCount nor a mode is given, quotas of shards, of
    on-demand streams and of streams in CREATING, MaxRecordSizeInKiB, tags; WarmThroughputMiBps with the billing
    commitment and AUTO distribution for on-demand streams. Not kept: the stream may be ACTIVE within a second.
    """
    name, region = params["StreamName"], call.runtime.config.region
    mode = _mode(params)
    tags = params.get("Tags") or {}
    check_tags(call, name, tags)
    check_count(call, name, set(tags))
    named.hold_team(call)
    _check_on_demand_members(call, params, mode)
    if Stream.objects.filter(team_id=call.principal.team_id, name=name).exists():
        raise ResourceInUseException.stream_exists(name, call.principal.account_id)
    warm = params.get("WarmThroughputMiBps") or 0
    count = max(ON_DEMAND_SHARDS_AT_START, warm) if mode == StreamMode.ON_DEMAND else params["ShardCount"]
    _check_quotas(call, mode, count)
    stream = Stream.objects.create(
        team_id=call.principal.team_id,
        region=region,
        name=name,
        stream_id=_new_stream_id(),
        mode=mode,
        max_record_size_kib=params.get("MaxRecordSizeInKiB") or RECORD_KIB_DEFAULT,
        warm_throughput_mibps=warm or None,
        distribution_strategy=params.get("RecordDistributionStrategy") or RecordDistributionStrategy.USER_PARTITION_KEY,
        created_at_ms=call.now_ms,
        metered_to_ms=call.now_ms,
        namesake_bytes=storage_meters.arrived_in_hour(call.principal.team_id, f"stream/{name}", hour_of(call.now_ms)),
        next_shard_index=count,
    )
    _prepare_shards(stream, count)
    Tagged.of_stream(stream).write(tags)
    hold.ensure("metering", "readings", call.now_ms)
    hold.ensure("throttling", "on-demand", call.now_ms)
    due_now(call, stream)


def delete_stream(call: Call, params: Json) -> None:
    """Begin to delete a stream in any state; a worker removes its consumers, shards and records.

    Kept from AWS: refused while there are consumers, unless EnforceConsumerDeletion, and while there are queues or
    channels, whatever that says. Deleting a stream that is being deleted is no error. Not kept: puts and reads end at once (AWS may go on
    for a while).
    """
    stream = named.find(call, params)
    named.change(stream)
    if stream.consumers.exists() and not params.get("EnforceConsumerDeletion"):
        account_id = call.principal.account_id
        raise ResourceInUseException(
            f"DeleteStream can't delete {account_id}:{stream.name} because there are consumers associated with this "
            f"data stream. To delete {stream.name} anyway, set the EnforceConsumerDeletion parameter to true to force "
            "the deletion of all the consumers that are associated with it."
        )
    if Queue.objects.filter(stream=stream).exists():
        raise ResourceInUseException(
            f"DeleteStream can't delete {call.principal.account_id}:{stream.name} because there are queues associated "
            "with this data stream. Delete every queue on it with DeleteQueue first."
        )
    if channels_of(stream):
        raise ResourceInUseException(
            f"DeleteStream can't delete {call.principal.account_id}:{stream.name} because there are channels associated "
            "with this data stream. Delete every channel on it with DeleteChannel first."
        )
    time_meters.end(stream, call.now_ms)
    note_tags([stream], call.now_ms)
    stream.consumers.update(status=ConsumerStatus.DELETING)
    Stream.objects.filter(pk=stream.pk).update(status=StreamStatus.DELETING)
    due_now(call, stream)


def describe_stream(call: Call, params: Json) -> Json:
    """A stream with a page of its shards, at most 100.

    Kept from AWS: no shards while CREATING or DELETING, ExclusiveStartShardId need not exist; ten calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    name = named.name_in(call, params)
    start = params.get("ExclusiveStartShardId")
    after = -1 if start is None else shard_index(start, name, call.principal.account_id)
    stream = named.find(call, params)
    limit = min(params.get("Limit") or SHARDS_PER_DESCRIPTION, SHARDS_PER_DESCRIPTION)
    page: list[Shard] = []
    if stream.status in named.IN_SERVICE:
        page = list(shown(stream, call.now_ms).filter(index__gt=after)[: limit + 1])
    shards = [describe_shard(shard) for shard in page[:limit]]
    return {"StreamDescription": {**_common(stream), "Shards": shards, "HasMoreShards": len(page) > limit}}


def describe_stream_summary(call: Call, params: Json) -> Json:
    """A stream without its shards.

    Kept from AWS: StreamId, which KCL 3 needs; distribution strategy and warm throughput of on-demand streams; 20 calls
    a second. Not kept: as input StreamId means nothing.
    """
    stream = named.find(call, params)
    return {
        "StreamDescriptionSummary": {
            **_common(stream),
            "StreamId": stream.stream_id,
            "OpenShardCount": open_shard_count(stream),
            "ConsumerCount": stream.consumers.count(),
            "MaxRecordSizeInKiB": stream.max_record_size_kib,
            "ChannelCount": channels_of(stream),
            "QueueCount": Queue.objects.filter(stream=stream).count(),
            **_on_demand_members(stream),
        }
    }


def channels_of(stream: Stream) -> int:
    """How many channels read a stream; they are a matter of a higher floor (apps/delivery), whose rows point here."""
    count: int = stream.delivery_streams.exclude(channel_id="").count()
    return count


def _on_demand_members(stream: Stream) -> Json:
    """What only on-demand streams have."""
    if stream.mode != StreamMode.ON_DEMAND:
        return {}
    members: Json = {"RecordDistributionStrategy": stream.distribution_strategy}
    warm = warm_throughput(stream)
    if warm is not None:
        members["WarmThroughput"] = warm
    return members


def warm_throughput(stream: Stream) -> Json | None:
    """The warm throughput asked for and what the open shards take now; None if none was asked for."""
    if stream.warm_throughput_mibps is None:
        return None
    return {"TargetMiBps": stream.warm_throughput_mibps, "CurrentMiBps": open_shard_count(stream)}


def open_shard_count(stream: Stream) -> int:
    """How many shards take records now."""
    return stream.shards.filter(opened_at_ms__isnull=False, closed_at_ms__isnull=True).count()


def list_streams(call: Call, params: Json) -> Json:
    """The team's streams by name in code point order, at most 100 a page.

    Kept from AWS: ExclusiveStartStreamName need not exist; NextToken lives 300 s; five calls a second.
    Not kept: nothing.
    """
    after = params.get("ExclusiveStartStreamName")
    token = params.get("NextToken")
    if token is not None:
        if after is not None:
            raise InvalidArgumentException("NextToken and ExclusiveStartStreamName cannot be provided together.")
        after = tokens.open_token(call, "ListStreams", token)["after"]
    rows = Stream.objects.filter(team_id=call.principal.team_id)
    names = sorted(rows.values_list("name", flat=True))  # not ORDER BY: databases sort by other rules
    if after is not None:
        names = [name for name in names if name > after]
    limit = min(params.get("Limit") or STREAMS_PER_PAGE, STREAMS_PER_PAGE)
    page = names[:limit]
    streams = {stream.name: stream for stream in rows.select_related("team").filter(name__in=page)}
    answer: Json = {
        "StreamNames": page,
        "HasMoreStreams": len(names) > limit,
        "StreamSummaries": [_summary(streams[name]) for name in page if name in streams],
    }
    if answer["HasMoreStreams"]:
        answer["NextToken"] = tokens.issue(call, "ListStreams", after=page[-1])
    return answer


def increase_stream_retention_period(call: Call, params: Json) -> None:
    """Keep records longer; what has expired by now stays so.

    Kept from AWS: texts and order of checks; the same value is no error. Not kept: the stream stays ACTIVE.
    """
    stream, hours = _retention_asked(call, params)
    if hours < stream.retention_hours:
        raise InvalidArgumentException(
            f"Requested retention period ({hours} hours) for stream {stream.name} can not be shorter than existing "
            f"retention period ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
        )
    _set_retention(call, stream, hours)


def decrease_stream_retention_period(call: Call, params: Json) -> None:
    """Keep records for a shorter time; what is older is out of sight at once.

    Kept from AWS: texts and order of checks; the same value is no error. Not kept: the stream stays ACTIVE.
    """
    stream, hours = _retention_asked(call, params)
    if hours > stream.retention_hours:
        raise InvalidArgumentException(
            f"Requested retention period ({hours} hours) for stream {stream.name} can not be longer than existing "
            f"retention period ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
        )
    _set_retention(call, stream, hours)


def due_now(call: Call, stream: Stream) -> None:
    """Let a worker look at the stream: a due time in this transaction, and a hint after it."""
    hold.ensure("lifecycle", str(stream.pk), call.now_ms)
    wake("lifecycle", str(stream.pk))


def _mode(params: Json) -> str:
    given = (params.get("StreamModeDetails") or {}).get("StreamMode")
    has_count = params.get("ShardCount") is not None
    if given == StreamMode.ON_DEMAND and has_count:
        raise ValidationException("ShardCount is not expected when StreamMode=ON_DEMAND")
    if given == StreamMode.PROVISIONED and not has_count:
        raise ValidationException("ShardCount must be provided when StreamMode=PROVISIONED")
    return given or (StreamMode.PROVISIONED if has_count else StreamMode.ON_DEMAND)


def _check_on_demand_members(call: Call, params: Json, mode: str) -> None:
    warm = params.get("WarmThroughputMiBps")
    if mode == StreamMode.PROVISIONED:
        if warm is not None:
            raise ValidationException("WarmThroughputMiBps is not expected when StreamMode=PROVISIONED")
        if params.get("RecordDistributionStrategy") == RecordDistributionStrategy.AUTO:
            raise InvalidArgumentException("RecordDistributionStrategy AUTO is available for on-demand streams only.")
    elif warm:
        check_warm_throughput(call, params["StreamName"], warm)


def check_warm_throughput(call: Call, name: str, warm: int) -> None:
    """Raises InvalidArgumentException without the billing commitment, LimitExceededException above the quota."""
    account_id, team_id = call.principal.account_id, call.principal.team_id
    if not commitment.is_enabled(team_id, call.now_ms):
        raise InvalidArgumentException(
            f"WarmThroughputMiBps cannot be specified: account {account_id} has MinimumThroughputBillingCommitment "
            f"{commitment.status(commitment.newest(team_id), call.now_ms)}. Enable it with UpdateAccountSettings first."
        )
    most = limit(team_id, call.runtime.config.region, "on-demand-shards")
    if warm > most:
        raise QUOTAS["on-demand-shards"].exceeded(wanted=warm, stream=name, account=account_id, limit=most)


def _check_quotas(call: Call, mode: str, count: int) -> None:
    if mode == StreamMode.PROVISIONED:
        check_shard_quota(call, count)
    else:
        check_on_demand_quota(call)
    team_id, region = call.principal.team_id, call.runtime.config.region
    creating = limit(team_id, region, "streams-creating")
    if Stream.objects.filter(team_id=team_id, status=StreamStatus.CREATING).count() >= creating:
        raise QUOTAS["streams-creating"].exceeded(account=call.principal.account_id, limit=creating)


def check_on_demand_quota(call: Call) -> None:
    """Raises LimitExceededException if the account may not have one more on-demand stream."""
    team_id, region = call.principal.team_id, call.runtime.config.region
    allowed = limit(team_id, region, "on-demand-streams")
    if Stream.objects.filter(team_id=team_id, mode=StreamMode.ON_DEMAND).count() >= allowed:
        raise QUOTAS["on-demand-streams"].exceeded(account=call.principal.account_id, region=region, limit=allowed)


def check_shard_quota(call: Call, more: int) -> None:
    """Raises LimitExceededException if the account may not have so many more open shards."""
    team_id, region = call.principal.team_id, call.runtime.config.region
    current, allowed = provisioned_shards(team_id), limit(team_id, region, "shards")
    if current + more > allowed:
        raise QUOTAS["shards"].exceeded(
            account=call.principal.account_id, region=region, current=current, limit=allowed, wanted=more
        )


def provisioned_shards(team_id: int) -> int:
    """The team's shards that count against its quota: open ones, and those of streams being made."""
    rows = Shard.objects.filter(stream__team_id=team_id, stream__mode=StreamMode.PROVISIONED)
    return rows.filter(closed_at_ms__isnull=True).count()


def _prepare_shards(stream: Stream, count: int) -> None:
    created_s = stream.created_at_ms // 1000 - CREATED_BEFORE_S
    Shard.objects.bulk_create(
        [
            Shard(stream=stream, index=index, start_hash=str(start), end_hash=str(end), created_s=created_s)
            for index, (start, end) in enumerate(topology.even_ranges(count))
        ],
        batch_size=500,
    )


def _new_stream_id() -> str:
    letters = string.ascii_lowercase + string.digits
    return "-".join("".join(secrets.choice(letters) for _ in range(length)) for length in (20, 3))


def _common(stream: Stream) -> Json:
    """What DescribeStream and DescribeStreamSummary both answer."""
    return {
        **_summary(stream),
        "RetentionPeriodHours": stream.retention_hours,
        "EnhancedMonitoring": [{"ShardLevelMetrics": stream.shard_level_metrics}],
        **_encryption(stream),
    }


def _encryption(stream: Stream) -> Json:
    """KeyId is the text that StartStreamEncryption was given."""
    if not stream.encryption_key_arn:
        return {"EncryptionType": "NONE"}
    return {"EncryptionType": "KMS", "KeyId": stream.encryption_key_id}


def _summary(stream: Stream) -> Json:
    return {
        "StreamName": stream.name,
        "StreamARN": str(stream.arn),
        "StreamStatus": stream.status,
        "StreamModeDetails": {"StreamMode": stream.mode},
        "StreamCreationTimestamp": stream.created_at_ms,
    }


def _retention_asked(call: Call, params: Json) -> tuple[Stream, int]:
    stream, hours = named.find(call, params), params["RetentionPeriodHours"]
    if hours < RETENTION_HOURS_MIN:
        raise InvalidArgumentException(
            f"Minimum allowed retention period is {RETENTION_HOURS_MIN} hours. "
            f"Requested retention period ({hours} hours) is too short."
        )
    if hours > RETENTION_HOURS_MAX:
        raise InvalidArgumentException(
            f"Maximum allowed retention period is {RETENTION_HOURS_MAX} hours. "
            f"Requested retention period ({hours} hours) is too long."
        )
    named.change(stream)
    return stream, hours


def _set_retention(call: Call, stream: Stream, hours: int) -> None:
    named.require_active(stream, StreamStatus.UPDATING)
    if hours == stream.retention_hours:
        return
    shorter = hours < stream.retention_hours
    at_ms = time_meters.settle(stream, call.now_ms)
    stream.retention_floor_ms = max(retention.horizon_ms(stream, call.now_ms), call.now_ms - hours * HOUR_MS)
    stream.retention_hours = hours
    stream.save(update_fields=["retention_floor_ms", "retention_hours"])
    time_meters.begin_state(stream, at_ms)
    if shorter:
        for shard_key in stream.shards.filter(opened_at_ms__isnull=False).values_list("pk", flat=True):
            hold.ensure("retention", str(shard_key), call.now_ms)
