"""Price books in the hands of people who run the installation: each change one transaction with its entry in the audit trail.

A team's own book is in that team's trail, a region's in that of the team that the operator speaks for. The rules are those of
apps/billing/publishing.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction

from apps.access import changes
from apps.access.changes import Actor
from apps.accounts.models import Team, User
from apps.base.units import DAY_MS
from apps.billing import publishing
from apps.billing.book_rules import BadBook, Stored, day_text
from apps.billing.models import PriceBook
from apps.billing.publishing import Source, Terms
from apps.teams.authority import Gone, Refused
from apps.teams.operators import for_team, operator


class BookRefused(Refused):
    """What the rules of books forbid. dimension: whose price it is about, if it is about one."""

    code = "BookRefused"

    def __init__(self, error: BadBook) -> None:
        super().__init__(str(error))
        self.field = error.field
        self.dimension = error.dimension


@transaction.atomic
def create(actor: Actor, person: User, region: str, team: Team | None, source: Source) -> PriceBook:
    """A new draft (CreatePriceBook). team: whose own it is; None: everybody's. Raises NotAllowed, BookRefused."""
    operator(person)
    with _said():
        made = publishing.draft(region, team.pk if team else None, source, actor.at_ms)
    _write(actor, made, "CreatePriceBook", None)
    return made


@transaction.atomic
def revise(
    actor: Actor,
    person: User,
    region: str,
    book_id: int,
    terms: Terms | Mapping[str, Any],
    prices: Mapping[str, Stored | None],
) -> PriceBook:
    """Change a draft's terms and the named prices (UpdatePriceBook). terms: all, or by name those that change. Raises NotAllowed,
    BookRefused, Gone."""
    operator(person)
    with _said():
        held = publishing.held_draft(book_id, region)
        before = state(held)
        wanted = terms if isinstance(terms, Terms) else replace(publishing.terms_of(held), **terms)
        changed = publishing.revise(book_id, region, wanted, prices, actor.at_ms)
    if state(changed) != before:
        _write(actor, changed, "UpdatePriceBook", before)
    return changed


@transaction.atomic
def set_price(actor: Actor, person: User, region: str, book_id: int, dimension: str, tiers: Stored | None) -> PriceBook:
    """Change one price of a draft (UpdatePriceBook); None: take it out of a team's. Raises NotAllowed, BookRefused, Gone."""
    operator(person)
    with _said():
        before = state(publishing.held_draft(book_id, region))
        changed = publishing.set_price(book_id, region, dimension, tiers)
    if state(changed) != before:
        _write(actor, changed, "UpdatePriceBook", before)
    return changed


@transaction.atomic
def publish(actor: Actor, person: User, region: str, book_id: int, seen: str) -> PriceBook:
    """Freeze a draft, so that it prices (PublishPriceBook). seen: publishing.fingerprint() of what the person looked at.
    Raises NotAllowed, BookRefused, Gone."""
    operator(person)
    with _said():
        made = publishing.publish(book_id, region, person.email, seen, actor.at_ms)
    _write(actor, made, "PublishPriceBook", None)
    return made


@transaction.atomic
def withdraw(actor: Actor, person: User, region: str, book_id: int) -> PriceBook:
    """Make a published book that has not begun a draft again (WithdrawPriceBook). Raises NotAllowed, BookRefused, Gone."""
    operator(person)
    with _said():
        found = publishing.withdraw(book_id, region, actor.at_ms)
    _write(actor, found, "WithdrawPriceBook", None)
    return found


@transaction.atomic
def delete(actor: Actor, person: User, region: str, book_id: int) -> None:
    """Delete a draft (DeletePriceBook). Raises NotAllowed, BookRefused, Gone."""
    operator(person)
    with _said():
        before = state(publishing.held_draft(book_id, region))
        found = publishing.discard(book_id, region)
    resource = f"price-book/{book_id}"
    changes.write(for_team(actor, found.team), "DeletePriceBook", resource, before, None)


def state(book: PriceBook) -> dict[str, Any]:
    """A book as the trail keeps it: each price as one text, so that what changed can be read."""
    prices = {one.dimension: _text(one.tiers) for one in book.prices.order_by("dimension")}
    return {
        "region": book.region,
        "team": book.team.slug if book.team else None,
        "currency": book.currency,
        "valid_from": day_text(book.valid_from_ms),
        "last_day": None if book.valid_to_ms is None else day_text(book.valid_to_ms - DAY_MS),
        "percent": book.percent,
        "note": book.note,
        "published": book.published_at_ms is not None,
        "prices": prices,
    }


def _text(tiers: Stored) -> str:
    return "; ".join(f"{price} {'for all others' if up_to is None else f'up to {up_to}'}" for up_to, price in tiers)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except BadBook as error:
        raise BookRefused(error) from error
    except publishing.Gone as error:
        raise Gone(str(error)) from error


def _write(actor: Actor, book: PriceBook, operation: str, before: dict[str, Any] | None) -> None:
    changes.write(for_team(actor, book.team), operation, f"price-book/{book.pk}", before, state(book))
