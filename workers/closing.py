"""Months that are over become bills."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.teams import month_end
from workers.slices import slice as work


@work("closing", ttl_ms=150_000, deadline_ms=10_000)
def look(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.teams.month_end. Adding up a month of ten thousand streams takes seconds beyond the deadline: so the lease is
    long."""
    return month_end.look(runtime, held, until_ms)
