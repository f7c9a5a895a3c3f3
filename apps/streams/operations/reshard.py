"""SplitShard, MergeShards, UpdateShardCount: each writes a plan, which a worker carries out step by step."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from apps.base.units import DAY_MS
from apps.runtime import Call
from apps.streams import named, topology
from apps.streams.addressing import shard_id_text, shard_index
from apps.streams.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from apps.streams.models import Shard, Stream, StreamMode, StreamStatus
from apps.streams.operations.shards import shown
from apps.streams.operations.stream import check_shard_quota, due_now, open_shard_count
from apps.streams.quotas import QUOTAS, limit
from apps.streams.topology import Kind, Step

Json = dict[str, Any]


def split_shard(call: Call, params: Json) -> None:
    """Split a shard in two at NewStartingHashKey; the lower child has the lower number.

    Kept from AWS: order of checks (form of the id, stream, mode, state, shard, quota, hash key, closed) and texts.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    name, account_id = named.name_in(call, params), call.principal.account_id
    index = shard_index(params["ShardToSplit"], name, account_id)
    named.hold_team(call)
    stream = _reshardable(call, params)
    shard = _shard(call, stream, index)
    check_shard_quota(call, 1)
    boundary = int(params["NewStartingHashKey"])
    if not topology.may_split(_range(shard), boundary):
        raise InvalidArgumentException(
            f"NewStartingHashKey {params['NewStartingHashKey']} used in SplitShard() on shard {shard.shard_id} in "
            f"stream {name} under account {account_id} is not both greater than one plus the shard's StartingHashKey "
            f"{shard.start_hash} and less than the shard's EndingHashKey {shard.end_hash}."
        )
    _refuse_closed(stream, shard)
    start(call, stream, topology.plan_of([Step(Kind.SPLIT, boundary)]))


def merge_shards(call: Call, params: Json) -> None:
    """Merge a shard with its upper neighbour.

    Kept from AWS: order of checks (form of both ids, stream, mode, state, both shards, adjacency, closed) and texts;
    the pair in inverted order is refused.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    name, account_id = named.name_in(call, params), call.principal.account_id
    given = (params["ShardToMerge"], params["AdjacentShardToMerge"])
    indexes = [shard_index(shard_id, name, account_id) for shard_id in given]
    stream = _reshardable(call, params)
    lower, upper = (_shard(call, stream, index) for index in indexes)
    if not topology.adjacent(_range(lower), _range(upper)):
        raise InvalidArgumentException(
            f"Shards {lower.shard_id} and {upper.shard_id} in stream {name} under account {account_id} are not an "
            "adjacent pair of shards eligible for merging"
        )
    for shard in (lower, upper):
        _refuse_closed(stream, shard)
    start(call, stream, topology.plan_of([Step(Kind.MERGE, int(upper.start_hash))]))


def update_shard_count(call: Call, params: Json) -> Json:
    """Go to a number of shards with even ranges. Answers at once; a worker splits and merges.

    Kept from AWS: at most double, at least half (rounded up), 10,000 a stream, ten calls within 24 hours, the
    account's quota; the present number is allowed and evens the ranges out. Not kept: short-lived shards on the way
    are not refused by the quota (though they count while they live).
    """
    named.hold_team(call)
    stream = _reshardable(call, params)
    current = open_shard_count(stream)
    target = params["TargetShardCount"]
    recent = [at_ms for at_ms in stream.updates_ms if at_ms > call.now_ms - DAY_MS]
    _check_update(stream, current, target, len(recent))
    check_shard_quota(call, max(0, target - current))
    stream.updates_ms = [*recent, call.now_ms]
    stream.save(update_fields=["updates_ms"])
    start(call, stream, topology.plan_uniform(target))
    return {
        "StreamName": stream.name,
        "CurrentShardCount": current,
        "TargetShardCount": target,
        "StreamARN": str(stream.arn),
    }


def start(call: Call, stream: Stream, plan: topology.Plan) -> None:
    """Write the plan down and let a worker begin. With an empty one the stream is UPDATING for a moment all the same."""
    if not begin(stream, plan):
        raise ResourceInUseException.stream_not_active(stream.name, call.principal.account_id, StreamStatus.UPDATING)
    due_now(call, stream)


def begin(stream: Stream, plan: topology.Plan) -> bool:
    """ACTIVE → UPDATING with a plan to carry out; False, and nothing is written, if the stream is not ACTIVE."""
    active = Stream.objects.filter(pk=stream.pk, status=StreamStatus.ACTIVE)
    return bool(active.update(status=StreamStatus.UPDATING, plan=plan, version=F("version") + 1))


def _reshardable(call: Call, params: Json) -> Stream:
    stream = named.find(call, params)
    if stream.mode == StreamMode.ON_DEMAND:
        raise ValidationException(
            f"Request is invalid. Stream {stream.name} under account {call.principal.account_id} is in On-Demand mode."
        )
    named.change(stream)
    named.require_active(stream)
    return stream


def _shard(call: Call, stream: Stream, index: int) -> Shard:
    found = shown(stream, call.now_ms).filter(index=index).first()
    if found is None:
        raise ResourceNotFoundException.could_not_find_shard(
            shard_id_text(index), stream.name, call.principal.account_id
        )
    return found


def _range(shard: Shard) -> topology.Range:
    return int(shard.start_hash), int(shard.end_hash)


def _refuse_closed(stream: Stream, shard: Shard) -> None:
    if shard.closed_at_ms is not None:
        raise InvalidArgumentException(
            f"Shard {shard.shard_id} in stream {stream.name} under account {stream.team.account_id} has already been "
            "merged or split, and thus is not eligible for merging or splitting."
        )


def _check_update(stream: Stream, current: int, target: int, recent: int) -> None:
    counts = f"Current open shard count: {current} Target shard count: {target}"
    updates = limit(stream.team_id, stream.region, "updates-per-day")
    if recent >= updates:
        raise QUOTAS["updates-per-day"].exceeded(
            stream=stream.name, account=stream.team.account_id, current=recent, limit=updates
        )
    most = limit(stream.team_id, stream.region, "shards-per-update")
    if target > most:
        raise QUOTAS["shards-per-update"].exceeded(limit=most, current=current, wanted=target)
    if target > 2 * current:
        raise LimitExceededException(
            f"UpdateShardCount cannot scale up over double your current open shard count. {counts}"
        )
    if 2 * target < current:
        raise LimitExceededException(
            f"UpdateShardCount cannot scale down below half your current open shard count. {counts}"
        )
