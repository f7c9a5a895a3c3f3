"""Channels of data streams, as the list of delivery streams shows them: they are the same engine with another API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.delivery.models import DeliveryError, DeliveryStream
from console.pages.delivery import described
from console.pages.delivery.figures import with_figures
from console.pages.shell import TeamRequest

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with its figures. error: the newest one that was written down."""

    stream: Any
    error: DeliveryError | None

    @property
    def state(self) -> tuple[str, str]:
        """Form of the mark, and the words."""
        return described.state(self.stream, self.stream.failing_ms)

    @property
    def source(self) -> str:
        """Where from."""
        return described.source(self.stream)

    @property
    def kind(self) -> str:
        """What kind of destination."""
        return described.DESTINATIONS[self.stream.destination_type]

    @property
    def address(self) -> str:
        """Where to."""
        return described.address(self.stream.destination_type, self.stream.destination)


def channels_of(request: TeamRequest) -> list[Channel]:
    """By name; two queries, one if there are none."""
    mine = DeliveryStream.objects.filter(team=request.team).exclude(channel_id="")
    rows: list[Any] = list(with_figures(mine).select_related("source_stream").order_by("name")[:SHOWN])
    errors: dict[int, DeliveryError] = {}
    if rows:
        found = DeliveryError.objects.filter(delivery_stream__in=[row.pk for row in rows]).order_by("last_at_ms")
        errors = {error.delivery_stream_id: error for error in found}
    return [Channel(row, errors.get(row.pk)) for row in rows]
