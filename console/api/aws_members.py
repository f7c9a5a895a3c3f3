"""Objects in AWS's own members, where the API takes one as it is: the model says what may stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from rest_framework.exceptions import ValidationError

from apps.base.errors import SerializationException
from apps.wire import member_types
from apps.wire.model import Shape, load

DEPTH_MAX = 20
TOLD_MAX = 20

Json = dict[str, Any]


def shape_of(service: str, operation: str, *members: str) -> Shape:
    """The shape of a member of an operation's request."""
    shape = load(service).operations[operation].input
    for name in members:
        shape = shape.members[name]
    return shape


def checked(given: Any, shape: Shape, field: str) -> Json:
    """The object with its members in Python's types; the operation itself checks their values. field: where it stands in
    the body. Raises ValidationError: no such member, a wrong type, a text that cannot be kept."""
    wrong = list(islice(_wrong(given, shape, field, 0), TOLD_MAX))
    if wrong:
        raise ValidationError(dict(wrong))
    try:
        return member_types.check(given, shape, in_cbor=False, times_in_seconds=False)
    except SerializationException as error:
        raise ValidationError({field: error.message or "A member has the wrong type."}) from error


def _wrong(given: Any, shape: Shape | None, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEPTH_MAX:
        yield path, "It is too deep."
    elif isinstance(given, dict):
        for name, inner in given.items():
            where = f"{path}.{_plain(name)[:100]}"
            if shape is not None and shape.type == "structure" and name not in shape.members:
                yield where, "There is no such member."
                continue
            yield from _wrong(name, None, where, depth + 1)
            yield from _wrong(inner, _below(shape, name), where, depth + 1)
    elif isinstance(given, list):
        for index, inner in enumerate(given):
            yield from _wrong(inner, shape.member if shape is not None else None, f"{path}[{index}]", depth + 1)
    elif isinstance(given, str) and _plain(given) != given:
        yield path, "There is a character in it that cannot be kept."


def _below(shape: Shape | None, name: str) -> Shape | None:
    if shape is None:
        return None
    return shape.members[name] if shape.type == "structure" else shape.value


def _plain(text: str) -> str:
    """Without NUL and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()
