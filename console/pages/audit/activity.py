"""The tabs Activity of data streams and delivery streams: the audit log of that one thing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console import calls
from console.pages import stream
from console.pages.audit import wanted
from console.pages.audit.listing import chosen, listed
from console.pages.delivery import detail as delivery
from console.pages.shell import TeamRequest, is_fragment, team_page


@team_page("audit:read")
def of_stream(request: TeamRequest, name: str) -> HttpResponse:
    """What was done with a data stream and its consumers, also with one of its name before it."""
    row = stream.find(request, name)
    return _page(request, str(row.arn), row.name, "stream", lambda: stream.frame(request, row, "stream-activity"))


@team_page("audit:read")
def of_delivery_stream(request: TeamRequest, name: str) -> HttpResponse:
    """What was done with a delivery stream."""
    row = delivery.find(request, name)
    return _page(request, str(row.arn), row.name, "delivery", lambda: delivery.frame(request, row, "delivery-activity"))


def _page(request: TeamRequest, arn: str, thing: str, kind: str, frame: Any) -> HttpResponse:
    if is_fragment(request) and request.headers.get("HX-Target") == "entry":
        return render(request, "audit/entry.html", chosen(request))
    asked = wanted.of_resource(wanted.read(request.GET, request.team.account_id, calls.now_ms()), arn)
    context = {**listed(request, asked), "thing": thing, "here": _path(request)}
    if is_fragment(request):
        return render(request, "audit/table.html", context)
    return render(request, f"{kind}/activity.html", {**frame(), **context, **chosen(request)})


def _path(request: HttpRequest) -> str:
    return request.path
