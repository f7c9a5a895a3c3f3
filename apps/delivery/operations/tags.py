"""TagDeliveryStream, UntagDeliveryStream, ListTagsForDeliveryStream."""

from __future__ import annotations

from typing import Any

from apps.delivery import named
from apps.delivery.models import DeliveryStream, DeliveryTag
from apps.runtime import Call
from apps.streams.quotas import QUOTAS, limit

TAGS_PER_PAGE = 50

Json = dict[str, Any]


def tag_delivery_stream(call: Call, params: Json) -> Json:
    """Set tags; those with the same key are replaced.

    Kept from AWS: at most 50; five calls a second. Not kept: nothing.
    """
    stream = named.find(call, params)
    named.change(stream)
    tags = {tag["Key"]: tag.get("Value", "") for tag in params["Tags"]}
    check_count(call, stream.name, set(stream.tags.values_list("key", flat=True)) | set(tags))
    write(stream, tags)
    return {}


def untag_delivery_stream(call: Call, params: Json) -> Json:
    """Take tags away; keys that are not there are no error.

    Kept from AWS: five calls a second. Not kept: nothing.
    """
    stream = named.find(call, params)
    named.change(stream)
    stream.tags.filter(key__in=params["TagKeys"]).delete()
    return {}


def list_tags_for_delivery_stream(call: Call, params: Json) -> Json:
    """Tags by key in code point order, from after ExclusiveStartTagKey on.

    Kept from AWS: the start key need not exist; 50 a page. Not kept: nothing.
    """
    stream = named.find(call, params)
    after = params.get("ExclusiveStartTagKey")
    tags = sorted(stream.tags.values_list("key", "value"))  # not ORDER BY: databases sort by other rules
    if after is not None:
        tags = [tag for tag in tags if tag[0] > after]
    most = params.get("Limit") or TAGS_PER_PAGE
    page = [{"Key": key, "Value": value} for key, value in tags[:most]]
    return {"Tags": page, "HasMoreTags": len(tags) > most}


def check_count(call: Call, name: str, keys: set[str]) -> None:
    """Raises LimitExceededException if a delivery stream would have more tags than it may."""
    most = limit(call.principal.team_id, call.runtime.config.region, "delivery-tags")
    if len(keys) > most:
        raise QUOTAS["delivery-tags"].exceeded(stream=name, account=call.principal.account_id, limit=most)


def write(stream: DeliveryStream, tags: dict[str, str]) -> None:
    """Write tags that were checked."""
    DeliveryTag.objects.bulk_create(
        [DeliveryTag(delivery_stream=stream, key=key, value=value) for key, value in tags.items()],
        update_conflicts=True,
        unique_fields=["delivery_stream", "key"],
        update_fields=["value"],
    )
