"""TagResource, UntagResource, ListTagsForResource: of channels here, of everything else where it is at home."""

from __future__ import annotations

from typing import Any

from apps.base.arn import parse_channel_arn
from apps.delivery.models import DeliveryStream
from apps.delivery.operations import channels
from apps.delivery.operations.tags import write
from apps.runtime import Call
from apps.streams.operations import tags
from apps.streams.operations.tags import check_characters, check_count, check_tags

Json = dict[str, Any]


def tag_resource(call: Call, params: Json) -> None:
    """Set tags of a stream, a consumer, a queue or a channel, by its ARN; those with the same key are replaced.

    Kept from AWS: as AddTagsToStream. Not kept: StreamId is reserved in the model and means nothing.
    """
    if not _is_channel(params):
        tags.tag_resource(call, params)
        return
    channel = _channel(call, params, hold_it=True)
    check_tags(call, channel.name, params["Tags"], "channel")
    there = set(channel.tags.values_list("key", flat=True))
    check_count(call, channel.name, there | set(params["Tags"]), "channel")
    write(channel, params["Tags"])


def untag_resource(call: Call, params: Json) -> None:
    """Take tags of a stream, a consumer, a queue or a channel away; keys that are not there are no error.

    Kept from AWS: as RemoveTagsFromStream. Not kept: StreamId is reserved in the model and means nothing.
    """
    if not _is_channel(params):
        tags.untag_resource(call, params)
        return
    channel = _channel(call, params, hold_it=True)
    check_characters(params["TagKeys"])
    channel.tags.filter(key__in=params["TagKeys"]).delete()


def list_tags_for_resource(call: Call, params: Json) -> Json:
    """All tags of a stream, a consumer, a queue or a channel, by key in code point order.

    Kept from AWS: no pages. Not kept: StreamId is reserved in the model and means nothing.
    """
    if not _is_channel(params):
        return tags.list_tags_for_resource(call, params)
    found = sorted(_channel(call, params).tags.values_list("key", "value"))
    return {"Tags": [{"Key": key, "Value": value} for key, value in found]}


def _is_channel(params: Json) -> bool:
    return parse_channel_arn(params["ResourceARN"]) is not None


def _channel(call: Call, params: Json, *, hold_it: bool = False) -> DeliveryStream:
    return channels.find(call, params["ResourceARN"], hold_it=hold_it)
