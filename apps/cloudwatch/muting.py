"""Quiet until a time: a muted alarm goes on changing its state, and calls and writes to nobody.

Ours. AWS's DisableAlarmActions lasts until somebody remembers it.
"""

from __future__ import annotations

from django.db import transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.base.config import Config
from apps.base.units import DAY_MS
from apps.cloudwatch import history
from apps.cloudwatch.alarms import arn_of, iso
from apps.cloudwatch.errors import InvalidParameterValueException, ResourceNotFound
from apps.cloudwatch.models import Alarm, HistoryKind

MUTED_FOR_MAX_MS = 30 * DAY_MS


@transaction.atomic
def mute(config: Config, team_id: int, name: str, until_ms: int | None, *, by: Actor, now_ms: int) -> Alarm:
    """Mute until a time, UTC milliseconds; None: no longer.

    Raises ResourceNotFound, and InvalidParameterValueException for a time that has passed or is too far away.
    """
    alarm = (
        Alarm.objects.select_for_update(of=("self",)).select_related("team").filter(team_id=team_id, name=name).first()
    )
    if alarm is None:
        raise ResourceNotFound(f"Alarm [{name}] does not exist.")
    if until_ms is not None and not now_ms < until_ms <= now_ms + MUTED_FOR_MAX_MS:
        raise InvalidParameterValueException(
            f"An alarm is muted until a time within the next {MUTED_FOR_MAX_MS // DAY_MS} days."
        )
    before, alarm.muted_until_ms = _state(alarm), until_ms
    alarm.save(update_fields=["muted_until_ms"])
    words = "unmuted" if until_ms is None else f"muted until {iso(until_ms)}"
    told = {"type": "Update", "mutedUntil": None if until_ms is None else iso(until_ms)}
    history.write(alarm, HistoryKind.CONFIGURATION, now_ms, f'Alarm "{name}" {words}', told)
    operation = "UnmuteAlarm" if until_ms is None else "MuteAlarm"
    changes.write(by, operation, arn_of(config, alarm.team.account_id, name), before, _state(alarm))
    return alarm


def _state(alarm: Alarm) -> dict[str, str | None]:
    return {"mutedUntil": None if alarm.muted_until_ms is None else iso(alarm.muted_until_ms)}
