"""GET /metrics, for Prometheus.

Who asks, by one of two:

* `Authorization: Basic <access key id>:<secret access key>` (Prometheus' `basic_auth`): the metrics of that key's team. A
  user's key needs `cloudwatch:ListMetrics`.
* `Authorization: Bearer <TIDEGATE_METRICS_TOKEN>`: those of all teams, for whoever operates Tidegate. Without that
  setting there is no such way.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.accounts.models import Team
from apps.accounts.principal import Principal
from apps.base.errors import AccessDeniedException, ServiceError
from apps.cloudwatch import prometheus
from apps.gateway import app
from apps.gateway.invoke import invoke_sync

NOTHING = "Tidegate/Nothing"
"""A namespace without metrics: asking for it costs next to nothing, and asks the caller's policies."""


@never_cache
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """200; 401 without credentials that are known; 403 for those that may not; 503 while Redis is away."""
    try:
        teams = _teams(request.headers.get("authorization", ""))
    except AccessDeniedException as error:
        return _refused(403, error.message or "")
    except ServiceError as error:
        return _refused(503, error.message or "")
    if teams is None:
        answer = _refused(401, "Send an access key as basic authentication, or the operator's token as a bearer.")
        answer["WWW-Authenticate"] = 'Basic realm="Tidegate metrics", charset="UTF-8"'
        return answer
    try:
        return HttpResponse(prometheus.text(teams), content_type=prometheus.CONTENT_TYPE)
    except prometheus.Away:
        return _refused(503, "Redis, which holds the live metrics, does not answer.")


def _teams(authorization: str) -> list[int] | None:
    """Whose metrics the sender may see; None: nobody knows the sender. Raises ServiceError."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        token = app.runtime().config.metrics_token
        if token and hmac.compare_digest(token.encode(), value.strip().encode("utf-8", "surrogateescape")):
            return list(Team.objects.order_by("id").values_list("id", flat=True))
        return None
    principal = _owner(value) if scheme.lower() == "basic" else None
    if principal is None:
        return None
    invoke_sync(app.runtime(), principal, "cloudwatch", "ListMetrics", {"Namespace": NOTHING})
    return [principal.team_id]


def _owner(encoded: str) -> Principal | None:
    try:
        key_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    if not colon:
        return None
    found = app.runtime().wait_for(app.credentials().find(key_id))
    if found is None or not hmac.compare_digest(found.secret.encode(), secret.encode()):
        return None
    return found.principal


def _refused(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
