"""The tab Monitoring: charts of the stream's metrics. What they show and how is console/live's affair."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame


@team_page("stream:read")
def monitoring(request: TeamRequest, name: str) -> HttpResponse:
    """The charts."""
    stream = find(request, name)
    return render(request, "stream/monitoring.html", frame(request, stream, "stream-monitoring"))
