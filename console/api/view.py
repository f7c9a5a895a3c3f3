"""What every view of the API stands on: the action that each method needs, the request's id, keys on creation, ETags."""

from __future__ import annotations

import uuid
from io import BytesIO
from itertools import islice
from typing import Any, ClassVar, Final, cast

from django.http import Http404
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import NotAuthenticated, UnsupportedMediaType, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.serializers import ListField, Serializer
from rest_framework.views import APIView

from apps.accounts.permissions import ACTIONS, allowed
from apps.base.units import MIB
from console.api import idempotency, problems, strict
from console.api.authentication import BearerToken
from console.api.etags import alone, require_match, tagged
from console.api.parser import Json
from console.api.problems import Needs, TooLarge
from console.api.rates import PerToken
from console.api.request import ApiRequest
from console.api.schema import Operation

WRONG_TOLD_MAX: Final = 20
"""Values of a body that one answer speaks of."""

CHANGING: Final = ("PUT", "PATCH", "DELETE")
ID_MAX: Final = 2**63 - 1
"""The largest number that a row can have."""


class HasNeededAction(BasePermission):
    """The one permission function, asked for the action that the view names for the method."""

    def has_permission(self, request: ApiRequest, view: APIView) -> bool:  # type: ignore[override]
        """Raises NotAuthenticated, Needs."""
        if request.auth is None:
            raise NotAuthenticated("Send a token: Authorization: Bearer tgt_…")
        require(request, view.needs.get(_asked(request), ""))  # type: ignore[attr-defined]
        return True


def require(request: ApiRequest, action: str) -> None:
    """Raises Needs unless the token may do this. "": any token may."""
    if action and not allowed(request.actions, action):
        raise Needs(action, f"This needs {action}: {ACTIONS[action].lower()}.")


def _asked(request: ApiRequest) -> str:
    """The method; HEAD is GET without its body."""
    method = request.method or ""
    return "GET" if method == "HEAD" else method


@method_decorator(never_cache, name="dispatch")
class ApiView(APIView):
    """needs: method to action ("": any token). names: method to the operation's name in the document.
    creates: POST makes something, and takes an Idempotency-Key. examples: method to a body that the document shows.
    body_bytes_max: None leaves the body to the view, which reads it as it comes. parameters: methods that take some in
    the address, as far as they look at them. of_all_teams: an address is of the same thing whoever asks.

    What can be read and changed at the same address has an ETag: GET takes If-None-Match, PUT, PATCH and DELETE If-Match.
    """

    needs: ClassVar[dict[str, str]]
    names: ClassVar[dict[str, str]]
    tag: ClassVar[str]
    creates: ClassVar[bool] = False
    examples: ClassVar[dict[str, Any]] = {}
    body_bytes_max: ClassVar[int | None] = 2 * MIB
    parameters: ClassVar[tuple[str, ...]] = ("GET",)
    of_all_teams: ClassVar[bool] = False
    _query_is_read = False

    authentication_classes = (BearerToken,)
    permission_classes = (HasNeededAction,)
    throttle_classes = (PerToken,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (Json,)
    metadata_class = None
    http_method_names = ("get", "head", "post", "put", "patch", "delete")
    schema = Operation()

    def get_exception_handler(self) -> Any:
        """Problems."""
        return problems.answer

    @classmethod
    def has_etag(cls) -> bool:
        """Can be read and changed at this address."""
        return hasattr(cls, "get") and any(hasattr(cls, method.lower()) for method in CHANGING)

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> ApiRequest:
        """Gives it an id."""
        made = cast("ApiRequest", super().initialize_request(request, *args, **kwargs))
        made.request_id = str(uuid.uuid4())
        return made

    def initial(self, request: ApiRequest, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Token, permission, rate; then the body, as long as it is allowed to be, and what no text of ours holds."""
        super().initial(request, *args, **kwargs)
        _refuse_coded(request)
        if self.body_bytes_max is not None:
            _take_body(request, self.body_bytes_max)
        _refuse_impossible(request, kwargs)
        if idempotency.HEADER in request.headers and not (self.creates and request.method == "POST"):
            raise ValidationError({idempotency.HEADER: "Only a POST that creates something takes one."})
        if request.query_params and _asked(request) not in self.parameters:
            self.query(request, Serializer)
        if "If-Match" in request.headers and not (self.has_etag() and request.method in CHANGING):
            raise ValidationError({"If-Match": "There is nothing here that it could guard."})
        self._wrap(request)

    def _wrap(self, request: ApiRequest) -> None:
        """What stands around the method: a key, an ETag, and parameters that it has to look at."""
        name = (request.method or "").lower()
        handler = getattr(self, name, None)
        if handler is None:
            return
        if self.creates and request.method == "POST":
            setattr(self, name, self._once(handler))
        if "If-Match" in request.headers:
            setattr(self, name, self._matched(handler))
        if request.query_params and _asked(request) == "GET":
            setattr(self, name, self._looked(handler))

    def _looked(self, handler: Any) -> Any:
        """Raises ValidationError for parameters that the method did not look at: it takes none."""

        def get(request: ApiRequest, *args: Any, **kwargs: Any) -> Response:
            answer: Response = handler(request, *args, **kwargs)
            if not self._query_is_read:
                self.query(request, Serializer)
            return answer

        return get

    def _matched(self, handler: Any) -> Any:
        """Raises PreconditionFailed if the caller saw another state than GET would tell now."""

        def change(request: ApiRequest, *args: Any, **kwargs: Any) -> Response:
            require(request, self.needs["GET"])
            with alone(request, "" if self.of_all_teams else str(request.team.pk)):
                request.team.refresh_from_db()  # it was read with the token, maybe before another change
                require_match(request, self.get(request, *args, **kwargs).data)  # type: ignore[attr-defined]
                answer: Response = handler(request, *args, **kwargs)
                return answer

        return change

    def _once(self, handler: Any) -> Any:
        def post(request: ApiRequest, *args: Any, **kwargs: Any) -> Response:
            return idempotency.once(request, lambda: handler(request, *args, **kwargs))

        return post

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every answer tells the request's id; that of a thing which can be changed here, its ETag."""
        if response.status_code == 200 and self.has_etag():
            response = tagged(request, response.data)
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["X-Request-Id"] = request.request_id
        return answer

    def read(self, request: ApiRequest, serializer: type[Serializer[Any]], **options: Any) -> dict[str, Any]:
        """The body, checked. Members that the serializer does not know are refused, not ignored."""
        made, given = serializer(data=request.data, **options), request.data
        wrong = dict(islice(strict.wrong(made, given), WRONG_TOLD_MAX))
        if any(text != strict.UNKNOWN for text in wrong.values()):
            raise ValidationError(wrong)
        return _valid(made, wrong)

    def query(self, request: ApiRequest, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """The query string, checked likewise."""
        self._query_is_read = True
        given, fields, wrong = request.query_params, serializer().fields, {}
        for name in islice(given, WRONG_TOLD_MAX):
            field = fields.get(name)
            if field is None:
                wrong[name[: strict.NAME_CHARS]] = "There is no such parameter."
            elif len(given.getlist(name)) > 1 and not isinstance(field, ListField):
                wrong[name] = "It is given more than once."
            elif text := strict.wrong_text(field, given[name]):
                wrong[name] = text
        # A plain dict: of a form the framework would take a missing box for one that is not ticked.
        lists = {name for name, field in fields.items() if isinstance(field, ListField)}
        data = {name: given.getlist(name) if name in lists else given[name] for name in given}
        return _valid(serializer(data=data), wrong)


def _valid(made: Serializer[Any], wrong: dict[str, str]) -> dict[str, Any]:
    """What the serializer makes of it. Raises ValidationError with its findings and those that there are already."""
    if not made.is_valid() or wrong:
        raise ValidationError({**wrong, **made.errors})
    return dict(made.validated_data)


def _take_body(request: ApiRequest, bytes_max: int) -> None:
    """Read it, and keep it as it came: a key's digest needs it after the parser. Raises TooLarge."""
    raw = request._request  # noqa: SLF001 - DRF has no other way to the bytes
    told = raw.META.get("CONTENT_LENGTH") or "0"
    body = b"" if told.isdigit() and int(told) > bytes_max else raw.read(bytes_max + 1)
    if len(body) > bytes_max or (told.isdigit() and int(told) > bytes_max):
        raise TooLarge(f"The body has more than {bytes_max} bytes.")
    raw.META["CONTENT_LENGTH"] = str(len(body))  # a chunked one has none, and DRF would take it for empty
    raw._body, raw._stream = body, BytesIO(body)  # type: ignore[attr-defined]  # noqa: SLF001 - as HttpRequest.body does


def _refuse_coded(request: ApiRequest) -> None:
    """Raises UnsupportedMediaType: nothing is unpacked here, and packed bytes are not what they are said to be."""
    coding = request.headers.get("Content-Encoding", "").lower()
    if coding not in {"", "identity"} and request.method in {"POST", *CHANGING}:
        raise UnsupportedMediaType(coding[: strict.NAME_CHARS], "Send the body as it is, without a Content-Encoding.")


def _refuse_impossible(request: ApiRequest, places: dict[str, Any]) -> None:
    """Raises Http404, ValidationError: no address and no text of ours has this."""
    for value in places.values():
        if (isinstance(value, str) and "\0" in value) or (isinstance(value, int) and value > ID_MAX):
            raise Http404
    if any("\0" in text for name, texts in request.query_params.lists() for text in (name, *texts)):
        raise ValidationError({"": "There is a NUL in the query."})
