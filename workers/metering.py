"""Readings of the meters, into the ledger."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import meters
from workers.slices import slice as work


@work("metering", ttl_ms=30_000, deadline_ms=10_000)
def read(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.streams.meters. The only key is "readings"."""
    return meters.read_all(runtime, held, until_ms)
