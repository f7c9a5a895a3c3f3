"""AddTagsToStream, RemoveTagsFromStream, ListTagsForStream; TagResource, UntagResource, ListTagsForResource."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Manager, QuerySet

from apps.base.arn import parse_queue_arn
from apps.queues.models import Queue, QueueTag
from apps.runtime import Call
from apps.streams import named
from apps.streams.errors import InvalidArgumentException, ResourceNotFoundException
from apps.streams.models import Consumer, ConsumerTag, Stream, Tag
from apps.streams.quotas import QUOTAS, limit

RESERVED_PREFIX = "aws:"
TAGS_PER_PAGE = 50

_PLAIN = re.compile(r"[\w ./=+\-%@:]*")


def add_tags_to_stream(call: Call, params: dict[str, Any]) -> None:
    """Set tags; those with the same key are replaced.

    Kept from AWS: characters and their two errors, order of checks, the quota and its text (which says 10).
    Colons are allowed, as AWS's rules for tags have it today. Not kept: StreamId is reserved in the model and means nothing.
    """
    _add(call, Tagged.of_stream(named.find(call, params)), params["Tags"])


def remove_tags_from_stream(call: Call, params: dict[str, Any]) -> None:
    """Take tags away; keys that are not there are no error.

    Kept from AWS: characters and their two errors, order of checks; five calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    _remove(call, Tagged.of_stream(named.find(call, params)), params["TagKeys"])


def list_tags_for_stream(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """A stream's tags by key in code point order, from after ExclusiveStartTagKey on.

    Kept from AWS: the start key need not exist; five calls a second.
    Not kept: StreamId is reserved in the model and means nothing.
    """
    stream = named.find(call, params)
    after = params.get("ExclusiveStartTagKey")
    tags = sorted(stream.tags.values_list("key", "value"))  # not ORDER BY: databases sort by other rules
    if after is not None:
        tags = [tag for tag in tags if tag[0] > after]
    limit = params.get("Limit") or TAGS_PER_PAGE
    return {
        "Tags": [{"Key": key, "Value": value} for key, value in tags[:limit]],
        "HasMoreTags": len(tags) > limit,
    }


def tag_resource(call: Call, params: dict[str, Any]) -> None:
    """Set tags of a stream, a consumer or a queue, by its ARN; those with the same key are replaced.

    Kept from AWS: as AddTagsToStream. Not kept: StreamId is reserved in the model and means nothing. (Channels':
    apps/delivery/operations/channel_tags.py.)
    """
    _add(call, _tagged(call, params["ResourceARN"]), params["Tags"])


def untag_resource(call: Call, params: dict[str, Any]) -> None:
    """Take tags of a stream, a consumer or a queue away; keys that are not there are no error.

    Kept from AWS: as RemoveTagsFromStream. Not kept: StreamId is reserved in the model and means nothing.
    """
    _remove(call, _tagged(call, params["ResourceARN"]), params["TagKeys"])


def list_tags_for_resource(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """All tags of a stream, a consumer or a queue, by key in code point order.

    Kept from AWS: no pages. Not kept: StreamId is reserved in the model and means nothing.
    """
    found = _tagged(call, params["ResourceARN"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(found.rows().values_list("key", "value"))]}


@dataclass(frozen=True, slots=True)
class Tagged:
    """What has tags. kind, name: as texts say them; field: of its rows, towards the resource; stream: whose version
    is raised, so that one call at a time changes them."""

    kind: str
    name: str
    tags: Manager[Any]
    field: str
    resource: Stream | Consumer | Queue
    stream: Stream

    @classmethod
    def of_stream(cls, stream: Stream) -> Tagged:
        """A stream's tags."""
        return cls("stream", stream.name, Tag.objects, "stream", stream, stream)

    @classmethod
    def of_consumer(cls, consumer: Consumer) -> Tagged:
        """A registered consumer's."""
        return cls("consumer", consumer.name, ConsumerTag.objects, "consumer", consumer, consumer.stream)

    @classmethod
    def of_queue(cls, queue: Queue) -> Tagged:
        """A queue's."""
        return cls("queue", queue.name, QueueTag.objects, "queue", queue, queue.stream)

    def rows(self) -> QuerySet[Any]:
        """Its tags."""
        return self.tags.filter(**{self.field: self.resource})

    def write(self, tags: dict[str, str]) -> None:
        """Write tags that were checked."""
        self.tags.bulk_create(
            [self.tags.model(**{self.field: self.resource, "key": key, "value": value}) for key, value in tags.items()],
            update_conflicts=True,
            unique_fields=[self.field, "key"],
            update_fields=["value"],
        )


def _tagged(call: Call, arn: str) -> Tagged:
    """What an ARN names, within the caller's account. Raises ResourceNotFoundException."""
    account_id = call.principal.account_id
    if "/consumer/" in arn:
        return Tagged.of_consumer(named.consumer(call, arn))
    parsed = parse_queue_arn(arn)
    if parsed is None:
        return Tagged.of_stream(named.find(call, {"StreamARN": arn}))
    rows = Queue.objects.select_related("team", "stream__team").filter(team_id=call.principal.team_id)
    found = rows.filter(queue_id=parsed.queue_id).first()
    if found is None or str(found.arn) != arn:
        raise ResourceNotFoundException(f"Queue {arn} under account {account_id} not found.")
    return Tagged.of_queue(found)


def _add(call: Call, found: Tagged, tags: dict[str, str]) -> None:
    check_tags(call, found.name, tags, found.kind)
    named.change(found.stream)
    there = set(found.rows().values_list("key", flat=True))
    check_count(call, found.name, there | set(tags), found.kind)
    found.write(tags)


def _remove(call: Call, found: Tagged, keys: list[str]) -> None:
    check_characters(keys)
    _refuse_percent(call, f"{found.kind} {found.name}", "remove tags from", keys)
    named.change(found.stream)
    found.rows().filter(key__in=keys).delete()


def check_tags(call: Call, name: str, tags: dict[str, str], kind: str = "stream") -> None:
    """Raises InvalidArgumentException if a key or value has characters that no tag may have."""
    texts = [*tags, *tags.values()]
    check_characters(texts)
    _refuse_percent(call, f"{kind} {name}", "add tags to", texts)
    if any(key.lower().startswith(RESERVED_PREFIX) for key in tags):
        raise InvalidArgumentException(
            f"Failed to add tags to {kind} {name} under account {call.principal.account_id} because tag keys that "
            f"begin with {RESERVED_PREFIX} are reserved."
        )


def check_count(call: Call, name: str, keys: set[str], kind: str = "stream") -> None:
    """Raises InvalidArgumentException if a stream (or another kind of resource) would have more tags than it may."""
    if len(keys) > limit(call.principal.team_id, call.runtime.config.region, "tags"):
        raise QUOTAS["tags"].exceeded(kind=kind, stream=name, account=call.principal.account_id)


def check_characters(texts: Iterable[str]) -> None:
    """Raises InvalidArgumentException if a text has characters that no tag may have, by AWS's first list."""
    if not all(_allowed(text) for text in texts):
        raise InvalidArgumentException(
            "Some tags contain invalid characters. Valid characters: "
            "Unicode letters, digits, white space, _ . / = + - % @."
        )


def _allowed(text: str) -> bool:
    """Letters and digits of any script, spaces but no tab or line feed, and a few signs."""
    if _PLAIN.fullmatch(text):
        return True
    return all(_PLAIN.fullmatch(char) or unicodedata.category(char) in {"Zs", "Mn", "Mc"} for char in text)


def _refuse_percent(call: Call, what: str, verb: str, texts: Iterable[str]) -> None:
    """AWS's first list of valid characters has the percent sign, its second has not."""
    if any("%" in text for text in texts):
        raise InvalidArgumentException(
            f"Failed to {verb} {what} under account {call.principal.account_id} because some tags contained "
            "illegal characters. The allowed characters are Unicode letters, white-spaces, "
            "'_',',','/','=','+','-','@'."
        )
