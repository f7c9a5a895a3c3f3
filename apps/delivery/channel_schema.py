"""The columns of a streaming table, from a JSON schema of the registry, as Iceberg writes schemas down.

A property is a column of its name; one that is required, and not nullable, is a required column. What has no one type
(references, alternatives) has no column, and is refused.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

TYPES: Final = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean"}
TEXTS: Final = {"date-time": "timestamptz", "date": "date", "time": "time", "uuid": "uuid"}
"""Types of texts by their `format`."""

UNTOLD: Final = ("$ref", "oneOf", "anyOf", "allOf", "not", "if")
COLUMNS_MAX: Final = 1_000
DEPTH_MAX: Final = 16
"""Levels of nesting: what AWS takes of records for Iceberg tables."""

Json = dict[str, Any]


class NoColumns(ValueError):
    """The schema does not make a table; the text says why and may be shown."""


def schema_of(definition: str) -> Json:
    """Iceberg's schema, as JSON. Raises NoColumns."""
    said = msgspec.json.decode(definition)
    if not isinstance(said, dict) or _kind(said, "The schema")[0] != "object" or not said.get("properties"):
        raise NoColumns("The schema must describe an object with properties.")
    numbers = _Numbers()
    return {"type": "struct", "schema-id": 0, "fields": _fields(said, numbers, "", 1)}


def is_timestamptz(schema: Json, column: str) -> bool:
    """Whether there is a column of that name which is a time with a zone."""
    return any(field["name"] == column and field["type"] == "timestamptz" for field in schema["fields"])


class _Numbers:
    """Ids of fields, which Iceberg counts through all levels."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        self._last += 1
        if self._last > COLUMNS_MAX:
            raise NoColumns(f"The schema has more than {COLUMNS_MAX} fields.")
        return self._last


def _fields(said: Json, numbers: _Numbers, path: str, depth: int) -> list[Json]:
    required = said.get("required") or []
    names = list(said["properties"])
    ids = [numbers.next() for _ in names]
    fields = []
    for number, name in zip(ids, names, strict=True):
        at = f"{path}{name}"
        kind, nullable = _type(said["properties"][name], numbers, at, depth)
        fields.append({"id": number, "name": name, "required": name in required and not nullable, "type": kind})
    return fields


def _type(said: Any, numbers: _Numbers, at: str, depth: int) -> tuple[Any, bool]:
    """(Iceberg's type, may it be null?)"""
    if depth > DEPTH_MAX:
        raise NoColumns(f"The schema has more than {DEPTH_MAX} levels.")
    if not isinstance(said, dict):
        raise NoColumns(f"The property {at} has no type.")
    kind, nullable = _kind(said, f"The property {at}")
    if kind == "object":
        return _object(said, numbers, at, depth), nullable
    if kind == "array":
        number = numbers.next()
        element, may_be_null = _type(said.get("items"), numbers, f"{at}[]", depth + 1)
        return {
            "type": "list", "element-id": number, "element": element, "element-required": not may_be_null
        }, nullable  # fmt: skip
    if kind == "string":
        return TEXTS.get(said.get("format", ""), "string"), nullable
    return TYPES[kind], nullable


def _object(said: Json, numbers: _Numbers, at: str, depth: int) -> Json:
    if said.get("properties"):
        return {"type": "struct", "fields": _fields(said, numbers, f"{at}.", depth + 1)}
    if not isinstance(said.get("additionalProperties"), dict):
        raise NoColumns(f"The property {at} is an object of which the schema does not say what is in it.")
    key, number = numbers.next(), numbers.next()
    value, may_be_null = _type(said["additionalProperties"], numbers, f"{at}.*", depth + 1)
    return {
        "type": "map", "key-id": key, "key": "string", "value-id": number, "value": value,
        "value-required": not may_be_null,
    }  # fmt: skip


def _kind(said: Json, what: str) -> tuple[str, bool]:
    """(the one type but null, may it be null?)"""
    for member in UNTOLD:
        if member in said:
            raise NoColumns(f"{what} has {member}, which gives a column no one type.")
    given = said.get("type")
    kinds = given if isinstance(given, list) else [given]
    real = [kind for kind in kinds if kind != "null"]
    if len(real) != 1 or real[0] not in {*TYPES, "object", "array"}:
        raise NoColumns(f"{what} must have exactly one type beside null.")
    return real[0], len(real) < len(kinds)
