"""Once a minute: live metrics from Redis into the database. Idempotent, so without a lease (apps/metrics/rollup.py)."""

from __future__ import annotations

import structlog
from django.db import close_old_connections

from apps.cloudwatch import history
from apps.metrics import rollup, series
from workers.app import app, runtime

log = structlog.get_logger(__name__)

DEADLINE_MS = 20_000


@app.task(name="tidegate.rollup")
def roll_up() -> None:
    """Every closed minute that the database does not have yet; then remove what is too old."""
    close_old_connections()
    clock = runtime().clock
    blocks = rollup.roll_up(clock, clock.now_ms() + DEADLINE_MS)
    removed = rollup.prune(clock) + series.prune(clock) + history.prune(clock.now_ms())
    log.debug("metrics_rolled_up", blocks=blocks, removed=removed)
