"""Rotation: new material for a key, by time or on demand. What the old material encrypted still opens."""

from __future__ import annotations

from typing import Any

from apps.base.errors import ValidationException
from apps.base.units import DAY_MS
from apps.encryption.errors import LimitExceededException
from apps.encryption.keystore import require_enabled
from apps.encryption.models import Key
from apps.encryption.operations.asked import customer_key, held, key, store
from apps.runtime import Call

PERIOD_DAYS = 365
PERIOD_DAYS_MIN = 90
PERIOD_DAYS_MAX = 2_560
ON_DEMAND_MAX = 25
"""Rotations on demand that a key may have."""

Json = dict[str, Any]


def enable_key_rotation(call: Call, params: Json) -> None:
    """New material every 90 to 2,560 days (365 if not said), made when the key is used next.

    Kept from AWS: bounds; a new period begins now. Not kept: nothing.
    """
    days = params.get("RotationPeriodInDays") or PERIOD_DAYS
    if not PERIOD_DAYS_MIN <= days <= PERIOD_DAYS_MAX:
        raise ValidationException(f"RotationPeriodInDays must be between {PERIOD_DAYS_MIN} and {PERIOD_DAYS_MAX}.")
    row = _enabled(call, params)
    if row.rotation_days != days:
        row.rotation_days, row.rotation_from_ms = days, call.now_ms
        row.save(update_fields=["rotation_days", "rotation_from_ms"])


def disable_key_rotation(call: Call, params: Json) -> None:
    """No new material by time.

    Kept from AWS: no error where it is off already. Not kept: nothing.
    """
    row = _enabled(call, params)
    row.rotation_days = None
    row.save(update_fields=["rotation_days"])


def get_key_rotation_status(call: Call, params: Json) -> Json:
    """Whether and when a key is rotated.

    Kept from AWS: members. Not kept: a rotation on demand is done at once, so that none is ever under way.
    """
    row = key(call, params["KeyId"])
    status: Json = {"KeyId": row.arn, "KeyRotationEnabled": row.rotation_days is not None}
    if row.rotation_days is not None:
        status["RotationPeriodInDays"] = row.rotation_days
        status["NextRotationDate"] = row.rotation_from_ms + row.rotation_days * DAY_MS
    return status


def rotate_key_on_demand(call: Call, params: Json) -> Json:
    """New material now.

    Kept from AWS: 25 for a key in all; the period by time goes on as it was. Not kept: nothing.
    """
    row = _enabled(call, params)
    if row.materials.filter(on_demand=True).count() >= ON_DEMAND_MAX:
        raise LimitExceededException(f"{row.arn} was rotated on demand {ON_DEMAND_MAX} times already.")
    store(call).rotate(row, call.now_ms, on_demand=True)
    return {"KeyId": row.arn}


def _enabled(call: Call, params: Json) -> Key:
    row = held(customer_key(call, params["KeyId"]))
    require_enabled(row)
    return row
