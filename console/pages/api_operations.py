"""The OpenAPI document read for people: each operation with its fields in rows, and code that calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from console.api.document import document
from console.api.places import PLACES
from console.pages import rest_samples
from console.pages.samples import Sample

DEPTH_MAX = 4
"""Levels of a body that are told; what is deeper is named as an object."""

CHOICES_SHOWN = 12
METHODS = ("get", "post", "put", "patch", "delete")
SHARED = ("400", "401", "403", "404", "405", "406", "429", "500", "503")
"""Statuses of every operation: the first page of the reference explains them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter, or a field of a body or an answer. kind: `string, at most 128`. place: of a parameter."""

    name: str
    kind: str
    text: str
    required: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """One operation."""

    id: str
    method: str
    path: str
    tag: str
    needs: str
    summary: str
    paragraphs: tuple[str, ...]
    parameters: tuple[Row, ...]
    body: tuple[Row, ...]
    body_type: str
    answers: tuple[tuple[str, str], ...]
    answer: tuple[Row, ...]
    codes: tuple[Sample, ...]

    @property
    def short_path(self) -> str:
        """Without what all have in common."""
        return self.path.removeprefix("/api/v1")

    @property
    def haystack(self) -> str:
        """Where a search looks."""
        parts = (self.method, self.path, self.tag, self.id, self.needs, self.summary, *self.paragraphs)
        return " ".join(parts).lower()


def described() -> tuple[Described, ...]:
    """Every operation, in the document's order: by address, then by method."""
    told = document()
    found = []
    for path, item in told["paths"].items():
        found += [_operation(told, path, method, item[method]) for method in METHODS if method in item]
    return tuple(found)


def _operation(told: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Described:
    content = operation.get("requestBody", {}).get("content", {})
    body_type = next(iter(content), "")
    sent = content.get(body_type, {})
    good = next(status for status in operation["responses"] if status.startswith("2"))
    answer = operation["responses"][good].get("content", {}).get("application/json", {}).get("schema")
    description = operation["description"].split("\n\n")
    return Described(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        tag=operation["tags"][0],
        needs=operation["x-needs"],
        summary=operation["summary"],
        paragraphs=tuple(part.replace("\n", " ") for part in description),
        parameters=tuple(_parameter(told, parameter) for parameter in operation.get("parameters", [])),
        body=tuple(rows(told, sent["schema"])) if body_type == "application/json" else (),
        body_type=body_type,
        answers=tuple(_statuses(told, operation["responses"])),
        answer=tuple(rows(told, answer)) if answer else (),
        codes=tuple(
            rest_samples.call(
                method.upper(),
                _example_path(path, operation),
                sent.get("example"),
                body_type,
                is_told=answer is not None,
            )
        ),
    )


def _statuses(told: dict[str, Any], responses: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Those that not every operation has."""
    for status, answer in sorted(responses.items()):
        if status not in SHARED:
            yield status, resolved(told, answer)["description"]


def _parameter(told: dict[str, Any], parameter: dict[str, Any]) -> Row:
    kind, required = kind_of(told, parameter["schema"]), parameter.get("required", False)
    return Row(parameter["name"], kind, parameter.get("description", ""), required, parameter["in"])


def _example_path(path: str, operation: dict[str, Any]) -> str:
    """With examples in the braces, and of parameters that must be there."""
    tag, wanted = operation["tags"][0], []
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if parameter["in"] == "path":
            place = PLACES.get(f"{tag}/{name}") or PLACES[name]
            path = path.replace("{" + name + "}", place.example)
        elif parameter["in"] == "query" and parameter.get("required"):
            wanted.append(f"{name}={_example(parameter)}")
    return path + ("?" + "&".join(wanted) if wanted else "")


def _example(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    if "enum" in schema:
        return str(schema["enum"][0])
    place = PLACES.get(parameter["name"])
    return place.example if place else str(schema.get("minimum", "orders"))


def resolved(told: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` points at; the part itself if it is none."""
    while "$ref" in part:
        found: Any = told
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def rows(told: dict[str, Any], shape: dict[str, Any], path: str = "", depth: int = 0) -> Iterator[Row]:
    """The fields of a body or an answer, those that must be there first; those inside others by their way:
    `encryption.type`, `records[].data`."""
    shape = _inner(told, shape)
    if shape.get("type") == "array":
        yield from rows(told, shape["items"], f"{path}[]", depth)
        return
    required = shape.get("required", [])
    for name, member in sorted(shape.get("properties", {}).items(), key=lambda item: item[0] not in required):
        way = f"{path}.{name}" if path else name
        text = member.get("description") or _inner(told, member).get("description", "")
        yield Row(way, kind_of(told, member), text, name in required)
        if depth < DEPTH_MAX:
            yield from rows(told, member, way, depth + 1)


def _inner(told: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    """The shape behind references, and behind `or null`."""
    shape = resolved(told, shape)
    for word in ("allOf", "oneOf", "anyOf"):
        parts = [part for part in shape.get(word, []) if part.get("type") != "null"]
        if len(parts) == 1:
            return _inner(told, parts[0])
    return shape


def kind_of(told: dict[str, Any], shape: dict[str, Any]) -> str:
    """The type and its bounds in words."""
    whole = resolved(told, shape)
    maybe = any(part.get("type") == "null" for word in ("oneOf", "anyOf") for part in whole.get(word, []))
    inner = _inner(told, shape)
    kinds = inner.get("type", "any value")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    text = " or ".join(kind for kind in kinds if kind != "null")
    if text == "array":
        text = f"list of {kind_of(told, inner['items'])}"
    text += _bounds(inner)
    return text + (" or null" if maybe or "null" in kinds else "")


def _bounds(shape: dict[str, Any]) -> str:
    if "enum" in shape:
        choices = [str(choice) for choice in shape["enum"] if choice is not None]
        more = f" … {len(choices)} in all" if len(choices) > CHOICES_SHOWN else ""
        return ": " + ", ".join(choices[:CHOICES_SHOWN]) + more
    parts = []
    if "minimum" in shape and "maximum" in shape:
        parts.append(f"{_short(shape['minimum'])} to {_short(shape['maximum'])}")
    if "maxLength" in shape:
        parts.append(f"at most {shape['maxLength']:,} characters")
    if "maxItems" in shape:
        parts.append(f"at most {shape['maxItems']:,}")
    if "default" in shape and shape["default"] not in ("", None):
        parts.append(f"default {shape['default']}")
    return ", " + ", ".join(parts) if parts else ""


def _short(number: float) -> str:
    """Powers of two near the end of 53 and 63 bits by their names."""
    names = {2**53 - 1: "2^53 - 1", 2**63 - 1: "2^63 - 1"}
    return names.get(int(number), f"{number:,}")
