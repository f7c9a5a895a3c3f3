"""AWS's own service models, read once from botocore's data: operations, shapes, limits, error lists.

Everything that decodes, checks or encodes follows these shapes. This is the only file that imports botocore, and only
its loader: importing a whole client library costs half a second, the loader a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from botocore.loaders import Loader

SCALARS = frozenset({"string", "blob", "boolean", "integer", "long", "float", "double", "timestamp"})
TYPES = SCALARS | {"structure", "list", "map"}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A type of the model, with its limits, and the shapes it is made of.

    minimum, maximum: of the value for numbers, else of the length. members: by the name on the wire.
    has_blobs, has_timestamps: anywhere below, for encoders that can skip a whole answer.
    """

    name: str
    type: str
    members: Mapping[str, Shape]
    required: frozenset[str]
    minimum: int | None
    maximum: int | None
    pattern: str | None
    enum: tuple[str, ...]
    member: Shape | None
    key: Shape | None
    value: Shape | None
    is_event_stream: bool
    is_error: bool
    has_blobs: bool
    has_timestamps: bool
    is_flattened: bool
    """Of lists and maps in the query protocol and XML: their items stand where they themselves would."""
    item_name: str
    """What an item of a list is called in XML."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorShape:
    """An error of the model. query_code: its name in the query protocol. status: HTTP. message: the member with the text,
    None where it has none."""

    name: str
    query_code: str
    status: int
    is_callers: bool
    message: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation. output None: an answer has an empty body. errors: the codes that the model lists."""

    service: str
    name: str
    input: Shape
    output: Shape | None
    errors: tuple[str, ...]
    events: Shape | None
    """The event stream of the output, if it has one: members are events and errors by their names."""
    result_wrapper: str | None
    """The element around the output's members in XML, if there is one."""

    @property
    def is_event_stream(self) -> bool:
        """Does the answer go on as frames?"""
        return self.events is not None


@dataclass(frozen=True, slots=True, eq=False)
class ServiceModel:
    """One service. target_prefix: what stands before the dot in X-Amz-Target; empty if it speaks no JSON.

    signing_name: in credential scopes. protocols: by AWS's names, the preferred one first. api_version, xml_namespace: of
    the query protocol. is_query_compatible: was it a query service once, whose clients want those error codes?
    is_global: has AWS one endpoint of it for the world?
    """

    name: str
    target_prefix: str
    signing_name: str
    operations: Mapping[str, Operation]
    protocols: tuple[str, ...]
    api_version: str
    xml_namespace: str
    is_query_compatible: bool
    is_global: bool
    errors: Mapping[str, ErrorShape]
    """By the shape's name."""


@cache
def load(service: str) -> ServiceModel:
    """The newest model of a service by botocore's folder name, e.g. `kinesis`. Read from disk once per process."""
    data = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH]).load_service_model(
        service, "service-2"
    )
    metadata = data["metadata"]
    shapes = _Shapes(data["shapes"])
    return ServiceModel(
        name=service,
        target_prefix=metadata.get("targetPrefix", ""),
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        operations=MappingProxyType(
            {name: _operation(service, raw, shapes) for name, raw in data["operations"].items()}
        ),
        protocols=tuple(metadata["protocols"]),
        api_version=metadata["apiVersion"],
        xml_namespace=metadata.get("xmlNamespace", ""),
        is_query_compatible="awsQueryCompatible" in metadata,
        is_global="globalEndpoint" in metadata,
        errors=MappingProxyType(
            {name: _error(name, raw) for name, raw in data["shapes"].items() if raw.get("exception")}
        ),
    )


def _error(name: str, raw: Mapping[str, Any]) -> ErrorShape:
    traits = raw.get("error", {})
    status = traits.get("httpStatusCode", 500 if raw.get("fault") else 400)
    return ErrorShape(
        name=name,
        query_code=traits.get("code", name),
        status=status,
        is_callers=status < 500,
        message=next((member for member in raw.get("members", {}) if member.lower() == "message"), None),
    )


def _operation(service: str, raw: Mapping[str, Any], shapes: _Shapes) -> Operation:
    output = shapes.get(raw["output"]["shape"]) if "output" in raw else None
    events = next((shape for shape in output.members.values() if shape.is_event_stream), None) if output else None
    return Operation(
        service=service,
        name=raw["name"],
        input=shapes.get(raw["input"]["shape"]) if "input" in raw else NOTHING,
        output=output,
        errors=tuple(error["shape"] for error in raw.get("errors", ())),
        events=events,
        result_wrapper=raw.get("output", {}).get("resultWrapper"),
    )


class Loop(ValueError):
    """A shape contains itself."""


class _Shapes:
    """Builds each shape once. A member that leads back to its own structure is left out: no request or answer of ours
    has one (of Glue's, they are Iceberg's documents and the changes that are under way)."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._built: dict[str, Shape] = {}
        self._building: set[str] = set()

    def get(self, name: str) -> Shape:
        if name not in self._built:
            if name in self._building:
                raise Loop(f"the shape {name} contains itself")
            self._building.add(name)
            try:
                self._built[name] = self._build(name, self._raw[name])
            finally:
                self._building.discard(name)
        return self._built[name]

    def _members(self, raw: Mapping[str, Any], on_the_wire: Mapping[str, str]) -> dict[str, Shape]:
        found = {}
        for name, reference in raw.get("members", {}).items():
            with suppress(Loop):
                found[on_the_wire[name]] = self.get(reference["shape"])
        return found

    def _build(self, name: str, raw: Mapping[str, Any]) -> Shape:
        if raw["type"] not in TYPES:
            raise ValueError(f"the shape {name} has the unknown type {raw['type']}")
        on_the_wire = {name: reference.get("locationName", name) for name, reference in raw.get("members", {}).items()}
        members = self._members(raw, on_the_wire)
        member, key, value = (self._reference(raw, part) for part in ("member", "key", "value"))
        below = [shape for shape in (*members.values(), member, key, value) if shape is not None]
        return Shape(
            name=name,
            type=raw["type"],
            members=MappingProxyType(members),
            required=frozenset(on_the_wire[name] for name in raw.get("required", ())) & members.keys(),
            minimum=raw.get("min"),
            maximum=raw.get("max"),
            pattern=raw.get("pattern"),
            enum=tuple(raw.get("enum", ())),
            member=member,
            key=key,
            value=value,
            is_event_stream=raw.get("eventstream", False),
            is_error=raw.get("exception", False),
            has_blobs=raw["type"] == "blob" or any(shape.has_blobs for shape in below),
            has_timestamps=raw["type"] == "timestamp" or any(shape.has_timestamps for shape in below),
            is_flattened=raw.get("flattened", False),
            item_name=raw.get("member", {}).get("locationName", "member"),
        )

    def _reference(self, raw: Mapping[str, Any], part: str) -> Shape | None:
        return self.get(raw[part]["shape"]) if part in raw else None


NOTHING = _Shapes({"Nothing": {"type": "structure", "members": {}}}).get("Nothing")
"""The input of an operation that takes none."""
