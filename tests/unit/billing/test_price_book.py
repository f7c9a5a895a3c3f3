"""Each dimension has exactly one price on each day, whatever books are published; and what is no price is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.base.units import DAY_MS
from apps.billing import book_rules, price_book
from apps.billing.book_rules import BadBook
from apps.billing.dimensions import DIMENSIONS
from apps.billing.months import Month
from apps.billing.price_book import Book, Books, tiers_of
from apps.billing.rating import Row, lines_of, rate

NOVEMBER = Month(2026, 11)
SHARD, QUEUE = "shard-hour", "queue-hour"
LAST_DAY = 40

PRICES = st.sampled_from(["0", "0.5", "1", "2.25"])
TIERS = st.dictionaries(st.sampled_from([SHARD, QUEUE]), PRICES, max_size=2)


@st.composite
def books(draw, *, own):
    """In the order of time, each from another day; a team's may have a last one."""
    made = []
    for day in sorted(draw(st.sets(st.integers(0, LAST_DAY), max_size=4))):
        end = draw(st.one_of(st.none(), st.integers(day + 1, LAST_DAY + 1))) if own else None
        percent = draw(st.sampled_from(["0", "-100", "10"])) if own else "0"
        tiers = {name: tiers_of([[None, each]]) for name, each in draw(TIERS).items()}
        made.append(Book(at(day), None if end is None else at(end), Decimal(percent), tiers))
    return made


def at(day):
    return NOVEMBER.start_ms + day * DAY_MS


def by_hand(own, common, name, day_ms):
    """The price on a day by the rule as it is said, not as it is built."""
    team = [book for book in own if book.from_ms <= day_ms][-1:]
    team = [book for book in team if book.to_ms is None or day_ms < book.to_ms]
    if team and name in team[0].tiers:
        return team[0].tiers[name][0].price
    base = [book for book in common if book.from_ms <= day_ms and name in book.tiers][-1].tiers[name][0].price
    return base * (100 + team[0].percent) / 100 if team else base


@given(own=books(own=True), common=books(own=False))
def test_each_dimension_has_exactly_one_price_on_each_day(own, common):
    common = [price_book.shipped("us-east-1"), *common]
    prices = Books(own, common)
    for name in DIMENSIONS:
        assert prices.of(name, 0).tiers
    for name in (SHARD, QUEUE):
        last = None
        for day in range(LAST_DAY + 2):
            found = prices.of(name, at(day))
            assert found.tiers[0].price == by_hand(own, common, name, at(day))
            assert found.from_ms <= at(day)
            assert found.to_ms is None or at(day) < found.to_ms
            if last is not None and last != found:
                assert last.to_ms == found.from_ms == at(day)
                assert last.tiers != found.tiers
            last = found


@given(own=books(own=True), common=books(own=False), used=st.lists(st.integers(0, 10**10), min_size=30, max_size=30))
def test_days_added_up_between_two_changes_of_prices_cost_what_the_days_cost(own, common, used):
    prices = Books(own, [price_book.shipped("us-east-1"), *common])
    starts = [NOVEMBER.start_ms, *prices.edges(NOVEMBER.start_ms, NOVEMBER.end_ms)]
    days = [Row(at(day), SHARD, "", n) for day, n in enumerate(used)]
    sums = [Row(max(s for s in starts if s <= row.day_ms), SHARD, "", row.metered) for row in days]
    assert lines_of(rate(sums, prices, NOVEMBER), NOVEMBER) == lines_of(rate(days, prices, NOVEMBER), NOVEMBER)


def test_a_book_that_changes_another_price_does_not_split_a_line():
    changed = Book(at(14), None, Decimal(0), {QUEUE: tiers_of([[None, "1"]]), SHARD: tiers_of([[None, "0.0150"]])})
    prices = Books([], [price_book.shipped("us-east-1"), changed])
    assert prices.of(SHARD, at(20)).from_ms == 0
    assert (prices.of(QUEUE, at(0)).to_ms, prices.of(QUEUE, at(20)).from_ms) == (at(14), at(14))


def test_an_earlier_book_of_a_team_does_not_come_back_when_a_later_one_ends():
    discount, dearer = (Decimal(-50), Decimal(100))
    own = [Book(at(0), None, discount, {}), Book(at(5), at(7), dearer, {})]
    prices = Books(own, [price_book.shipped("us-east-1")])
    each = [price_book.number_text(prices.of(SHARD, at(day)).tiers[0].price) for day in (0, 5, 7)]
    assert each == ["0.0075", "0.03", "0.015"]


@pytest.mark.parametrize(
    ("text", "stored"), [("0.0150", "0.015"), (" 3 ", "3"), ("0", "0"), ("0.0000000001", "0.0000000001")]
)
def test_prices(text, stored):
    assert book_rules.price(text) == stored


@pytest.mark.parametrize(
    "text", ["", "-1", "1,5", "1e3", "0.00000000001", "1000000000", "NaN", "Infinity", "$1", "٣", "+1", "."]
)
def test_what_is_no_price(text):
    with pytest.raises(BadBook, match=r"A price is written as 0\.015"):
        book_rules.price(text)


@pytest.mark.parametrize(
    ("text", "stored"), [("", "0"), ("-100", "-100"), ("+1000", "1000"), ("-12.5000", "-12.5"), ("-0", "0")]
)
def test_percentages(text, stored):
    assert book_rules.percent(text) == stored


@pytest.mark.parametrize("text", ["-100.0001", "1000.1", "10%", "1.00001", "NaN", "1e2"])
def test_what_is_no_percentage(text):
    with pytest.raises(BadBook, match="between -100 and 1,000"):
        book_rules.percent(text)


def test_tiers_rise_and_the_last_one_is_open():
    assert book_rules.tiers([["10.50", "0"], ["20", "2.0"], [None, "1"]]) == [["10.5", "0"], ["20", "2"], [None, "1"]]


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ([], "1 to 10 tiers"),
        ([[str(n), "1"] for n in range(1, 11)] + [[None, "1"]], "1 to 10 tiers"),
        ([["10", "1"]], "The last tier has no end"),
        ([[None, "1"], [None, "1"]], "A tier ends at a number"),
        ([["0", "1"], [None, "1"]], "must reach higher than 0"),
        ([["10", "1"], ["10.0", "1"], [None, "1"]], "must reach higher than 10"),
        ([["-1", "1"], [None, "1"]], "A tier ends at a number"),
        ([["10", "-1"], [None, "1"]], "not negative"),
    ],
)
def test_what_are_no_tiers(tiers, said):
    with pytest.raises(BadBook, match=said):
        book_rules.tiers(tiers)


def test_what_the_shipped_list_says_of_itself():
    given = price_book.shipped_list("eu-central-1")
    assert (given.region, given.read_on) == ("us-east-1", "2026-10-07")
    assert given.not_published | given.from_memory <= DIMENSIONS.keys()
    assert given.book.tiers.keys() == DIMENSIONS.keys()
    assert all(book_rules.tiers(price_book.stored_of(tiers)) for tiers in given.book.tiers.values())
