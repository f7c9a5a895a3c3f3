"""The OpenAPI document: what drf-spectacular cannot see for itself."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from console.api import idempotency
from console.api.problems import CONTENT_TYPE, TITLES


class FieldProblemSerializer(serializers.Serializer[Any]):
    """One wrong value."""

    field = serializers.CharField(help_text="Where it is: `name`, `records[3].data`; empty: the whole.")
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    request_id = serializers.CharField()
    code = serializers.CharField(required=False, help_text="AWS's error code, where an AWS operation refused.")
    needs = serializers.CharField(required=False, help_text="The permission that is missing.")
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


class Operation(AutoSchema):
    """One method of one address."""

    view: Any

    def get_operation_id(self) -> str:
        """The view's own name for it."""
        return self.view.names[self.method]

    def get_tags(self) -> list[str]:
        """The resource."""
        return [self.view.tag]

    def get_override_parameters(self) -> list[Any]:
        """Headers that the base view reads."""
        if self.method == "POST" and self.view.creates:
            text = "Repeat a request with the same key, and it is done once; kept for a day."
            return [OpenApiParameter(idempotency.HEADER, str, OpenApiParameter.HEADER, description=text)]
        if self.method in {"PATCH", "PUT", "DELETE"}:
            text = "The ETag that you read: the change is refused (412) if it was changed since."
            return [OpenApiParameter("If-Match", str, OpenApiParameter.HEADER, description=text)]
        return []

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """With the permission, and the problems."""
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        needs = self.view.needs.get(self.method, "")
        operation["x-needs"] = needs
        shape = self.resolve_serializer(ProblemSerializer, "response").ref
        for status in (*ALWAYS, *(OF_BODIES if self.method != "GET" else ())):
            told = {"description": TITLES[status], "content": {CONTENT_TYPE: {"schema": shape}}}
            operation["responses"].setdefault(str(status), told)
        return operation
