"""Forms of price books: a new draft, a draft's terms with its flat prices, the tiers of one price."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django import forms

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import book_rules
from apps.billing.book_rules import TIERS_MAX, BadBook, Stored
from apps.billing.dimensions import DIMENSIONS
from apps.billing.models import PriceBook
from apps.billing.publishing import Source, Terms
from console.pages.billing.days import day_text
from console.pages.billing.rates import midnight

EVERYBODY = ""
PRICE_CHARS_MAX = 40
PERCENT_CHARS_MAX = 12
BAD_DAY = {"invalid": "Write the day as 2026-11-30.", "required": "Choose a day."}
SOURCES = ((Source.PRESENT, "The present prices"), (Source.LIST, "AWS's list"))


class NewBookForm(forms.Form):
    """Whose prices, and what to begin with. teams: those that can have their own."""

    team = forms.ChoiceField(required=False, error_messages={"invalid_choice": "There is no such team."})
    source = forms.ChoiceField(choices=SOURCES, error_messages={"required": "Choose what to begin with."})

    def __init__(self, *arguments: Any, teams: list[Team], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["team"].choices = [  # type: ignore[attr-defined]
            (EVERYBODY, "Everybody"),
            *((team.slug, f"{team.name} ({team.slug})") for team in teams),
        ]


class BookForm(forms.Form):
    """A draft's days, percentage, note, and its flat prices; those with tiers have a page each."""

    valid_from = forms.DateField(error_messages=BAD_DAY)
    valid_to = forms.DateField(required=False, error_messages=BAD_DAY)
    percent = forms.CharField(required=False, max_length=PERCENT_CHARS_MAX)
    note = forms.CharField(required=False, max_length=book_rules.NOTE_CHARS_MAX)

    def __init__(self, *arguments: Any, book: PriceBook, **options: Any) -> None:
        self.book = book
        self.stored: dict[str, Stored] = {one.dimension: one.tiers for one in book.prices.all()}
        flat = {name: tiers[0][1] for name, tiers in self.stored.items() if len(tiers) == 1}
        first: dict[str, Any] = {
            "valid_from": day_text(book.valid_from_ms),
            "valid_to": "" if book.valid_to_ms is None else day_text(book.valid_to_ms - DAY_MS),
            "percent": book.percent,
            "note": book.note,
            **{field_of(name): each for name, each in flat.items()},
        }
        super().__init__(*arguments, **{**options, "initial": first})
        if book.team_id is None:
            del self.fields["valid_to"], self.fields["percent"]
        for name in DIMENSIONS:
            if len(self.stored.get(name, [])) <= 1:
                self.fields[field_of(name)] = forms.CharField(
                    label=DIMENSIONS[name].title, required=False, max_length=PRICE_CHARS_MAX
                )

    def clean(self) -> dict[str, Any]:
        """Each price and percentage by the rules of books, at its own field."""
        given: dict[str, Any] = self.cleaned_data
        for name in DIMENSIONS:
            field = field_of(name)
            text = given.get(field, "")
            if field in self.fields and field not in self.errors and (text or self.book.team_id is None):
                self._check(field, text, book_rules.price)
        if "percent" in self.fields and "percent" not in self.errors:
            self._check("percent", given.get("percent", ""), book_rules.percent)
        return given

    def terms(self) -> Terms:
        """Of a valid form."""
        given = self.cleaned_data
        last: date | None = given.get("valid_to")
        return Terms(
            midnight(given["valid_from"]),
            None if last is None else midnight(last) + DAY_MS,
            given.get("percent", "") or "0",
            given["note"],
        )

    def prices(self) -> dict[str, Stored | None]:
        """Of a valid form: those that differ from what is stored."""
        found: dict[str, Stored | None] = {}
        for name in DIMENSIONS:
            if field_of(name) not in self.fields:
                continue
            text = self.cleaned_data[field_of(name)]
            wanted = [[None, book_rules.price(text)]] if text else None
            if wanted != self.stored.get(name):
                found[name] = wanted
        return found

    def _check(self, field: str, text: str, rule: Any) -> None:
        try:
            rule(text)
        except BadBook as error:
            self.add_error(field, str(error))


class TiersForm(forms.Form):
    """The tiers of one price: how many are free, then (up to, price) rows. rows: how many to show."""

    free = forms.CharField(required=False, max_length=PRICE_CHARS_MAX)

    def __init__(self, *arguments: Any, tiers: Stored, rows: int, **options: Any) -> None:
        shown = list(tiers)
        free = shown.pop(0)[0] if len(shown) > 1 and shown[0][1] == "0" else None
        first: dict[str, Any] = {"free": free or ""}
        for n, (up_to, each) in enumerate(shown):
            first |= {f"up_to_{n}": up_to or "", f"price_{n}": each}
        super().__init__(*arguments, **{**options, "initial": first})
        self.rows = min(TIERS_MAX, max(rows, len(shown)))
        for n in range(self.rows):
            self.fields[f"up_to_{n}"] = forms.CharField(required=False, max_length=PRICE_CHARS_MAX)
            self.fields[f"price_{n}"] = forms.CharField(required=False, max_length=PRICE_CHARS_MAX)

    def lines(self) -> Iterator[tuple[int, forms.BoundField, forms.BoundField]]:
        """The rows: number, where it ends, price."""
        for n in range(self.rows):
            yield n + 1, self[f"up_to_{n}"], self[f"price_{n}"]

    def tiers(self) -> list[list[str | None]]:
        """Of a valid form: as they are to be stored; rows left empty are none."""
        given = self.cleaned_data
        found: list[list[str | None]] = [[given["free"], "0"]] if given["free"] else []
        for n in range(self.rows):
            up_to, each = given[f"up_to_{n}"], given[f"price_{n}"]
            if up_to or each:
                found.append([up_to or None, each])
        return found

    def clean(self) -> dict[str, Any]:
        """The tiers by the rules of books, each refusal at its row."""
        if not self.errors:
            try:
                book_rules.tiers(self.tiers())
            except BadBook as error:
                self._put_bad(error)
        return self.cleaned_data

    def _put_bad(self, error: BadBook) -> None:
        filled = [n for n in range(self.rows) if self.data.get(f"up_to_{n}") or self.data.get(f"price_{n}")]
        at = error.tier - 1 - bool(self.data.get("free"))
        if error.tier and at < 0:
            self.add_error("free", str(error))
        elif error.tier and at < len(filled):
            self.add_error(f"{'price' if error.field == 'price' else 'up_to'}_{filled[at]}", str(error))
        else:
            self.add_error(None, str(error))


def field_of(dimension: str) -> str:
    """The form's field of a flat price."""
    return f"price-{dimension}"
