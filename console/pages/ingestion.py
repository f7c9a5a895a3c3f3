"""Import and replay."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from apps.streams.models import Ingestion
from console import calls
from console.pages.shell import TeamRequest, team_page


@team_page("stream:read")
def jobs(request: TeamRequest) -> HttpResponse:
    """The list."""
    found = Ingestion.objects.filter(team=request.team).order_by("-created_at_ms")[:50]
    return render(request, "ingestion/jobs.html", {"jobs": found, "now_ms": calls.now_ms()})


import_file = replay = job = cancel = jobs
