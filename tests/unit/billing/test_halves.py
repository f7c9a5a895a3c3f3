"""What a month costs does not depend on how its usage is cut: by halves, by resources, by the order of rows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.base.units import DAY_MS
from apps.billing.months import Month
from apps.billing.price_book import Book, Books
from apps.billing.rating import Charge, Row, Tier, lines_of, rate

MONTHS = [Month(2026, 11), Month(2027, 2), Month(2028, 2), Month(2026, 12)]
NAMES = ("shard-hour", "payload-unit", "long-term-retention", "delivery-ingestion", "shard-metric")

prices = st.integers(0, 5_000).map(lambda n: Decimal(n) / 10_000)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    edges = sorted(draw(st.sets(st.integers(1, 300), max_size=3)))
    return tuple(Tier(None if edge is None else Fraction(edge), draw(prices)) for edge in [*edges, None])


@st.composite
def months_of_rows(draw: st.DrawFn) -> tuple[Month, Books, list[Row]]:
    """A month, two books with a change of prices in it, a team's own percent, and rows of three resources."""
    month = draw(st.sampled_from(MONTHS))
    change_ms = month.start_ms + draw(st.integers(0, month.days)) * DAY_MS
    first, second = ({name: draw(tiers()) for name in NAMES} for _ in range(2))
    common = [Book(0, None, Decimal(0), first), Book(change_ms, None, Decimal(0), second)]
    own = [Book(month.start_ms + 9 * DAY_MS, None, Decimal(draw(st.integers(-90, 90))), {})]
    rows = draw(
        st.lists(
            st.builds(
                lambda day, name, label, metered: Row(month.start_ms + day * DAY_MS, name, label, metered),
                st.integers(0, month.days - 1),
                st.sampled_from(NAMES),
                st.sampled_from(["a", "b", "c"]),
                st.integers(0, 2**50),
            ),
            max_size=20,
        )
    )
    return month, Books(own if draw(st.booleans()) else [], common), rows


def total(charges: Iterable[Charge]) -> Fraction:
    return sum((charge.amount for charge in charges), Fraction(0))


def metered(rows: Iterable[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.dimension] = found.get(row.dimension, 0) + row.metered
    return found


@settings(max_examples=25)
@given(months_of_rows(), st.integers(0, 31))
def test_two_halves_cost_what_the_month_does(given_: tuple[Month, Books, list[Row]], day: int) -> None:
    month, books, rows = given_
    cut_ms = month.start_ms + day * DAY_MS
    first = [row for row in rows if row.day_ms < cut_ms]
    second = [row for row in rows if row.day_ms >= cut_ms]
    halves = [*rate(first, books, month), *rate(second, books, month, metered(first))]
    whole = rate(rows, books, month)
    assert total(halves) == total(whole)
    assert [line[:-1] for line in lines_of(halves, month)] == [line[:-1] for line in lines_of(whole, month)]
    assert [line.amount for line in lines_of(halves, month)] == [line.amount for line in lines_of(whole, month)]


@settings(max_examples=25)
@given(months_of_rows(), st.data())
def test_any_grouping_of_the_same_usage_costs_the_same(
    given_: tuple[Month, Books, list[Row]], data: st.DataObject
) -> None:
    month, books, rows = given_
    merged: dict[tuple[int, str], int] = {}
    for row in rows:
        merged[row.day_ms, row.dimension] = merged.get((row.day_ms, row.dimension), 0) + row.metered
    together = [Row(day_ms, name, "", value) for (day_ms, name), value in merged.items()]
    apart = []
    for row in data.draw(st.permutations(rows)):
        part = data.draw(st.integers(0, row.metered))
        apart += [row._replace(metered=part), row._replace(metered=row.metered - part)]
    assert total(rate(apart, books, month)) == total(rate(together, books, month)) == total(rate(rows, books, month))


@settings(max_examples=25)
@given(months_of_rows())
def test_nothing_is_negative_and_lines_are_all_there_is(given_: tuple[Month, Books, list[Row]]) -> None:
    month, books, rows = given_
    charges = rate(rows, books, month)
    lines = lines_of(charges, month)
    assert all(part.amount >= 0 and part.quantity >= 0 for charge in charges for part in charge.parts)
    assert sum((line.amount for line in lines), Fraction(0)) == total(charges)
    assert all(abs(line.amount * 100 - line.cents) <= Fraction(1, 2) for line in lines)
    quantities = {name: Fraction(0) for name in NAMES}
    for line in lines:
        quantities[line.dimension.name] += line.dimension.metered(line.quantity, month.hours)
    assert quantities == {name: Fraction(metered(rows).get(name, 0)) for name in NAMES}
