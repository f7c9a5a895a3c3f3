"""The tab Errors: the error log of a delivery stream, grouped by cause, with what to do, and the redrive."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import Sum
from django.http import HttpResponse
from django.shortcuts import render

from apps.base.units import DAY_MS
from apps.delivery import jobs
from apps.delivery.models import DeliveredObject, DeliveryError, DeliveryJob, JobKind
from console import calls
from console.pages.delivery import described
from console.pages.delivery.advice import PARTS, advice
from console.pages.delivery.detail import find, frame
from console.pages.delivery.path import aside_of
from console.pages.page_rows import PLAIN_ROWS
from console.pages.shell import TeamRequest, team_page

RECENT_MS = DAY_MS
OBJECTS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Cause:
    """A row of the error log as it is shown."""

    row: DeliveryError
    is_recent: bool

    @property
    def part(self) -> str:
        """Where it happened."""
        return PARTS.get(self.row.part, self.row.part)

    @property
    def advice(self) -> str:
        """What to do."""
        return advice(self.row.code)


@team_page("delivery:read")
def errors(request: TeamRequest, name: str) -> HttpResponse:
    """The causes, newest first."""
    row = find(request, name)
    now_ms = calls.now_ms()
    found = DeliveryError.objects.filter(delivery_stream=row).order_by("-last_at_ms", "pk")
    page = Paginator(found, PLAIN_ROWS).get_page(request.GET.get("page"))
    failed = DeliveredObject.objects.filter(delivery_stream=row, part="errors").order_by("-at_ms")
    context = {
        **frame(request, row, "delivery-errors"),
        "found": [Cause(one, one.last_at_ms >= now_ms - RECENT_MS) for one in page],
        "page": page,
        "objects": [(one, described.error_type_of(one.key)) for one in failed[:OBJECTS_SHOWN]],
        "failed": failed.aggregate(n=Sum("records"))["n"] or 0,
        "job": DeliveryJob.objects.filter(delivery_stream=row, kind=JobKind.REDRIVE).order_by("-pk").first(),
        "unfinished": jobs.UNFINISHED,
        "aside": dict(aside_of(row)).get("Failed records to", ""),
    }
    return render(request, "delivery/errors.html", context)
