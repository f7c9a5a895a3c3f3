"""The ledger of all teams at once, as rows for rating: what the showback and the preview of prices are reckoned from.

The database adds up resources, keys and days between two changes of prices, so a team is a few dozen rows however much it has;
such sums cost what their days cost (rating.py). Bounded by teams, meters and the days of the period.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.db.models import BigIntegerField, Case, Sum, Value, When

from apps.billing import commitment, meters
from apps.billing.dimensions import OF_METER
from apps.billing.models import CommittedHour
from apps.billing.rating import Row
from apps.billing.usage_sums import TeamDay

IN = frozenset(meter.name for meter in (meters.BYTES_IN, meters.DELIVERY_BYTES_IN))
"""What came from outside: into data streams, and into delivery streams by Direct PUT."""

OUT = frozenset(
    meter.name
    for meter in (
        meters.BYTES_OUT,
        meters.FAN_OUT_BYTES,
        meters.ON_DEMAND_BYTES_OUT,
        meters.ON_DEMAND_FAN_OUT_BYTES,
        meters.ADVANTAGE_BYTES_OUT,
        meters.ADVANTAGE_FAN_OUT_BYTES,
    )
)
"""What readers of data streams got, by GetRecords and by enhanced fan-out."""


@dataclass(slots=True)
class TeamUsage:
    """Of one team. rows: what is sold, each on the first day of its stretch."""

    rows: list[Row] = field(default_factory=list)
    bytes_in: int = 0
    bytes_out: int = 0


def of_teams(team_ids: Collection[int], from_ms: int, to_ms: int, edges: Iterable[int]) -> dict[int, TeamUsage]:
    """The usage from a day until another by team; two queries. edges: days on which prices change, or on which the caller
    wants to tell rows apart."""
    found: dict[int, TeamUsage] = {team_id: TeamUsage() for team_id in team_ids}
    if from_ms >= to_ms or not found:
        return found
    used = TeamDay.objects.filter(
        team__in=found, day_ms__gte=from_ms, day_ms__lt=to_ms, meter__in={*OF_METER, *IN, *OUT}
    ).annotate(start_ms=_start(from_ms, edges))
    summed = used.values("team_id", "meter", "start_ms").annotate(n=Sum("quantity")).order_by()
    for team_id, meter, start_ms, metered in summed.values_list("team_id", "meter", "start_ms", "n").iterator():
        usage = found[team_id]
        if meter in OF_METER:
            usage.rows.append(Row(start_ms, OF_METER[meter].name, "", metered))
        usage.bytes_in += metered if meter in IN else 0
        usage.bytes_out += metered if meter in OUT else 0
    for team_id, by_hour in _committed(from_ms, to_ms).items():
        if team_id in found:
            found[team_id].rows.extend(commitment.rows_of(by_hour, ""))
    return found


def _start(from_ms: int, edges: Iterable[int]) -> Case:
    """The first day of a row's stretch."""
    later = sorted({edge for edge in edges if edge > from_ms}, reverse=True)
    whens = [When(day_ms__gte=edge, then=Value(edge)) for edge in later]
    return Case(*whens, default=Value(from_ms), output_field=BigIntegerField())


def _committed(from_ms: int, to_ms: int) -> dict[int, dict[int, dict[str, int]]]:
    """By team, hour and meter: at most 744 hours of four meters for each team with the commitment."""
    rows = CommittedHour.objects.filter(hour_ms__gte=from_ms, hour_ms__lt=to_ms).order_by("hour_ms")
    found: dict[int, dict[int, dict[str, int]]] = {}
    for team_id, hour_ms, meter, quantity in rows.values_list("team_id", "hour_ms", "meter", "quantity").iterator():
        found.setdefault(team_id, {}).setdefault(hour_ms, {})[meter] = quantity
    return found
