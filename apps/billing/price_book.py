"""What a unit costs a team on a day: the team's own book over the region's, over the list that is shipped.

Books are data: rows for what operators publish, and prices/<region>.json for what everybody begins with. A region without a
file of its own begins with us-east-1's. Publishing, drafts and their refusals are in publishing.py.
"""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.db.models import Aggregate, JSONField, Q, Subquery

from apps.billing.models import PriceBook
from apps.billing.rating import Priced, Tier

PRICES = Path(__file__).parent / "prices"
DEFAULT_REGION = "us-east-1"
CURRENCY = "USD"
"""Of the lists that are shipped, and so of every book: an installation has one currency."""

Tiers = tuple[Tier, ...]


class NoPrice(LookupError):
    """A dimension was used on a day for which no price is published: nothing is billed until there is one."""


@dataclass(frozen=True, slots=True)
class Book:
    """One book, as it is looked up. percent is the team's; 0 in a region's."""

    from_ms: int
    to_ms: int | None
    percent: Decimal
    tiers: Mapping[str, Tiers]

    def holds(self, day_ms: int) -> bool:
        """Valid on that day, unless another one begins in between."""
        return self.from_ms <= day_ms and (self.to_ms is None or day_ms < self.to_ms)


@dataclass(frozen=True, slots=True)
class ShippedList:
    """prices/<region>.json. read_on: the day on which AWS's pages were read, 2026-10-07. not_published: AWS names no price.
    from_memory: not found on those pages, so to be checked."""

    region: str
    read_on: str
    book: Book
    not_published: frozenset[str]
    from_memory: frozenset[str]


class Books:
    """The price list of one team: its books and its region's, both in the order of time. See rating.PriceList.

    A dimension's price holds for the longest stretch of days with the same tiers: a book that changes another dimension's
    price, or begins anew with the same one, does not split it.
    """

    def __init__(self, own: Sequence[Book], common: Sequence[Book]) -> None:
        self._own = own
        self._common = common
        given = {edge for book in (*own, *common) for edge in (book.from_ms, book.to_ms) if edge is not None}
        self._edges = sorted({0, *given})
        self._known: dict[str, tuple[list[int], list[Priced | None]]] = {}

    def of(self, dimension: str, day_ms: int) -> Priced:
        """Raises NoPrice."""
        if dimension not in self._known:
            self._known[dimension] = self._stretches(dimension)
        starts, prices = self._known[dimension]
        found = prices[bisect_right(starts, day_ms) - 1] if day_ms >= 0 else None
        if found is None:
            raise NoPrice(f"There is no price of {dimension} on that day.")
        return found

    def edges(self, from_ms: int, to_ms: int) -> list[int]:
        """The days after from_ms and before to_ms on which any of the books begins or ends."""
        return [edge for edge in self._edges if from_ms < edge < to_ms]

    def is_own(self, dimension: str, day_ms: int) -> bool:
        """Does the team pay a price of its own on that day: another one than everybody?"""
        own = self._own_on(day_ms)
        return own is not None and (bool(own.percent) or dimension in own.tiers)

    def percent(self, day_ms: int) -> Decimal:
        """What the team's book adds to everybody's prices on that day; 0 without one."""
        own = self._own_on(day_ms)
        return Decimal(0) if own is None else own.percent

    def is_any_own(self, day_ms: int) -> bool:
        """Has the team a price of its own on that day?"""
        own = self._own_on(day_ms)
        return own is not None and (bool(own.percent) or bool(own.tiers))

    def _own_on(self, day_ms: int) -> Book | None:
        """The team's book that began last, unless it is over: an earlier one does not come back."""
        begun = next((book for book in reversed(self._own) if book.from_ms <= day_ms), None)
        return begun if begun is not None and begun.holds(day_ms) else None

    def _stretches(self, dimension: str) -> tuple[list[int], list[Priced | None]]:
        """The days on which the price changes, and the price from each on; None: there is none."""
        starts: list[int] = []
        tiers: list[Tiers | None] = []
        for edge in self._edges:
            here = self._tiers(dimension, edge)
            if not starts or here != tiers[-1]:
                starts.append(edge)
                tiers.append(here)
        ends = [*starts[1:], None]
        return starts, [
            None if one is None else Priced(one, start, end)
            for start, end, one in zip(starts, ends, tiers, strict=True)
        ]

    def _tiers(self, dimension: str, day_ms: int) -> Tiers | None:
        own = self._own_on(day_ms)
        if own is not None and dimension in own.tiers:
            return own.tiers[dimension]
        common = next((book for book in reversed(self._common) if book.holds(day_ms) and dimension in book.tiers), None)
        if common is None:
            return None
        return common.tiers[dimension] if own is None else raised(common.tiers[dimension], own.percent)


def raised(tiers: Tiers, percent: Decimal) -> Tiers:
    """The same with every price higher by so many percent (lower, if negative)."""
    if not percent:
        return tiers
    factor = 1 + percent / 100
    return tuple(Tier(tier.up_to, tier.price * factor) for tier in tiers)


def price_list(team_id: int | None, region: str) -> Books:
    """What a team pays; None: what everybody pays who has no book of their own. One query."""
    common, own = [shipped(region)], list[Book]()
    for team, book in _books_of(published(region).filter(Q(team=None) | Q(team=team_id))):
        (common if team is None else own).append(book)
    return Books(own, common)


_COLUMNS = ("pk", "team_id", "valid_from_ms", "valid_to_ms", "percent", "prices__dimension", "prices__tiers")


def _books_of(rows: Any) -> Iterator[tuple[int | None, Book]]:
    """Team and book of each row, all with their prices in one query."""
    return _grouped(rows.order_by("valid_from_ms", "pk").values_list(*_COLUMNS))


def _grouped(rows: Iterable[Any]) -> Iterator[tuple[int | None, Book]]:
    """Rows of _COLUMNS, those of a book together."""
    for (_, team_id, from_ms, to_ms, percent), prices in itertools.groupby(rows, itemgetter(*range(5))):
        tiers = {dimension: tiers_of(stored) for *_, dimension, stored in prices if dimension is not None}
        yield team_id, Book(from_ms, to_ms, Decimal(percent), tiers)


class _AsList(Aggregate):
    """[[…], …]: a group's rows, of the columns that are named."""

    function = "JSON_GROUP_ARRAY"
    template = "%(function)s(JSON_ARRAY(%(expressions)s))"
    output_field = JSONField()

    def as_postgresql(self, compiler: Any, connection: Any, **given: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            function="JSONB_AGG",
            template="%(function)s(JSONB_BUILD_ARRAY(%(expressions)s))",
            **given,
        )


def told(team_id: int, region: str) -> Subquery:
    """The books of a team as a column of a query that is made anyhow; None where the shipped list prices all."""
    rows = published(region).filter(Q(team=None) | Q(team=team_id)).order_by().values("region")
    return Subquery(rows.annotate(told=_AsList(*_COLUMNS)).values("told"))


def list_of(region: str, told: Sequence[Sequence[Any]] | None) -> Books:
    """The price list from that column: price_list without a query."""
    common, own = [shipped(region)], list[Book]()
    rows = sorted(told or (), key=itemgetter(2, 0))
    # SQLite has lists within a list as text.
    as_rows = ((*row[:-1], json.loads(row[-1]) if isinstance(row[-1], str) else row[-1]) for row in rows)
    for team, book in _grouped(as_rows):
        (common if team is None else own).append(book)
    return Books(own, common)


class Lists:
    """The price lists of all teams. The one of each team with books of its own is made when it is first asked for; all others
    share one."""

    def __init__(self, common: Sequence[Book], own: Mapping[int, Sequence[Book]]) -> None:
        self._common = common
        self._own = own
        self._everybody = Books([], common)
        self._made: dict[int, Books] = {}
        self._edges = {
            edge
            for book in itertools.chain(common, *own.values())
            for edge in (book.from_ms, book.to_ms)
            if edge is not None
        }

    def of_team(self, team_id: int | None) -> Books:
        """What a team pays; None: what everybody pays who has no book of their own."""
        if team_id is None or team_id not in self._own:
            return self._everybody
        if team_id not in self._made:
            self._made[team_id] = Books(self._own[team_id], self._common)
        return self._made[team_id]

    def has_own(self, team_id: int, from_ms: int, to_ms: int) -> bool:
        """Has the team prices of its own on a day from one until another?"""
        own = self.of_team(team_id)
        return team_id in self._own and any(own.is_any_own(day) for day in (from_ms, *own.edges(from_ms, to_ms)))

    def edges(self, from_ms: int, to_ms: int) -> list[int]:
        """The days after from_ms and before to_ms on which any team's book begins or ends."""
        return sorted(edge for edge in self._edges if from_ms < edge < to_ms)


def price_lists(region: str, tried: Mapping[int | None, Book] = MappingProxyType({})) -> Lists:
    """What every team pays, in one query. tried: drafts, by team, that stand for all published books of the same team."""
    books: dict[int | None, list[Book]] = {None: []}
    for team_id, book in _books_of(published(region)):
        books.setdefault(team_id, []).append(book)
    books |= {team_id: [draft] for team_id, draft in tried.items()}
    common = [shipped(region), *books[None]]
    return Lists(common, {team_id: own for team_id, own in books.items() if team_id is not None})


def published(region: str) -> Any:
    """The books that price something in a region, in the order of time."""
    return PriceBook.objects.filter(region=region, published_at_ms__isnull=False).order_by("valid_from_ms")


def list_prices(region: str) -> Books:
    """AWS's list as it is shipped, for comparison."""
    return Books([], [shipped(region)])


def shipped(region: str) -> Book:
    """The list in prices/ as a book: valid since ever, until a published book names the same dimension."""
    return shipped_list(region).book


@cache
def shipped_list(region: str) -> ShippedList:
    """The list in prices/, with what is known of it."""
    file = PRICES / f"{region}.json"
    given = json.loads((file if file.exists() else PRICES / f"{DEFAULT_REGION}.json").read_text())
    assert given["currency"] == CURRENCY, file
    book = Book(0, None, Decimal(0), {name: tiers_of(tiers) for name, tiers in given["prices"].items()})
    unknown, unsure = frozenset(given["not_published"]), frozenset(given["from_memory"])
    return ShippedList(given["region"], given["read_on"], book, unknown, unsure)


def book_of(row: PriceBook) -> Book:
    """A row as it is looked up."""
    tiers = {price.dimension: tiers_of(price.tiers) for price in row.prices.all()}
    return Book(row.valid_from_ms, row.valid_to_ms, Decimal(row.percent), tiers)


def tiers_of(stored: Sequence[Sequence[str | None]]) -> Tiers:
    """As Price.tiers has them."""
    return tuple(Tier(None if up_to is None else Fraction(up_to), Decimal(price or "0")) for up_to, price in stored)


def stored_of(tiers: Tiers) -> list[list[str | None]]:
    """The counterpart of tiers_of."""
    return [[None if up_to is None else number_text(up_to), number_text(price)] for up_to, price in tiers]


def number_text(value: Fraction | Decimal) -> str:
    """A price or a number of units in full, without zeros that say nothing: "0.015", "512000"."""
    number = value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
