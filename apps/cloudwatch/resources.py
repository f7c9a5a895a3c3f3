"""What CloudWatch's operations are about, for policies: alarms have ARNs, metrics have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.cloudwatch.operations import OPERATIONS
from apps.runtime import Call

Locate = Callable[[Call, Any], str]


def alarms(call: Call, params: dict[str, Any]) -> str:
    """The alarm that is named; all of the account's where several are, or none."""
    prefix = f"arn:aws:cloudwatch:{call.runtime.config.region}:{call.principal.account_id}:alarm:"
    named = [params["AlarmName"]] if params.get("AlarmName") else list(params.get("AlarmNames") or ())
    return prefix + (named[0] if len(named) == 1 else "*")


def metrics(_call: Call, _params: dict[str, Any]) -> str:
    """No resource."""
    return "*"


def tagged(_call: Call, params: dict[str, Any]) -> str:
    """By ResourceARN."""
    return str(params["ResourceARN"])


def _locate(operation: str) -> Locate:
    if operation in {"TagResource", "UntagResource", "ListTagsForResource"}:
        return tagged
    return alarms if "Alarm" in operation else metrics


CLOUDWATCH_RESOURCES: dict[str, Locate] = {operation: _locate(operation) for operation in OPERATIONS}
