"""The team's first page: four numbers, what needs attention, and what was done last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.base.units import DAY_MS
from apps.metrics.overview import Overview, overview
from apps.metrics.store import STREAMS_MAX
from apps.streams.models import Ingestion, IngestionStatus, Stream
from console import calls
from console.pages import samples, words
from console.pages.delivery.figures import failing_of
from console.pages.shell import TeamRequest, list_counts, team_page
from console.pages.streams import LATE_MS, counts_of, strip_of

BUSIEST = 8
FAILING_SHOWN = 10
JOBS_READ = 20
JOBS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person should look at."""

    tone: str
    title: str
    text: str
    address: str


@team_page("stream:read")
def team_overview(request: TeamRequest) -> HttpResponse:
    """The page; without streams, the three steps to the first record."""
    counts = counts_of(request)
    now_ms = calls.now_ms()
    if counts.streams == 0 and list_counts(request)[1] == 0:
        codes = [samples.create_stream_cli("orders-events", 2)]
        return render(request, "overview/start.html", {"codes": codes, "counts": counts, "now_ms": now_ms})
    mine = list(Stream.objects.filter(team=request.team).order_by("name")[:STREAMS_MAX])
    live = overview(request.team.id, [stream.id for stream in mine])
    busiest = sorted(mine, key=lambda stream: -(live[stream.id].in_bytes_per_s or 0))[:BUSIEST]
    jobs = list(Ingestion.objects.filter(team=request.team).order_by("-created_at_ms")[:JOBS_READ])
    failing = failing_of(request.team.id)[:FAILING_SHOWN] if list_counts(request)[1] else []
    context = {
        "counts": counts,
        "strip": strip_of({stream.name: live[stream.id] for stream in mine}),
        "concerns": concerns(request, mine, live, jobs) + delivery_concerns(request, failing, now_ms),
        "delivery_streams": list_counts(request)[1],
        "busiest": [(stream, live[stream.id]) for stream in busiest],
        "jobs": jobs[:JOBS_SHOWN],
        "now_ms": now_ms,
        "known": not live or any(found.in_bytes_per_s is not None for found in live.values()),
    }
    return render(request, "overview/overview.html", context)


def delivery_concerns(request: TeamRequest, failing: Iterable[Any], now_ms: int) -> list[Concern]:
    """Delivery streams whose destination does not take what it is sent, longest first."""
    return [
        Concern(
            "warn",
            row.name,
            f"Deliveries have failed for {words.duration(max(0, now_ms - row.failing_ms))}",
            reverse("delivery-errors", args=[request.team.slug, row.name]),
        )
        for row in failing
    ]


def concerns(
    request: TeamRequest, streams: list[Stream], live: dict[int, Overview], jobs: list[Ingestion]
) -> list[Concern]:
    """Throttling, late readers, and jobs that failed; the worst first."""
    found = []
    for stream in streams:
        now, address = live[stream.id], reverse("stream", args=[request.team.slug, stream.name])
        if now.throttled_last_minute:
            refused = words.plural(round(now.throttled_last_minute), "record")
            found.append(
                Concern("warn", stream.name, f"{refused} refused in the last minute: over the write limit", address)
            )
        if (now.age_ms or 0) >= LATE_MS:
            late = words.duration(now.age_ms or 0)
            found.append(Concern("warn", stream.name, f"A reader is {late} behind", address))
    for job in jobs:
        if job.status != IngestionStatus.FAILED or (job.finished_at_ms or 0) < calls.now_ms() - DAY_MS:
            continue
        text = f"{job.get_kind_display()} into {job.target_name} failed: {job.error}"
        found.append(Concern("bad", job.target_name, text, reverse("ingestion-job", args=[request.team.slug, job.pk])))
    return sorted(found, key=lambda concern: concern.tone)
