"""Usage and cost: what a month costs so far."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from apps.billing import bills
from apps.billing.months import Month
from console import calls
from console.pages.billing.frame import frame
from console.pages.shell import TeamRequest, team_page


@team_page("billing:read")
def usage_and_cost(request: TeamRequest) -> HttpResponse:
    """The page."""
    now_ms = calls.now_ms()
    month = Month.at(now_ms)
    statement = bills.statement(request.team, settings.CONFIG.region, month, now_ms)
    return render(request, "billing/cost.html", {**frame(request, "billing"), "month": month, "statement": statement})
