"""What the things on a page cost is what reports say that they cost, under any books."""

from decimal import Decimal

import pytest

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import bills, page_costs, price_book
from apps.billing.models import Price, PriceBook
from apps.billing.reports import By
from tests.domain.billing.test_reports import NOVEMBER, NOW_MS, PERIOD, amounts, busy  # noqa: F401 - a fixture
from tests.support.teams import REGION, make_team

pytestmark = pytest.mark.django_db


def of_all(team):
    wanted = [*amounts(team, By.RESOURCE), "stream/none"]
    prices = price_book.price_list(team.team.pk, REGION)
    return page_costs.of_resources(team.team.pk, prices, NOVEMBER, wanted)


@pytest.fixture
def books(busy):  # noqa: F811 - the fixture
    """Prices change twice within the month, with tiers in between; the team has a book of its own, and so has another."""
    other = make_team("210987654321", "other", "AKIDOTHER").team
    for team, day, percent, prices in (
        (None, 6, "0", {"fan-out-data": [["20", "0"], ["30", "0.02"], [None, "0.015"]], "advantage-data-out": [["9", "1"], [None, "2"]]}),
        (busy.team, 12, "-10", {"payload-unit": [["0.5", "0.01"], [None, "0.02"]], "advantage-shortfall-in": [["9", "1"], [None, "2"]]}),
        (other, 12, "50", {}),
    ):  # fmt: skip
        book = PriceBook.objects.create(
            region=REGION, team=team, valid_from_ms=NOVEMBER.start_ms + day * DAY_MS, percent=percent,
            published_at_ms=1, created_at_ms=1,
        )  # fmt: skip
        for dimension, tiers in prices.items():
            Price.objects.create(book=book, dimension=dimension, tiers=tiers)
    return busy


def test_it_is_what_reports_say(books, django_assert_num_queries):
    found, whole = of_all(books), amounts(books, By.RESOURCE)
    assert {name: amount for name, amount in found.items() if amount} == {n: a for n, a in whole.items() if a}
    statement = bills.statement(books.team, REGION, NOVEMBER, NOW_MS)
    assert sum(found.values()) == sum(line.amount for line in statement.lines)
    prices = price_book.price_list(books.team.pk, REGION)
    with django_assert_num_queries(1):
        some = page_costs.of_resources(books.team.pk, prices, NOVEMBER, ["stream/a", "stream/none"])
    assert some == {"stream/a": whole["stream/a"]}


def test_what_has_no_price_costs_nothing_there(busy):  # noqa: F811 - the fixture
    tiers = dict(price_book.shipped(REGION).tiers)
    del tiers["shard-hour"], tiers["delivery-ingestion"]
    prices = price_book.Books([], [price_book.Book(0, None, Decimal(0), tiers)])
    some = page_costs.of_resources(busy.team.pk, prices, NOVEMBER, ["stream/a", "deliverystream/large"])
    assert 0 < some["stream/a"] < amounts(busy, By.RESOURCE)["stream/a"]
    assert some["deliverystream/large"] == 0


def test_books_told_in_another_query_are_the_same(books):
    for region in (REGION, "eu-west-1"):
        told = Team.objects.filter(pk=books.team.pk).values_list(price_book.told(books.team.pk, region)).get()[0]
        assert (told is None) == (region != REGION)
        found, known = price_book.list_of(region, told), price_book.price_list(books.team.pk, region)
        for dimension in price_book.shipped(region).tiers:
            for day_ms in PERIOD.days:
                assert found.of(dimension, day_ms) == known.of(dimension, day_ms)
                assert found.is_own(dimension, day_ms) == known.is_own(dimension, day_ms)
