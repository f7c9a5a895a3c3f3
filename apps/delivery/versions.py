"""The destination under each of its VersionIds: what was pinned under one is delivered as pinned."""

from __future__ import annotations

from apps.delivery.models import DeliveryStream, DeliveryStreamVersion
from apps.delivery.trimming import KIND
from apps.leases.models import Lease

KEPT = 100
"""Versions that are always kept. Older ones go when no pin names them."""


def keep(stream: DeliveryStream, now_ms: int) -> None:
    """Write down the destination as it is now, and let go of what nobody delivers by any more."""
    DeliveryStreamVersion.objects.create(
        delivery_stream=stream,
        version_id=stream.version_id,
        destination_type=stream.destination_type,
        destination=stream.destination,
        sealed_secrets=stream.sealed_secrets,
        created_at_ms=now_ms,
    )
    old = stream.versions.filter(version_id__lte=stream.version_id - KEPT)
    if old.exists():
        old.exclude(version_id__in=_pinned(stream)).delete()


def _pinned(stream: DeliveryStream) -> set[int]:
    """VersionIds that batches on their way are delivered under."""
    keys = [str(pk) for pk in stream.lanes.values_list("pk", flat=True)]
    pins = Lease.objects.filter(kind=KIND, key__in=keys, pinned__isnull=False).values_list("pinned", flat=True)
    return {pin["version"] for pin in pins if pin and "version" in pin}
