"""What Usage and cost shows, as a file: all rows of the breakdown, with what makes their sum the total."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse

from apps.billing import reports
from apps.billing.exports import csv
from console import calls, downloads
from console.pages.billing.asked import BY, Group, read
from console.pages.shell import TeamRequest, team_page


@team_page("billing:read")
def costs(request: TeamRequest) -> HttpResponse:
    """CSV of the page with the same query; hours are shown as their day."""
    now_ms = calls.now_ms()
    asked = read(request.GET, now_ms, reports.tag_keys(request.team.pk))
    by = BY[Group.DAY if asked.group == Group.HOUR else asked.group]
    report = reports.costs(
        request.team, settings.CONFIG.region, asked.period, by, now_ms, where=asked.where, tag_key=asked.tag_key
    )
    name = f"costs-{request.team.slug}-{asked.month}-{by}.csv"
    return downloads.download(request, csv.costs(report), name, downloads.CSV)
