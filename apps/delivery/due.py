"""Let a worker look at a delivery stream."""

from __future__ import annotations

from apps.delivery.models import DeliveryStream
from apps.leases import hold
from apps.leases.wake import wake

KIND = "delivery-streams"
"""The lease kind of what has to be done for delivery streams."""


def due_now(stream: DeliveryStream, now_ms: int) -> None:
    """A due time in the caller's transaction, and a hint after it."""
    hold.ensure(KIND, str(stream.pk), now_ms)
    wake(KIND, str(stream.pk))
