"""The demo stream: made-up orders, so that there is something to look at before the first client is connected."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.base.errors import ServiceError
from console import calls
from console.pages.putting import sample_orders
from console.pages.shell import TeamRequest, team_page

NAME = "demo-orders"
SHARDS = 2
RECORDS = 1_500
RECORDS_PER_CALL = 500
ACTIVE_WITHIN_S = 10.0


@require_POST
@team_page("stream:create")
def demo(request: TeamRequest) -> HttpResponse:
    """Make it and go to it."""
    load(request)
    return redirect("stream", request.team.slug, NAME)


def load(request: TeamRequest) -> None:
    """Create the stream and put the orders. What goes wrong is told, and stops nothing else."""
    try:
        calls.call(request, "CreateStream", StreamName=NAME, ShardCount=SHARDS, Tags={"demo": ""})
        calls.wait_until_active(request, NAME, ACTIVE_WITHIN_S)
        answers = [
            calls.call(request, "PutRecords", StreamName=NAME, Records=sample_orders(RECORDS_PER_CALL))
            for _ in range(RECORDS // RECORDS_PER_CALL)
        ]
    except ServiceError as error:
        messages.error(request, error.message or error.code)
    except TimeoutError:
        messages.error(request, f"{NAME} is still being created. Send test records from its page when it is active.")
    else:
        _tell(request, answers)


def _tell(request: TeamRequest, answers: list[dict[str, Any]]) -> None:
    refused = [one["ErrorMessage"] for answer in answers for one in answer["Records"] if one.get("ErrorMessage")]
    if refused:
        messages.error(request, f"{len(refused):,} of {RECORDS:,} made-up orders were refused: {refused[0]}")
    else:
        messages.success(request, f"{NAME} holds {RECORDS:,} made-up orders")
