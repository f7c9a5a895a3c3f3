"""What CloudWatch's operations are about, for policies: alarms have ARNs, metrics have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from apps.cloudwatch.operations import OPERATIONS
from apps.runtime import Call

Locate = Callable[[Call, Any], str]
Also = Callable[[Call, Any], list[tuple[str, str]]]

OF_EACH = ("DeleteAlarms", "DisableAlarmActions", "EnableAlarmActions")
"""Operations that change several alarms at once, each of which must be allowed."""


def alarms(call: Call, params: dict[str, Any]) -> str:
    """The alarm that is named; all of the account's where several are, or none."""
    named = [params["AlarmName"]] if params.get("AlarmName") else list(params.get("AlarmNames") or ())
    return _alarm(call, named[0] if len(named) == 1 else "*")


def _alarm(call: Call, name: str) -> str:
    return f"arn:aws:cloudwatch:{call.runtime.config.region}:{call.principal.account_id}:alarm:{name}"


def first_alarm(call: Call, params: dict[str, Any]) -> str:
    """The first of those that are to be changed; the others are asked about one by one."""
    return _alarm(call, next(iter(params["AlarmNames"]), "*"))


def _other_alarms(action: str, call: Call, params: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"cloudwatch:{action}", _alarm(call, name)) for name in params["AlarmNames"][1:]]


def _tagged_alarm(call: Call, params: dict[str, Any]) -> list[tuple[str, str]]:
    return [("cloudwatch:TagResource", _alarm(call, params["AlarmName"]))] if params.get("Tags") else []


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
        return first_alarm
    return alarms if "Alarm" in operation else metrics


CLOUDWATCH_RESOURCES: dict[str, Locate] = {operation: _locate(operation) for operation in OPERATIONS}

CLOUDWATCH_ALSO: dict[str, Also] = {
    "PutMetricAlarm": _tagged_alarm,
    **{operation: partial(_other_alarms, operation) for operation in OF_EACH if operation in OPERATIONS},
}
"""What must be allowed beside, as (action, resource)."""
