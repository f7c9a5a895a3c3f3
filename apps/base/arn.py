"""Amazon Resource Names: build and parse.

`arn:aws:kinesis:<region>:<account>:stream/<name>` and, for a consumer,
`<stream arn>/consumer/<name>:<creation epoch seconds>`; for a queue, `arn:aws:kinesis:<region>:<account>:queue/<id>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STREAM = re.compile(
    r"arn:aws:kinesis:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12})"
    r":stream/(?P<name>[a-zA-Z0-9_.-]{1,128})"
)
_CONSUMER = re.compile(
    _STREAM.pattern + r"/consumer/(?P<consumer>[a-zA-Z0-9_.-]{1,128}):(?P<created_s>0|[1-9][0-9]{0,11})"
)

_QUEUE = re.compile(
    r"arn:aws:kinesis:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}):queue/(?P<queue>[a-zA-Z0-9_.-]{1,128})"
)

_DELIVERY_STREAM = re.compile(
    r"arn:aws:firehose:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}):deliverystream/(?P<name>[a-zA-Z0-9_.-]{1,64})"
)

_CHANNEL = re.compile(
    r"arn:aws:kinesis:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}):channel/(?P<channel>[a-zA-Z0-9_.-]{1,64})"
)


@dataclass(frozen=True, slots=True)
class StreamArn:
    """The parts of a data stream's ARN."""

    region: str
    account_id: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:kinesis:{self.region}:{self.account_id}:stream/{self.name}"


@dataclass(frozen=True, slots=True)
class ConsumerArn:
    """The parts of a registered consumer's ARN; created_s makes a re-created consumer another one."""

    stream: StreamArn
    name: str
    created_s: int

    def __str__(self) -> str:
        return f"{self.stream}/consumer/{self.name}:{self.created_s}"


@dataclass(frozen=True, slots=True)
class QueueArn:
    """The parts of a queue's ARN. The id is made with the queue and not derived from its name."""

    region: str
    account_id: str
    queue_id: str

    def __str__(self) -> str:
        return f"arn:aws:kinesis:{self.region}:{self.account_id}:queue/{self.queue_id}"


@dataclass(frozen=True, slots=True)
class DeliveryStreamArn:
    """The parts of a delivery stream's ARN."""

    region: str
    account_id: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:firehose:{self.region}:{self.account_id}:deliverystream/{self.name}"


@dataclass(frozen=True, slots=True)
class ChannelArn:
    """The parts of a channel's ARN. The id is made with the channel and not derived from its name."""

    region: str
    account_id: str
    channel_id: str

    def __str__(self) -> str:
        return f"arn:aws:kinesis:{self.region}:{self.account_id}:channel/{self.channel_id}"


def parse_stream_arn(text: str) -> StreamArn | None:
    """The stream ARN in text, or None if it is not one (a consumer's ARN is not one)."""
    found = _STREAM.fullmatch(text)
    return StreamArn(found["region"], found["account"], found["name"]) if found else None


def parse_consumer_arn(text: str) -> ConsumerArn | None:
    """The consumer ARN in text, or None if it is not one."""
    found = _CONSUMER.fullmatch(text)
    if not found:
        return None
    stream = StreamArn(found["region"], found["account"], found["name"])
    return ConsumerArn(stream, found["consumer"], int(found["created_s"]))


def parse_channel_arn(text: str) -> ChannelArn | None:
    """The channel ARN in text, or None if it is not one."""
    found = _CHANNEL.fullmatch(text)
    return ChannelArn(found["region"], found["account"], found["channel"]) if found else None


def parse_queue_arn(text: str) -> QueueArn | None:
    """The queue ARN in text, or None if it is not one."""
    found = _QUEUE.fullmatch(text)
    return QueueArn(found["region"], found["account"], found["queue"]) if found else None


def parse_delivery_stream_arn(text: str) -> DeliveryStreamArn | None:
    """The delivery stream ARN in text, or None if it is not one."""
    found = _DELIVERY_STREAM.fullmatch(text)
    return DeliveryStreamArn(found["region"], found["account"], found["name"]) if found else None
