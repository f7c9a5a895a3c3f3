"""Budgets are looked at (one key for all teams), and who wants to know is told (the key is a team)."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.teams import budget_alerts, spending
from workers.slices import slice as work


@work(spending.KIND, ttl_ms=60_000, deadline_ms=10_000)
def look(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.teams.spending."""
    return spending.look(runtime, held, until_ms)


@work(spending.ALERTS_KIND, ttl_ms=60_000, deadline_ms=20_000)
def tell(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.teams.budget_alerts."""
    return budget_alerts.tell(runtime, held, until_ms)
