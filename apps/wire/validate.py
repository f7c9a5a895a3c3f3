"""Does a request keep the limits of the model? If not, ValidationException with AWS's text, to the letter.

Recorded from AWS: at most ten messages, in the order of the server's members (not the model's), each
`Value '<as Java prints it>' at '<path>' failed to satisfy constraint: <which>`; pattern before length, maximum
before minimum inside the brackets of list items and maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from apps.base.errors import ValidationException
from apps.wire import java
from apps.wire.categories import spelled_out
from apps.wire.model import Operation, Shape

MESSAGES_MAX: Final = 10
"""AWS lists, and counts, no more."""

PRINTED_CHARACTERS_MAX: Final = 65_536
"""A value that prints to more is left out of its message."""

_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "CreateStreamInput": ("ShardCount", "StreamName"),
    "DescribeStreamInput": ("Limit", "ExclusiveStartShardId", "StreamName"),
    "ListShardsInput": ("MaxResults", "ExclusiveStartShardId", "StreamName", "NextToken"),
    "ListStreamsInput": ("Limit", "ExclusiveStartStreamName"),
    "GetRecordsInput": ("Limit", "ShardIterator"),
    "GetShardIteratorInput": ("ShardId", "ShardIteratorType", "StartingSequenceNumber", "StreamName"),
    "PutRecordInput": ("SequenceNumberForOrdering", "PartitionKey", "ExplicitHashKey", "Data", "StreamName"),
    "PutRecordsInput": ("Records", "StreamName"),
    "PutRecordsRequestEntry": ("PartitionKey", "ExplicitHashKey", "Data"),
    "SplitShardInput": ("NewStartingHashKey", "StreamName", "ShardToSplit"),
    "MergeShardsInput": ("ShardToMerge", "AdjacentShardToMerge", "StreamName"),
    "IncreaseStreamRetentionPeriodInput": ("RetentionPeriodHours", "StreamName"),
    "DecreaseStreamRetentionPeriodInput": ("RetentionPeriodHours", "StreamName"),
    "AddTagsToStreamInput": ("Tags", "StreamName"),
    "RemoveTagsFromStreamInput": ("TagKeys", "StreamName"),
    "ListTagsForStreamInput": ("Limit", "ExclusiveStartTagKey", "StreamName"),
}
"""Members in the order of AWS's messages, by shape; those not recorded follow in the model's order."""

_ENUM_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "ShardIteratorType": ("AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"),
}
"""Values in the order of AWS's messages, by shape, where it is not the model's."""

_SIZED = frozenset({"string", "blob", "list", "map"})
_NUMBERS = frozenset({"integer", "long", "float", "double"})
_NOT_NULL = "Member must not be null"


def check(operation: Operation, params: Mapping[str, Any], also_required: frozenset[str] = frozenset()) -> None:
    """Raise ValidationException unless params keep every limit of the operation's model. The types are right already.

    also_required: members that the model lets be absent and the operation does not.
    """
    messages: list[str] = []
    _structure(params, operation.input, "", messages, also_required)
    if messages:
        listed = messages[:MESSAGES_MAX]
        plural = "" if len(listed) == 1 else "s"
        raise ValidationException(f"{len(listed)} validation error{plural} detected: {'; '.join(listed)}")


@cache
def ordered_members(shape: Shape) -> tuple[tuple[str, str, Shape, bool], ...]:
    """A structure's members in AWS's order: name, name in paths, shape, is it required?"""
    first = _ORDER.get(shape.name, ())
    if not all(name in shape.members for name in first):
        first = ()  # another service has a shape of that name
    names = [*first, *(name for name in shape.members if name not in first)]
    return tuple((name, name[0].lower() + name[1:], shape.members[name], name in shape.required) for name in names)


def _structure(
    params: Mapping[str, Any],
    shape: Shape,
    path: str,
    messages: list[str],
    also_required: frozenset[str] = frozenset(),
) -> None:
    for name, path_name, member_shape, required in ordered_members(shape):
        value = params.get(name)
        if value is not None:
            _member(value, member_shape, path + path_name, messages)
        elif required or name in also_required:
            messages.append(_message("null", path + path_name, _NOT_NULL))
        if len(messages) >= MESSAGES_MAX:
            return


def _member(value: Any, shape: Shape, path: str, messages: list[str]) -> None:
    if shape.type == "structure":
        _structure(value, shape, f"{path}.", messages)
        return
    broken = _broken(value, shape)
    if broken:
        printed = _printed(value, shape)
        messages.extend(_message(printed, path, constraint) for constraint in broken)
    if shape.type == "list":
        _items(enumerate(value, 1), shape.member, path, messages)
    elif shape.type == "map":
        _items(value.items(), shape.value, path, messages)


def _items(items: Any, shape: Shape | None, path: str, messages: list[str]) -> None:
    """Items that are structures have messages of their own; a null among any items has one, too."""
    assert shape is not None
    deep = shape.type not in _SCALARS
    for name, item in items:
        if item is None:
            messages.append(_message("null", f"{path}.{name}.member", _NOT_NULL))
        elif deep:
            _member(item, shape, f"{path}.{name}.member", messages)
        if len(messages) >= MESSAGES_MAX:
            return


def _broken(value: Any, shape: Shape) -> list[str]:
    """The constraints that a value breaks, in AWS's order."""
    broken = []
    if shape.pattern is not None and not _matches(value, shape):
        broken.append(_pattern_text(shape))
    if shape.enum and value not in shape.enum:
        broken.append(_enum_text(shape))
    size = _size(value, shape)
    if size is not None:
        if shape.minimum is not None and size < shape.minimum:
            broken.append(_minimum_text(shape))
        if shape.maximum is not None and size > shape.maximum:
            broken.append(_maximum_text(shape))
    if shape.type == "list":
        broken.extend(_broken_items("Member", value, shape.member))
    elif shape.type == "map":
        broken.extend(_broken_items("Map keys", value, shape.key))
        broken.extend(_broken_items("Map value", value.values(), shape.value))
    return broken


def _broken_items(which: str, items: Any, shape: Shape | None) -> list[str]:
    """One constraint for all scalar items of a list or map: what all of them must keep."""
    assert shape is not None
    if shape.type not in _SCALARS or not any(item is not None and _broken(item, shape) for item in items):
        return []
    return [f"{which} must satisfy constraint: [{', '.join(_all_texts(shape))}]"]


def _all_texts(shape: Shape) -> list[str]:
    texts = []
    if shape.maximum is not None:
        texts.append(_maximum_text(shape))
    if shape.minimum is not None:
        texts.append(_minimum_text(shape))
    if shape.pattern is not None:
        texts.append(_pattern_text(shape))
    if shape.enum:
        texts.append(_enum_text(shape))
    return texts


def _size(value: Any, shape: Shape) -> float | None:
    if shape.type in _SIZED:
        return len(value)
    return value if shape.type in _NUMBERS else None


def _measure(shape: Shape) -> str:
    return "length" if shape.type in _SIZED else "value"


def _minimum_text(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} greater than or equal to {shape.minimum}"


def _maximum_text(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} less than or equal to {shape.maximum}"


def _enum_text(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(_ENUM_ORDER.get(shape.name, shape.enum))}]"


def _pattern_text(shape: Shape) -> str:
    assert shape.pattern is not None
    return f"Member must satisfy regular expression pattern: {unanchored(shape.pattern)}"


def _matches(value: str, shape: Shape) -> bool:
    assert shape.pattern is not None
    pattern = Pattern.of(shape.pattern)
    if pattern.has_gaps and shape.maximum is not None and len(value) > shape.maximum:
        return True
    return pattern.matches(value)


class Pattern:
    """A pattern of the model, to be matched whole, in time that a caller cannot blow up.

    The ARN patterns have several `.*`, and a text made for it takes `re` seconds in only 2 KiB. So a pattern is cut at
    its `.*`: where one part is found first, no later place can do better, and nothing is tried twice.
    Java's classes are ASCII, and its `.` knows two line ends.
    """

    __slots__ = ("_before", "_last")

    def __init__(self, text: str) -> None:
        parts = text.split(".*")
        if not all(_is_balanced(part) for part in parts):
            parts = [text]
        *before, last = parts
        self._before = [re.compile(part, re.ASCII) for part in before]
        self._last = re.compile(f"(?:{last})\\Z", re.ASCII)

    @staticmethod
    @cache
    def of(pattern: str) -> Pattern:
        """By the model's text."""
        return Pattern(spelled_out(unanchored(pattern)))

    @property
    def has_gaps(self) -> bool:
        """Does it have `.*`, and so a place to be looked for?"""
        return bool(self._before)

    def matches(self, text: str) -> bool:
        """Does the whole text match?"""
        if not self._before:
            return self._last.match(text) is not None
        found = self._before[0].match(text)
        for part in self._before[1:]:
            found = found and part.search(text, found.end())
        if found is None or "\n" in text or "\r" in text:
            return False
        return self._last.search(text, found.end()) is not None


@cache
def unanchored(pattern: str) -> str:
    """The model's pattern as AWS prints it: without ^ and $, and without brackets around all that is left."""
    text = pattern.removeprefix("^").removesuffix("$")
    inner = text[1:-1]
    if text != pattern and text.startswith("(") and text.endswith(")") and _is_balanced(inner):
        return inner
    return text


def _is_balanced(text: str) -> bool:
    """Do the brackets in text pair up by themselves?"""
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return False
    return depth == 0


def _printed(value: Any, shape: Shape) -> str | None:
    """The value in quotation marks; None if that is too long to repeat."""
    if shape.type in _SIZED - {"blob"} and len(value) > PRINTED_CHARACTERS_MAX:
        return None
    text = java.to_string(value, shape)
    return None if len(text) > PRINTED_CHARACTERS_MAX else f"'{text}'"


def _message(printed: str | None, path: str, constraint: str) -> str:
    value = "" if printed is None else f" {printed}"
    return f"Value{value} at '{path}' failed to satisfy constraint: {constraint}"


_SCALARS = _NUMBERS | {"string", "blob", "boolean", "timestamp"}
