"""Which resource each operation is about: what policies are asked about before it runs.

One entry for each entry of OPERATIONS, queues included; a test holds them equal. An entry is a function of (call,
request) to an ARN; `*` where AWS has no resource for the operation. Nothing is looked up but what a token or a name
hides. When a request names two things that disagree, the operation refuses it afterwards whatever is asked here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from apps.base.arn import StreamArn, parse_stream_arn
from apps.base.units import SECOND_MS
from apps.runtime import Call
from apps.streams import tokens
from apps.streams.errors import InvalidArgumentException
from apps.streams.iterators import ShardIterators
from apps.streams.models import Consumer, Stream
from apps.streams.shapes import GetRecordsRequest

ANYTHING = "*"
ARNS_CACHED = 4_096

Params = dict[str, Any]


def _own(call: Call, name: str) -> str:
    return _arn(call.runtime.config.region, call.principal.account_id, name)


@lru_cache(maxsize=ARNS_CACHED)
def _arn(region: str, account_id: str, name: str) -> str:
    return str(StreamArn(region, account_id, name))


def anything(_call: Call, _request: Any) -> str:
    """No resource: the operation is about the account."""
    return ANYTHING


def stream(call: Call, params: Params) -> str:
    """By StreamARN or StreamName."""
    arn, name = params.get("StreamARN"), params.get("StreamName")
    return arn or (_own(call, name) if name else ANYTHING)


def typed_stream(call: Call, request: Any) -> str:
    """The same of a typed request."""
    if request.stream_arn is not None:
        return str(request.stream_arn)
    return _own(call, request.stream_name) if request.stream_name else ANYTHING


def iterated(call: Call, request: GetRecordsRequest) -> str:
    """The stream that the iterator was issued for: what the request says beside it only has to agree. An iterator of
    another account is good only with that account's StreamARN.

    Raises InvalidArgumentException and ExpiredIteratorException.
    """
    position = call.runtime.part(ShardIterators).open(request.shard_iterator, call.now_ms)
    if position.team_id == call.principal.team_id:
        return _own(call, position.name)
    parsed = parse_stream_arn(request.stream_arn) if request.stream_arn is not None else None
    if parsed is None or parsed.account_id == call.principal.account_id or parsed.name != position.name:
        raise InvalidArgumentException("Invalid ShardIterator.")
    return str(parsed)


def listed_shards(call: Call, params: Params) -> str:
    """By name, or the stream that NextToken was issued for."""
    if params.get("NextToken") is None:
        return stream(call, params)
    position = tokens.open_token(call, "ListShards", params["NextToken"])
    found = Stream.objects.filter(team_id=call.principal.team_id, pk=position["stream"]).first()
    return _own(call, found.name) if found is not None else ANYTHING


def consumer(_call: Call, params: Params) -> str:
    """By ConsumerARN, or by StreamARN and ConsumerName (a look into the database finds what makes the ARN whole)."""
    arn, stream_arn, name = (params.get(key) for key in ("ConsumerARN", "StreamARN", "ConsumerName"))
    if arn is not None:
        return str(arn)
    if stream_arn is None or name is None:
        return ANYTHING
    parsed = parse_stream_arn(stream_arn)
    if parsed is None:
        return str(stream_arn)
    rows = Consumer.objects.select_related("stream__team").filter(stream__team__account_id=parsed.account_id)
    found = rows.filter(stream__name=parsed.name, name=name).first()
    return str(found.arn) if found is not None else f"{stream_arn}/consumer/{name}"


def by_arn(_call: Call, params: Params) -> str:
    """By ResourceARN, of whatever kind."""
    return str(params["ResourceARN"])


def queue(_call: Call, params: Params) -> str:
    """By QueueARN."""
    return str(params["QueueARN"])


def new_queue(call: Call, params: Params) -> str:
    """A queue that is to be made, whose ARN is not known before; or the stream it is to read, if that is of another
    account, which opens it for this to nobody."""
    for configured in params.get("StreamConfigurationList") or ():
        parsed = parse_stream_arn(configured.get("StreamARN") or "")
        if parsed is not None and parsed.account_id != call.principal.account_id:
            return str(parsed)
    return f"arn:aws:kinesis:{call.runtime.config.region}:{call.principal.account_id}:queue/*"


Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

RESOURCES: dict[str, Locate] = {
    "AcknowledgeDeadLetterQueueRecords": queue,
    "AcknowledgeQueueRecords": queue,
    "AddTagsToStream": stream,
    "CreateQueue": new_queue,
    "CreateStream": stream,
    "DecreaseStreamRetentionPeriod": stream,
    "DeleteQueue": queue,
    "DeleteResourcePolicy": by_arn,
    "DeleteStream": stream,
    "DeregisterStreamConsumer": consumer,
    "DescribeAccountSettings": anything,
    "DescribeLimits": anything,
    "DescribeQueue": queue,
    "DescribeStream": stream,
    "DescribeStreamConsumer": consumer,
    "DescribeStreamSummary": stream,
    "DisableEnhancedMonitoring": stream,
    "EnableEnhancedMonitoring": stream,
    "GetRecords": iterated,
    "GetResourcePolicy": by_arn,
    "GetShardIterator": typed_stream,
    "IncreaseStreamRetentionPeriod": stream,
    "ListQueues": anything,
    "ListShards": listed_shards,
    "ListStreamConsumers": stream,
    "ListStreams": anything,
    "ListTagsForResource": by_arn,
    "ListTagsForStream": stream,
    "MergeShards": stream,
    "PutRecord": typed_stream,
    "PutRecords": typed_stream,
    "PutResourcePolicy": by_arn,
    "ReceiveDeadLetterQueueRecords": queue,
    "ReceiveQueueRecords": queue,
    "RegisterStreamConsumer": stream,
    "RemoveTagsFromStream": stream,
    "RestoreDeadLetterQueueRecords": queue,
    "SplitShard": stream,
    "StartStreamEncryption": stream,
    "StopStreamEncryption": stream,
    "SubscribeToShard": consumer,
    "TagResource": by_arn,
    "UntagResource": by_arn,
    "UpdateAccountSettings": anything,
    "UpdateDeadLetterQueueRecordsVisibility": queue,
    "UpdateMaxRecordSize": stream,
    "UpdateQueue": queue,
    "UpdateQueueRecordsVisibility": queue,
    "UpdateShardCount": stream,
    "UpdateStreamMode": stream,
    "UpdateStreamRecordDistributionStrategy": stream,
    "UpdateStreamWarmThroughput": stream,
}


def _tagged_stream(call: Call, params: Params) -> list[tuple[str, str]]:
    return [("kinesis:AddTagsToStream", stream(call, params))] if params.get("Tags") else []


def _tagged_consumer(call: Call, params: Params) -> list[tuple[str, str]]:
    if not params.get("Tags"):
        return []
    made = f"{params['StreamARN']}/consumer/{params['ConsumerName']}:{call.now_ms // SECOND_MS}"
    return [("kinesis:TagResource", made)]


ALSO: dict[str, Also] = {"CreateStream": _tagged_stream, "RegisterStreamConsumer": _tagged_consumer}
"""What must be allowed beside, as (action, resource): AWS's model says so of tags that are given on creation."""

ACROSS_ACCOUNTS = frozenset(
    {
        "AcknowledgeDeadLetterQueueRecords", "AcknowledgeQueueRecords", "DeregisterStreamConsumer", "DescribeQueue",
        "DescribeStream", "DescribeStreamConsumer", "DescribeStreamSummary", "GetRecords", "GetShardIterator",
        "ListShards", "ListStreamConsumers", "ListTagsForResource", "ListTagsForStream", "PutRecord", "PutRecords",
        "ReceiveDeadLetterQueueRecords", "ReceiveQueueRecords", "RegisterStreamConsumer",
        "RestoreDeadLetterQueueRecords", "SubscribeToShard", "UpdateDeadLetterQueueRecordsVisibility",
        "UpdateQueueRecordsVisibility",
    }
)  # fmt: skip
"""What a resource policy can open to other accounts: use and look, never change or delete. With AWS, too, the shape of a
stream and its policies are its owner's alone."""
