"""Alarms that are due are looked at; a change of state is written down and its actions become deliveries.

One lease per team (`alarms`, team id). A caller who changes an alarm meanwhile wins: an evaluation writes only over the
version that it read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import structlog
from django.db import transaction

from apps.base.config import Config
from apps.base.errors import ServiceError, ServiceUnavailable
from apps.base.units import MINUTE_MS, SECOND_MS
from apps.cloudwatch import history
from apps.cloudwatch.evaluation import Rule, Verdict, evaluate
from apps.cloudwatch.models import Alarm, Delivery, HistoryKind, State
from apps.cloudwatch.queries import Queries, identity_of
from apps.cloudwatch.reading import Reader
from apps.leases import hold
from apps.leases.progress import Progress
from apps.leases.wake import wake
from apps.runtime import Runtime

log = structlog.get_logger(__name__)

KIND = "alarms"
ACTIONS_KIND = "alarm-actions"

SETTLED_S = 10
"""A bucket is looked at so long after its end: every process has told by then what it counted in it."""

WAITING_MAX = 10_000
"""Actions of one team that wait to be done; further ones are given up at once, and the alarm's history says so."""

SHORT_EVERY_MS = 10 * SECOND_MS
PER_SLICE = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ACTIONS_OF = {
    State.OK: "OKActions",
    State.ALARM: "AlarmActions",
    State.INSUFFICIENT_DATA: "InsufficientDataActions",
}


def period_of(settings: dict[str, Any]) -> int:
    """The seconds of one datapoint: of the metric, or of the query whose result is compared."""
    if "Period" in settings:
        return int(settings["Period"])
    told = next(query for query in settings["Metrics"] if query.get("ReturnData", True))
    if "MetricStat" in told:
        return int(told["MetricStat"]["Period"])
    own = [int(query["MetricStat"]["Period"]) for query in settings["Metrics"] if "MetricStat" in query]
    return int(told.get("Period") or min(own, default=60))


def rule_of(settings: dict[str, Any]) -> Rule:
    """What is compared."""
    periods = settings["EvaluationPeriods"]
    return Rule(
        settings["ComparisonOperator"],
        settings["Threshold"],
        periods,
        settings.get("DatapointsToAlarm", periods),
        settings.get("TreatMissingData", "missing"),
    )


def next_due_ms(settings: dict[str, Any], now_ms: int) -> int:
    """When an alarm is looked at again: each minute, or each ten seconds if its periods are shorter."""
    every_ms = MINUTE_MS if period_of(settings) >= 60 else SHORT_EVERY_MS
    settled_ms = SETTLED_S * SECOND_MS
    return (now_ms - settled_ms) // every_ms * every_ms + every_ms + settled_ms


def arn_of(config: Config, account_id: str, name: str) -> str:
    """AWS's name of an alarm."""
    return f"arn:aws:cloudwatch:{config.region}:{account_id}:alarm:{name}"


def look(runtime: Runtime, team_id: int, until_ms: int) -> Progress | int:
    """Evaluate the team's alarms that are due: MORE, DONE if it has none, or when the next one is due."""
    now_ms = runtime.clock.now_ms()
    due = list(
        Alarm.objects.select_related("team")
        .filter(team_id=team_id, due_at_ms__lte=now_ms)
        .order_by("due_at_ms")[:PER_SLICE]
    )
    for alarm in due:
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
        _evaluate(runtime, alarm)
    following = Alarm.objects.filter(team_id=team_id).order_by("due_at_ms").values_list("due_at_ms", flat=True).first()
    if following is None:
        return Progress.DONE
    return Progress.MORE if following <= now_ms else following


def _evaluate(runtime: Runtime, alarm: Alarm) -> None:
    now_ms = runtime.clock.now_ms()
    try:
        verdict = verdict_on(alarm, Reader(alarm.team_id, runtime.clock))
    except ServiceUnavailable:
        log.warning("alarm_not_evaluated", team=alarm.team_id, alarm=alarm.name)
        Alarm.objects.filter(pk=alarm.pk, version=alarm.version).update(due_at_ms=now_ms + SHORT_EVERY_MS)
        return
    except ServiceError as error:
        # What was fine when it was put (a SEARCH that now finds too much) says so in its reason, as AWS does.
        verdict = Verdict(State.INSUFFICIENT_DATA, f"Unchecked: {error.message}"[:1_023], [])
    except Exception:
        log.exception("alarm_failed", team=alarm.team_id, alarm=alarm.name)
        verdict = Verdict(State.INSUFFICIENT_DATA, "Unchecked: the alarm could not be evaluated.", [])
    due_at_ms = next_due_ms(alarm.settings, now_ms)
    if verdict.state == alarm.state:
        Alarm.objects.filter(pk=alarm.pk, version=alarm.version).update(due_at_ms=due_at_ms)
        return
    with transaction.atomic():
        changed = Alarm.objects.filter(pk=alarm.pk, version=alarm.version).update(due_at_ms=due_at_ms)
        if changed:
            set_state(runtime, alarm, verdict.state, verdict.reason, _reason_data(alarm, verdict, now_ms), now_ms)


def verdict_on(alarm: Alarm, reader: Reader) -> Verdict:
    """What the alarm's metric says now."""
    settings, rule = alarm.settings, rule_of(alarm.settings)
    period_s = period_of(settings)
    end_s = (reader.now_s - SETTLED_S) // min(period_s, 60) * min(period_s, 60)
    start_s = end_s - rule.looked_at * period_s
    points = points_of(settings, reader, start_s, end_s)
    wanted = range(start_s, end_s, period_s)
    return evaluate(rule, [points.get(start) for start in wanted], State(alarm.state))


def points_of(settings: dict[str, Any], reader: Reader, start_s: int, end_s: int) -> dict[int, float]:
    """What is compared, by the start of each period. Raises ServiceError."""
    by_id = {query["Id"]: query for query in settings.get("Metrics") or ()}
    queries = Queries(reader, start_s * SECOND_MS, end_s * SECOND_MS, by_id)
    if by_id:
        told = next(name for name, query in by_id.items() if query.get("ReturnData", True))
        lines = queries.lines(told)
        return lines[0].points if lines else {}
    identity = identity_of(settings["Namespace"], settings["MetricName"], settings.get("Dimensions"))
    stat = settings.get("Statistic") or settings["ExtendedStatistic"]
    return queries.line(identity, stat, settings["Period"], settings.get("Unit")).points


def _reason_data(alarm: Alarm, verdict: Verdict, now_ms: int) -> str:
    told = {
        "version": "1.0",
        "queryDate": iso(now_ms),
        "statistic": alarm.settings.get("Statistic"),
        "period": period_of(alarm.settings),
        "recentDatapoints": verdict.recent,
        "threshold": alarm.settings["Threshold"],
    }
    return msgspec.json.encode({name: value for name, value in told.items() if value is not None}).decode()


def set_state(runtime: Runtime, alarm: Alarm, state: State, reason: str, reason_data: str, now_ms: int) -> None:
    """Write a state down; if it is another one, also into the history, and what it asks for becomes deliveries.

    In the caller's transaction.
    """
    before = State(alarm.state)
    changed = state != before
    Alarm.objects.filter(pk=alarm.pk).update(
        state=state,
        reason=reason,
        reason_data=reason_data,
        evaluated_at_ms=now_ms,
        changed_at_ms=now_ms if changed else alarm.changed_at_ms,
    )
    if not changed:
        return
    summary = f"Alarm updated from {before} to {state}"
    states = {
        "oldState": {"stateValue": before, "stateReason": alarm.reason},
        "newState": {"stateValue": state, "stateReason": reason},
    }
    history.write(alarm, HistoryKind.STATE, now_ms, summary, {"type": "Update", **states})
    history.bound(alarm.team_id, alarm.name)
    log.info("alarm_changed", team=alarm.team_id, alarm=alarm.name, before=before, now=state)
    targets = alarm.settings.get(ACTIONS_OF[state]) or [] if alarm.actions_enabled else []
    if targets and (alarm.muted_until_ms or 0) > now_ms:
        told = {"actionState": "Muted", "mutedUntil": iso(alarm.muted_until_ms or 0)}
        history.write(alarm, HistoryKind.ACTION, now_ms, "Actions were not executed: the alarm is muted", told)
        return
    body = msgspec.json.encode(message_of(runtime, alarm, before, state, reason, now_ms)).decode() if targets else ""
    if targets and Delivery.objects.filter(team_id=alarm.team_id).count() + len(targets) > WAITING_MAX:
        told = {"actionState": "Failed", "error": f"{WAITING_MAX} actions of the account wait already."}
        history.write(alarm, HistoryKind.ACTION, now_ms, "Failed to execute actions", told)
        return
    for target in targets:
        Delivery.objects.create(
            team_id=alarm.team_id, alarm_name=alarm.name, target=target, body=body, due_at_ms=now_ms
        )
    if targets:
        hold.ensure(ACTIONS_KIND, str(alarm.team_id), now_ms)
        wake(ACTIONS_KIND, str(alarm.team_id))


def message_of(runtime: Runtime, alarm: Alarm, before: State, state: State, reason: str, now_ms: int) -> dict[str, Any]:
    """What AWS sends through SNS, member for member."""
    settings, config = alarm.settings, runtime.config
    trigger = {name: settings[name] for name in _TRIGGER if name in settings}
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": settings.get("AlarmDescription"),
        "AWSAccountId": alarm.team.account_id,
        "AlarmConfigurationUpdatedTimestamp": iso(alarm.configured_at_ms),
        "NewStateValue": state,
        "NewStateReason": reason,
        "StateChangeTime": iso(now_ms),
        "Region": config.region,
        "AlarmArn": arn_of(config, alarm.team.account_id, alarm.name),
        "OldStateValue": before,
        **{name: settings.get(name) or [] for name in ACTIONS_OF.values()},
        "Trigger": {"Period": period_of(settings), **trigger},
    }


_TRIGGER = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "ComparisonOperator",
    "Threshold",
    "TreatMissingData",
    "Metrics",
)


def iso(time_ms: int) -> str:
    """`2026-11-20T12:00:00.000+0000`, as AWS writes times in these messages."""
    moment = EPOCH + timedelta(milliseconds=time_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}+0000"
