"""Typed requests and answers for callers who speak in dicts: console, REST, workers.

Typed ones carry times as float seconds, because that is AWS's JSON; dicts carry int milliseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from apps.gateway.services import Route
from apps.wire.model import Shape
from apps.wire.timestamps import milliseconds, seconds


def typed_request(route: Route, params: dict[str, Any]) -> msgspec.Struct:
    """The route's typed request from params that were validated already."""
    assert route.request_type is not None
    return msgspec.convert(_times(route.operation.input, params, seconds), route.request_type)


def plain_answer(route: Route, answer: Any) -> Any:
    """A typed answer as a dict; any other (a dict, None, an iterator of events) as it is."""
    if not isinstance(answer, msgspec.Struct):
        return answer
    assert route.operation.output is not None
    return _times(route.operation.output, msgspec.to_builtins(answer, builtin_types=(bytes,)), milliseconds)


def _times(shape: Shape, value: Any, convert: Any) -> Any:
    """value with every time below converted."""
    if value is None or not shape.has_timestamps:
        return value
    if shape.type == "timestamp":
        return convert(value)
    if shape.type == "list":
        assert shape.member is not None
        return [_times(shape.member, item, convert) for item in value]
    if shape.type == "structure":
        return {
            name: _times(shape.members[name], item, convert) if name in shape.members else item
            for name, item in value.items()
        }
    return value
