"""Records past their retention leave the log, and closed shards with nothing left leave their stream."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import retention
from workers.slices import slice as work


@work("retention", ttl_ms=30_000, deadline_ms=10_000)
def expire(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.streams.retention. The key is the shard's row id."""
    return retention.expire(runtime, held, until_ms)
