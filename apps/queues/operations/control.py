"""CreateQueue, DescribeQueue, ListQueues, UpdateQueue, DeleteQueue."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from django.db import transaction

from apps.base.arn import parse_queue_arn, parse_stream_arn
from apps.base.units import SECOND_MS
from apps.leases import hold
from apps.leases.wake import wake
from apps.queues import meters
from apps.queues.errors import not_found
from apps.queues.lifecycle import KIND, close_in_store
from apps.queues.models import Queue, QueueStatus, QueueTag, StartingPosition
from apps.queues.operations import association
from apps.runtime import Call
from apps.streams import named, tokens
from apps.streams.errors import InvalidArgumentException, ResourceInUseException, ValidationException
from apps.streams.models import Stream, StreamMode, StreamStatus
from apps.streams.operations.consumers import check_consumer_count
from apps.streams.operations.tags import check_count, check_tags
from apps.streams.quotas import QUOTAS, limit

QUEUES_PER_PAGE = 100
"""What one ListQueues call answers at most, whatever MaxResults says (up to 10,000)."""

VISIBILITY_TIMEOUT_S = 30
MAX_RECEIVE_COUNT = 6
"""Of a queue that is created without saying."""

QUEUE_ID_BYTES = 12

BETWEEN = (QueueStatus.CREATING, QueueStatus.DELETING)

Json = dict[str, Any]


def create_queue(call: Call, params: Json) -> Json:
    """A queue that is CREATING; a worker turns it ACTIVE.

    Kept from AWS: one stream per queue, in on-demand mode; a name is taken once per account; queues share the quota of
    registered consumers; five queues in CREATING or DELETING; the defaults of 30 seconds and six receives; LATEST is
    what arrives after this call; tags; kinesis:AssociateStreamsWithQueue on the stream. Not kept: a Timestamp that is
    still to come is refused (AWS does not say).
    """
    given = _only_stream(params)
    start_type, start_given_ms, start_ms = _start(given.get("StartingPosition") or {}, call.now_ms)
    attributes = _attributes(params.get("QueueAttributes") or {})
    name, tags = params["QueueName"], params.get("Tags") or {}
    check_tags(call, name, tags, "queue")
    check_count(call, name, set(tags), "queue")
    named.hold_team(call)
    stream = named.find(call, {"StreamARN": given["StreamARN"]})
    association.check(call, stream, params)
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    if stream.mode != StreamMode.ON_DEMAND:
        raise ValidationException(
            f"Queues are supported only on data streams in ON_DEMAND capacity mode. Stream {stream.name} under account "
            f"{call.principal.account_id} is in {stream.mode} mode."
        )
    if Queue.objects.filter(team_id=call.principal.team_id, name=name).exists():
        raise ResourceInUseException(f"Queue {name} under account {call.principal.account_id} already exists.")
    check_consumer_count(stream, stream.consumers.count() + stream.queues.count(), call.now_ms)
    _check_between(call)
    queue = Queue.objects.create(
        team_id=call.principal.team_id,
        stream=stream,
        region=stream.region,
        name=name,
        queue_id=secrets.token_hex(QUEUE_ID_BYTES),
        created_at_ms=call.now_ms,
        start_type=start_type,
        start_given_ms=start_given_ms,
        start_ms=start_ms,
        **{"visibility_timeout_s": VISIBILITY_TIMEOUT_S, "max_receive_count": MAX_RECEIVE_COUNT, **attributes},
    )
    QueueTag.objects.bulk_create(QueueTag(queue=queue, key=key, value=value) for key, value in tags.items())
    _due_now(call, queue)
    return {"QueueDescription": _describe(queue)}


def describe_queue(call: Call, params: Json) -> Json:
    """A queue by its ARN.

    Kept from AWS: the starting position's Timestamp is what was given while the queue is CREATING, and the effective one
    from then on. Not kept: nothing.
    """
    return {"QueueDescription": _describe(_find(call, params))}


def list_queues(call: Call, params: Json) -> Json:
    """The team's queues by name in code point order, at most 100 a page.

    Kept from AWS: StreamFilter, also by the stream's creation time; NextToken lives 300 s. Several filters are summed up.
    Not kept: nothing.
    """
    after = ""
    if params.get("NextToken") is not None:
        position = tokens.open_token(call, "ListQueues", params["NextToken"])
        if position["filter"] != params.get("StreamFilter"):
            raise InvalidArgumentException("StreamFilter differs from the one that NextToken was given for.")
        after = position["after"]
    rows = Queue.objects.select_related("team", "stream__team").filter(team_id=call.principal.team_id)
    names = _names_of_filter(params.get("StreamFilter") or [])
    if names:
        rows = rows.filter(stream__name__in=names)
    found = [row for row in rows if row.name > after and _passes(row, params.get("StreamFilter"))]
    found.sort(key=lambda row: row.name)
    count = min(params.get("MaxResults") or QUEUES_PER_PAGE, QUEUES_PER_PAGE)
    answer: Json = {"QueueSummaries": [_summary(row) for row in found[:count]]}
    if len(found) > count:
        position = {"after": found[count - 1].name, "filter": params.get("StreamFilter")}
        answer["NextToken"] = tokens.issue(call, "ListQueues", **position)
    return answer


def update_queue(call: Call, params: Json) -> Json:
    """Change visibility timeout, dead-letter handling or both; UPDATING until a worker has brought it into force.

    Kept from AWS: what is not given stays; records in flight keep the timeout they were received with; receiving and
    acknowledging go on. Dead letters stay dead letters when MaxReceiveCount rises. Not kept: nothing.
    """
    attributes = _attributes(params["QueueAttributes"])
    if not attributes:
        raise ValidationException(
            "QueueAttributes must contain VisibilityTimeoutSeconds, DeadLetterConfiguration, or both."
        )
    queue = _find_to_change(call, params)
    if queue.status != QueueStatus.ACTIVE:
        raise ResourceInUseException(
            f"Queue {queue.arn} under account {call.principal.account_id} not ACTIVE, instead in state {queue.status}"
        )
    for field, value in attributes.items():
        setattr(queue, field, value)
    queue.status, queue.version = QueueStatus.UPDATING, queue.version + 1
    queue.save(update_fields=[*attributes, "status", "version"])
    _due_now(call, queue)
    return {"QueueDescription": _describe(queue)}


def delete_queue(call: Call, params: Json) -> None:
    """Begin to delete a queue in any state: it delivers nothing more, and its receipt handles end, at once.

    Kept from AWS: stream and records stay; five queues in CREATING or DELETING. Deleting a queue that is being deleted is
    no error. Not kept: nothing.
    """
    queue = _find_to_change(call, params)
    if queue.status == QueueStatus.DELETING:
        return
    if queue.status != QueueStatus.CREATING:
        _check_between(call)
    meters.end(queue, call.now_ms)
    queue.status, queue.version = QueueStatus.DELETING, queue.version + 1
    queue.save(update_fields=["status", "version"])
    _due_now(call, queue)
    transaction.on_commit(partial(close_in_store, call.runtime, queue.pk), robust=True)


def _due_now(call: Call, queue: Queue) -> None:
    hold.ensure(KIND, str(queue.pk), call.now_ms)
    wake(KIND, str(queue.pk))


def _find(call: Call, params: Json) -> Queue:
    """The caller's queue of that ARN. Raises ResourceNotFoundException."""
    arn, account_id = params["QueueARN"], call.principal.account_id
    parsed = parse_queue_arn(arn)
    if parsed is not None and parsed.account_id == account_id:
        rows = Queue.objects.select_related("team", "stream__team").filter(team_id=call.principal.team_id)
        found = rows.filter(queue_id=parsed.queue_id, region=parsed.region).first()
        if found is not None:
            return found
    raise not_found(arn, parsed.account_id if parsed else account_id)


def _find_to_change(call: Call, params: Json) -> Queue:
    """The same, held until the transaction ends, and the team before it."""
    named.hold_team(call)
    return _find(call, params)


def _check_between(call: Call) -> None:
    count = Queue.objects.filter(team_id=call.principal.team_id, status__in=BETWEEN).count()
    most = limit(call.principal.team_id, call.runtime.config.region, "queues-between")
    if count >= most:
        raise QUOTAS["queues-between"].exceeded(account=call.principal.account_id, current=count, limit=most)


def _only_stream(params: Json) -> Json:
    given = params["StreamConfigurationList"]
    if len(given) != 1:
        raise ValidationException(
            "StreamConfigurationList must contain exactly one entry, because a queue delivers records from a single data "
            f"stream. The request contains {len(given)}."
        )
    only: Json = given[0]
    return only


def _start(position: Json, now_ms: int) -> tuple[str, int | None, int]:
    """(type, Timestamp as given, from when on records are delivered)."""
    kind, given_ms = position.get("Type") or StartingPosition.LATEST, position.get("Timestamp")
    if kind != StartingPosition.AT_TIMESTAMP:
        if given_ms is not None:
            raise ValidationException(
                f"Timestamp can only be specified for a StartingPosition of type AT_TIMESTAMP, not of type {kind}."
            )
        return kind, None, 0 if kind == StartingPosition.TRIM_HORIZON else now_ms + 1
    if given_ms is None:
        raise ValidationException("Timestamp must be specified for a StartingPosition of type AT_TIMESTAMP.")
    if given_ms > now_ms:
        raise ValidationException(
            f"Timestamp {given_ms} of the StartingPosition cannot be greater than the current time {now_ms}."
        )
    return kind, given_ms, max(0, given_ms)


def _attributes(given: Json) -> Json:
    """Fields of Queue for what is given. Raises ValidationException."""
    fields: Json = {}
    if given.get("VisibilityTimeoutSeconds") is not None:
        fields["visibility_timeout_s"] = given["VisibilityTimeoutSeconds"]
    dead_letters = given.get("DeadLetterConfiguration")
    if dead_letters is None:
        return fields
    count = dead_letters.get("MaxReceiveCount")
    if dead_letters["TargetType"] == "BUILT_IN":
        if count is None:
            raise ValidationException("MaxReceiveCount must be specified when TargetType is BUILT_IN.")
    elif count is not None:
        raise ValidationException("MaxReceiveCount cannot be specified when TargetType is NONE.")
    fields["max_receive_count"] = count
    return fields


def _names_of_filter(filters: list[Json]) -> list[str]:
    parsed = [parse_stream_arn(one["StreamARN"]) for one in filters]
    return [arn.name for arn in parsed if arn is not None]


def _passes(row: Queue, filters: list[Json] | None) -> bool:
    if filters is None:
        return True
    return any(
        one["StreamARN"] == str(row.stream.arn)
        and one.get("StreamCreationTimestamp", row.stream.created_at_ms) // SECOND_MS
        == row.stream.created_at_ms // SECOND_MS
        for one in filters
    )


def _describe(queue: Queue) -> Json:
    position: Json = {"Type": queue.start_type}
    start_ms = queue.start_given_ms if queue.status == QueueStatus.CREATING else queue.start_effective_ms
    if start_ms is not None:
        position["Timestamp"] = start_ms
    if queue.max_receive_count is None:
        dead_letters: Json = {"TargetType": "NONE"}
    else:
        dead_letters = {"TargetType": "BUILT_IN", "MaxReceiveCount": queue.max_receive_count}
    return {
        **_named(queue),
        "StreamConfigurationList": [{"StreamARN": str(queue.stream.arn), "StartingPosition": position}],
        "QueueAttributes": {
            "VisibilityTimeoutSeconds": queue.visibility_timeout_s,
            "DeadLetterConfiguration": dead_letters,
        },
    }


def _summary(queue: Queue) -> Json:
    stream: Stream = queue.stream
    return {
        **_named(queue),
        "Streams": [{"StreamARN": str(stream.arn), "StreamCreationTimestamp": stream.created_at_ms}],
    }


def _named(queue: Queue) -> Json:
    return {
        "QueueName": queue.name,
        "QueueARN": str(queue.arn),
        "QueueStatus": queue.status,
        "QueueCreationTimestamp": queue.created_at_ms,
    }
