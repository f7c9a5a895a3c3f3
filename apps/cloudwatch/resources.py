"""What CloudWatch's operations are about, for policies: alarms and dashboards have ARNs, metrics have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps.cloudwatch.dashboards import arn_of as dashboard_arn
from apps.cloudwatch.operations import OPERATIONS
from apps.runtime import Call

Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

NAMES = {"DeleteDashboards": "DashboardNames"}
"""The member with the names, where it is not AlarmNames."""

OF_EACH = ("DeleteDashboards", "DeleteAlarms", "DisableAlarmActions", "EnableAlarmActions")
"""Operations that change several of them at once, each of which must be allowed."""


def alarms(call: Call, params: dict[str, Any]) -> str:
    """The alarm that is named; all of the account's where several are, or none."""
    named = [params["AlarmName"]] if params.get("AlarmName") else list(params.get("AlarmNames") or ())
    return _alarm(call, named[0] if len(named) == 1 else "*")


def _alarm(call: Call, name: str) -> str:
    return f"arn:aws:cloudwatch:{call.runtime.config.region}:{call.principal.account_id}:alarm:{name}"


def dashboard(call: Call, params: dict[str, Any]) -> str:
    """The dashboard that is named; all of the account's if none is."""
    return dashboard_arn(call.principal.account_id, params.get("DashboardName") or "*")


def _one(operation: str, call: Call, name: str) -> str:
    return dashboard(call, {"DashboardName": name}) if operation in NAMES else _alarm(call, name)


def _first(operation: str, call: Call, params: dict[str, Any]) -> str:
    """The first of those that are to be changed; the others are asked about one by one."""
    return _one(operation, call, next(iter(params[NAMES.get(operation, "AlarmNames")]), "*"))


def _others(operation: str, call: Call, params: dict[str, Any]) -> list[tuple[str, str]]:
    names = params[NAMES.get(operation, "AlarmNames")][1:]
    return [(f"cloudwatch:{operation}", _one(operation, call, name)) for name in names]


def _tagged_alarm(call: Call, params: dict[str, Any]) -> list[tuple[str, str]]:
    return [("cloudwatch:TagResource", _alarm(call, params["AlarmName"]))] if params.get("Tags") else []


def _tagged_dashboard(call: Call, params: dict[str, Any]) -> list[tuple[str, str]]:
    return [("cloudwatch:TagResource", dashboard(call, params))] if params.get("Tags") else []


def metrics(_call: Call, _params: dict[str, Any]) -> str:
    """No resource."""
    return "*"


def tagged(_call: Call, params: dict[str, Any]) -> str:
    """By ResourceARN."""
    return str(params["ResourceARN"])


def _locate(operation: str) -> Locate:
    if operation in {"TagResource", "UntagResource", "ListTagsForResource"}:
        return tagged
    if operation in OF_EACH:
        return partial(_first, operation)
    if "Dashboard" in operation:
        return dashboard
    return alarms if "Alarm" in operation else metrics


CLOUDWATCH_RESOURCES: dict[str, Locate] = {operation: _locate(operation) for operation in OPERATIONS}

CLOUDWATCH_ALSO: dict[str, Also] = {
    "PutMetricAlarm": _tagged_alarm,
    "PutDashboard": _tagged_dashboard,
    **{operation: partial(_others, operation) for operation in OF_EACH if operation in OPERATIONS},
}
"""What must be allowed beside, as (action, resource)."""
