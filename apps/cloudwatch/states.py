"""Alarms and dashboards as the audit trail keeps them before and after a change."""

from __future__ import annotations

import json
from typing import Any

from apps.cloudwatch.models import Alarm, Dashboard

State = dict[str, Any]


def alarm(account_id: str, name: str) -> State | None:
    """An alarm's settings, switches and tags; None: there is none."""
    row = Alarm.objects.filter(team__account_id=account_id, name=name).first()
    if row is None:
        return None
    return {
        **row.settings,
        "ActionsEnabled": row.actions_enabled,
        "StateValue": row.state,
        "MutedUntil": row.muted_until_ms,
        "Tags": row.tags,
    }


def dashboard(account_id: str, name: str) -> State | None:
    """A dashboard's body and tags; None: there is none."""
    row = Dashboard.objects.filter(team__account_id=account_id, name=name).first()
    return {"DashboardBody": json.loads(row.body), "Tags": row.tags} if row is not None else None
