"""Budgets follow the load: on-demand streams grow and shrink, provisioned ones by their policies; idle buckets are swept."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import autoscaling, scaling
from apps.throttle.local import IDLE_MS
from workers.slices import slice as work


@work("throttling", ttl_ms=30_000, deadline_ms=10_000)
def scale(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.streams.scaling (the key "on-demand") and apps.streams.autoscaling ("policies").

    The sweep is of this process's own buckets: those that imports and replays take from.
    """
    runtime.throttle.forget_before(runtime.clock.now_ms() - IDLE_MS)
    if held.key == autoscaling.LEASE_KEY:
        return autoscaling.follow(runtime, held, until_ms)
    return scaling.scale(runtime, held, until_ms)
