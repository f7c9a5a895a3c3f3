"""What a metered unit costs a team on each day, so that a database can add up units and one multiplication makes money of them.

Where a dimension has one price, that is the price by the unit. Where it has tiers, the whole team's usage of the month is rated as
its bill rates it, and a day's units share what the day cost, as rating shares it among resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from apps.base.units import DAY_MS
from apps.billing import commitment
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.months import Month
from apps.billing.price_book import Books, NoPrice
from apps.billing.rating import Row, rate
from apps.billing.usage_sums import TeamDay


@dataclass(frozen=True, slots=True)
class Period:
    """From one UTC midnight to another, the second not in it."""

    from_ms: int
    to_ms: int

    @classmethod
    def of(cls, month: Month) -> Period:
        """All of a month."""
        return cls(month.start_ms, month.end_ms)

    @property
    def days(self) -> range:
        """Their UTC midnights."""
        return range(self.from_ms, self.to_ms, DAY_MS)

    def months(self) -> Iterator[tuple[Month, int, int]]:
        """Each month in it, with the part of it that is: from, and to (not in it)."""
        month = Month.at(self.from_ms)
        while month.start_ms < self.to_ms:
            yield month, max(self.from_ms, month.start_ms), min(self.to_ms, month.end_ms)
            month = month.next


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days of one month without a change of prices. tiered: the meters whose unit costs another amount each day."""

    month: Month
    from_ms: int
    to_ms: int
    tiered: tuple[str, ...]

    @property
    def is_month(self) -> bool:
        """All of its days."""
        return (self.from_ms, self.to_ms) == (self.month.start_ms, self.month.end_ms)


class UnitCosts:
    """Of one team. problems: sentences about dimensions that had no price on a day they were used."""

    def __init__(self, team_id: int, prices: Books) -> None:
        self._team_id = team_id
        self._prices = prices
        self._flat: dict[tuple[str, int, Month], Fraction] = {}
        self._shared: dict[Month, dict[tuple[str, int], Fraction]] = {}
        self._unpriced: dict[str, None] = {}

    def stretches(self, period: Period) -> Iterator[Stretch]:
        """The period in stretches, within each of which a flat unit costs the same."""
        for month, from_ms, to_ms in period.months():
            edges = [from_ms, *self._prices.edges(from_ms, to_ms), to_ms]
            for start, end in pairwise(edges):
                yield Stretch(month, start, end, self._tiered(start))

    def cost(self, dimension: str, day_ms: int, metered: int, month: Month) -> Fraction:
        """What so many units of a meter cost. What has no price costs nothing here, and is a problem."""
        try:
            return metered * self._unit(dimension, day_ms, month)
        except NoPrice:
            self._unpriced[
                f"There is no price of {dimension} for a part of these days; that usage is not in the total."
            ] = None
            return Fraction(0)

    @property
    def problems(self) -> tuple[str, ...]:
        """Of all that was asked so far."""
        return tuple(self._unpriced)

    def _unit(self, dimension: str, day_ms: int, month: Month) -> Fraction:
        priced = self._prices.of(dimension, day_ms)
        if len(priced.tiers) > 1:
            if (dimension, day_ms) not in self._of_tiers(month):
                del self._shared[month]  # it was booked after that was read
            return self._of_tiers(month)[dimension, day_ms]
        key = dimension, priced.from_ms, month
        found = self._flat.get(key)
        if found is None:
            one = DIMENSIONS[dimension].quantity(1, month.hours)
            found = self._flat[key] = Fraction(priced.tiers[0].price) * one
        return found

    def _tiered(self, day_ms: int) -> tuple[str, ...]:
        return tuple(meter for meter, sold in OF_METER.items() if self._has_tiers(sold.name, day_ms))

    def _has_tiers(self, dimension: str, day_ms: int) -> bool:
        try:
            return len(self._prices.of(dimension, day_ms).tiers) > 1
        except NoPrice:
            return False

    def _of_tiers(self, month: Month) -> dict[tuple[str, int], Fraction]:
        """By dimension and day; read once for a month, when something with tiers is asked for."""
        found = self._shared.get(month)
        if found is None:
            found = self._shared[month] = {
                (charge.row.dimension, charge.row.day_ms): charge.amount / charge.row.metered
                for charge in rate(self._tiered_rows(month), self._prices, month)
            }
        return found

    def _tiered_rows(self, month: Month) -> list[Row]:
        """All usage of the team with tiers, in one row by day and dimension; the shortfall, which may have some, too."""
        days = [month.start_ms, *self._prices.edges(month.start_ms, month.end_ms)]
        names = sorted({meter for day_ms in days for meter in self._tiered(day_ms)})
        used: dict[tuple[int, str], int] = {}
        rows = TeamDay.objects.filter(
            team_id=self._team_id, day_ms__gte=month.start_ms, day_ms__lt=month.end_ms, meter__in=names
        )
        for day_ms, meter, metered in rows.values_list("day_ms", "meter", "quantity"):
            key = day_ms, OF_METER[meter].name
            used[key] = used.get(key, 0) + metered
        for row in commitment.rows(self._team_id, month.start_ms, month.end_ms):
            used[row.day_ms, row.dimension] = row.metered
        return [Row(day_ms, name, "", n) for (day_ms, name), n in used.items() if self._is_priced(name, day_ms)]

    def _is_priced(self, dimension: str, day_ms: int) -> bool:
        try:
            self._prices.of(dimension, day_ms)
        except NoPrice:
            return False
        return True
