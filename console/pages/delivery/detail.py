"""A delivery stream's page: the frame that all its tabs share, the first tab, and the buttons of the head."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.permissions import allowed
from apps.delivery import jobs, pausing, settings
from apps.delivery.models import (
    DeliveryError,
    DeliveryJob,
    DeliveryStream,
    DeliveryStreamStatus,
    DestinationType,
    JobKind,
    SourceType,
)
from console import calls
from console.pages import costs
from console.pages.delivery import described, samples
from console.pages.delivery.batches import batches_of
from console.pages.delivery.figures import figures, with_figures
from console.pages.delivery.path import aside_of, path_of
from console.pages.shell import TeamRequest, know_list_counts, list_counters, team_page
from console.pages.stream import Tab

TABS: tuple[tuple[str, str, str], ...] = (
    ("Monitor", "delivery-stream", "delivery:read"),
    ("Delivered", "delivery-objects", "record:read"),
    ("Errors", "delivery-errors", "delivery:read"),
    ("Lanes", "delivery-lanes", "delivery:read"),
    ("Configuration", "delivery-configuration", "delivery:read"),
    ("Activity", "delivery-activity", "audit:read"),
)

LIST_QUERY = ("q", "status", "to", "sort", "page")
"""What the address of the list may say (see listing.py)."""

LIST_QUERY_MAX = 2_000
"""Characters of it."""

BUSY = frozenset({DeliveryStreamStatus.CREATING, DeliveryStreamStatus.DELETING, DeliveryStreamStatus.UPDATING})


def find(request: TeamRequest, name: str) -> Any:
    """The team's delivery stream with its figures, in one query. Raises Http404."""
    streams, deliveries = list_counters("team")
    rows = DeliveryStream.objects.filter(team=request.team, name=name, channel_id="")
    found: Any = (
        with_figures(rows)
        .select_related("source_stream")
        .annotate(
            causes=_count(DeliveryError.objects.all()),
            team_streams=streams,
            team_delivery_streams=deliveries,
        )
        .first()
    )
    if found is None:
        raise Http404(name)
    found.team = request.team
    know_list_counts(request, found.team_streams, found.team_delivery_streams)
    return found


def _count(rows: QuerySet[Any]) -> Coalesce:
    of_stream = rows.filter(delivery_stream=OuterRef("pk")).order_by().values("delivery_stream")
    return Coalesce(Subquery(of_stream.annotate(n=Count("*")).values("n"), output_field=IntegerField()), 0)


def tabs(request: TeamRequest, row: Any, current: str) -> list[Tab]:
    """The tabs; one that the member may not open says which permission it needs and who has it."""
    counts = {"delivery-errors": row.causes or None}
    answer = []
    for label, name, action in TABS:
        locked = "" if allowed(request.actions, action) else action
        address = reverse(name, args=[request.team.slug, row.name])
        answer.append(Tab(label, address, name == current, counts.get(name), locked))
    return answer


def frame(request: TeamRequest, row: Any, current: str) -> dict[str, Any]:
    """Context of every tab."""
    return {
        "delivery": row,
        "state": described.state(row, row.failing_ms),
        "kind_words": described.DESTINATIONS[row.destination_type],
        "address": described.address(row.destination_type, row.destination),
        "source_words": described.source(row),
        "is_direct": row.source_type == SourceType.DIRECT_PUT,
        "tabs": tabs(request, row, current),
        "current": current,
        "busy": row.status in BUSY,
        **moving(row),
    }


def moving(row: Any) -> dict[str, Any]:
    """Context of what changes by itself: jobs under way, a pause, failures, the wait for the first delivery."""
    now_ms = calls.now_ms()
    hints = settings.buffering(row.destination_type, row.destination)
    waits = row.waiting_ms is not None and row.delivered_ms is None and row.failing_ms is None
    failing = row.failing_ms is not None and row.paused_at_ms is None
    return {
        "now_ms": now_ms,
        "hints": hints,
        "demo": DeliveryJob.objects.filter(delivery_stream=row, kind=JobKind.DEMO, status__in=jobs.UNFINISHED).first(),
        "first_in_ms": max(0, row.waiting_ms + hints.interval_ms - now_ms) if waits else None,
        "newest_error": _newest_error(row) if failing else None,
    }


def _newest_error(row: Any) -> DeliveryError | None:
    return DeliveryError.objects.filter(delivery_stream=row).order_by("-last_at_ms").first()


@team_page("delivery:read")
def delivery_stream(request: TeamRequest, name: str) -> HttpResponse:
    """Path, figures, charts, details, code to put records."""
    row = find(request, name)
    context = {
        **frame(request, row, "delivery-stream"),
        **measured(request, row),
        "path": path_of(row),
        "aside": aside_of(row),
        "batches": batches_of(request.team.id, row),
        "charts": charts_of(row),
        "codes": samples.produce(row),
        "cost": costs.of_one(request, costs.DELIVERY_STREAM, name),
        "month": costs.month_words(),
    }
    return render(request, "delivery/monitor.html", context)


def measured(request: TeamRequest, row: Any) -> dict[str, Any]:
    """Context of the four figures."""
    waiting_ms = row.waiting_ms
    return {
        "live": figures(request.team.id, [row])[row.pk],
        "freshness_ms": None if waiting_ms is None else max(0, calls.now_ms() - waiting_ms),
    }


def charts_of(row: DeliveryStream) -> list[str]:
    """The charts that its configuration can have something to show on."""
    names = ["records", "freshness", "success"]
    if settings.backup_s3(row.destination_type, row.destination) is not None:
        names.append("bytes")
    if settings.processes(row.destination) or settings.converts(row.destination):
        names.append("processing")
    if settings.partitions(row.destination):
        names.append("partitions")
    if row.destination_type == DestinationType.S3:
        names.append("objects")
    return [*names, *(["latency", "throttles"] if row.source_type == SourceType.DIRECT_PUT else ["behind"])]


@team_page("delivery:read")
def state(request: TeamRequest, name: str) -> HttpResponse:
    """The head alone, while the delivery stream is being created or deleted: the page asks until it is done."""
    row = find(request, name)
    context = frame(request, row, request.GET.get("tab", "delivery-stream"))
    answer = render(request, "delivery/head.html", context)
    if not context["busy"]:
        answer["HX-Refresh"] = "true"
    return answer


@team_page("delivery:read")
def now(request: TeamRequest, name: str) -> HttpResponse:
    """The banners, and what else changes by itself: the page asks every second while something moves, else every five.
    figures: it has the four figures, too."""
    row = find(request, name)
    tab = request.GET.get("tab", "")
    context = {
        "delivery": row,
        "current": tab if tab in {one for _, one, _ in TABS} else "",
        "state": described.state(row, row.failing_ms),
        "renewed": True,
        **moving(row),
    }
    if "figures" in request.GET:
        context |= measured(request, row)
    return render(request, "delivery/now.html", context)


@require_POST
@team_page("delivery:write")
def pause(request: TeamRequest, name: str) -> HttpResponse:
    """Stop delivering; records are taken and kept."""
    row = find(request, name)
    if pausing.pause(row, calls.now_ms(), calls.actor(request)):
        messages.success(request, f"{name} is paused")
    else:
        messages.error(request, f"{name} is paused already, or not active.")
    return _back(request, name)


@require_POST
@team_page("delivery:write")
def resume(request: TeamRequest, name: str) -> HttpResponse:
    """Go on delivering."""
    row = find(request, name)
    if pausing.resume(row, calls.now_ms(), calls.actor(request)):
        messages.success(request, f"{name} delivers again")
    else:
        messages.error(request, f"{name} is not paused.")
    return _back(request, name)


def _of_list(request: TeamRequest) -> str:
    """The part of the list that the button stood in, as a query: filter, order and page, and nothing else."""
    given = QueryDict(request.POST.get("at", "")[:LIST_QUERY_MAX])
    return urlencode({name: given[name] for name in LIST_QUERY if given.get(name)})


def _back(request: TeamRequest, name: str) -> HttpResponse:
    """To the page that the button stood on."""
    if request.POST.get("back") == "list":
        there = reverse("delivery-streams", args=[request.team.slug])
        return redirect(f"{there}?{_of_list(request)}".removesuffix("?"))
    return redirect("delivery-stream", request.team.slug, name)
