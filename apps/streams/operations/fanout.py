"""SubscribeToShard: records pushed to a registered consumer over one long answer."""

from __future__ import annotations

from typing import Any

from apps.base.arn import ConsumerArn, parse_consumer_arn
from apps.base.errors import InternalFailure, ServiceError
from apps.recordlog.interface import RecordLogError, UnknownShard
from apps.runtime import Call
from apps.streams.addressing import shard_index
from apps.streams.catalog import Catalog, ConsumerView, StreamView
from apps.streams.covering import TO_READ, check_key
from apps.streams.errors import (
    DryRunOperationException,
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from apps.streams.faults import strike
from apps.streams.limits import SUBSCRIBE_CALLS
from apps.streams.positions import Start, check, ordinal_of
from apps.streams.reading import find_shard, service_error
from apps.streams.subscriptions import Place, Subscription, Subscriptions, taken_over


async def subscribe_to_shard(call: Call, params: dict[str, Any]) -> Subscription:
    """An async iterator of events, pushed as records are appended.

    Kept from AWS: the consumer must be ACTIVE; five starting positions; one subscription per consumer and shard, a
    call within 5 s of the last success gets ResourceInUseException, a later one takes over and the earlier one ends
    with it in its stream; 5 minutes of life; ContinuationSequenceNumber in every event, also in the empty ones that
    come when there is nothing to say for 5 s, null only at the shard's end, where ChildShards are told; 2 MiB/s per
    consumer and shard, paced; at most 1 MiB and 10,000 records an event.
    One call a second per consumer and shard, counted for calls that the five seconds refuse: the second such call
    within a second gets LimitExceededException.
    Ours: the first event comes at once, with records or without, so that there is always a number to continue from.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    account_id = call.principal.account_id
    arn = _consumer_arn(call, params["ConsumerARN"])
    index = shard_index(params["ShardId"], arn.stream.name, account_id)
    position = params["StartingPosition"]
    start = Start(position["Type"], position.get("SequenceNumber"), position.get("Timestamp"))
    consumer = await _consumer(call, arn)
    stream, shard = await find_shard(call, arn.stream.name, index)
    if stream.encryption is not None:
        check_key(call, stream.encryption, TO_READ)
    check(start, call.now_ms)
    log = call.runtime.record_log
    try:
        ordinal = await ordinal_of(start, log, stream, shard, call.now_ms, "SubscribeToShard")
        newest_ms = (await log.bounds(shard.key)).newest_ms
    except UnknownShard:
        raise ResourceNotFoundException.shard(shard.shard_id, stream.name, account_id) from None
    except RecordLogError as error:
        raise service_error(error) from error
    if params.get("DryRun"):
        raise DryRunOperationException
    place = Place(stream, shard, consumer, ordinal, newest_ms)
    await _strike(call, place)
    subscription = await call.runtime.part(Subscriptions).begin(call, place)
    _count(call, place, refused=subscription is None)
    if subscription is None:
        raise _refused(call, place)
    return subscription


async def _strike(call: Call, place: Place) -> None:
    """Faults that an administrator asked for: a throttled call is one that came too fast."""
    stream = place.stream
    try:
        struck = stream.faults is not None and await strike(call, stream.faults)
    except InternalFailure:
        _count_success(call, place, 0)
        raise
    if struck:
        _count(call, place, refused=True)
        raise _rate_exceeded(place)


def _count_success(call: Call, place: Place, success: int) -> None:
    stream = place.stream
    call.runtime.counters.add_labelled(
        stream.team_id, stream.key, "SubscribeToShard.Success", place.consumer.name, success
    )


def _count(call: Call, place: Place, *, refused: bool) -> None:
    _count_success(call, place, int(not refused))
    counters, stream, name = call.runtime.counters, place.stream, place.consumer.name
    counters.add_labelled(stream.team_id, stream.key, "SubscribeToShard.RateExceeded", name, int(refused))


def _refused(call: Call, place: Place) -> ServiceError:
    """Why a call within the five seconds is refused."""
    if call.runtime.throttle.take(f"subscribe/{place.key}", SUBSCRIBE_CALLS, 1, 0, call.now_ms):
        return taken_over(place)
    return _rate_exceeded(place)


def _rate_exceeded(place: Place) -> LimitExceededException:
    return LimitExceededException(
        f"Rate exceeded for consumer {place.consumer.name} and shard {place.shard.shard_id} in stream "
        f"{place.stream.name} under account {place.stream.account_id}."
    )


def _consumer_arn(call: Call, text: str) -> ConsumerArn:
    arn = parse_consumer_arn(text)
    if arn is None:
        raise ResourceNotFoundException.consumer(text, call.principal.account_id)
    if arn.stream.account_id != call.principal.account_id:
        raise ResourceNotFoundException.consumer(text, call.principal.account_id)
    return arn


async def _consumer(call: Call, arn: ConsumerArn) -> ConsumerView:
    """The consumer, ACTIVE. A negative answer is read from the database before it is given."""
    account_id, name = call.principal.account_id, arn.stream.name
    catalog = call.runtime.part(Catalog)
    found = _consumer_of(catalog.peek(account_id, name, call.now_ms), arn)
    if found is None or not found.active:
        found = _consumer_of(await catalog.read(account_id, name), arn)
    if found is None:
        raise ResourceNotFoundException.consumer(str(arn), account_id)
    if not found.active:
        raise ResourceInUseException.consumer_not_active(found.name, found.created_s, name, account_id)
    return found


def _consumer_of(stream: StreamView | None, arn: ConsumerArn) -> ConsumerView | None:
    if stream is None or stream.arn != str(arn.stream):
        return None
    return stream.consumers.get((arn.name, arn.created_s))
