"""What ticks, and how often. A tick looks for due leases of one kind and wakes each."""

from __future__ import annotations

from typing import Any

from workers.heartbeat import HEARTBEAT_EVERY_S

TICKS_S = {"lifecycle": 1.0, "ingestion": 2.0, "throttling": 5.0, "retention": 60.0, "metering": 60.0}
"""Seconds between two ticks, by kind."""

ROLLUP_EVERY_S = 60.0
"""Seconds between two rollups of metrics into the database."""


def beat_schedule() -> dict[str, Any]:
    """Celery's table. A tick expires after its own interval, so that ticks do not pile up while workers are away."""
    ticks = {
        f"tick-{kind}": {
            "task": "tidegate.tick",
            "schedule": every_s,
            "args": (kind,),
            "options": {"queue": "control", "expires": every_s},
        }
        for kind, every_s in TICKS_S.items()
    }
    options = {"queue": "control", "expires": HEARTBEAT_EVERY_S}
    heartbeat = {"task": "tidegate.heartbeat", "schedule": HEARTBEAT_EVERY_S, "options": options}
    options = {"queue": "upkeep", "expires": ROLLUP_EVERY_S}
    rollup = {"task": "tidegate.rollup", "schedule": ROLLUP_EVERY_S, "options": options}
    return {**ticks, "heartbeat": heartbeat, "rollup": rollup}
