"""Errors as RFC 9457 has them (application/problem+json), each with the request's id.

What an AWS operation refuses keeps AWS's code and text; the status is the one that HTTP has for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from apps.base.errors import InternalFailure, ServiceError
from apps.teams.authority import Refused

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
PREFIX = "/api/v1/"
"""What is below answers with problems, also where no view was reached."""

AWAY: Final = (OperationalError, InterfaceError)
"""The database does not answer, or is locked for longer than anybody waits."""

AWAY_RETRY_S = 10

STATUS_OF: Final[dict[str, int]] = {
    "ResourceNotFoundException": 404,
    "ResourceNotFound": 404,
    "EntityNotFoundException": 404,
    "NoSuchEntity": 404,
    "ResourceInUseException": 409,
    "ConcurrentModificationException": 409,
    "AlreadyExistsException": 409,
    "AccessDeniedException": 403,
    "LimitExceededException": 429,
    "LimitExceeded": 429,
    "ProvisionedThroughputExceededException": 429,
    "ThrottlingException": 429,
    "Throttling": 429,
    "KMSThrottlingException": 429,
}
"""AWS's error codes whose HTTP status says less (400) than HTTP can."""

TITLES: Final[dict[int, str]] = {
    400: "The request is not right",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not there",
    405: "Not a method of this address",
    406: "Not a format of this address",
    409: "In conflict with what is there",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Not a format that is read here",
    422: "The same idempotency key, another request",
    429: "Too much for now",
    500: "Something failed here",
    501: "Not implemented",
    503: "Not available for the moment",
}


REFUSED_AS: Final[dict[str, int]] = {
    "NotAllowed": 403,
    "Gone": 404,
    "UnknownRole": 400,
    "BadAddress": 400,
    "BadName": 400,
    "BadEnvironment": 400,
    "BadNotify": 400,
    "BadReason": 400,
    "BadRole": 400,
    "BudgetRefused": 400,
    "InThePast": 400,
    "NoActions": 400,
    "NotEnough": 400,
}
"""Statuses of what apps/teams refuses, by its code; 409: whatever is not here stands in the way."""

BY_FIELD: Final = frozenset({"BookRefused", "CorrectionRefused", "CreditRefused"})
"""Codes of refusals that are 400 where they are about a value that was sent, and stand in the way otherwise."""


class Conflict(exceptions.APIException):
    """409."""

    status_code = 409


class PreconditionFailed(exceptions.APIException):
    """412: If-Match names another state."""

    status_code = 412
    default_detail = "It was changed since you read it: read it again, and send its new ETag as If-Match."


class TooLarge(exceptions.APIException):
    """413."""

    status_code = 413
    default_detail = "The body is too large."


class Unavailable(exceptions.APIException):
    """503."""

    status_code = 503


class KeyReused(exceptions.APIException):
    """422: an idempotency key came with another request before."""

    status_code = 422
    default_detail = "This Idempotency-Key was used for another request. Take a new key for a new request."


class Needs(exceptions.PermissionDenied):
    """403 for want of an action."""

    def __init__(self, action: str, detail: str) -> None:
        super().__init__(detail)
        self.action = action


class Partly(Exception):
    """Something was refused after other things were done: an answer must tell both. done: operations of AWS's."""

    def __init__(self, status: int, detail: str, done: list[str], code: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.done, self.code = status, detail, done, code

    @classmethod
    def after(cls, error: ServiceError, operation: str, done: list[str]) -> Partly:
        """operation was refused after these."""
        status = 500 if isinstance(error, InternalFailure) else STATUS_OF.get(error.code, error.status)
        return cls(status, f"{operation}: {error.message or error.code}", done, error.code)


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    request = context["request"]
    if isinstance(error, ServiceError):
        return _of_service(error, request.request_id)
    if isinstance(error, Refused):
        return _refused(error, request.request_id)
    if isinstance(error, Partly):
        return problem(error.status, error.detail, request.request_id, code=error.code, done=error.done)
    match error:
        case Http404():
            error = exceptions.NotFound("There is nothing at this address, or not for you.")
        case PermissionDenied():
            error = exceptions.PermissionDenied()
        case RequestDataTooBig():
            error = TooLarge()
        case SuspiciousOperation():
            error = exceptions.ParseError("There is a character in it that no text of ours holds.")
        case _ if isinstance(error, AWAY):
            log.error("api_failed", exc_info=error, request_id=request.request_id, path=request.path)
            error = Unavailable("The database does not answer.")
    if not isinstance(error, exceptions.APIException):
        log.error("api_failed", exc_info=error, request_id=request.request_id, method=request.method, path=request.path)
        return problem(500, "It is in the log under the request's id.", request.request_id)
    response = problem(error.status_code, *_texts(error), request.request_id, **_more(error))
    if isinstance(error, exceptions.Throttled):
        response["Retry-After"] = str(max(1, round(getattr(error, "wait", None) or 1)))
    if isinstance(error, Unavailable):
        response["Retry-After"] = str(AWAY_RETRY_S)
    if isinstance(error, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed)):
        response["WWW-Authenticate"] = "Bearer"
    return response


def problem(status: int, detail: str, request_id: str, **more: Any) -> Response:
    """One problem document. more: further members; those that are empty are left out."""
    return Response(_document(status, detail, request_id, more), status, content_type=CONTENT_TYPE)


def outside(status: int, detail: str, request_id: str) -> bytes:
    """The same where no view was reached: a host that is not ours, a body that no view takes, a failure before."""
    return orjson.dumps(_document(status, detail, request_id, {}))


def _document(status: int, detail: str, request_id: str, more: dict[str, Any]) -> dict[str, Any]:
    body = {"type": "about:blank", "title": TITLES.get(status, "Refused"), "status": status, "detail": detail}
    return body | {"request_id": request_id} | {name: value for name, value in more.items() if value}


def _of_service(error: ServiceError, request_id: str) -> Response:
    if isinstance(error, InternalFailure):
        return problem(500, "It is in the log under the request's id.", request_id, code=error.code)
    status = STATUS_OF.get(error.code, error.status)
    response = problem(status, error.message or error.code, request_id, code=error.code)
    if status == 429:
        response["Retry-After"] = "1"
    return response


def _refused(error: Refused, request_id: str) -> Response:
    errors = [{"field": error.field, "detail": str(error)}] if error.field else []
    status = 400 if error.code in BY_FIELD and error.field else REFUSED_AS.get(error.code, 409)
    return problem(status, str(error), request_id, code=error.code, errors=errors)


def _texts(error: exceptions.APIException) -> tuple[str]:
    if isinstance(error, exceptions.ValidationError):
        return ("Some values are not right.",)
    return (str(error.detail),)


def _more(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, Needs):
        return {"needs": error.action}
    if isinstance(error, exceptions.ValidationError):
        return {"errors": list(_fields("", error.detail))}
    return {}


def _fields(path: str, detail: Any) -> Iterator[dict[str, str]]:
    """Each wrong value: where it is (`tags.team`, `records[3].data`; empty: the whole), and what is wrong with it."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _fields(_named(path, name), inner)
    elif isinstance(detail, list) and any(isinstance(inner, (dict, list)) for inner in detail):
        for index, inner in enumerate(detail):
            yield from _fields(f"{path}[{index}]", inner)
    elif isinstance(detail, list):
        yield from ({"field": path, "detail": str(text)} for text in detail)
    else:
        yield {"field": path, "detail": str(detail)}


def _named(path: str, name: str | int) -> str:
    """A member, or (a list's field has them by number) an item."""
    if name == "non_field_errors":
        return path
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
