"""/api/v1/openapi.json: the API's own description, OpenAPI 3.1. Public: it says nothing of anybody's data."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document, made once: it depends on the code alone."""
    from console.api.urls import patterns

    made: dict[str, Any] = SchemaGenerator(patterns=patterns, urlconf=None).get_schema(request=None, public=True)
    return made


@require_GET
def openapi(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - a view
    """The document."""
    return JsonResponse(document(), json_dumps_params={"indent": 1})
