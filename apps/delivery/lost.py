"""Records that retention took before their lane came to them."""

from __future__ import annotations

from dataclasses import replace

from apps.delivery import error_log
from apps.delivery.extents import Checkpoint, Waiting
from apps.delivery.models import Lane
from apps.leases import hold
from apps.leases.hold import Held
from apps.runtime import Runtime


def skip_lost(held: Held, lane: Lane, checkpoint: Checkpoint, found: Waiting, now_ms: int) -> Checkpoint:
    """Move the checkpoint past what is lost, and say so in the error log. Raises LeaseLost."""
    moved = replace(checkpoint, next_offset=found.first, stored_bytes=checkpoint.stored_bytes + found.lost_bytes)
    hold.save_checkpoint(held, moved.kept())
    message = f"{found.lost} records were removed by the retention of their source before they could be delivered."
    error_log.note(lane.delivery_stream_id, "source", "RecordsExpired", message, now_ms, found.lost)
    return moved


def unpin_lost(runtime: Runtime, held: Held, log_key: int) -> bool:
    """Let the pin go if retention took records of it; False if they are there. Raises LeaseLost: somebody else was done
    with it."""
    bounds = runtime.wait_for(runtime.record_log.bounds(log_key))
    if held.pinned is None or bounds.first_offset <= held.pinned["first"]:
        return False
    hold.save_checkpoint(held, held.checkpoint)
    return True
