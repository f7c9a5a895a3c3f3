"""Lanes deliver; delivery streams come to life, are looked after once a minute, and go."""

from __future__ import annotations

from apps.delivery import advancing, lifecycle
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from workers.keeping import kept
from workers.slices import slice as work

TTL_MS = 20_000
"""The lanes of a worker that was killed wait so long at most. Held ones are renewed every five seconds."""


@work("delivery", ttl_ms=TTL_MS, deadline_ms=10_000, pin_waits=True)
def deliver(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.delivery.advancing. The key is the lane's row id. A slow destination may take longer than the lease lasts."""
    with kept(held, TTL_MS):
        return advancing.advance(runtime, held, until_ms)


@work("delivery-streams", ttl_ms=30_000, deadline_ms=10_000)
def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.delivery.lifecycle. The key is the delivery stream's row id."""
    return lifecycle.advance(runtime, held, until_ms)
