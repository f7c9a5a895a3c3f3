"""Every address of the REST API, below /api/v1/. A view names the action that each method needs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.urls import URLPattern, URLResolver, path, re_path

from console.api import document
from console.api.billing_urls import billing_patterns
from console.api.delivery_urls import delivery_patterns
from console.api.operate_urls import operate_patterns
from console.api.stream_urls import PREFIX, stream_patterns
from console.api.team_urls import team_patterns
from console.api.view import ApiView


class Nothing(ApiView):
    """What no other address is: 404 as a problem, not as a page."""

    schema = None  # type: ignore[assignment]  # DRF's word for: not in the document
    needs: ClassVar[dict[str, str]] = {}

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - DRF's hook
        """Whoever asks, by whatever method. Raises Http404."""
        raise Http404


patterns: list[URLPattern | URLResolver] = [
    *delivery_patterns,
    *operate_patterns,
    *stream_patterns,
    *team_patterns,
    *billing_patterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path(PREFIX + "openapi.json", document.openapi, name="api-openapi"),
    *patterns,
    re_path(rf"^{PREFIX}[\s\S]*", Nothing.as_view(), name="api-nothing"),  # <path:…> ends at a line break
]
