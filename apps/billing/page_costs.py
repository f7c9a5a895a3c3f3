"""What the things on a page have cost this month, in one query however many there are and whatever prices hold.

The same money as reports.py says: a unit costs its price, or, where a dimension has tiers, its share of what all of the team's
units of that day cost. Usage and what the shares follow from are read in one statement, so they are of one moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from django.db.models import BigIntegerField, Case, CharField, F, Sum, Value, When

from apps.billing import commitment
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.models import UsageDay
from apps.billing.months import Month
from apps.billing.price_book import Books, NoPrice
from apps.billing.rating import Row, rate
from apps.billing.unit_costs import Period, Stretch, UnitCosts
from apps.billing.usage_sums import TeamDay

TEAM = ""
"""In the place of a resource: all of the team's."""


def of_resources(team_id: int, prices: Books, month: Month, resources: Collection[str]) -> dict[str, Fraction]:
    """What each of the resources has cost in a month; what has no usage is not in it, and what has no price costs nothing here.
    One more query if the commitment's own resource is among them."""
    stretches = list(UnitCosts(team_id, prices).stretches(Period.of(month)))
    rows = [
        Row(day_ms, OF_METER[meter].name, label, n) for label, meter, day_ms, n in _read(team_id, stretches, resources)
    ]
    if commitment.ACCOUNT in resources:
        lacks = list(commitment.rows(team_id, month.start_ms, month.end_ms, commitment.ACCOUNT))
        rows += [*lacks, *(row._replace(label=TEAM) for row in lacks)]
    shares = _shares([row for row in rows if row.label == TEAM], prices, month)
    found: dict[str, Fraction] = defaultdict(Fraction)
    for row in rows:
        if row.label != TEAM:
            found[row.label] += row.metered * _unit(row, prices, shares, month)
    return dict(found)


def _read(
    team_id: int, stretches: Sequence[Stretch], resources: Collection[str]
) -> Iterable[tuple[str, str, int, int]]:
    """(resource, meter, day, units). Days are told apart where a unit costs another amount each day, else the first of their
    stretch stands for all. Of meters with tiers what the whole team used, too."""
    within = {"team_id": team_id, "day_ms__gte": stretches[0].from_ms, "day_ms__lt": stretches[-1].to_ms}
    columns = ("label", "meter", "day", "units")
    those: Any = UsageDay.objects.filter(resource__in=resources, meter__in=OF_METER, **within).order_by()
    those = those.annotate(label=F("resource"), day=_day(stretches)).values("label", "meter", "day")
    found: Any = those.annotate(units=Sum("quantity")).values_list(*columns)
    tiered = {meter for stretch in stretches for meter in stretch.tiered}
    if not tiered:
        return found
    whole: Any = TeamDay.objects.filter(meter__in=sorted(tiered), **within).order_by()
    whole = whole.annotate(label=Value(TEAM, output_field=CharField()), day=F("day_ms"), units=F("quantity"))
    both: Iterable[Any] = found.union(whole.values_list(*columns), all=True)
    return both


def _day(stretches: Sequence[Stretch]) -> Case:
    in_tiers = [
        When(meter__in=one.tiered, day_ms__gte=one.from_ms, day_ms__lt=one.to_ms, then=F("day_ms"))
        for one in stretches
        if one.tiered
    ]
    flat = [When(day_ms__lt=one.to_ms, then=Value(one.from_ms)) for one in stretches[:-1]]
    return Case(*in_tiers, *flat, default=Value(stretches[-1].from_ms), output_field=BigIntegerField())


def _shares(rows: Iterable[Row], prices: Books, month: Month) -> dict[tuple[str, int], Fraction]:
    """What a unit with tiers costs, by dimension and day: what is used of a dimension by several meters is one."""
    used: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        if row.metered and _is_priced(row, prices):
            used[row.dimension, row.day_ms] += row.metered
    charges = rate([Row(day_ms, name, TEAM, n) for (name, day_ms), n in used.items()], prices, month)
    return {(one.row.dimension, one.row.day_ms): one.amount / one.row.metered for one in charges}


def _unit(row: Row, prices: Books, shares: Mapping[tuple[str, int], Fraction], month: Month) -> Fraction:
    if not row.metered or not _is_priced(row, prices):
        return Fraction(0)
    tiers = prices.of(row.dimension, row.day_ms).tiers
    if len(tiers) > 1:
        return shares[row.dimension, row.day_ms]
    return Fraction(tiers[0].price) * DIMENSIONS[row.dimension].quantity(1, month.hours)


def _is_priced(row: Row, prices: Books) -> bool:
    try:
        prices.of(row.dimension, row.day_ms)
    except NoPrice:
        return False
    return True
