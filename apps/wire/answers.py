"""Answers and errors as plain values, before a format writes them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apps.base.errors import SerializationException, ServiceError
from apps.wire.model import Shape

SILENT = frozenset({"InternalFailure", "UnknownOperationException"})
"""Errors that AWS answers by name alone."""


def plain(value: Any, shape: Shape, timestamp: Callable[[float], Any]) -> Any:
    """An answer without its Nones, each time in it turned by timestamp (int milliseconds, or float seconds of a struct).

    A member that the model does not know is a bug of the operation: AssertionError.
    """
    if shape.type == "structure":
        return _structure(value, shape, timestamp)
    if shape.type == "list":
        assert shape.member is not None
        item_shape = shape.member
        if item_shape.type in {"string", "blob", "integer", "long", "boolean"}:
            return value
        return [plain(item, item_shape, timestamp) for item in value]
    if shape.type == "map":
        assert shape.value is not None
        value_shape = shape.value
        return {key: plain(item, value_shape, timestamp) for key, item in value.items()}
    return timestamp(value) if shape.type == "timestamp" else value


def _structure(value: Mapping[str, Any], shape: Shape, timestamp: Callable[[float], Any]) -> dict[str, Any]:
    members = shape.members
    found: dict[str, Any] = {}
    for name, item in value.items():
        assert name in members, f"{shape.name} has no member {name}"
        if item is not None:
            found[name] = plain(item, members[name], timestamp)
    return found


def error_members(error: ServiceError) -> dict[str, Any]:
    """`__type`, the text under the name that AWS gives it, and the members of the error's own shape."""
    found: dict[str, Any] = {"__type": error.code}
    if error.code in SILENT:
        return found
    if error.message is not None:
        found["Message" if error.code == SerializationException.code else "message"] = _writable(error.message)
    found.update(error.members)
    return found


def _writable(text: str) -> str:
    """Texts repeat what callers sent; bytes that were no text (lone surrogates, to Python) become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
