"""Faults of a stream: administrators make its calls fail, so that clients' retries can be tested, and stop it again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.streams.faults import Faults, set_faults
from console import calls
from console.pages.configuration import parts
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find


@require_POST
@team_page("stream:faults")
def faults(request: TeamRequest, name: str) -> HttpResponse:
    """Save what the form says; `off` turns all off. Errors are shown on the Configuration tab."""
    stream = find(request, name)
    wanted = Faults()
    if "off" not in request.POST:
        context = parts(request, stream, "faults")
        form = context["faults_form"]
        if not form.is_valid():
            return render(request, "stream/configuration.html", context, status=422)
        wanted = form.faults()
    set_faults(stream, wanted, calls.actor(request))
    messages.success(request, f"Faults: {wanted.sentence()}" if wanted else "Faults are off")
    return redirect("stream-configuration", request.team.slug, name)
