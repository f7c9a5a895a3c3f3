"""PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy: who else may use a stream, a consumer or a queue."""

from __future__ import annotations

from typing import Any

from apps.access.policy.document import CHARACTERS_MAX, Kind, Malformed, TooLarge, parse
from apps.base.arn import parse_queue_arn, parse_stream_arn
from apps.queues.models import Queue
from apps.runtime import Call
from apps.streams import named
from apps.streams.errors import InvalidArgumentException, LimitExceededException, ResourceNotFoundException
from apps.streams.models import Consumer, Stream, StreamStatus

NO_POLICY = "{}"
"""What AWS answers for a resource without one, as recorded."""

VENDOR = "kinesis:"

Json = dict[str, Any]
Holder = Stream | Consumer | Queue


def put_resource_policy(call: Call, params: Json) -> None:
    """Set the policy of a stream, a registered consumer or a queue; it holds everywhere within a second.

    Kept from AWS: only the owner's account may; the document is kept as it was put; for a stream that does not exist the
    text has its ARN. Whoever is named from another account may use the resource by its ARN if that account's policies
    allow it too, but never change or delete it.
    Ours: texts of malformed policies are IAM's.
    Not kept: channels have no policies, because there are none; StreamId is reserved in the model and means nothing;
    principals are not looked up.
    """
    document = checked(params["Policy"])
    holder = _holder(call, params["ResourceARN"])
    stream = _stream_of(holder)
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    _save(holder, document)


def get_resource_policy(call: Call, params: Json) -> Json:
    """The policy as it was put.

    Kept from AWS: `{}` without one. Not kept: StreamId is reserved in the model and means nothing.
    """
    return {"Policy": _holder(call, params["ResourceARN"]).resource_policy or NO_POLICY}


def delete_resource_policy(call: Call, params: Json) -> None:
    """Take the policy away; it is gone everywhere within a second.

    Kept from AWS: ResourceNotFoundException without one. Not kept: StreamId is reserved in the model and means nothing.
    """
    holder = _holder(call, params["ResourceARN"])
    named.change(_stream_of(holder))
    if not holder.resource_policy:
        raise ResourceNotFoundException(f"No resource policy found for resource ARN {params['ResourceARN']}.")
    _save(holder, "")


def checked(document: str) -> str:
    """The document. Raises InvalidArgumentException and LimitExceededException for one that could not be put."""
    try:
        policy = parse(document, Kind.RESOURCE)
    except Malformed as error:
        raise InvalidArgumentException(f"Invalid resource policy. {error}") from None
    except TooLarge:
        limit = CHARACTERS_MAX[Kind.RESOURCE]
        raise LimitExceededException(f"The resource policy exceeds the maximum size of {limit} characters.") from None
    for statement in policy.statements:
        for pattern in () if statement.not_actions else statement.actions:
            if pattern.text != "*" and not pattern.text.startswith(VENDOR):
                raise InvalidArgumentException(f"Invalid resource policy. {pattern.text} is no action of Kinesis.")
    return document


def _holder(call: Call, arn: str) -> Holder:
    """What an ARN names, within the caller's account. Raises ResourceNotFoundException, with the ARN in its text."""
    if "/consumer/" in arn:
        return named.consumer(call, arn)
    queue = parse_queue_arn(arn)
    rows: Any = Stream.objects.select_related("team").filter(team_id=call.principal.team_id)
    kind = "Stream"
    if queue is not None:
        rows, kind = (
            Queue.objects.select_related("team", "stream__team").filter(team_id=call.principal.team_id),
            "Queue",
        )
        found = rows.filter(queue_id=queue.queue_id).first()
    else:
        parsed = parse_stream_arn(arn)
        found = rows.filter(name=parsed.name).first() if parsed is not None else None
    if found is None or str(found.arn) != arn:
        raise ResourceNotFoundException(f"{kind} {arn} under account {call.principal.account_id} not found.")
    assert isinstance(found, Stream | Queue)
    return found


def _stream_of(holder: Holder) -> Stream:
    return holder if isinstance(holder, Stream) else holder.stream


def _save(holder: Holder, document: str) -> None:
    holder.resource_policy = document
    holder.save(update_fields=["resource_policy"])
