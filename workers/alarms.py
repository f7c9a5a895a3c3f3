"""Alarms are looked at when they are due, and what they ask for is done. The key of both is a team."""

from __future__ import annotations

from apps.cloudwatch import actions, alarms
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from workers.slices import slice as work


@work(alarms.KIND, ttl_ms=30_000, deadline_ms=10_000)
def look(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.cloudwatch.alarms."""
    return alarms.look(runtime, int(held.key), until_ms)


@work(alarms.ACTIONS_KIND, ttl_ms=60_000, deadline_ms=20_000)
def act(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.cloudwatch.actions."""
    return actions.deliver(runtime, int(held.key), until_ms)
