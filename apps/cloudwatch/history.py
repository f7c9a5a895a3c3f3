"""What happened to alarms, as DescribeAlarmHistory tells it."""

from __future__ import annotations

from typing import Any

import msgspec

from apps.base.units import DAY_MS
from apps.cloudwatch.models import Alarm, History, HistoryKind

KEPT_MS = 30 * DAY_MS
"""AWS keeps 30 days."""

KEPT_OF_ALARM = 1_000
"""Of one alarm; the oldest go first."""

PRUNED_PER_RUN = 5_000


def write(alarm: Alarm, kind: HistoryKind, at_ms: int, summary: str, data: dict[str, Any]) -> None:
    """One line more."""
    History.objects.create(
        team_id=alarm.team_id,
        alarm_name=alarm.name,
        kind=kind,
        at_ms=at_ms,
        summary=summary[:1_400],
        data=msgspec.json.encode({"version": "1.0", **data}).decode(),
    )


def bound(team_id: int, alarm_name: str) -> None:
    """Forget the oldest lines of an alarm that has too many."""
    rows = History.objects.filter(team_id=team_id, alarm_name=alarm_name).order_by("-at_ms", "-id")
    first = rows.values_list("id", flat=True)[KEPT_OF_ALARM : KEPT_OF_ALARM + 1].first()
    if first is not None:
        History.objects.filter(team_id=team_id, alarm_name=alarm_name, id__lte=first).delete()


def prune(now_ms: int) -> int:
    """Forget what is too old; answers how many lines."""
    old = History.objects.filter(at_ms__lt=now_ms - KEPT_MS).order_by("at_ms").values_list("id", flat=True)
    ids = list(old[:PRUNED_PER_RUN])
    for first in range(0, len(ids), 500):
        History.objects.filter(id__in=ids[first : first + 500]).delete()
    return len(ids)
