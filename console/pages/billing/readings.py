"""The end of every way down: what the ledger has of one meter in one hour, the readings that made it, and corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render

from apps.base.units import HOUR_MS
from apps.billing import commitment, reports
from apps.billing.commitment import ACCOUNT
from apps.billing.dimensions import COMMITTED_IN, COMMITTED_OUT, DIMENSIONS
from apps.billing.meters import METERS, STORED
from apps.billing.models import Correction, MeterReading
from console import calls
from console.pages.billing import chips, hours
from console.pages.billing.asked import Asked, read
from console.pages.billing.days import hour_words
from console.pages.billing.frame import frame
from console.pages.shell import TeamRequest, team_page

PAGE = 50
CORRECTIONS_MAX = 100
HOUR_DIGITS, LAST_HOUR = 2, 23


@dataclass(frozen=True, slots=True)
class Counted:
    """What an hour of the commitment was reckoned from: meter, its meaning, and how much."""

    meter: str
    meaning: str
    unit: str
    quantity: int


@team_page("billing:read")
def readings(request: TeamRequest) -> HttpResponse:
    """An hour: `?month=&day=&hour=&dimension=`, and what else is looked at."""
    asked = read(request.GET, calls.now_ms(), reports.tag_keys(request.team.pk))
    hour = request.GET.get("hour", "")
    if (
        asked.day_ms is None
        or not asked.where.dimension
        or not hour.isdecimal()
        or len(hour) > HOUR_DIGITS
        or int(hour) > LAST_HOUR
    ):
        raise Http404("no such hour")
    hour_ms = asked.day_ms + int(hour) * HOUR_MS
    dimension = DIMENSIONS[asked.where.dimension]
    context: dict[str, Any] = {
        **frame(request, "billing"),
        "asked": asked,
        "chips": chips.of(asked),
        "dimension": dimension,
        "hour_words": hour_words(hour_ms),
        "hour_ms": hour_ms,
        "back": asked.link(group="hour"),
        "unit": hours.unit_of(dimension),
    }
    if dimension in (COMMITTED_IN, COMMITTED_OUT):
        context |= _commitment(request, hour_ms) | _behind(request, asked, hour_ms)
    elif dimension.meter is not None:
        context |= _ledger(request, asked, hour_ms) | _behind(request, asked, hour_ms)
    return render(request, "billing/readings.html", context)


def _ledger(request: TeamRequest, asked: Asked, hour_ms: int) -> dict[str, Any]:
    rows = hours.usage(request.team.pk, asked.where, hour_ms, hour_ms + HOUR_MS)
    meter = DIMENSIONS[asked.where.dimension].meter
    return {
        "usage": _page(request, rows.order_by("resource", "meter_key", "meter"), "usage_page"),
        "meter": meter,
        "is_stored": meter is not None and meter.unit == STORED,
    }


def _behind(request: TeamRequest, asked: Asked, hour_ms: int) -> dict[str, Any]:
    """The readings and the corrections of an hour. Of the commitment, all streams': their sum is what fills it."""
    names, resource = hours.names_of(DIMENSIONS[asked.where.dimension]), asked.where.resource
    taken = MeterReading.objects.filter(team=request.team, hour_ms=hour_ms, meter__in=names)
    corrected = Correction.objects.filter(team=request.team, hour_ms=hour_ms, meter__in=names)
    if resource and resource != ACCOUNT:
        taken, corrected = taken.filter(booked_on=resource), corrected.filter(resource=resource)
    return {
        "readings": _page(
            request, taken.order_by("booked_on", "resource", "meter", "meter_key", "pk"), "readings_page"
        ),
        "corrections": corrected.order_by("pk")[:CORRECTIONS_MAX],
        "has_meters": len(names) > 1,
    }


def _page(request: TeamRequest, rows: QuerySet[Any], name: str) -> Page[Any]:
    return Paginator(rows, PAGE).get_page(request.GET.get(name))


def _commitment(request: TeamRequest, hour_ms: int) -> dict[str, Any]:
    used = commitment.hours(request.team.pk, hour_ms, hour_ms + HOUR_MS).get(hour_ms, {})
    counted = [
        Counted(name, METERS[name].meaning, hours.units(METERS[name].unit), n) for name, n in sorted(used.items())
    ]
    return {"counted": counted, "shortfall": commitment.shortfall(used), "least": commitment.COMMITTED_BYTES_PER_S}
