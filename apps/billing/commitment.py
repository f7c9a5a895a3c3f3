"""What a team with the minimum throughput billing commitment pays for although it did not use it.

AWS publishes no rule; ours goes by the UTC hour. In each hour the team pays for at least 25 MiB/s in and 25 MiB/s out (both
ways of reading together) of the milliseconds for which it had the commitment. What an hour lacks is the shortfall; what it has
above the minimum helps no other hour. Of the hour that runs only the time that is metered counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from apps.base.units import DAY_MS, HOUR_MS, SECOND_MS
from apps.billing.dimensions import COMMITTED_IN, COMMITTED_OUT
from apps.billing.meters import ADVANTAGE_BYTES_IN, ADVANTAGE_BYTES_OUT, ADVANTAGE_FAN_OUT_BYTES, ADVANTAGE_TIME
from apps.billing.models import CommittedHour
from apps.billing.rating import Row

COMMITTED_BYTES_PER_S = 25 * 2**20
"""In each direction."""

ACCOUNT = "account"
"""The resource that the shortfall, and the time of the commitment, are booked on: they are no stream's."""

COUNTED = frozenset(
    meter.name for meter in (ADVANTAGE_TIME, ADVANTAGE_BYTES_IN, ADVANTAGE_BYTES_OUT, ADVANTAGE_FAN_OUT_BYTES)
)
"""The meters that the ledger keeps by team and hour as well (CommittedHour)."""


class Shortfall(NamedTuple):
    """Bytes of one hour."""

    bytes_in: int
    bytes_out: int


def shortfall(used: Mapping[str, int]) -> Shortfall:
    """What an hour lacks. used: quantities by meter name, of one team and UTC hour. Parts of a byte are dropped."""
    committed_ms = min(used.get(ADVANTAGE_TIME.name, 0), HOUR_MS)
    least = COMMITTED_BYTES_PER_S * committed_ms // SECOND_MS
    given = used.get(ADVANTAGE_BYTES_OUT.name, 0) + used.get(ADVANTAGE_FAN_OUT_BYTES.name, 0)
    return Shortfall(max(0, least - used.get(ADVANTAGE_BYTES_IN.name, 0)), max(0, least - given))


def hours(team_id: int, from_ms: int, to_ms: int) -> dict[int, dict[str, int]]:
    """What was used under the commitment, by hour and meter."""
    rows = CommittedHour.objects.filter(team_id=team_id, hour_ms__gte=from_ms, hour_ms__lt=to_ms).order_by("hour_ms")
    found: dict[int, dict[str, int]] = {}
    for hour_ms, meter, quantity in rows.values_list("hour_ms", "meter", "quantity"):
        found.setdefault(hour_ms, {})[meter] = quantity
    return found


def rows_of(by_hour: Mapping[int, Mapping[str, int]], label: str) -> Iterator[Row]:
    """The shortfall of these hours as rows for rating, by day."""
    days: dict[tuple[int, str], int] = {}
    for hour_ms, used in by_hour.items():
        lacks = shortfall(used)
        for dimension, metered in ((COMMITTED_IN, lacks.bytes_in), (COMMITTED_OUT, lacks.bytes_out)):
            key = hour_ms - hour_ms % DAY_MS, dimension.name
            days[key] = days.get(key, 0) + metered
    return (Row(day_ms, name, label, metered) for (day_ms, name), metered in days.items() if metered)


def rows(team_id: int, from_ms: int, to_ms: int, label: str = ACCOUNT) -> Iterator[Row]:
    """The shortfall of a team, as usage.rows has it."""
    return rows_of(hours(team_id, from_ms, to_ms), label)
