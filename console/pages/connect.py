"""The tab Connect: endpoint, region, a key, and code that runs as pasted."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from apps.accounts.keys import working
from apps.accounts.models import AccessKey
from apps.accounts.permissions import allowed
from console import calls
from console.pages import samples
from console.pages.shell import TeamRequest, team_page
from console.pages.stream import find, frame

KEYS_SHOWN = 5


@team_page("stream:read")
def connect(request: TeamRequest, name: str) -> HttpResponse:
    """Produce and consume, in four languages."""
    stream = find(request, name)
    keys = []
    if allowed(request.actions, "key:read"):
        mine = AccessKey.objects.filter(working(calls.now_ms()), team=request.team).order_by("-last_used_at_ms", "-id")
        keys = list(mine[:KEYS_SHOWN])
    context = {
        **frame(request, stream, "stream-connect"),
        "produce": samples.produce(name),
        "consume": samples.consume(name),
        "keys": keys,
    }
    return render(request, "stream/connect.html", context)
