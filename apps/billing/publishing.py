"""Price books from draft to history. A draft may be changed and prices nothing; a published book never changes.

A book without a last day is valid until another one of the same region and team begins, so publishing writes nothing into
the books before it. A region's books have no last day of their own: every day has a price. A book that has not begun can be
withdrawn and is a draft again. Who may do all this, and the audit trail: apps/teams/billing_books.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import orjson
from django.db import transaction

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import book_rules, price_book
from apps.billing.book_rules import BadBook, Stored
from apps.billing.dimensions import DIMENSIONS
from apps.billing.models import Price, PriceBook
from apps.billing.months import Month
from apps.billing.price_book import Books, Tiers

DRAFTS_MAX = 50
PUBLISHED_MAX = 1_000
"""Of one region, all teams' together: they are read whole for a showback."""


class Source(StrEnum):
    """What a draft begins with. present: the prices valid now. list: AWS's."""

    PRESENT = "present"
    LIST = "list"


class Stage(StrEnum):
    """Of a book's life; planned: published, not begun. over: another one began, or its last day is past."""

    DRAFT = "draft"
    PLANNED = "planned"
    IN_FORCE = "in force"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a draft says besides its prices. Days are UTC midnights; valid_to_ms and percent are of a team's book alone."""

    valid_from_ms: int
    valid_to_ms: int | None = None
    percent: str = "0"
    note: str = ""


class Change(NamedTuple):
    """A price that is another one with the book. None: there was none."""

    dimension: str
    before: Tiers | None
    after: Tiers


@transaction.atomic
def draft(
    region: str, team_id: int | None, source: Source, now_ms: int, currency: str = price_book.CURRENCY
) -> PriceBook:
    """A new draft, to be valid from the next month on. Of everybody (team_id None): with every price. Of a team: with those of
    its present book, or with none; with AWS's list, if that is wanted. Raises BadBook."""
    book_rules.currency(currency)
    if PriceBook.objects.filter(region=region, published_at_ms__isnull=True).count() >= DRAFTS_MAX:
        raise BadBook(f"There are {DRAFTS_MAX} drafts already. Publish or delete one.")
    made = PriceBook.objects.create(
        region=region,
        team_id=team_id,
        currency=currency,
        valid_from_ms=Month.at(now_ms).end_ms,
        created_at_ms=now_ms,
    )
    present = _present_of_team(made, now_ms) if source is Source.PRESENT and team_id is not None else None
    if present is not None:
        made.percent = present.percent
        made.save(update_fields=["percent"])
        prices = {one.dimension: one.tiers for one in present.prices.all()}
    elif source is Source.PRESENT and team_id is not None:
        prices = {}
    else:
        prices = _every_price(region, source, now_ms)
    Price.objects.bulk_create(Price(book=made, dimension=name, tiers=tiers) for name, tiers in prices.items())
    return made


@transaction.atomic
def revise(book_id: int, region: str, terms: Terms, prices: Mapping[str, Stored | None], now_ms: int) -> PriceBook:
    """Change a draft's terms and the prices named; None takes a price out of a team's book. Raises BadBook, Gone."""
    found = held_draft(book_id, region)
    found.valid_from_ms, found.valid_to_ms = terms.valid_from_ms, terms.valid_to_ms
    found.percent = book_rules.percent(terms.percent)
    found.note = " ".join(terms.note.split())
    if len(found.note) > book_rules.NOTE_CHARS_MAX:
        raise BadBook(f"A note has at most {book_rules.NOTE_CHARS_MAX} characters.", "note")
    if found.team_id is None and found.percent != "0":
        raise BadBook("A percentage is of a team's own book.", "percent")
    book_rules.days(found, now_ms)
    found.save(update_fields=["valid_from_ms", "valid_to_ms", "percent", "note"])
    for name, given in prices.items():
        _set_price(found, name, given)
    return found


@transaction.atomic
def set_price(book_id: int, region: str, dimension: str, tiers: Stored | None) -> PriceBook:
    """Change one price of a draft. Raises BadBook, Gone."""
    found = held_draft(book_id, region)
    _set_price(found, dimension, tiers)
    return found


@transaction.atomic
def publish(book_id: int, region: str, person: str, seen: str, now_ms: int) -> PriceBook:
    """Freeze a draft: it prices from its first day on. person: their e-mail address. seen: fingerprint() of what they looked
    at. Holds the rows of the teams it prices, as closing a bill does. Raises BadBook, Gone."""
    _lock_teams(PriceBook.objects.filter(pk=book_id, region=region).values_list("team_id", flat=True).first())
    found = held_draft(book_id, region)
    wrong = book_rules.problems(found, now_ms)
    if wrong:
        raise wrong[0]
    if seen != fingerprint(found):
        raise BadBook("The draft was changed meanwhile. Look at it again before you publish it.")
    if price_book.published(region).count() >= PUBLISHED_MAX:
        raise BadBook(f"There are {PUBLISHED_MAX} published books already, which is as many as there can be.")
    found.published_at_ms, found.published_by = now_ms, person
    found.save(update_fields=["published_at_ms", "published_by"])
    return found


@transaction.atomic
def withdraw(book_id: int, region: str, now_ms: int) -> PriceBook:
    """Make a published book that has not begun a draft again. Raises BadBook, Gone."""
    _lock_teams(PriceBook.objects.filter(pk=book_id, region=region).values_list("team_id", flat=True).first())
    found = _held(book_id, region)
    if found.published_at_ms is None:
        raise BadBook(f"Book {book_id} is a draft.")
    if found.valid_from_ms <= now_ms:
        raise BadBook("It has begun: what it prices may be on bills. Publish another one that begins later.")
    found.published_at_ms, found.published_by = None, ""
    found.save(update_fields=["published_at_ms", "published_by"])
    return found


@transaction.atomic
def discard(book_id: int, region: str) -> PriceBook:
    """Delete a draft. Raises BadBook, Gone."""
    found = held_draft(book_id, region)
    PriceBook.objects.filter(pk=found.pk).delete()
    return found


class Gone(LookupError):
    """There is no such book."""


def held_draft(book_id: int, region: str) -> PriceBook:
    """The draft, its row held. Raises BadBook: it is published; Gone."""
    found = _held(book_id, region)
    if found.published_at_ms is not None:
        raise BadBook(f"Book {book_id} is published, and a published book never changes.")
    return found


def terms_of(book: PriceBook) -> Terms:
    """What it says now."""
    return Terms(book.valid_from_ms, book.valid_to_ms, book.percent, book.note)


def fingerprint(book: PriceBook) -> str:
    """Of all that a draft says: another one, if anything was changed."""
    prices = sorted((one.dimension, one.tiers) for one in book.prices.all())
    said = [book.valid_from_ms, book.valid_to_ms, book.percent, book.note, prices]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


def stage(book: PriceBook, others: list[PriceBook], now_ms: int) -> Stage:
    """others: published ones of the same region and team (it may be among them)."""
    if book.published_at_ms is None:
        return Stage.DRAFT
    if book.valid_from_ms > now_ms:
        return Stage.PLANNED
    end_ms = ends(book, others)
    return Stage.OVER if end_ms is not None and end_ms <= now_ms else Stage.IN_FORCE


def ends(book: PriceBook, others: list[PriceBook]) -> int | None:
    """The midnight at which a book ends: its own, or the next one's beginning. None: open."""
    later = [other.valid_from_ms for other in others if other.valid_from_ms > book.valid_from_ms]
    given = [] if book.valid_to_ms is None else [book.valid_to_ms]
    return min(given + later, default=None)


class Place(NamedTuple):
    """Where a book stands. ends_ms: see ends()."""

    book: PriceBook
    stage: Stage
    ends_ms: int | None


def places(books: Sequence[PriceBook], region: str, now_ms: int) -> list[Place]:
    """Of each of these books of a region; one query."""
    there = price_book.published(region)
    of_owner: dict[int | None, list[PriceBook]] = {}
    for one in there.filter(team__in={book.team_id for book in books if book.team_id}) | there.filter(team=None):
        of_owner.setdefault(one.team_id, []).append(one)
    found = []
    for book in books:
        others = of_owner.get(book.team_id, []) if book.published_at_ms is not None else []
        found.append(Place(book, stage(book, others, now_ms), ends(book, others)))
    return found


def changes(book: PriceBook) -> list[Change]:
    """What prices are other ones with a draft, on its first day, for whom it is for; those of a team's book include what its
    percentage makes of the prices for everybody."""
    day_ms = book.valid_from_ms
    without = price_book.price_list(book.team_id, book.region)
    with_it = always(book).of_team(book.team_id)
    found = []
    for name in DIMENSIONS:
        before, after = _of(without, name, day_ms), _of(with_it, name, day_ms)
        if after is not None and after != before:
            found.append(Change(name, before, after))
    return found


def always(book: PriceBook) -> price_book.Lists:
    """All teams' price lists as if a draft were valid on every day, in the place of the published ones of whom it is for."""
    tried = price_book.book_of(book)
    return price_book.price_lists(book.region, {book.team_id: replace(tried, from_ms=0, to_ms=None)})


def _of(prices: Books, dimension: str, day_ms: int) -> Tiers | None:
    try:
        return prices.of(dimension, day_ms).tiers
    except price_book.NoPrice:
        return None


def _set_price(book: PriceBook, name: str, given: Stored | None) -> None:
    book_rules.dimension(name)
    if given is None:
        if book.team_id is None:
            raise BadBook(f"{DIMENSIONS[name].title} needs a price.", "prices", name)
        book.prices.filter(dimension=name).delete()
        return
    try:
        tiers = book_rules.tiers(given)
    except BadBook as error:
        raise BadBook(str(error), "prices", name, error.tier) from error
    book.prices.update_or_create(dimension=name, defaults={"tiers": tiers})


def _present_of_team(book: PriceBook, now_ms: int) -> PriceBook | None:
    begun = price_book.published(book.region).filter(team=book.team_id, valid_from_ms__lte=now_ms).last()
    over = begun is not None and begun.valid_to_ms is not None and begun.valid_to_ms <= now_ms
    return None if over else begun


def _every_price(region: str, source: Source, now_ms: int) -> dict[str, list[list[str | None]]]:
    prices = price_book.list_prices(region) if source is Source.LIST else price_book.price_list(None, region)
    today_ms = now_ms - now_ms % DAY_MS
    return {name: price_book.stored_of(prices.of(name, today_ms).tiers) for name in DIMENSIONS}


def _held(book_id: int, region: str) -> PriceBook:
    found = PriceBook.objects.select_for_update().filter(pk=book_id, region=region).first()
    if found is None:
        raise Gone(f"There is no book {book_id}.")
    return found


def _lock_teams(team_id: int | None) -> None:
    teams = Team.objects.all() if team_id is None else Team.objects.filter(pk=team_id)
    list(teams.select_for_update().order_by("pk").values_list("pk", flat=True))
