"""Books from draft to history, through the hands of the operator; and what they make of bills."""

import pytest

from apps.access.models import AuditEntry
from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import bills, booking, price_book, publishing
from apps.billing.models import Bill, PriceBook, UsageDay
from apps.billing.months import Month
from apps.billing.publishing import Source, Stage, Terms
from apps.teams import billing_books
from apps.teams.authority import Gone, NotAllowed
from apps.teams.billing_books import BookRefused
from tests.support.operators import CURRENCY, NOVEMBER, REGION, actor_of, make_operator
from tests.support.teams import make_team

NOW_MS = NOVEMBER.start_ms + 20 * DAY_MS
DECEMBER = NOVEMBER.next


@pytest.fixture
def operator(team):
    return make_operator(team)


class Desk:
    """The operator at work."""

    def __init__(self, team, now_ms=NOW_MS):
        self.who = (actor_of(team, now_ms), team.user, REGION)

    def draft(self, team=None, source=Source.PRESENT):
        return billing_books.create(*self.who, team, source)

    def revise(self, book, from_ms, prices=(), **terms):
        stored = {name: [[None, each]] for name, each in dict(prices).items()}
        return billing_books.revise(*self.who, book.pk, Terms(from_ms, **terms), stored)

    def publish(self, book):
        seen = publishing.fingerprint(PriceBook.objects.get(pk=book.pk))
        return billing_books.publish(*self.who, book.pk, seen)

    def made(self, from_ms, team=None, prices=(), **terms):
        book = self.draft(team)
        self.revise(book, from_ms, prices, **terms)
        return self.publish(book)


@pytest.fixture
def desk(operator):
    return Desk(operator)


def price(name, day_ms, team=None):
    return price_book.number_text(price_book.price_list(team, REGION).of(name, day_ms).tiers[0].price)


def close(team, month):
    Bill.objects.create(
        team=team, account_id=team.account_id, team_name=team.name, month=str(month), number=f"TG-{month}-{team.pk}",
        currency=CURRENCY, usage_cents=0, total_cents=0, closed_at_ms=month.end_ms, usage_digest="",
    )  # fmt: skip


def test_only_who_runs_the_installation_may(team):
    with pytest.raises(NotAllowed):
        Desk(team).draft()
    assert not PriceBook.objects.exists()


def test_a_draft_prices_nothing_until_it_is_published(desk):
    book = desk.draft()
    desk.revise(book, DECEMBER.start_ms, {"shard-hour": "0.02"})
    assert price("shard-hour", DECEMBER.start_ms) == "0.015"
    [change] = publishing.changes(PriceBook.objects.get())
    texts = [price_book.stored_of(tiers) for tiers in (change.before, change.after)]
    assert (change.dimension, texts) == ("shard-hour", [[[None, "0.015"]], [[None, "0.02"]]])
    desk.publish(book)
    assert price("shard-hour", DECEMBER.start_ms - DAY_MS) == "0.015"
    assert price("shard-hour", DECEMBER.start_ms) == "0.02"
    said = AuditEntry.objects.filter(service="console").order_by("pk").values_list("operation", flat=True)
    assert list(said) == ["CreatePriceBook", "UpdatePriceBook", "PublishPriceBook"]


def test_a_published_book_never_changes(desk):
    book = desk.made(NOVEMBER.start_ms, prices={"shard-hour": "0.02"})
    for change in (
        lambda: desk.revise(book, DECEMBER.start_ms),
        lambda: billing_books.set_price(*desk.who, book.pk, "shard-hour", [[None, "1"]]),
        lambda: billing_books.delete(*desk.who, book.pk),
        lambda: desk.publish(book),
        lambda: billing_books.withdraw(*desk.who, book.pk),
    ):
        with pytest.raises(BookRefused):
            change()
    assert price("shard-hour", NOW_MS) == "0.02"


def test_a_book_that_has_not_begun_is_withdrawn_and_the_one_before_goes_on(desk):
    first = desk.made(NOVEMBER.start_ms, prices={"shard-hour": "0.02"})
    book = desk.made(DECEMBER.start_ms, prices={"shard-hour": "0.03"})
    books = list(price_book.published(REGION))
    assert [publishing.stage(one, books, NOW_MS) for one in books] == [Stage.IN_FORCE, Stage.PLANNED]
    assert publishing.ends(first, books) == DECEMBER.start_ms
    billing_books.withdraw(*desk.who, book.pk)
    assert price("shard-hour", DECEMBER.start_ms) == "0.02"
    billing_books.delete(*desk.who, book.pk)
    assert list(PriceBook.objects.all()) == [first]


def test_what_was_changed_meanwhile_is_not_published(desk):
    book = desk.draft()
    seen = publishing.fingerprint(book)
    billing_books.set_price(*desk.who, book.pk, "shard-hour", [["10", "0"], [None, "1"]])
    with pytest.raises(BookRefused, match="changed meanwhile"):
        billing_books.publish(*desk.who, book.pk, seen)


def test_months_with_a_closed_bill_keep_their_prices(desk, team):
    close(team.team, NOVEMBER)
    other = make_team("999999999999", "second", "AKIDOTHER").team
    with pytest.raises(BookRefused, match=r"Bills of November 2026 are closed.*1 December 2026 or later") as refused:
        desk.made(DECEMBER.start_ms - DAY_MS)
    assert refused.value.field == "valid_from"
    with pytest.raises(BookRefused, match="closed"):
        desk.made(NOVEMBER.start_ms, team.team, percent="5")
    desk.made(NOVEMBER.start_ms, other, percent="5")
    desk.made(DECEMBER.start_ms)


def test_a_month_that_is_being_closed_keeps_its_prices(desk, team):
    booking.freeze(team.team.pk, NOVEMBER, NOW_MS)
    with pytest.raises(BookRefused, match="November 2026 are closed"):
        desk.made(NOVEMBER.start_ms)
    assert desk.made(DECEMBER.start_ms).published_by == team.user.email


def test_dates_that_overlap_are_refused_with_the_book(desk, team):
    day = DECEMBER.start_ms
    book = desk.made(day)
    with pytest.raises(BookRefused, match=f"Book {book.pk} begins on 1 December 2026, too"):
        desk.made(day)
    own = desk.made(day, team.team, percent="-10", valid_to_ms=day + 10 * DAY_MS)
    with pytest.raises(BookRefused, match=f"overlap book {own.pk}, valid from 1 December 2026 to 10 December 2026"):
        desk.made(day + 9 * DAY_MS, team.team, percent="-20")
    with pytest.raises(BookRefused, match=f"overlap book {own.pk}, valid from 1 December 2026"):
        desk.made(day - DAY_MS, team.team, percent="-20", valid_to_ms=day + DAY_MS)
    desk.made(day - DAY_MS, team.team, percent="-20", valid_to_ms=day)
    desk.made(day + 10 * DAY_MS, team.team, percent="-30")
    seen = [price("shard-hour", day + n * DAY_MS, team.team.pk) for n in (-2, -1, 0, 9, 10, 11)]
    assert seen == ["0.015", "0.012", "0.0135", "0.0135", "0.0105", "0.0105"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"valid_from_ms": NOVEMBER.start_ms + 1}, "valid_from"),
        ({"valid_from_ms": Month(1999, 1).start_ms}, "valid_from"),
        ({"valid_from_ms": Month(2040, 1).start_ms}, "valid_from"),
        ({"valid_from_ms": NOVEMBER.start_ms, "valid_to_ms": DECEMBER.start_ms}, "valid_to"),
        ({"valid_from_ms": NOVEMBER.start_ms, "percent": "5"}, "percent"),
        ({"valid_from_ms": NOVEMBER.start_ms, "note": "x" * 501}, "note"),
    ],
)
def test_terms_that_are_refused(desk, terms, field):
    book = desk.draft()
    with pytest.raises(BookRefused) as refused:
        billing_books.revise(*desk.who, book.pk, Terms(**terms), {})
    assert refused.value.field == field


def test_prices_that_are_refused(desk, team):
    book = desk.draft()
    for name, tiers in (("moon", [[None, "1"]]), ("shard-hour", None), ("shard-hour", [[None, "-1"]])):
        with pytest.raises(BookRefused) as refused:
            billing_books.set_price(*desk.who, book.pk, name, tiers)
        assert (refused.value.field, refused.value.dimension) == ("prices", name)
    own = desk.draft(team.team)
    billing_books.set_price(*desk.who, own.pk, "shard-hour", [[None, "1"]])
    billing_books.set_price(*desk.who, own.pk, "shard-hour", None)
    assert not own.prices.exists()


def test_a_second_currency_is_refused(desk):
    with pytest.raises(publishing.BadBook, match="one currency, and here it is USD"):
        publishing.draft(REGION, None, Source.LIST, NOW_MS, "EUR")
    book = desk.draft()
    PriceBook.objects.update(currency="EUR")
    with pytest.raises(BookRefused, match="one currency"):
        desk.publish(book)


def test_drafts_begin_with_present_prices_or_with_awss(desk, team):
    desk.made(NOVEMBER.start_ms, prices={"shard-hour": "0.02"})
    desk.made(NOVEMBER.start_ms, team.team, percent="-10", prices={"queue-hour": "3"})

    def tiers(book):
        return {one.dimension: one.tiers for one in book.prices.all()}

    assert tiers(desk.draft())["shard-hour"] == [[None, "0.02"]]
    assert tiers(desk.draft(source=Source.LIST))["shard-hour"] == [[None, "0.015"]]
    own = desk.draft(team.team)
    assert (own.percent, tiers(own)) == ("-10", {"queue-hour": [[None, "3"]]})
    assert len(tiers(desk.draft(team.team, Source.LIST))) == len(tiers(desk.draft()))


def test_another_regions_book_is_gone(desk):
    book = desk.draft()
    PriceBook.objects.update(region="eu-west-1")
    with pytest.raises(Gone):
        desk.publish(book)


def test_each_day_of_a_bill_has_the_price_of_its_own_book(desk, team):
    desk.made(NOVEMBER.start_ms + 10 * DAY_MS, prices={"shard-hour": "0.02", "payload-unit": "0.014"})
    desk.made(NOVEMBER.start_ms + 15 * DAY_MS, team.team, percent="-50")
    for day in range(20):
        UsageDay.objects.create(
            team=team.team, resource="stream/s", meter="shard-time", meter_key="", quantity=100 * 3_600_000,
            day_ms=NOVEMBER.start_ms + day * DAY_MS,
        )  # fmt: skip
    lines = bills.draw_up(Team.objects.get(), REGION, NOVEMBER, NOW_MS).lines
    assert [(price_book.number_text(one.price), one.quantity, one.cents) for one in lines] == [
        ("0.015", 1000, 1500),
        ("0.02", 500, 1000),
        ("0.01", 500, 500),
    ]
    assert [(one.from_ms, one.to_ms) for one in lines] == [
        (NOVEMBER.start_ms, NOVEMBER.start_ms + 10 * DAY_MS),
        (NOVEMBER.start_ms + 10 * DAY_MS, NOVEMBER.start_ms + 15 * DAY_MS),
        (NOVEMBER.start_ms + 15 * DAY_MS, NOVEMBER.end_ms),
    ]
