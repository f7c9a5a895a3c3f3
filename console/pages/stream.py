"""A stream's page: the frame that all its tabs share, and the first tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.accounts.permissions import allowed
from apps.metrics.overview import Overview, overview
from apps.streams import topology
from apps.streams.faults import faults_of
from apps.streams.models import Consumer, Shard, Stream, StreamStatus
from console import calls
from console.pages import costs, samples, words
from console.pages.hot_keys import reason
from console.pages.reading import SHARDS_MAX, bounds
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
    """The permission that is missing."""


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
        locked = "" if allowed(request.actions, action) else action
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
        "progress": _progress(stream) if stream.plan else "",
        "busy": stream.status in {StreamStatus.CREATING, StreamStatus.UPDATING, StreamStatus.DELETING},
        "now_ms": calls.now_ms(),
    }


@team_page("stream:read")
def stream_overview(request: TeamRequest, name: str) -> HttpResponse:
    """Throughput, shard map, details, code to connect, latest records."""
    stream = find(request, name)
    context = frame(request, stream, "stream")
    context |= {
        **map_panel(request, stream),
        "codes": samples.produce(name),
        "untouched": _untouched(stream, context["live"]),
        "cost": costs.of_one(request, costs.STREAM, name),
        "month": costs.month_words(),
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


def map_panel(request: TeamRequest, stream: Stream) -> dict[str, Any]:
    """Context of the map on the overview: with the key that makes a shard hot, for people who may see keys."""
    drawn = shard_map(request, stream, calls.now_ms())
    may_see = allowed(request.actions, "record:read")
    hot = [cell.shard for cell in drawn.hot]
    return {"map": drawn, "hot_key": reason(calls.runtime(), hot) if may_see else None}


def _untouched(stream: Stream, live: Overview) -> bool:
    """Nothing was ever put: the page teaches how to, and waits for the first record."""
    if live.in_bytes_per_s:
        return False
    shards = list(stream.shards.filter(opened_at_ms__isnull=False)[:SHARDS_MAX])
    return all(found.next_offset <= 1 for found in bounds(shards).values())


def _progress(stream: Stream) -> str:
    """How far a change of the number of shards is; empty if there is none."""
    kind, target = stream.plan[0] if stream.plan else ("", 0)
    if kind != topology.UNIFORM:
        return ""
    opened = Shard.objects.filter(OPEN, stream=stream).values_list("start_hash", "end_hash")
    left = len(topology.uniform_steps(sorted((int(start), int(end)) for start, end in opened), int(target)))
    return f"{words.plural(left, 'step')} to go: splits and merges, one after the other" if left else ""
