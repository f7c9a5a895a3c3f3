"""RegisterStreamConsumer, DescribeStreamConsumer, ListStreamConsumers, DeregisterStreamConsumer."""

from __future__ import annotations

from typing import Any

from apps.base.arn import parse_consumer_arn
from apps.capacity import commitment
from apps.runtime import Call
from apps.streams import named, time_meters, tokens
from apps.streams.errors import (
    InvalidArgumentException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from apps.streams.models import Consumer, ConsumerStatus, Stream, StreamMode, StreamStatus
from apps.streams.operations.stream import due_now
from apps.streams.operations.tags import Tagged, check_count, check_tags
from apps.streams.quotas import QUOTAS, limit

CONSUMERS_PER_PAGE = 100

Json = dict[str, Any]


def register_stream_consumer(call: Call, params: Json) -> Json:
    """A consumer that is CREATING; a worker turns it ACTIVE.

    Kept from AWS: a name is taken once per stream, also by one that is being deleted; quotas of consumers, and of
    those in CREATING; Tags. Not kept: StreamId is reserved in the model and means nothing.
    """
    stream, name, tags = named.find(call, params), params["ConsumerName"], params.get("Tags") or {}
    check_tags(call, name, tags, "consumer")
    check_count(call, name, set(tags), "consumer")
    named.change(stream)
    named.require_active(stream, StreamStatus.UPDATING)
    consumers = list(stream.consumers.all())
    if any(consumer.name == name for consumer in consumers):
        raise ResourceInUseException.consumer_exists(name, call.principal.account_id)
    _check_quotas(stream, consumers, call.now_ms)
    consumer = Consumer.objects.create(stream=stream, name=name, created_at_ms=time_meters.moment(stream, call.now_ms))
    Tagged.of_consumer(consumer).write(tags)
    due_now(call, stream)
    return {"Consumer": _describe(consumer)}


def describe_stream_consumer(call: Call, params: Json) -> Json:
    """A consumer by its ARN, or by its stream's ARN and its name.

    Kept from AWS: StreamARN is answered beside; 20 calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    consumer = _find(call, params)
    return {"ConsumerDescription": {**_describe(consumer), "StreamARN": str(consumer.stream.arn)}}


def list_stream_consumers(call: Call, params: Json) -> Json:
    """A stream's consumers by name, at most 100 a page.

    Kept from AWS: NextToken lives 300 s and may not go with StreamCreationTimestamp; five calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    stream = named.find(call, params)
    after = ""
    if params.get("NextToken") is not None:
        if params.get("StreamCreationTimestamp") is not None:
            raise InvalidArgumentException("NextToken and StreamCreationTimestamp cannot be provided together.")
        position = tokens.open_token(call, "ListStreamConsumers", params["NextToken"])
        if position["stream"] != stream.pk:
            raise InvalidArgumentException("StreamARN differs from the one that NextToken was given for.")
        after = position["after"]
    created_ms = params.get("StreamCreationTimestamp")
    if created_ms is not None and created_ms // 1000 != stream.created_at_ms // 1000:
        raise ResourceNotFoundException.stream(stream.name, call.principal.account_id)
    consumers = sorted((c for c in stream.consumers.all() if c.name > after), key=lambda c: c.name)
    limit = min(params.get("MaxResults") or CONSUMERS_PER_PAGE, CONSUMERS_PER_PAGE)
    answer: Json = {"Consumers": [_describe(consumer) for consumer in consumers[:limit]]}
    if len(consumers) > limit:
        position = {"stream": stream.pk, "after": consumers[limit - 1].name}
        answer["NextToken"] = tokens.issue(call, "ListStreamConsumers", **position)
    return answer


def deregister_stream_consumer(call: Call, params: Json) -> None:
    """Begin to delete a consumer; its subscriptions end. One that is being deleted is no error.

    Kept from AWS: by ARN, or by the stream's ARN and name; five calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    consumer = _find(call, params)
    named.change(consumer.stream)
    if consumer.status != ConsumerStatus.DELETING:
        time_meters.end_consumer(consumer, consumer.stream, call.now_ms)
    Consumer.objects.filter(pk=consumer.pk).update(status=ConsumerStatus.DELETING)
    due_now(call, consumer.stream)


def _check_quotas(stream: Stream, consumers: list[Consumer], now_ms: int) -> None:
    facts = {"stream": stream.name, "account": stream.team.account_id}
    check_consumer_count(stream, len(consumers) + stream.queues.count(), now_ms)
    creating = sum(consumer.status == ConsumerStatus.CREATING for consumer in consumers)
    most = limit(stream.team_id, stream.region, "consumers-creating")
    if creating >= most:
        raise QUOTAS["consumers-creating"].exceeded(**facts, current=creating, limit=most)


def check_consumer_count(stream: Stream, current: int, now_ms: int) -> None:
    """Raises LimitExceededException if a stream with so many consumers and queues may not have one more."""
    name, most = consumers_allowed(stream, now_ms)
    if current >= most:
        raise QUOTAS[name].exceeded(stream=stream.name, account=stream.team.account_id, current=current, limit=most)


def consumers_allowed(stream: Stream, now_ms: int) -> tuple[str, int]:
    """The quota that holds for the stream's consumers and queues together, and its number. More are allowed to
    on-demand streams of an account with the billing commitment (AWS calls them On-demand Advantage)."""
    advantage = stream.mode == StreamMode.ON_DEMAND and commitment.is_enabled(stream.team_id, now_ms)
    name = "consumers-advantage" if advantage else "consumers"
    return name, limit(stream.team_id, stream.region, name)


def _describe(consumer: Consumer) -> Json:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": str(consumer.arn),
        "ConsumerStatus": consumer.status,
        "ConsumerCreationTimestamp": consumer.created_at_ms,
    }


def _find(call: Call, params: Json) -> Consumer:
    """The consumer meant. Raises InvalidArgumentException if too little is given or it disagrees, and
    ResourceNotFoundException."""
    consumer_arn, stream_arn, name = (params.get(key) for key in ("ConsumerARN", "StreamARN", "ConsumerName"))
    if consumer_arn is None:
        if stream_arn is None or name is None:
            raise InvalidArgumentException("Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
        stream = named.find(call, {"StreamARN": stream_arn})
        found = stream.consumers.filter(name=name).first()
        if found is None:
            raise ResourceNotFoundException.consumer(name, call.principal.account_id)
        return found
    parsed = parse_consumer_arn(consumer_arn)
    if parsed is not None and (stream_arn not in (None, str(parsed.stream)) or name not in (None, parsed.name)):
        raise InvalidArgumentException(
            f"StreamARN and ConsumerName do not belong to the consumer that ConsumerARN {consumer_arn} names."
        )
    return named.consumer(call, consumer_arn)
