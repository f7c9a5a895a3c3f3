"""Imports of files and replays of streams, piece by piece."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import ingestion
from workers.slices import slice as work


@work("ingestion", ttl_ms=30_000, deadline_ms=3_000)  # short: a new stream must not wait behind imports
def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.streams.ingestion. The key is the job's row id."""
    return ingestion.advance(runtime, held, until_ms)
