"""What a unit costs a team on a day: the team's own book over the region's, over the list that is shipped.

Books are data: rows for what operators publish, and prices/<region>.json for what everybody begins with. A region without a
file of its own begins with us-east-1's. Publishing, drafts and their refusals are in publishing.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path

from apps.billing.models import PriceBook
from apps.billing.rating import Priced, Tier

PRICES = Path(__file__).parent / "prices"
DEFAULT_REGION = "us-east-1"

Tiers = tuple[Tier, ...]


class NoPrice(LookupError):
    """A dimension was used on a day for which no price is published: nothing is billed until there is one."""


@dataclass(frozen=True, slots=True)
class Book:
    """One published book, as it is looked up. percent is the team's; 0 in a region's."""

    from_ms: int
    to_ms: int | None
    percent: Decimal
    tiers: Mapping[str, Tiers]

    def holds(self, day_ms: int) -> bool:
        """Valid on that day."""
        return self.from_ms <= day_ms and (self.to_ms is None or day_ms < self.to_ms)


class Books:
    """The price list of one team: its books and its region's, both in the order of time. See rating.PriceList."""

    def __init__(self, own: Sequence[Book], common: Sequence[Book]) -> None:
        self._own = own
        self._common = common
        self._known: dict[tuple[str, int], Priced] = {}

    def of(self, dimension: str, day_ms: int) -> Priced:
        """Raises NoPrice."""
        found = self._known.get((dimension, day_ms))
        if found is None:
            found = self._known[dimension, day_ms] = self._find(dimension, day_ms)
        return found

    def _find(self, dimension: str, day_ms: int) -> Priced:
        common = next((book for book in reversed(self._common) if book.holds(day_ms) and dimension in book.tiers), None)
        own = next((book for book in reversed(self._own) if book.holds(day_ms)), None)
        if own is not None and dimension in own.tiers:
            return Priced(own.tiers[dimension], own.from_ms, self._until(day_ms, own.to_ms, self._own))
        if common is None:
            raise NoPrice(f"There is no price of {dimension} on that day.")
        tiers, from_ms = common.tiers[dimension], common.from_ms
        to_ms = self._until(day_ms, common.to_ms, self._common)
        if own is not None:
            factor = 1 + own.percent / 100
            tiers = tuple(Tier(tier.up_to, tier.price * factor) for tier in tiers)
            from_ms = max(from_ms, own.from_ms)
        return Priced(tiers, from_ms, self._until(day_ms, to_ms, self._own))

    @staticmethod
    def _until(day_ms: int, to_ms: int | None, books: Sequence[Book]) -> int | None:
        """The end, or the beginning of the next book or the end of a present one, whichever is first."""
        edges = [edge for book in books for edge in (book.from_ms, book.to_ms) if edge is not None and edge > day_ms]
        return min([*edges, *([] if to_ms is None else [to_ms])], default=None)


def price_list(team_id: int | None, region: str) -> Books:
    """What a team pays; None: what everybody pays who has no book of their own."""
    rows = PriceBook.objects.filter(region=region, published_at_ms__isnull=False).order_by("valid_from_ms")
    common = [_book(row) for row in rows.filter(team=None).prefetch_related("prices")]
    own = [] if team_id is None else [_book(row) for row in rows.filter(team=team_id).prefetch_related("prices")]
    return Books(own, [shipped(region), *common])


def list_prices(region: str) -> Books:
    """AWS's list as it is shipped, for comparison."""
    return Books([], [shipped(region)])


@cache
def shipped(region: str) -> Book:
    """The list in prices/: valid since ever, until a published book names the same dimension."""
    file = PRICES / f"{region}.json"
    given = json.loads((file if file.exists() else PRICES / f"{DEFAULT_REGION}.json").read_text())
    return Book(0, None, Decimal(0), {name: tiers_of(tiers) for name, tiers in given["prices"].items()})


def _book(row: PriceBook) -> Book:
    tiers = {price.dimension: tiers_of(price.tiers) for price in row.prices.all()}
    return Book(row.valid_from_ms, row.valid_to_ms, Decimal(row.percent), tiers)


def tiers_of(stored: Sequence[Sequence[str | None]]) -> Tiers:
    """As Price.tiers has them."""
    return tuple(Tier(None if up_to is None else Fraction(up_to), Decimal(price or "0")) for up_to, price in stored)
