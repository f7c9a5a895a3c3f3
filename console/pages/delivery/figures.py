"""Figures of delivery streams: what their lanes say, in the query of their rows, and their metrics of the last minutes."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from apps.delivery.metrics import series_key
from apps.delivery.models import DeliveryStream, Lane, LaneRole
from apps.metrics.overview import OF_DELIVERY_STREAMS, Overview, overview

ENDS = Q(role=LaneRole.DELIVER)
"""Lanes whose records have arrived at the destination when they are done; the others feed these or stand beside them."""


def with_figures(rows: QuerySet[DeliveryStream]) -> QuerySet[DeliveryStream]:
    """Each with what its lanes say: delivered (records), delivered_ms (when last), waiting_ms, failing_ms."""

    def of_lanes(wanted: Q, figure: Any) -> Subquery:
        lanes = Lane.objects.filter(wanted, delivery_stream=OuterRef("pk")).order_by().values("delivery_stream")
        return Subquery(lanes.annotate(n=figure).values("n"), output_field=BigIntegerField())

    return rows.annotate(
        delivered=Coalesce(of_lanes(ENDS, Sum("delivered_records")), 0),
        delivered_ms=of_lanes(ENDS, Max("delivered_at_ms")),
        waiting_ms=of_lanes(Q(ended_at_ms__isnull=True), Min("oldest_waiting_ms")),
        failing_ms=of_lanes(Q(ended_at_ms__isnull=True), Min("failing_since_ms")),
    )


def failing_of(team_id: int) -> QuerySet[Any]:
    """The team's delivery streams whose destination does not take what it is sent, longest first."""
    rows: QuerySet[Any] = with_figures(DeliveryStream.objects.filter(team_id=team_id, channel_id=""))
    return rows.filter(failing_ms__isnull=False, paused_at_ms__isnull=True).order_by("failing_ms")


def figures(team_id: int, rows: list[Any], *, sparks: bool = True) -> dict[int, Overview]:
    """By row id, two exchanges with Redis however many they are."""
    keys = {row.pk: series_key(row.pk) for row in rows}
    found = overview(team_id, list(keys.values()), sparks=sparks, of=OF_DELIVERY_STREAMS)
    return {pk: found[key] for pk, key in keys.items()}
