"""Redrive of failed records, and demo data: slice by slice."""

from __future__ import annotations

from apps.delivery import jobs
from apps.delivery.shares import AGAIN_MS, Shares
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from workers.slices import slice as work


@work(jobs.KIND, ttl_ms=30_000, deadline_ms=5_000)
def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.delivery.jobs. The key is the job's row id. A redrive waits for the team's S3, so it counts as work of its delivery
    stream's, like its deliveries."""
    with runtime.part(Shares).of(jobs.delivery_stream_of(held)) as free:
        return jobs.advance(runtime, held, until_ms) if free else runtime.clock.now_ms() + AGAIN_MS
