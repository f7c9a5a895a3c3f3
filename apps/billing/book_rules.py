"""What a price, a tier, a percentage and a day of a price book may be; and what keeps a draft from being published."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from apps.base.units import DAY_MS
from apps.billing import price_book
from apps.billing.dimensions import DIMENSIONS
from apps.billing.models import Bill, FrozenMonth, PriceBook
from apps.billing.months import Month

TIERS_MAX = 10
"""Of one price, a free allowance included."""

PLACES_MAX = 10
PERCENT_MIN, PERCENT_MAX = -100, 1_000
DAYS_AHEAD_MAX = 5 * 366
FIRST_DAY_MS = Month(2000, 1).start_ms
NOTE_CHARS_MAX = 500

Stored = Sequence[Sequence[str | None]]
"""Tiers as Price.tiers has them: [[up_to, price], …]."""

_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,10})?")
_PERCENT = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,4})?")
_UP_TO = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


class BadBook(ValueError):
    """A book that cannot be as it is; the text is for people. field: what it is about (prices, valid_from, valid_to, percent,
    note, currency, or empty; price or up_to of a tier). dimension: whose price, where it is about one. tier: which,
    from 1 on; 0: none of them."""

    def __init__(self, message: str, field: str = "", dimension: str = "", tier: int = 0) -> None:
        super().__init__(message)
        self.field = field
        self.dimension = dimension
        self.tier = tier


def price(text: str) -> str:
    """A price as it is stored, without zeros that say nothing. Raises BadBook."""
    if not _PRICE.fullmatch(text.strip()):
        raise BadBook(
            f"A price is written as 0.015: not negative, below 1,000,000,000, at most {PLACES_MAX} digits after the point.",
            "prices",
        )
    return price_book.number_text(Decimal(text.strip()))


def percent(text: str) -> str:
    """What a team's book adds to other prices, as it is stored. Raises BadBook."""
    given = text.strip() or "0"
    if not _PERCENT.fullmatch(given) or not PERCENT_MIN <= Decimal(given) <= PERCENT_MAX:
        raise BadBook(
            f"A number between {PERCENT_MIN} and {PERCENT_MAX:,} with at most 4 digits after the point: -10 is a discount.",
            "percent",
        )
    return price_book.number_text(Decimal(given) + 0)


def tiers(given: Stored) -> list[list[str | None]]:
    """Tiers as they are stored: each reaches higher than the one before, the last one has no end. Raises BadBook."""
    if not 1 <= len(given) <= TIERS_MAX:
        raise BadBook(f"A price has 1 to {TIERS_MAX} tiers.", "prices")
    checked: list[list[str | None]] = []
    last = Decimal(0)
    for n, (up_to, each) in enumerate(given, 1):
        try:
            amount = price(each or "")
        except BadBook as error:
            raise BadBook(str(error), "price", tier=n) from error
        if n == len(given):
            if up_to is not None:
                raise BadBook("The last tier has no end: it is for everything above the others.", "up_to", tier=n)
            return [*checked, [None, amount]]
        if up_to is None or not _UP_TO.fullmatch(up_to.strip()):
            raise BadBook("A tier ends at a number of units, as 512000. Only the last one has no end.", "up_to", tier=n)
        end = Decimal(up_to.strip())
        if end <= last:
            said = f"It must reach higher than {price_book.number_text(last)}: tiers rise."
            raise BadBook(said, "up_to", tier=n)
        checked.append([price_book.number_text(end), amount])
        last = end
    return checked


def days(book: PriceBook, now_ms: int) -> None:
    """Raise BadBook if the first or last day is none, or the span is empty or too far away."""
    ends = [("valid_from", book.valid_from_ms)]
    ends += [("valid_to", book.valid_to_ms)] if book.valid_to_ms is not None else []
    for field, day_ms in ends:
        if day_ms % DAY_MS:
            raise BadBook("Prices change at midnight UTC.", field)
        if not FIRST_DAY_MS <= day_ms <= now_ms + DAYS_AHEAD_MAX * DAY_MS:
            raise BadBook("A day from the year 2000 on, at most five years ahead.", field)
    if book.valid_to_ms is not None and book.team_id is None:
        raise BadBook("Prices for everybody end when others begin, so that no day is without a price.", "valid_to")
    if book.valid_to_ms is not None and book.valid_to_ms <= book.valid_from_ms:
        raise BadBook("It would end before it begins.", "valid_to")


def open_months(book: PriceBook) -> None:
    """Raise BadBook if a month that it would price has a closed bill, or one that is being closed: of the book's team; of
    any team that is there, if it is for all."""
    newest = newest_closed(book.team_id)
    if newest is not None and book.valid_from_ms < newest.end_ms:
        raise BadBook(
            f"Bills of {newest.title} are closed and keep their prices. "
            f"The first day can be {day_text(newest.end_ms)} or later.",
            "valid_from",
        )


def newest_closed(team_id: int | None) -> Month | None:
    """The newest month with a closed bill, or one that is being closed: of a team, or (None) of any team that is there. Those
    of deleted teams do not count: nothing can change them."""
    found: list[str] = []
    for rows in (FrozenMonth.objects.all(), Bill.objects.filter(team__isnull=False)):
        of_team = rows if team_id is None else rows.filter(team=team_id)
        found += of_team.order_by("-month").values_list("month", flat=True)[:1]
    return Month.named(max(found)) if found else None


def overlap(book: PriceBook, others: Iterable[PriceBook]) -> None:
    """Raise BadBook if it begins with another, or reaches into one, or one with a last day of its own reaches into it.
    others: published ones of the same region and team."""
    for other in others:
        begins, ends = day_text(other.valid_from_ms), other.valid_to_ms
        if other.valid_from_ms == book.valid_from_ms:
            raise BadBook(f"Book {other.pk} begins on {begins}, too. Withdraw it, or choose another day.", "valid_from")
        if other.valid_from_ms < book.valid_from_ms and ends is not None and ends > book.valid_from_ms:
            raise BadBook(
                f"It would overlap book {other.pk}, valid from {begins} to {day_text(ends - DAY_MS)}.", "valid_from"
            )
        reaches = book.valid_to_ms is not None and book.valid_to_ms > other.valid_from_ms
        if book.valid_from_ms < other.valid_from_ms and reaches:
            raise BadBook(f"It would overlap book {other.pk}, valid from {begins}.", "valid_to")


def problems(book: PriceBook, now_ms: int) -> list[BadBook]:
    """Everything that keeps a draft from being published; four queries."""
    found: list[BadBook] = []
    same = PriceBook.objects.filter(region=book.region, team=book.team_id, published_at_ms__isnull=False)
    checks = (
        lambda: days(book, now_ms),
        lambda: open_months(book),
        lambda: overlap(book, same.exclude(pk=book.pk).order_by("valid_from_ms")),
        lambda: currency(book.currency),
        lambda: percent(book.percent),
    )
    for check in checks:
        try:
            check()
        except BadBook as error:
            found.append(error)
    return found + _of_prices(book)


def currency(given: str) -> None:
    """Raise BadBook if it is not the installation's."""
    if given != price_book.CURRENCY:
        raise BadBook(
            f"All prices of an installation have one currency, and here it is {price_book.CURRENCY}.", "currency"
        )


def dimension(name: str) -> None:
    """Raise BadBook if nothing of this name is sold."""
    if name not in DIMENSIONS:
        raise BadBook(f"There is no dimension {name}.", "prices", name)


def _of_prices(book: PriceBook) -> list[BadBook]:
    found: list[BadBook] = []
    named = {one.dimension: one.tiers for one in book.prices.all()}
    for name, given in named.items():
        try:
            dimension(name)
            tiers(given)
        except BadBook as error:
            found.append(BadBook(str(error), "prices", name))
    if book.team_id is None:
        missing = [name for name in DIMENSIONS if name not in named]
        found += [BadBook(f"{DIMENSIONS[name].title} has no price.", "prices", name) for name in missing]
    elif not named and Decimal(book.percent) == 0 and book.valid_to_ms is not None:
        found.append(BadBook("It changes no price: give a percentage, or prices of its own.", "percent"))
    return found


def day_text(day_ms: int) -> str:
    """As 1 December 2026, of UTC."""
    date = datetime.fromtimestamp(day_ms / 1_000, UTC)
    return f"{date.day} {date:%B %Y}"
