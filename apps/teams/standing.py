"""Tells every web process that somebody's place in a team changed, so that open live connections look again at once.

A hint: each connection looks again once a minute anyhow, and pages and calls ask each time.
"""

from __future__ import annotations

from functools import partial

import structlog
from django.conf import settings
from django.db import transaction

from apps.metrics import connection, layout

log = structlog.get_logger(__name__)


def changed(team_id: int) -> None:
    """Say so once the caller's transaction is committed. When Redis is away it is not said."""
    transaction.on_commit(partial(_tell, team_id), robust=True)


def _tell(team_id: int) -> None:
    try:
        connection.shared(settings.CONFIG.redis).publish(layout.STANDING_CHANNEL, str(team_id))
    except connection.AWAY as error:
        log.info("standing_not_told", team=team_id, error=str(error))
