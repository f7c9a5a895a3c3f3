"""Definitions of schemas in a registry: are they what their data format says?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from apps.catalogue.errors import InvalidInputException

DEPTH_MAX = 64
"""Types within types."""

AVRO, JSON = "AVRO", "JSON"
FORMATS = (AVRO, JSON)

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_TYPES_OF_JSON = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def problem(data_format: str, definition: str) -> str:
    """Why a definition is not valid; empty if it is."""
    try:
        parsed = msgspec.json.decode(definition)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        return f"It is not JSON: {error}"
    found = _avro(parsed, "", {}, 0) if data_format == AVRO else _json_schema(parsed)
    return next(found, "")


def check(data_format: str, definition: str) -> None:
    """Raise InvalidInputException for a definition that is not valid."""
    if why := problem(data_format, definition):
        raise InvalidInputException(f"Schema definition of {data_format} data format is invalid: {why}")


def digest(definition: str) -> str:
    """Equal for definitions that differ in white space only."""
    return hashlib.sha256(msgspec.json.format(definition.encode(), indent=-1)).hexdigest()


def _json_schema(parsed: Any) -> Iterator[str]:
    """What all drafts have in common; what validates a record says more."""
    if not isinstance(parsed, dict | bool):
        yield "A JSON schema is an object."
        return
    schema: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES_OF_JSON:
            yield f"{kind!r} is no type."
    for name in ("properties", "definitions", "$defs", "patternProperties"):
        if not isinstance(schema.get(name, {}), dict):
            yield f"{name} must be an object."
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield "required must be an array of names."


def _avro(kind: Any, space: str, known: dict[str, None], depth: int) -> Iterator[str]:
    if depth > DEPTH_MAX:
        yield f"Types are nested more than {DEPTH_MAX} deep."
    elif isinstance(kind, list):
        for part in kind:
            if isinstance(part, list):
                yield "A union must not be within a union."
            else:
                yield from _avro(part, space, known, depth + 1)
    elif isinstance(kind, str):
        if kind not in _PRIMITIVES and _full(kind, space) not in known and kind not in known:
            yield f"{kind!r} is no type."
    elif isinstance(kind, dict):
        yield from _avro_object(kind, space, known, depth)
    else:
        yield "A type is a name, an object or an array."


def _avro_object(kind: dict[str, Any], space: str, known: dict[str, None], depth: int) -> Iterator[str]:
    name = kind.get("type")
    if name in ("array", "map"):
        yield from _avro(kind.get("items" if name == "array" else "values"), space, known, depth + 1)
        return
    if not isinstance(name, str) or name not in _NAMED:
        yield from _avro(name, space, known, depth + 1)
        return
    if not isinstance(kind.get("name"), str) or not _NAME.fullmatch(kind["name"]):
        yield f"A {name} must have a name."
        return
    full = _full(kind["name"], str(kind.get("namespace") or space))
    if full in known:
        yield f"{full} is defined twice."
    known[full] = None
    if name == "enum" and not _are_names(kind.get("symbols")):
        yield f"The symbols of {full} must be an array of names."
    elif name == "fixed" and (type(kind.get("size")) is not int or kind["size"] < 0):
        yield f"{full} must have a size."
    elif name in ("record", "error"):
        yield from _avro_fields(kind.get("fields"), full, known, depth)


def _avro_fields(fields: Any, record: str, known: dict[str, None], depth: int) -> Iterator[str]:
    if not isinstance(fields, list) or not all(isinstance(one, dict) for one in fields):
        yield f"The fields of {record} must be an array of objects."
        return
    if not _are_names([one.get("name") for one in fields]):
        yield f"The fields of {record} must have different names."
        return
    for one in fields:
        yield from _avro(one.get("type"), record.rpartition(".")[0], known, depth + 1)


def _are_names(found: Any) -> bool:
    if not isinstance(found, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in found):
        return False
    return len(set(found)) == len(found)


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
