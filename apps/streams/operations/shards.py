"""ListShards, and how a shard is shown."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from apps.runtime import Call
from apps.streams import addressing, named, sequence, tokens
from apps.streams.errors import InvalidArgumentException, ResourceInUseException, ResourceNotFoundException
from apps.streams.models import Shard, Stream
from apps.streams.retention import horizon_ms

SHARDS_PER_PAGE = 1_000
"""ListShards answers no more, whatever MaxResults says."""

FARTHEST_MS = 2**53
"""Some 285,000 years from now: as good as any later time."""

Json = dict[str, Any]


def list_shards(call: Call, params: Json) -> Json:
    """The shards of a stream, page by page, those that a filter lets through.

    Kept from AWS: the six filters, times before the horizon count as the horizon, tokens that live 300 s, what may
    not be given together, ResourceInUseException while the stream is made or deleted (KCL waits on it).
    1,000 calls a second and stream. Not kept: StreamId is reserved in the model and means nothing.
    """
    stream, shard_filter, after = _asked(call, params)
    if stream.status not in named.IN_SERVICE:
        raise ResourceInUseException.stream_not_active(stream.name, stream.team.account_id, stream.status)
    rows = _through(shard_filter, shown(stream, call.now_ms), stream, call.now_ms)
    if after is not None:
        rows = rows.filter(index__gt=after)
    limit = min(params.get("MaxResults") or SHARDS_PER_PAGE, SHARDS_PER_PAGE)
    page = list(rows[: limit + 1])
    answer: Json = {"Shards": [describe(shard) for shard in page[:limit]]}
    if len(page) > limit:
        position = {"stream": stream.pk, "after": page[limit - 1].index, "filter": shard_filter}
        answer["NextToken"] = tokens.issue(call, "ListShards", **position)
    return answer


def shown(stream: Stream, now_ms: int) -> QuerySet[Shard]:
    """The shards that clients may see, by number. A closed one leaves when its last possible record is past the
    horizon, whether or not a worker has trimmed it by then."""
    horizon = horizon_ms(stream, now_ms)
    return (
        Shard.objects.filter(stream=stream, opened_at_ms__isnull=False, expired_at_ms__isnull=True)
        .filter(Q(closed_at_ms__isnull=True) | Q(closed_at_ms__gte=horizon))
        .order_by("index")
    )


def describe(shard: Shard) -> Json:
    """A shard as AWS shows it; a closed one has an EndingSequenceNumber."""
    numbers = {"StartingSequenceNumber": sequence.starting(shard.created_s, shard.index)}
    if shard.closed_at_ms is not None:
        numbers["EndingSequenceNumber"] = sequence.ending(shard.created_s, shard.index, shard.closed_at_ms // 1000)
    answer: Json = {
        "ShardId": shard.shard_id,
        "HashKeyRange": {"StartingHashKey": shard.start_hash, "EndingHashKey": shard.end_hash},
        "SequenceNumberRange": numbers,
    }
    if shard.parent_index is not None:
        answer["ParentShardId"] = addressing.shard_id_text(shard.parent_index)
    if shard.adjacent_parent_index is not None:
        answer["AdjacentParentShardId"] = addressing.shard_id_text(shard.adjacent_parent_index)
    return answer


def _asked(call: Call, params: Json) -> tuple[Stream, Json, int | None]:
    """The stream, the filter and the shard number to go on after: as given, or as a token has them."""
    token = params.get("NextToken")
    if token is None:
        return _first_page(call, params)
    if params.get("StreamName"):
        raise InvalidArgumentException("NextToken and StreamName cannot be provided together.")
    for name in ("ExclusiveStartShardId", "StreamCreationTimestamp"):
        if params.get(name) is not None:
            raise InvalidArgumentException(f"NextToken and {name} cannot be provided together.")
    position = tokens.open_token(call, "ListShards", token)
    if params.get("ShardFilter") is not None and _bounded(params["ShardFilter"]) != position["filter"]:
        raise InvalidArgumentException("ShardFilter differs from the one that NextToken was given for.")
    stream = named.by_key(call, position["stream"])
    if params.get("StreamARN") not in (None, str(stream.arn)):
        raise InvalidArgumentException("StreamARN differs from the one that NextToken was given for.")
    return stream, position["filter"], position["after"]


def _first_page(call: Call, params: Json) -> tuple[Stream, Json, int | None]:
    if not params.get("StreamName") and not params.get("StreamARN"):
        raise InvalidArgumentException("Either NextToken or StreamName should be provided.")
    name = named.name_in(call, params)
    start = params.get("ExclusiveStartShardId")
    after = None if start is None else addressing.shard_index(start, name, call.principal.account_id)
    shard_filter = params.get("ShardFilter") or {"Type": "FROM_TRIM_HORIZON"}
    _check_filter(shard_filter, name, call.principal.account_id)
    stream = named.find(call, params)
    created_ms = params.get("StreamCreationTimestamp")
    if created_ms is not None and created_ms // 1000 != stream.created_at_ms // 1000:
        raise ResourceNotFoundException.stream(name, call.principal.account_id)
    return stream, _bounded(shard_filter), after


def _bounded(shard_filter: Json) -> Json:
    """The filter with a time that fits into a token and a database, however far away it was."""
    at_ms = shard_filter.get("Timestamp")
    return shard_filter if at_ms is None else {**shard_filter, "Timestamp": max(0, min(at_ms, FARTHEST_MS))}


def _check_filter(shard_filter: Json, name: str, account_id: str) -> None:
    kind = shard_filter["Type"]
    needs = {"AFTER_SHARD_ID": "ShardId", "AT_TIMESTAMP": "Timestamp", "FROM_TIMESTAMP": "Timestamp"}.get(kind)
    for member in ("ShardId", "Timestamp"):
        if member == needs and shard_filter.get(member) is None:
            raise InvalidArgumentException(f"{member} must be provided for a ShardFilter of type {kind}.")
        if member != needs and shard_filter.get(member) is not None:
            raise InvalidArgumentException(f"{member} cannot be provided for a ShardFilter of type {kind}.")
    if needs == "ShardId":
        addressing.shard_index(shard_filter["ShardId"], name, account_id)


def _through(shard_filter: Json, rows: QuerySet[Shard], stream: Stream, now_ms: int) -> QuerySet[Shard]:
    """The shards that a filter lets through. A shard without a parent counts as open since ever, so that a time
    before the stream's first finds its first shards."""
    horizon = horizon_ms(stream, now_ms)
    match shard_filter["Type"]:
        case "AT_LATEST":
            return rows.filter(closed_at_ms__isnull=True)
        case "AFTER_SHARD_ID":
            return rows.filter(index__gt=addressing.shard_index(shard_filter["ShardId"], "", ""))
        case "AT_TRIM_HORIZON":
            return _open_at(rows, horizon)
        case "AT_TIMESTAMP":
            return _open_at(rows, max(shard_filter["Timestamp"], horizon))
        case "FROM_TIMESTAMP":
            at_ms = max(shard_filter["Timestamp"], horizon)
            return rows.filter(Q(closed_at_ms__isnull=True) | Q(closed_at_ms__gte=at_ms))
        case _:
            return rows


def _open_at(rows: QuerySet[Shard], at_ms: int) -> QuerySet[Shard]:
    began = Q(parent_index__isnull=True) | Q(opened_at_ms__lte=at_ms)
    return rows.filter(began, Q(closed_at_ms__isnull=True) | Q(closed_at_ms__gte=at_ms))
