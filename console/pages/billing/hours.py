"""One day of one meter, hour by hour, and the readings behind an hour.

What an hour costs is its share of the day's cost: within a day every unit costs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from django.db.models import QuerySet, Sum

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import commitment, grouping, reports
from apps.billing.dimensions import COMMITTED_IN, COMMITTED_OUT, DIMENSIONS, Dimension
from apps.billing.models import UsageDay, UsageHour
from apps.billing.reports import By, Where
from console.pages.billing.asked import Asked
from console.pages.billing.days import hour_text, hour_words

BYTE = "bytes"


@dataclass(frozen=True, slots=True)
class Hour:
    """metered: in the meter's unit. quantity: in units of sale."""

    hour_ms: int
    words: str
    href: str
    metered: int
    quantity: Fraction
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Hours:
    """A day; only hours with usage."""

    dimension: Dimension
    unit: str
    lines: tuple[Hour, ...]
    metered: int
    quantity: Fraction
    amount: Fraction
    cents: int
    currency: str


def of_day(team: Team, region: str, asked: Asked, now_ms: int) -> Hours:
    """asked has a dimension and a day."""
    dimension = DIMENSIONS[asked.where.dimension]
    report = reports.costs(team, region, asked.period, By.DIMENSION, now_ms, where=asked.where)
    amount = sum((group.amount for group in report.groups), Fraction(0))
    by_hour = _metered(team.pk, asked, dimension)
    total = sum(by_hour.values())
    lines = tuple(
        Hour(
            hour_ms, hour_words(hour_ms), asked.link(hour=hour_text(hour_ms), group=None), metered,
            dimension.quantity(metered, asked.month.hours), amount * metered / total if total else Fraction(0),
        )
        for hour_ms, metered in sorted(by_hour.items()) if metered
    )  # fmt: skip
    quantity = dimension.quantity(total, asked.month.hours)
    return Hours(dimension, unit_of(dimension), lines, total, quantity, amount, report.usage_cents, report.currency)


def unit_of(dimension: Dimension) -> str:
    """What its usage is counted in, as many: `units of 25 KiB`."""
    return units(dimension.meter.unit if dimension.meter is not None else BYTE)


def units(unit: str) -> str:
    """`record` as `records`, `unit of 25 KiB` as `units of 25 KiB`."""
    one, _, rest = unit.partition(" ")
    return f"{one}s {rest}".strip()


def _metered(team_id: int, asked: Asked, dimension: Dimension) -> Mapping[int, int]:
    assert asked.day_ms is not None
    if dimension in (COMMITTED_IN, COMMITTED_OUT):
        return _shortfall(team_id, asked, dimension)
    rows = usage(team_id, asked.where, asked.day_ms, asked.day_ms + DAY_MS)
    return dict(rows.values_list("hour_ms").annotate(n=Sum("quantity")).order_by())


def _shortfall(team_id: int, asked: Asked, dimension: Dimension) -> dict[int, int]:
    where = asked.where
    if where.resource not in ("", commitment.ACCOUNT) or where.key or (where.tag and where.tag[1]):
        return {}
    found = commitment.hours(team_id, asked.period.from_ms, asked.period.to_ms)
    lacks = {hour_ms: commitment.shortfall(used) for hour_ms, used in found.items()}
    return {hour: one.bytes_in if dimension == COMMITTED_IN else one.bytes_out for hour, one in lacks.items()}


def usage(team_id: int, where: Where, from_ms: int, to_ms: int) -> QuerySet[UsageHour]:
    """The ledger's rows of one dimension's meters, as far as they are looked at: what reports.costs counts. Within a day: the
    resources that have usage on it lead to their hours, of which a team may have fifty million."""
    names = names_of(DIMENSIONS[where.dimension])
    rows = UsageHour.objects.filter(team_id=team_id, meter__in=names, hour_ms__gte=from_ms, hour_ms__lt=to_ms)
    if where.resource:
        rows = rows.filter(resource=where.resource)
    else:
        that_day = UsageDay.objects.filter(team_id=team_id, day_ms=from_ms - from_ms % DAY_MS, meter__in=names)
        rows = rows.filter(resource__in=that_day.values("resource"))
    if where.tag is not None:
        rows = rows.filter(grouping.tagged(team_id, *where.tag))
    if where.key is not None:
        rows = rows.annotate(of_key=grouping.KEY).filter(of_key=where.key)
    return rows


def names_of(dimension: Dimension) -> list[str]:
    """Of the meters that an hour of it is reckoned from."""
    if dimension in (COMMITTED_IN, COMMITTED_OUT):
        return sorted(commitment.COUNTED)
    return [meter.name for meter in dimension.meters]
