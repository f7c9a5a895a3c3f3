"""AddTagsToStream, RemoveTagsFromStream, ListTagsForStream."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from apps.runtime import Call
from apps.streams import named
from apps.streams.errors import InvalidArgumentException
from apps.streams.models import Stream, Tag
from apps.streams.quotas import QUOTAS, limit

RESERVED_PREFIX = "aws:"
TAGS_PER_PAGE = 50

_PLAIN = re.compile(r"[\w ./=+\-%@:]*")


def add_tags_to_stream(call: Call, params: dict[str, Any]) -> None:
    """Set tags; those with the same key are replaced.

    Kept from AWS: characters and their two errors, order of checks, the quota and its text (which says 10).
    Not kept: five calls a second. Colons are allowed, as AWS's rules for tags have it today.
    """
    stream = named.find(call, params)
    tags = params["Tags"]
    check_tags(call, stream.name, tags)
    named.change(stream)
    there = set(stream.tags.values_list("key", flat=True))
    check_count(call, stream.name, there | set(tags))
    set_tags(stream, tags)


def remove_tags_from_stream(call: Call, params: dict[str, Any]) -> None:
    """Take tags away; keys that are not there are no error.

    Kept from AWS: characters and their two errors, order of checks. Not kept: five calls a second.
    """
    stream = named.find(call, params)
    _check_characters(params["TagKeys"])
    _refuse_percent(call, stream.name, "remove tags from", params["TagKeys"])
    named.change(stream)
    stream.tags.filter(key__in=params["TagKeys"]).delete()


def list_tags_for_stream(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    """A stream's tags by key in code point order, from after ExclusiveStartTagKey on.

    Kept from AWS: the start key need not exist. Not kept: five calls a second.
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


def check_tags(call: Call, name: str, tags: dict[str, str]) -> None:
    """Raises InvalidArgumentException if a key or value has characters that no tag may have."""
    texts = [*tags, *tags.values()]
    _check_characters(texts)
    _refuse_percent(call, name, "add tags to", texts)
    if any(key.lower().startswith(RESERVED_PREFIX) for key in tags):
        raise InvalidArgumentException(
            f"Failed to add tags to stream {name} under account {call.principal.account_id} because tag keys that "
            f"begin with {RESERVED_PREFIX} are reserved."
        )


def check_count(call: Call, name: str, keys: set[str], kind: str = "stream") -> None:
    """Raises InvalidArgumentException if a stream (or another kind of resource) would have more tags than it may."""
    if len(keys) > limit(call.principal.team_id, call.runtime.config.region, "tags"):
        raise QUOTAS["tags"].exceeded(kind=kind, stream=name, account=call.principal.account_id)


def set_tags(stream: Stream, tags: dict[str, str]) -> None:
    """Write tags that were checked."""
    Tag.objects.bulk_create(
        [Tag(stream=stream, key=key, value=value) for key, value in tags.items()],
        update_conflicts=True,
        unique_fields=["stream", "key"],
        update_fields=["value"],
    )


def _check_characters(texts: Iterable[str]) -> None:
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


def _refuse_percent(call: Call, name: str, verb: str, texts: Iterable[str]) -> None:
    """AWS's first list of valid characters has the percent sign, its second has not."""
    if any("%" in text for text in texts):
        raise InvalidArgumentException(
            f"Failed to {verb} stream {name} under account {call.principal.account_id} because some tags contained "
            "illegal characters. The allowed characters are Unicode letters, white-spaces, "
            "'_',',','/','=','+','-','@'."
        )
