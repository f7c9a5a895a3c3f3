"""What a stream's usage is paid by, told apart in the meter keys under which the log and the readers count it.

The record log knows nothing of plans: it books totals under a meter key. So whoever appends says the plan with the key, and
the reading of the meters takes the two apart again. A stream that changes its mode in the middle of an hour has both.
"""

from __future__ import annotations

from enum import StrEnum

MARK = "|"
"""Between key and plan; no access key id and none of our own names has it."""


class Plan(StrEnum):
    """provisioned: no mark, since most are."""

    PROVISIONED = ""
    ON_DEMAND = "on-demand"
    ADVANTAGE = "advantage"


_SUFFIXES = {plan: f"{MARK}{plan}" if plan else "" for plan in Plan}


def keyed(meter_key: str, plan: Plan) -> str:
    """What to book under."""
    return meter_key + _SUFFIXES[plan]


def split(key: str) -> tuple[str, Plan]:
    """The meter key and the plan of what was booked."""
    meter_key, _, plan = key.partition(MARK)
    return meter_key, Plan(plan)
