"""Pause and resume: nothing is delivered while a delivery stream is paused; records are taken and kept."""

from __future__ import annotations

from django.db import transaction

from apps.access import audit
from apps.access.changes import Actor
from apps.delivery.models import DeliveryStream, DeliveryStreamStatus
from apps.delivery.trimming import KIND as LANE_KIND
from apps.leases import hold
from apps.leases.wake import wake

WAKES_MAX = 100
"""Hints sent at once; the tick finds the others by their due time."""


def pause(delivery_stream: DeliveryStream, now_ms: int, by: str | Actor) -> bool:
    """Stop delivering: what is on its way is finished, nothing new begins. False if it is paused or not active.

    Records are kept meanwhile: 24 hours of Direct PUT, of a data stream as long as its retention.
    """
    with transaction.atomic():
        rows = DeliveryStream.objects.filter(
            pk=delivery_stream.pk, paused_at_ms__isnull=True, status=DeliveryStreamStatus.ACTIVE
        )
        if not rows.update(paused_at_ms=now_ms):
            return False
        _written(delivery_stream, "PauseDeliveryStream", by)
    delivery_stream.paused_at_ms = now_ms
    return True


def resume(delivery_stream: DeliveryStream, now_ms: int, by: str | Actor) -> bool:
    """Go on where it stopped, at once. False if it is not paused."""
    with transaction.atomic():
        rows = DeliveryStream.objects.filter(pk=delivery_stream.pk, paused_at_ms__isnull=False)
        if not rows.update(paused_at_ms=None):
            return False
        _written(delivery_stream, "ResumeDeliveryStream", by)
        lanes = delivery_stream.lanes.filter(ended_at_ms__isnull=True).order_by("-oldest_waiting_ms")
        for place, key in enumerate(map(str, lanes.values_list("pk", flat=True))):
            hold.ensure(LANE_KIND, key, now_ms)
            if place < WAKES_MAX:
                wake(LANE_KIND, key)
    delivery_stream.paused_at_ms = None
    return True


def _written(delivery_stream: DeliveryStream, operation: str, by: str | Actor) -> None:
    audit.of_administrator(delivery_stream.team.account_id, by, operation, str(delivery_stream.arn), "")
