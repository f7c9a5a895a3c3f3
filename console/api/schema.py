"""The OpenAPI document: what drf-spectacular cannot see for itself."""

from __future__ import annotations

import re
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from console.api import idempotency
from console.api.places import PLACES
from console.api.problems import CONTENT_TYPE, TITLES


class FieldProblemSerializer(serializers.Serializer[Any]):
    """One wrong value."""

    field = serializers.CharField(help_text="Where it is: `name`, `records[3].data`; empty: the whole.")
    detail = serializers.CharField(help_text="What is wrong with it.")


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="Always `about:blank`: the status says which kind it is.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="What happened; AWS's own text where an AWS operation refused.")
    request_id = serializers.CharField(help_text="What the log has it under.")
    code = serializers.CharField(required=False, help_text="Why it was refused: AWS's error code, or our own.")
    needs = serializers.CharField(required=False, help_text="The permission that is missing.")
    done = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="What was changed before something was refused."
    )
    errors = FieldProblemSerializer(many=True, required=False)  # type: ignore[assignment]  # RFC 9457's usual name


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the document calls it."""

    target_class = "console.api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002 - its hook
        """An API token."""
        return {"type": "http", "scheme": "bearer", "description": "An API token: `Authorization: Bearer tgt_…`."}


ALWAYS: Final = (400, 401, 403, 404, 405, 406, 429, 500, 503)
"""What every address may answer."""

OF_BODIES: Final = (409, 412, 413, 415, 422)
"""What those that change something may answer besides."""

WORDS: Final = {
    200: "What was asked for",
    201: "What was made",
    202: "It is under way",
    204: "Done; there is nothing to tell",
    304: "You have it already",
}

IF_MATCH: Final = "The ETag that you read: the change is refused (412) if there was another one since."
IF_NONE_MATCH: Final = "The ETag that you have: the answer is 304 without a body if it still holds."
REPEATED: Final = "Repeat a request with the same key, and it is done once; kept for a day."

_NAMED_BY_AWS: Final = re.compile(r" \([A-Z]\w+(, [A-Z]\w+)*\)$")

_TEXT: Final = {"schema": {"type": "string"}}
HEADERS: Final = {
    "X-Request-Id": {"description": "What the log has this request under.", **_TEXT},
    "ETag": {"description": "Of this state of it.", **_TEXT},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Bearer`.", **_TEXT},
    "Allow": {"description": "The methods of this address.", **_TEXT},
}
_HEADERS_OF: Final = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}


class Operation(AutoSchema):
    """One method of one address."""

    view: Any

    def get_operation_id(self) -> str:
        """The view's own name for it."""
        return self.view.names[self.method]

    def get_tags(self) -> list[str]:
        """The resource."""
        return [self.view.tag]

    def get_summary(self) -> str:
        """The first sentence of the view's words, without the name of AWS's operation."""
        first = self.get_description().partition("\n\n")[0].partition(". ")[0].rstrip(".").replace("\n", " ")
        return _NAMED_BY_AWS.sub("", first)

    def get_override_parameters(self) -> list[Any]:
        """Places in the address, and headers that the base view reads."""
        found = [self._place(name) for name in _places_in(self.path)]
        if self.method == "POST" and self.view.creates:
            found.append(_header(idempotency.HEADER, REPEATED, max_length=idempotency.KEY_CHARS_MAX))
        if self.view.has_etag():
            found.append(
                _header("If-None-Match", IF_NONE_MATCH) if self.method == "GET" else _header("If-Match", IF_MATCH)
            )
        return found

    def _place(self, name: str) -> OpenApiParameter:
        place = PLACES.get(f"{self.view.tag}/{name}") or PLACES[name]
        return OpenApiParameter(name, place.schema, OpenApiParameter.PATH, description=place.text)

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """With the permission, examples, headers and problems."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        operation["x-needs"] = self.view.needs.get(self.method, "")
        example = self.view.examples.get(self.method)
        if example is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = example
        self._answers(operation["responses"])
        return operation

    def _answers(self, told: dict[str, Any]) -> None:
        """Words and headers of the answers, and the problems."""
        self.resolve_serializer(ProblemSerializer, "response")
        for status, answer in told.items():
            has_etag = self.view.has_etag() and status == "200"
            answer["description"] = WORDS[int(status)]
            answer["headers"] = _headers("X-Request-Id", "ETag" if has_etag else "")
        if self.view.has_etag() and self.method == "GET":
            told["304"] = {"description": WORDS[304], "headers": _headers("X-Request-Id", "ETag")}
        for status in (*ALWAYS, *(OF_BODIES if self.method != "GET" else ())):
            told.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})


def _places_in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names if name}


def _header(name: str, text: str, max_length: int = 0) -> OpenApiParameter:
    schema = {"type": "string"} | ({"minLength": 1, "maxLength": max_length} if max_length else {})
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=text)


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook at the end: what all operations share, and bodies without members that nobody knows."""
    components = result["components"]
    for name, shape in components["schemas"].items():
        if name.endswith("Request") and shape.get("type") == "object":
            shape.setdefault("additionalProperties", False)
    components["headers"] = HEADERS
    components["responses"] = {f"Problem{status}": _problem(status) for status in (*ALWAYS, *OF_BODIES)}
    _without_marks(result)
    return result


def _problem(status: int) -> dict[str, Any]:
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = _headers("X-Request-Id", _HEADERS_OF.get(status, ""))
    return {"description": TITLES[status], "headers": headers, "content": content}


def _without_marks(part: Any) -> None:
    """Take drf-spectacular's own marks out."""
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
        for inner in part.values():
            _without_marks(inner)
    elif isinstance(part, list):
        for inner in part:
            _without_marks(inner)
