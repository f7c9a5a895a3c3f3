"""Price books, by people who run the installation: all of them, a draft with its prices, what publishing it would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.models import Team
from apps.base.units import DAY_MS
from apps.billing import book_rules, price_book, publishing, recalculation
from apps.billing.book_rules import day_text
from apps.billing.dimensions import DIMENSIONS, Dimension
from apps.billing.models import PriceBook
from apps.billing.publishing import Source, Stage
from apps.teams import billing_books
from apps.teams.authority import Gone, NotAllowed, Refused
from console import asker, calls
from console.pages import money
from console.pages.billing.book_forms import BookForm, NewBookForm, TiersForm, field_of
from console.pages.billing.frame import frame
from console.pages.billing.operator import operator_page
from console.pages.billing.rate_rows import Step, difference, steps
from console.pages.name_form import NameForm
from console.pages.page_rows import RICH_ROWS
from console.pages.shell import TeamRequest

TEAMS_SHOWN = 100
TEAMS_MAX = 1_000
DIGITS_MAX = 4
TABS = {Stage.DRAFT: "tag-warn", Stage.PLANNED: "tag-acc", Stage.IN_FORCE: "tag-ok", Stage.OVER: ""}
"""How a stage is coloured."""


@dataclass(frozen=True, slots=True)
class BookRow:
    """A book in the list. until: empty if it is open."""

    book: PriceBook
    stage: Stage
    tone: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A dimension in a book's table. field: of the form, where a flat price is edited here. given: what the book says; empty:
    nothing of its own. listed: AWS's; resulting: what is paid with the book where it says nothing."""

    dimension: Dimension
    field: forms.BoundField | None
    given: tuple[Step, ...]
    resulting: tuple[Step, ...]
    listed: tuple[Step, ...]
    difference: str
    direction: int


@operator_page
def listing(request: TeamRequest) -> HttpResponse:
    """All books of the region, drafts first; and a form for a new draft."""
    form = NewBookForm(request.POST or None, teams=_teams(), initial={"source": Source.PRESENT})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        team = Team.objects.filter(slug=given["team"]).first() if given["team"] else None
        try:
            made = billing_books.create(
                calls.actor(request), request.user, settings.CONFIG.region, team, Source(given["source"])
            )
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Book {made.pk} created. It prices nothing until you publish it.")
            return redirect("billing-book", request.team.slug, made.pk)
    books = PriceBook.objects.filter(region=settings.CONFIG.region).select_related("team").annotate(n=Count("prices"))
    ordered = books.order_by(F("published_at_ms").asc(nulls_first=True), "-valid_from_ms", "-pk")
    page = Paginator(ordered, RICH_ROWS).get_page(request.GET.get("page"))
    context = {
        **frame(request, "billing-rates"),
        "form": form,
        "page": page,
        "rows": _rows(list(page.object_list)),
        "shipped": price_book.shipped_list(settings.CONFIG.region),
        "now_ms": calls.now_ms(),
    }
    return render(request, "billing/books.html", context, status=422 if request.method == "POST" else 200)


@operator_page
def book(request: TeamRequest, book: int) -> HttpResponse:
    """One book: a draft to be edited, a published one to be read."""
    found = _find(book)
    if found.published_at_ms is not None:
        if request.method == "POST":
            messages.error(request, f"Book {found.pk} is published, and a published book never changes.")
            return redirect("billing-book", request.team.slug, found.pk)
        return render(request, "billing/book_read.html", _context(request, found) | {"rows": _prices(found, None)})
    form = BookForm(request.POST or None, book=found)
    if request.method == "POST" and form.is_valid():
        answer = _save(request, found, form)
        if answer is not None:
            return answer
    wrong = book_rules.problems(found, calls.now_ms())
    context = _context(request, found) | {"form": form, "rows": _prices(found, form), "problems": wrong}
    return render(request, "billing/book.html", context, status=422 if request.method == "POST" else 200)


def _save(request: TeamRequest, found: PriceBook, form: BookForm) -> HttpResponse | None:
    """None: refused, and said in the form."""
    try:
        billing_books.revise(*_who(request), found.pk, form.terms(), form.prices())
    except billing_books.BookRefused as error:
        field = field_of(error.dimension) if error.dimension else error.field
        form.add_error(field if field in form.fields else None, str(error))
        return None
    except (Gone, NotAllowed) as error:
        raise Http404(str(error)) from error
    following = request.POST.get("then", "")
    if following in DIMENSIONS:
        return redirect("billing-book-price", request.team.slug, found.pk, following)
    if following == "publish":
        return redirect("billing-book-publish", request.team.slug, found.pk)
    messages.success(request, "Draft saved")
    return redirect("billing-book", request.team.slug, found.pk)


@operator_page
def price(request: TeamRequest, book: int, dimension: str) -> HttpResponse:
    """The tiers of one price of a draft."""
    found = _find(book)
    if dimension not in DIMENSIONS or found.published_at_ms is not None:
        raise Http404("no such price of a draft")
    stored = next((one.tiers for one in found.prices.all() if one.dimension == dimension), None)
    resulting = _without(found, dimension)
    rows = _number(request.POST.get("rows", "")) + (request.POST.get("do") == "add")
    form = TiersForm(request.POST or None, tiers=stored or price_book.stored_of(resulting), rows=rows)
    is_saved = request.method == "POST" and request.POST.get("do") != "add"
    if is_saved and (request.POST.get("do") == "remove" or form.is_valid()):
        tiers = None if request.POST.get("do") == "remove" else form.tiers()
        try:
            billing_books.set_price(*_who(request), found.pk, dimension, tiers)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Price of {DIMENSIONS[dimension].title} saved")
            return redirect("billing-book", request.team.slug, found.pk)
    context = _context(request, found) | {
        "form": form,
        "dimension": DIMENSIONS[dimension],
        "is_named": stored is not None,
        "free_help": f"In {money.unit_plural(DIMENSIONS[dimension].unit)}. Empty: none.",
        "resulting": steps(resulting),
        "listed": steps(price_book.list_prices(found.region).of(dimension, found.valid_from_ms).tiers),
        "can_add": form.rows < book_rules.TIERS_MAX,
    }
    return render(request, "billing/book_price.html", context, status=422 if is_saved else 200)


@operator_page
def publish(request: TeamRequest, book: int) -> HttpResponse:
    """What a draft would change, reckoned over two months; and publishing it."""
    found = _find(book)
    if found.published_at_ms is not None:
        return redirect("billing-book", request.team.slug, found.pk)
    refusal = ""
    if request.method == "POST":
        try:
            billing_books.publish(*_who(request), found.pk, request.POST.get("seen", ""))
        except Refused as error:
            refusal = str(error)
        else:
            messages.success(request, f"Book {found.pk} published, valid from {day_text(found.valid_from_ms)}")
            return redirect("billing-book", request.team.slug, found.pk)
    now_ms = calls.now_ms()
    found = _find(book)
    preview = recalculation.preview(found, now_ms)
    changed = [
        (
            DIMENSIONS[one.dimension],
            steps(one.before or ()),
            steps(one.after),
            *difference(one.after, one.before or one.after),
        )
        for one in publishing.changes(found)
    ]
    context = _context(request, found) | {
        "refusal": refusal,
        "problems": book_rules.problems(found, now_ms),
        "seen": publishing.fingerprint(found),
        "changed": changed,
        "preview": preview,
        "teams": preview.teams[:TEAMS_SHOWN],
        "is_past": found.valid_from_ms <= now_ms,
    }
    return render(request, "billing/book_publish.html", context, status=422 if refusal else 200)


@operator_page
def withdraw(request: TeamRequest, book: int) -> HttpResponse:
    """Make a published book that has not begun a draft again."""
    found = _find(book)
    refusal = ""
    if request.method == "POST":
        try:
            billing_books.withdraw(*_who(request), found.pk)
        except Refused as error:
            refusal = str(error)
        else:
            messages.success(request, f"Book {found.pk} withdrawn: it is a draft again")
            return redirect("billing-book", request.team.slug, found.pk)
    context = _context(request, found) | {"refusal": refusal}
    return render(request, "billing/book_withdraw.html", context, status=422 if refusal else 200)


@operator_page
def delete(request: TeamRequest, book: int) -> HttpResponse:
    """Delete a draft."""
    found = _find(book)
    if found.published_at_ms is not None:
        raise Http404("no such draft")
    form = NameForm(request.POST or None, wanted=f"book {found.pk}")
    if request.method == "POST" and form.is_valid():
        try:
            billing_books.delete(*_who(request), found.pk)
        except Refused as error:
            asker.put_refused(form, error)
        else:
            messages.success(request, f"Book {found.pk} deleted")
            return redirect("billing-books", request.team.slug)
    context = _context(request, found) | {"form": form, "type_label": f"Type book {found.pk}"}
    return render(request, "billing/book_delete.html", context, status=422 if request.method == "POST" else 200)


def _who(request: TeamRequest) -> tuple[Any, Any, str]:
    return calls.actor(request), request.user, settings.CONFIG.region


def _find(pk: int) -> PriceBook:
    found = PriceBook.objects.select_related("team").filter(pk=pk, region=settings.CONFIG.region).first()
    if found is None:
        raise Http404("no such book")
    return found


def _teams() -> list[Team]:
    return list(Team.objects.order_by("name", "pk")[:TEAMS_MAX])


def _context(request: TeamRequest, found: PriceBook) -> dict[str, Any]:
    [row] = _rows([found])
    return {**frame(request, "billing-rates"), "book": found, "row": row, "now_ms": calls.now_ms()}


def _rows(books: list[PriceBook]) -> list[BookRow]:
    """With the stage and the end of each; one query more."""
    rows = []
    for one, stage, end_ms in publishing.places(books, settings.CONFIG.region, calls.now_ms()):
        until = "" if end_ms is None else day_text(end_ms - DAY_MS)
        rows.append(BookRow(one, stage, TABS[stage], day_text(one.valid_from_ms), until))
    return rows


def _prices(found: PriceBook, form: BookForm | None) -> list[PriceRow]:
    """All dimensions with what the book says of each."""
    stored = {one.dimension: price_book.tiers_of(one.tiers) for one in found.prices.all()}
    tried, listed = publishing.always(found).of_team(found.team_id), price_book.list_prices(found.region)
    rows = []
    for name, dimension in DIMENSIONS.items():
        aws = listed.of(name, found.valid_from_ms).tiers
        resulting = tried.of(name, found.valid_from_ms).tiers
        field = form[field_of(name)] if form is not None and field_of(name) in form.fields else None
        given = steps(stored.get(name, ()))
        rows.append(PriceRow(dimension, field, given, steps(resulting), steps(aws), *difference(resulting, aws)))
    return rows


def _without(found: PriceBook, dimension: str) -> price_book.Tiers:
    """What a unit costs where the draft does not say it."""
    everybody = price_book.price_list(None, found.region).of(dimension, found.valid_from_ms).tiers
    return price_book.raised(everybody, price_book.book_of(found).percent)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < DIGITS_MAX else 1
