"""A body before its serializer sees it: the JSON types that the document says, no member that it does not know, no text
that cannot be kept.

The fields of Django REST framework take a number for a text and "yes" for true; a program that sends these has a mistake
that it should hear of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from rest_framework import serializers

UNKNOWN: Final = "There is no such member."
NUL: Final = "There is a NUL in it."
NAME_CHARS: Final = 100
"""Of a member that nobody knows, in its message."""

_TYPES: Final[tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...], str], ...]] = (
    (serializers.BooleanField, (bool,), "It must be true or false."),
    (serializers.IntegerField, (int,), "It must be a whole number."),
    (serializers.FloatField, (int, float), "It must be a number."),
    (serializers.MultipleChoiceField, (list,), "It must be a list."),
    (serializers.ListField, (list,), "It must be a list."),
    (serializers.ListSerializer, (list,), "It must be a list."),
    (serializers.DictField, (dict,), "It must be an object."),
    (serializers.Serializer, (dict,), "It must be an object."),
    (serializers.CharField, (str,), "It must be a text."),
    (serializers.UUIDField, (str,), "It must be a text."),
    (serializers.ChoiceField, (str, int), "It must be a text."),
)  # fmt: skip
"""The first that fits holds."""


_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,2})?")


class AnyBytes(serializers.Field[Any, Any, Any, Any]):
    """A field that takes texts with a NUL, because it is no text of ours: a record's data."""


def wrong(field: Any, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where something is wrong (`records[3].data`; empty: the whole), and what. None is left to the serializer."""
    if value is None or isinstance(field, AnyBytes):
        return
    for kind, types, text in _TYPES:
        if isinstance(field, kind):
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
                yield path, text
                return
            break
    if isinstance(field, serializers.Serializer):
        yield from _members(field, value, path)
    elif isinstance(field, (serializers.ListField, serializers.ListSerializer)):
        for index, item in enumerate(value):
            yield from wrong(field.child, item, f"{path}[{index}]")
    elif isinstance(field, serializers.DictField) and not isinstance(field, serializers.JSONField):
        for name, item in value.items():
            if "\0" in name:
                yield path, NUL
            yield from wrong(field.child, item, _below(path, name))
    elif isinstance(field, serializers.JSONField) and _has_nul(value):
        yield path, NUL


def wrong_text(field: Any, text: str) -> str:
    """What is wrong with a value of a query string for its field; empty: nothing."""
    if isinstance(field, serializers.BooleanField) and text not in {"true", "false"}:
        return "It must be true or false."
    if isinstance(field, serializers.IntegerField) and not _WHOLE.fullmatch(text):
        return "It must be a whole number."
    if isinstance(field, serializers.FloatField) and not _NUMBER.fullmatch(text):
        return "It must be a number."
    return ""


def _members(serializer: serializers.Serializer[Any], value: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    known = {name: field for name, field in serializer.fields.items() if not field.read_only}
    for name, item in value.items():
        if name in known:
            yield from wrong(known[name], item, _below(path, name))
        else:
            yield _below(path, name), UNKNOWN


def _below(path: str, name: str) -> str:
    name = name[:NAME_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"{path}.{name}" if path else name


def _has_nul(value: Any) -> bool:
    """Anywhere in it."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
    return False
