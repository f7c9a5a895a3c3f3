"""Streams and their consumers come to life, are resharded, and go."""

from __future__ import annotations

from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.runtime import Runtime
from apps.streams import lifecycle
from workers.slices import slice as work


@work("lifecycle", ttl_ms=30_000, deadline_ms=10_000)
def advance(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """See apps.streams.lifecycle. The key is the stream's row id."""
    return lifecycle.advance(runtime, held, until_ms)
