"""Pages that answer for an error: each says what, why, and what now."""

from __future__ import annotations

import sys
import uuid

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import get_template

from console import calls
from console.api import problems
from console.pages import nearest
from console.sign_in import waiting

log = structlog.get_logger(__name__)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """400: what no form of ours sends, or a host that is not ours."""
    if _is_api(request):
        return _problem(400, "The host or the address is none that is known here.")
    return render(request, "400.html", status=400)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - Django's hook
    """404, with the list that the address belongs to and the nearest name in it."""
    return render(request, "404.html", {"guess": nearest.guess(request)}, status=404)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """403 where no action of the grid is to blame: a client without an address, say."""
    request_id = calls.request_id(request)
    log.info("page_refused", request_id=request_id, method=request.method, path=request.path)
    return render(request, "403.html", {"request_id": request_id}, status=403)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's hook
    """403 for a form whose token has run out: nothing was changed."""
    return render(request, "403_form.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, with an id to look for in the log; 503 if it is the database that does not answer. Uses none.

    Django calls it while the exception is being handled: this is the one place where a page's bug is logged.
    """
    request_id = str(uuid.uuid4())
    log.error("page_failed", exc_info=sys.exception(), request_id=request_id, method=request.method, path=request.path)
    away = isinstance(sys.exception(), problems.AWAY)
    status = 503 if away else 500
    if _is_api(request):
        answer = _problem(status, "It is in the log under the request's id.", request_id)
    else:
        context = {"request_id": request_id, "theme": "system"}
        answer = HttpResponse(get_template(f"{status}.html").render(context), status=status)
    if away:
        answer["Retry-After"] = str(problems.AWAY_RETRY_S)
    return answer


def too_many(request: HttpRequest) -> HttpResponse:
    """429, for allauth's rate limits: with the time to wait, for people and in Retry-After."""
    wait_s = waiting.wait_any_s(request)
    response = render(request, "429.html", {"wait": waiting.sentence(wait_s)}, status=429)
    response["Retry-After"] = str(wait_s)
    return response


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith(problems.PREFIX)


def _problem(status: int, detail: str, request_id: str = "") -> HttpResponse:
    """What a program is told where a person gets a page."""
    request_id = request_id or str(uuid.uuid4())
    answer = HttpResponse(problems.outside(status, detail, request_id), problems.CONTENT_TYPE, status)
    answer["X-Request-Id"] = request_id
    return answer
