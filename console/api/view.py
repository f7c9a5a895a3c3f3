"""What every view of the API stands on: the action that each method needs, the request's id, keys on creation."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar, cast

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import NotAuthenticated, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.serializers import DictField, ListSerializer, Serializer
from rest_framework.views import APIView

from apps.accounts.permissions import ACTIONS, allowed
from console.api import idempotency, problems
from console.api.authentication import BearerToken
from console.api.problems import Needs
from console.api.rates import PerToken
from console.api.request import ApiRequest
from console.api.schema import Operation

UNKNOWN_TOLD_MAX = 20


class HasNeededAction(BasePermission):
    """The one permission function, asked for the action that the view names for the method."""

    def has_permission(self, request: ApiRequest, view: APIView) -> bool:  # type: ignore[override]
        """Raises NotAuthenticated, Needs."""
        if request.auth is None:
            raise NotAuthenticated("Send a token: Authorization: Bearer tgt_…")
        action = view.needs.get(request.method or "", "")  # type: ignore[attr-defined]
        if action and not allowed(request.actions, action):
            raise Needs(action, f"This needs {action}: {ACTIONS[action].lower()}.")
        return True


@method_decorator(never_cache, name="dispatch")
class ApiView(APIView):
    """needs: method to action ("": any token). names: method to the operation's name in the document.
    creates: POST makes something, and takes an Idempotency-Key."""

    needs: ClassVar[dict[str, str]]
    names: ClassVar[dict[str, str]]
    tag: ClassVar[str]
    creates: ClassVar[bool] = False

    authentication_classes = (BearerToken,)
    permission_classes = (HasNeededAction,)
    throttle_classes = (PerToken,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (JSONParser,)
    schema = Operation()

    def get_exception_handler(self) -> Any:
        """Problems."""
        return problems.answer

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> ApiRequest:
        """Gives it an id."""
        made = cast("ApiRequest", super().initialize_request(request, *args, **kwargs))
        made.request_id = str(uuid.uuid4())
        return made

    def initial(self, request: ApiRequest, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Token, permission, rate; then the body, as long as it is allowed to be, and what no text of ours holds."""
        super().initial(request, *args, **kwargs)
        _ = request._request.body  # noqa: SLF001 - kept as it came: a key's digest needs it after the parser
        if any("\0" in text for name, texts in request.query_params.lists() for text in (name, *texts)):
            raise ValidationError({"": "There is a NUL in the query."})
        if idempotency.HEADER in request.headers and not (self.creates and request.method == "POST"):
            raise ValidationError({idempotency.HEADER: "Only a POST that creates something takes one."})
        if self.creates and request.method == "POST":
            self.post = self._once(self.post)  # type: ignore[has-type]

    def _once(self, handler: Any) -> Any:
        def post(request: ApiRequest, *args: Any, **kwargs: Any) -> Response:
            return idempotency.once(request, lambda: handler(request, *args, **kwargs))

        return post

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every answer tells the request's id."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["X-Request-Id"] = request.request_id
        return answer

    def read(self, request: ApiRequest, serializer: type[Serializer[Any]], **options: Any) -> dict[str, Any]:
        """The body, checked. Members that the serializer does not know are refused, not ignored."""
        return _checked(serializer, request.data, **options)

    def query(self, request: ApiRequest, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The query string, checked likewise."""
        return _checked(serializer, request.query_params)


def _checked(serializer: type[Serializer[Any]], given: Any, **options: Any) -> dict[str, Any]:
    made = serializer(data=given, **options)
    made.is_valid(raise_exception=True)
    unknown = list(islice(_unknown(made, given, ""), UNKNOWN_TOLD_MAX))
    if unknown:
        raise ValidationError(dict.fromkeys(unknown, "There is no such member."))
    return dict(made.validated_data)


def _unknown(field: Any, given: Any, path: str) -> Iterator[str]:
    """Where there are members, at any depth, that no serializer has."""
    if isinstance(field, Serializer) and isinstance(given, Mapping):
        for name in sorted(given):
            where = f"{path}.{name[:100]}" if path else name[:100]
            if name in field.fields:
                yield from _unknown(field.fields[name], given[name], where)
            else:
                yield where
    elif isinstance(field, ListSerializer) and isinstance(given, list):
        for index, inner in enumerate(given):
            yield from _unknown(field.child, inner, f"{path}[{index}]")
    elif isinstance(field, DictField) and isinstance(given, Mapping):
        for name, inner in given.items():
            yield from _unknown(field.child, inner, f"{path}.{name[:100]}")
