"""Queues come to life, change, are looked after once a minute, and go."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.queues import lifecycle
from apps.runtime import Runtime
from workers.slices import slice as work


@work("queues", ttl_ms=30_000, deadline_ms=10_000)
def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.queues.lifecycle. The key is the queue's row id."""
    return lifecycle.advance(runtime, held, until_ms)
