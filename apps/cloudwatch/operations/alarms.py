"""PutMetricAlarm, DescribeAlarms, DescribeAlarmsForMetric, DeleteAlarms, SetAlarmState, EnableAlarmActions,
DisableAlarmActions, DescribeAlarmHistory."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from apps.base.errors import ValidationException
from apps.base.units import DAY_MS, SECOND_MS
from apps.cloudwatch import actions, history, tokens
from apps.cloudwatch.alarms import ACTIONS_OF, KIND, arn_of, next_due_ms, period_of, set_state
from apps.cloudwatch.errors import (
    InvalidFormatFault,
    LimitExceededFault,
    ResourceNotFound,
)
from apps.cloudwatch.evaluation import COMPARISONS, MISSING
from apps.cloudwatch.models import Alarm, History, HistoryKind, State
from apps.cloudwatch.operations.tags import merged
from apps.cloudwatch.periods import check_period
from apps.cloudwatch.queries import checked, identity_of
from apps.cloudwatch.statistics import statistic
from apps.leases import hold
from apps.leases.wake import wake
from apps.runtime import Call

ALARMS_MAX = 5_000
"""Of one team (AWS's quota)."""

QUERIES_MAX = 10
"""Metrics of one alarm that compares an expression (AWS's quota)."""

PER_PAGE = 50
HISTORY_PER_PAGE = 100
NEW_REASON = "Unchecked: Initial alarm creation"

SINGLE = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")
KNOWN = frozenset(
    {
        "AlarmName", "AlarmDescription", "ActionsEnabled", *ACTIONS_OF.values(), *SINGLE, "Metrics", "EvaluationPeriods",
        "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "EvaluateLowSampleCountPercentile",
        "Tags",
    }
)  # fmt: skip

Json = dict[str, Any]


def put_metric_alarm(call: Call, params: Json) -> None:
    """Make an alarm, or put another in its place; the state of one that is there stays.

    Kept from AWS: one metric or an expression over up to ten; M of N; the four ways with missing data; an alarm looks back
    a day at most (a week, if its periods are an hour or more); 5,000 alarms; five actions a state. An alarm is looked at
    once a minute, with periods below a minute every ten seconds.
    Ours: actions are `https://…` (called with AWS's message as JSON) and `mailto:…`.
    Tags are set when the alarm is made.
    Refused: ARNs as actions, anomaly detection, and what newer alarms can beside.
    """
    settings = settings_of(call, params)
    name, team_id = params["AlarmName"], call.principal.team_id
    alarm = Alarm.objects.select_for_update().filter(team_id=team_id, name=name).first()
    if alarm is None and Alarm.objects.filter(team_id=team_id).count() >= ALARMS_MAX:
        raise LimitExceededFault(f"The maximum limit of {ALARMS_MAX} alarms has been reached for this account.")
    created = alarm is None
    if alarm is None:
        alarm = Alarm(
            team_id=team_id, name=name, reason=NEW_REASON, evaluated_at_ms=call.now_ms, changed_at_ms=call.now_ms
        )
        alarm.tags = merged({}, params.get("Tags") or ())
    alarm.settings = settings
    alarm.actions_enabled = params.get("ActionsEnabled", True)
    alarm.configured_at_ms = call.now_ms
    alarm.due_at_ms = call.now_ms
    alarm.version += 1
    alarm.save()
    summary = f'Alarm "{name}" {"created" if created else "updated"}'
    _write_down(call, alarm, "Create" if created else "Update", summary)
    _look_soon(call)


def _write_down(call: Call, alarm: Alarm, kind: str, summary: str) -> None:
    data = {"type": kind, "alarm": _told(call, alarm)}
    history.write(alarm, HistoryKind.CONFIGURATION, call.now_ms, summary, data)
    history.bound(alarm.team_id, alarm.name)


def _look_soon(call: Call) -> None:
    hold.ensure(KIND, str(call.principal.team_id), call.now_ms)
    wake(KIND, str(call.principal.team_id))


def settings_of(call: Call, params: Json) -> Json:
    """What the alarm is, checked. Raises ValidationException."""
    unknown = sorted(name for name in params if name not in KNOWN)
    if unknown:
        raise ValidationException(f"The parameter {unknown[0]} is not supported.")
    for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold"):
        if name not in params:
            raise ValidationException(f"The parameter {name} is required.")
    if not math.isfinite(params["Threshold"]):
        raise ValidationException(f"The value {params['Threshold']} for parameter Threshold is invalid.")
    if params["ComparisonOperator"] not in COMPARISONS:
        raise ValidationException(
            f"The operator {params['ComparisonOperator']} needs anomaly detection, which is not supported."
        )
    if params.get("TreatMissingData", "missing") not in MISSING:
        raise ValidationException(
            f"Option {params['TreatMissingData']} is not supported for TreatMissingData parameter."
        )
    if params.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise ValidationException("Option ignore is not supported for EvaluateLowSampleCountPercentile parameter.")
    if params.get("DatapointsToAlarm", 1) > params["EvaluationPeriods"]:
        raise ValidationException("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    _check_metric(params)
    _check_span(params)
    for name in ACTIONS_OF.values():
        for target in params.get(name) or ():
            problem = actions.check(target, allow_private=call.runtime.config.outgoing_private)
            if problem:
                raise ValidationException(f"Invalid action {target[:200]} in {name}: {problem}")
    return {name: value for name, value in params.items() if name not in {"AlarmName", "ActionsEnabled", "Tags"}}


def _check_metric(params: Json) -> None:
    """Either one metric or queries of which one is told."""
    if "Metrics" in params:
        there = [name for name in SINGLE if name in params]
        if there:
            raise ValidationException(f"The parameters Metrics and {there[0]} are mutually exclusive.")
        by_id = checked(params["Metrics"])
        told = [query for query in by_id.values() if query.get("ReturnData", True)]
        if len(told) != 1 or len(by_id) > QUERIES_MAX:
            raise ValidationException(
                f"Exactly one of at most {QUERIES_MAX} elements of the metrics list should return data."
            )
        for query in by_id.values():
            if "MetricStat" in query:
                check_period(query["MetricStat"]["Period"])
                statistic(query["MetricStat"]["Stat"], query["MetricStat"]["Metric"].get("Namespace", ""))
        return
    for name in ("MetricName", "Namespace", "Period"):
        if name not in params:
            raise ValidationException(f"The parameter {name} is required.")
    if ("Statistic" in params) == ("ExtendedStatistic" in params):
        raise ValidationException("Exactly one of Statistic and ExtendedStatistic must be given.")
    identity_of(params["Namespace"], params["MetricName"], params.get("Dimensions"))
    check_period(params["Period"])
    statistic(params.get("Statistic") or params["ExtendedStatistic"], params["Namespace"])


def _check_span(params: Json) -> None:
    period_s = period_of(params)
    span_ms = period_s * SECOND_MS * params["EvaluationPeriods"]
    if span_ms > (7 * DAY_MS if period_s >= 3_600 else DAY_MS):
        raise ValidationException(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
        )


def describe_alarms(call: Call, params: Json) -> Json:
    """Alarms by name, 50 a page.

    Kept from AWS: names, prefix, state, prefix of actions; composite and log alarms are asked for in vain.
    Refused: parents and children, which only composite alarms have.
    """
    for name in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
        if name in params:
            raise ValidationException(f"The parameter {name} is not supported: there are no composite alarms.")
    if "AlarmNames" in params and "AlarmNamePrefix" in params:
        raise ValidationException("AlarmNames and AlarmNamePrefix are mutually exclusive.")
    after = tokens.read(params, (str,)) or [""]
    answer: Json = {"MetricAlarms": [], "CompositeAlarms": []}
    if "MetricAlarm" not in (params.get("AlarmTypes") or ["MetricAlarm"]):
        return answer
    rows = Alarm.objects.filter(team_id=call.principal.team_id, name__gt=after[0]).order_by("name")
    if params.get("AlarmNames"):
        rows = rows.filter(name__in=params["AlarmNames"])
    if "StateValue" in params:
        rows = rows.filter(state=params["StateValue"])
    # Not LIKE: databases fold case in it by other rules.
    prefix, action_prefix = params.get("AlarmNamePrefix", ""), params.get("ActionPrefix", "")
    limit = params.get("MaxRecords", PER_PAGE)
    page: list[Alarm] = []
    for alarm in rows.iterator():
        if alarm.name.startswith(prefix) and _has_action(alarm, action_prefix):
            page.append(alarm)
            if len(page) > limit:
                break
    answer["MetricAlarms"] = [_told(call, alarm) for alarm in page[:limit]]
    if len(page) > limit:
        answer["NextToken"] = tokens.issue(params, [page[limit - 1].name])
    return answer


def _has_action(alarm: Alarm, prefix: str) -> bool:
    targets = [target for name in ACTIONS_OF.values() for target in alarm.settings.get(name) or ()]
    return not prefix or any(target.startswith(prefix) for target in targets)


def describe_alarms_for_metric(call: Call, params: Json) -> Json:
    """The alarms of one metric; statistic, period and unit narrow it.

    Kept from AWS: dimensions must be all of the metric's; alarms on expressions are not found.
    """
    wanted = identity_of(params["Namespace"], params["MetricName"], params.get("Dimensions"))
    narrow = {name: params[name] for name in ("Statistic", "ExtendedStatistic", "Period", "Unit") if name in params}
    found = []
    for alarm in Alarm.objects.filter(team_id=call.principal.team_id).order_by("name"):
        settings = alarm.settings
        if "MetricName" not in settings or any(settings.get(name) != value for name, value in narrow.items()):
            continue
        if identity_of(settings["Namespace"], settings["MetricName"], settings.get("Dimensions")) == wanted:
            found.append(_told(call, alarm))
    return {"MetricAlarms": found}


def delete_alarms(call: Call, params: Json) -> None:
    """Delete alarms, all of them or, if one is not there, none. Their history stays."""
    names = set(params["AlarmNames"])
    rows = Alarm.objects.select_for_update().filter(team_id=call.principal.team_id, name__in=names)
    alarms = list(rows.order_by("id"))
    if len(alarms) != len(names):
        raise ResourceNotFound("Some of the alarms do not exist.")
    for alarm in alarms:
        _write_down(call, alarm, "Delete", f'Alarm "{alarm.name}" deleted')
    rows.delete()


def set_alarm_state(call: Call, params: Json) -> None:
    """Set a state by hand, to try what an alarm does; the next evaluation sets it as it finds it."""
    alarm = (
        Alarm.objects.select_for_update(of=("self",))
        .select_related("team")
        .filter(team_id=call.principal.team_id, name=params["AlarmName"])
        .first()
    )
    if alarm is None:
        raise ResourceNotFound(f"Alarm [{params['AlarmName']}] does not exist.")
    data = params.get("StateReasonData", "")
    if data:
        try:
            msgspec.json.decode(data)
        except msgspec.DecodeError:
            raise InvalidFormatFault("StateReasonData was not valid JSON.") from None
    set_state(call.runtime, alarm, State(params["StateValue"]), params["StateReason"], data, call.now_ms)
    due_at_ms = next_due_ms(alarm.settings, call.now_ms)
    Alarm.objects.filter(pk=alarm.pk).update(version=alarm.version + 1, due_at_ms=due_at_ms)
    hold.ensure(KIND, str(alarm.team_id), due_at_ms)


def enable_alarm_actions(call: Call, params: Json) -> None:
    """Let alarms do what they do. As with AWS, names that are not there are no error, and nothing is done at once."""
    _switch_actions(call, params, on=True)


def disable_alarm_actions(call: Call, params: Json) -> None:
    """Let alarms change their states and do nothing. Names that are not there are no error."""
    _switch_actions(call, params, on=False)


def _switch_actions(call: Call, params: Json, *, on: bool) -> None:
    rows = Alarm.objects.select_for_update().filter(team_id=call.principal.team_id, name__in=params["AlarmNames"])
    for alarm in rows.order_by("id"):
        if alarm.actions_enabled == on:
            continue
        alarm.actions_enabled = on
        alarm.configured_at_ms = call.now_ms
        alarm.version += 1
        alarm.save(update_fields=["actions_enabled", "configured_at_ms", "version"])
        _write_down(call, alarm, "Update", f'Alarm "{alarm.name}" updated')


def describe_alarm_history(call: Call, params: Json) -> Json:
    """What happened to one alarm or all, the newest first, 100 a page, 30 days back.

    Kept from AWS: filters by name, kind and time, both orders; also of alarms that are deleted.
    """
    if "AlarmContributorId" in params:
        raise ValidationException("The parameter AlarmContributorId is not supported.")
    ascending = params.get("ScanBy") == "TimestampAscending"
    place = tokens.read(params, (int, int))
    rows = History.objects.filter(team_id=call.principal.team_id)
    for name, column in (
        ("AlarmName", "alarm_name"),
        ("HistoryItemType", "kind"),
        ("StartDate", "at_ms__gte"),
        ("EndDate", "at_ms__lte"),
    ):
        if name in params:
            rows = rows.filter(**{column: params[name]})
    rows = rows.order_by("at_ms", "id") if ascending else rows.order_by("-at_ms", "-id")
    if place is not None:
        at_ms, last = place
        same = rows.filter(at_ms=at_ms, id__gt=last) if ascending else rows.filter(at_ms=at_ms, id__lt=last)
        beyond = rows.filter(at_ms__gt=at_ms) if ascending else rows.filter(at_ms__lt=at_ms)
        rows = same | beyond
    limit = params.get("MaxRecords", HISTORY_PER_PAGE)
    if "MetricAlarm" not in (params.get("AlarmTypes") or ["MetricAlarm"]):
        rows = rows.none()
    page = list(rows[: limit + 1])
    answer: Json = {"AlarmHistoryItems": [_line(line) for line in page[:limit]]}
    if len(page) > limit:
        answer["NextToken"] = tokens.issue(params, [page[limit - 1].at_ms, page[limit - 1].pk])
    return answer


def _line(line: History) -> Json:
    return {
        "AlarmName": line.alarm_name,
        "AlarmType": "MetricAlarm",
        "Timestamp": line.at_ms,
        "HistoryItemType": line.kind,
        "HistorySummary": line.summary,
        "HistoryData": line.data,
    }


def _told(call: Call, alarm: Alarm) -> Json:
    """An alarm as AWS tells it."""
    return {
        "AlarmName": alarm.name,
        "AlarmArn": arn_of(call.runtime.config, call.principal.account_id, alarm.name),
        "ActionsEnabled": alarm.actions_enabled,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_at_ms,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data or None,
        "StateUpdatedTimestamp": alarm.evaluated_at_ms,
        "StateTransitionedTimestamp": alarm.changed_at_ms,
        **{name: [] for name in (*ACTIONS_OF.values(), "Dimensions")},
        **alarm.settings,
    }
