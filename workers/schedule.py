"""What ticks, and how often. A tick looks for due leases of one kind and wakes each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import beat

from workers.heartbeat import HEARTBEAT_EVERY_S

TICKS_S = {"lifecycle": 1.0, "queues": 1.0, "ingestion": 2.0, "throttling": 5.0, "retention": 60.0, "metering": 60.0}
TICKS_S |= {"alarms": 5.0, "alarm-actions": 5.0, "delivery": 2.0, "delivery-streams": 1.0, "delivery-jobs": 2.0}
TICKS_S |= {"budgets": 15.0, "budget-alerts": 5.0, "closing": 60.0}
"""Seconds between two ticks, by kind."""

ROLLUP_EVERY_S = 60.0
"""Seconds between two rollups of metrics into the database."""


STEP_BACK = timedelta(seconds=1)


class Scheduler(beat.Scheduler):
    """Celery's, in memory: no tick is rarer than a minute, and a file could break."""

    _before: datetime | None = None

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Sleep until a tick is due. Celery wakes 10 ms early and spins until then, 1 % of a core for nothing."""
        return n + drift

    def tick(self, *args: Any, **options: Any) -> float:
        """One round. When the machine's clock was set back, all intervals begin anew, or ticks would wait for it."""
        now = self.app.now()
        if self._before is not None and now < self._before - STEP_BACK:
            for entry in self.schedule.values():
                entry.last_run_at = now
            self._heap = None
        self._before = now
        return float(super().tick(*args, **options))


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
