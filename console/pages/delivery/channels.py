"""Channels of data streams, as the list of delivery streams shows them: they are the same engine with another API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator

from apps.delivery.models import DeliveryError, DeliveryStream
from console.pages.delivery.described import Described
from console.pages.delivery.figures import with_figures
from console.pages.page_rows import FEW_ROWS
from console.pages.shell import TeamRequest


@dataclass(frozen=True, slots=True)
class Channel(Described):
    """A channel with its figures. error: the newest one that was written down."""

    error: DeliveryError | None


def channels_of(request: TeamRequest) -> tuple[list[Channel], Page]:
    """A page of them, by name; three queries, one if there are none."""
    mine = DeliveryStream.objects.filter(team=request.team).exclude(channel_id="")
    page = Paginator(with_figures(mine).select_related("source_stream").order_by("name"), FEW_ROWS).get_page(
        request.GET.get("channels")
    )
    rows: list[Any] = list(page)
    errors: dict[int, DeliveryError] = {}
    if rows:
        found = DeliveryError.objects.filter(delivery_stream__in=[row.pk for row in rows]).order_by("last_at_ms")
        errors = {error.delivery_stream_id: error for error in found}
    return [Channel(row, errors.get(row.pk)) for row in rows], page
