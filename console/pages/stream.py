"""A stream's page: the frame that all its tabs share, and the first tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.accounts.permissions import allowed, roles_with
from apps.metrics.overview import Overview, overview
from apps.streams.faults import faults_of
from apps.streams.models import Consumer, Shard, Stream, StreamStatus
from console import calls
from console.pages import samples
from console.pages.shard_map import shard_map
from console.pages.shell import TeamRequest, know_list_counts, list_counters, team_page
from console.pages.streams import MODE_WORDS, OPEN, state_of


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab: a real link, or the reason why it is locked."""

    label: str
    address: str
    current: bool
    count: int | None = None
    locked: str = ""


TABS: tuple[tuple[str, str, str], ...] = (
    ("Overview", "stream", "stream:read"),
    ("Monitoring", "stream-monitoring", "stream:read"),
    ("Shards", "stream-shards", "stream:read"),
    ("Data viewer", "stream-records", "record:read"),
    ("Consumers", "stream-consumers", "stream:read"),
    ("Connect", "stream-connect", "stream:read"),
    ("Configuration", "stream-configuration", "stream:read"),
    ("Activity", "stream-activity", "audit:read"),
)


def find(request: TeamRequest, name: str) -> Stream:
    """The team's stream with its counts, in one query: open_shards, consumer_count. Raises Http404."""
    team_streams, team_delivery_streams = list_counters("team")
    streams = Stream.objects.filter(team=request.team, name=name).annotate(
        open_shards=_count(Shard.objects.filter(OPEN)),
        consumer_count=_count(Consumer.objects.all()),
        team_streams=team_streams,
        team_delivery_streams=team_delivery_streams,
    )
    stream = streams.first()
    if stream is None:
        raise Http404(name)
    stream.team = request.team
    know_list_counts(request, stream.team_streams, stream.team_delivery_streams)
    return stream


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.filter(stream=OuterRef("pk")).order_by().values("stream").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def tabs(request: TeamRequest, stream: Any, current: str) -> list[Tab]:
    """The tabs; one that the member may not open says which permission it needs and who has it."""
    counts = {"stream-shards": stream.open_shards, "stream-consumers": stream.consumer_count}
    answer = []
    for label, name, action in TABS:
        locked = ""
        if not allowed(request.actions, action):
            locked = f"Needs {action}: {', '.join(roles_with(action))}"
        address = reverse(name, args=[request.team.slug, stream.name])
        answer.append(Tab(label, address, name == current, counts.get(name), locked))
    return answer


def frame(request: TeamRequest, stream: Any, current: str) -> dict[str, Any]:
    """Context of every tab."""
    live = overview(request.team.id, [stream.id], sparks=False)[stream.id]
    return {
        "stream": stream,
        "state": state_of(stream, live),
        "live": live,
        "mode_words": MODE_WORDS[stream.mode],
        "tabs": tabs(request, stream, current),
        "current": current,
        "faults": faults_of(stream.faults),
        "busy": stream.status in {StreamStatus.CREATING, StreamStatus.UPDATING, StreamStatus.DELETING},
        "now_ms": calls.now_ms(),
    }


@team_page("stream:read")
def stream_overview(request: TeamRequest, name: str) -> HttpResponse:
    """Throughput, shard map, details, code to connect, latest records."""
    stream = find(request, name)
    context = frame(request, stream, "stream")
    context |= {
        "map": shard_map(request, stream, calls.now_ms()),
        "codes": samples.produce(name),
        "quiet": _quiet(context["live"]),
    }
    return render(request, "stream/overview.html", context)


@team_page("stream:read")
def state(request: TeamRequest, name: str) -> HttpResponse:
    """The head alone, while the stream is being created, resharded or deleted: the page asks until it is done."""
    stream = find(request, name)
    context = frame(request, stream, request.GET.get("tab", "stream"))
    answer = render(request, "stream/head.html", context)
    if not context["busy"]:
        answer["HX-Refresh"] = "true"
    return answer


def _quiet(live: Overview) -> bool:
    """Nothing moves: connect code comes first."""
    return not live.in_bytes_per_s
