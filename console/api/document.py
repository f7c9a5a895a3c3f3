"""/api/v1/openapi.json: the API's own description, OpenAPI 3.1. Public: it says nothing of anybody's data."""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.generators import SchemaGenerator

from console.api import problems

TAGS: Final[dict[str, str]] = {
    "Streams": "Data streams: their settings, tags and policies.",
    "Shards": "The shards of a stream: ranges, lineage and load; split, merge, and change their number.",
    "Consumers": "Registered consumers with enhanced fan-out.",
    "Records": "Records in plain JSON: read them from any place of a stream, and put them.",
    "Queues": "Queues on on-demand streams.",
    "Ingestion": "Imports of files and replays of a stream's past: jobs that run by themselves.",
    "Delivery streams": "Delivery streams, what they deliver, and what failed.",
    "Channels": "What delivers a data stream by itself.",
    "Metrics": "Numbers over time, by CloudWatch's names and statistics.",
    "Dashboards": "Panels of metrics.",
    "Alarms": "Rules over metrics, and what happens when one is broken.",
    "Usage": "What was used, by resource and key.",
    "Costs": "What usage costs, told apart and by day, and what the month will have cost.",
    "Bills": "A month in money: a draft while it runs, then closed for good; its files, credits, and a check.",
    "Prices": "What a unit costs the team, beside AWS's list, and what a plan would cost.",
    "Members": "Who is in the team, and as what.",
    "Budgets": "What the team wants to spend in a month, whom it tells, and what it does when all of it is spent.",
    "Operator": "Money of all teams: credits, corrections, flags, price books, showback. For people who run the installation; "
    "for the token of anybody else these addresses are 404.",
    "Roles": "What a member may do: the six roles, and the team's own.",
    "Invitations": "Those who are asked to join.",
    "Access keys": "Keys that sign requests of AWS clients.",
    "API tokens": "Tokens for this API.",
    "Audit log": "Every change: who, what, when, before and after.",
    "Team": "The team's own settings.",
    "Me": "The member that the token speaks for.",
}
"""In the order of the reference page."""

ABOUT: Final = """Every resource of the console in plain JSON, beside AWS's own protocols.

Send an API token with each request: `Authorization: Bearer tgt_…`. A token speaks for one member of one team, and may do
what its scopes and the member's role both allow; each operation names the permission that it needs (`x-needs`).

Lists answer `{"items": […], "next_cursor": …}`: send `next_cursor` as `cursor` to go on; it is null on the last page.
Errors are problem documents (RFC 9457) with the id that the log has the request under. Times are UTC milliseconds and end
in `_ms`; sequence numbers and hash keys are strings. What can be changed has an `ETag`: send it as `If-Match`, and a change
that would overwrite somebody else's is refused. A POST that creates takes an `Idempotency-Key`. A token may ask 20 times a
second, 200 times at once."""


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document, made once: it depends on the code and on the address that is configured."""
    from console.api.urls import patterns

    made: dict[str, Any] = SchemaGenerator(patterns=patterns, urlconf=None).get_schema(request=None, public=True)
    made["info"]["description"] = ABOUT
    made["servers"] = [{"url": settings.CONFIG.public_address}]
    used = {tag for path in made["paths"].values() for operation in path.values() for tag in operation["tags"]}
    made["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    return made


@csrf_exempt  # it takes no form, and the refusal of forms is a page
def openapi(request: HttpRequest) -> HttpResponse:
    """The document; 405 for whoever would change it."""
    if request.method not in {"GET", "HEAD"}:
        request_id = str(uuid.uuid4())
        refusal = problems.outside(405, f'Method "{request.method}" not allowed.', request_id)
        headers = {"Allow": "GET, HEAD", "X-Request-Id": request_id}
        return HttpResponse(refusal, problems.CONTENT_TYPE, 405, headers=headers)
    return JsonResponse(document(), json_dumps_params={"indent": 1})
