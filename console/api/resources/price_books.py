"""Price books, by people who run the installation: drafts, publishing them, and what that would change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.access.changes import Actor
from apps.accounts.models import User
from apps.billing import book_rules, price_book, publishing
from apps.billing.dimensions import DIMENSIONS
from apps.billing.models import PriceBook
from apps.billing.publishing import Source, Stage
from apps.teams import billing_books
from apps.teams.billing_books import BookRefused
from console import calls
from console.api.operator import SLUG_CHARS_MAX, OperatorView, team_named
from console.api.paging import PageQuery, filtered, page, page_of
from console.api.request import ApiRequest
from console.api.resources.bills import DECIMAL
from console.api.resources.metrics import TIME_MS_MAX

PERCENT: Final = r"^[+-]?[0-9]{1,4}(\.[0-9]{1,4})?$"
PERCENT_CHARS_MAX, NUMBER_CHARS_MAX, SEEN_CHARS_MAX = 12, 40, 32
PRICE: Final = r"^[0-9]{1,9}(\.[0-9]{1,10})?$"
UP_TO: Final = r"^[0-9]{1,15}(\.[0-9]{1,6})?$"
MEMBERS: Final = {"valid_from": "valid_from_ms", "valid_to": "valid_to_ms"}
"""Of a body, where a rule's field is called otherwise."""

Json = dict[str, Any]


class BookTierSerializer(serializers.Serializer[Any]):
    """What a unit costs up to a quantity."""

    up_to = serializers.RegexField(
        UP_TO, max_length=NUMBER_CHARS_MAX, allow_null=True, help_text="Units of sale in a month; null: all others."
    )
    price = serializers.RegexField(PRICE, max_length=NUMBER_CHARS_MAX, help_text="Of each unit.")


class BookPriceSerializer(serializers.Serializer[Any]):
    """What a book says of a dimension."""

    dimension = serializers.ChoiceField(list(DIMENSIONS))
    tiers = serializers.ListField(
        child=BookTierSerializer(), min_length=1, max_length=book_rules.TIERS_MAX, allow_null=True,
        help_text="Rising; the last has no end. null, in a change: the book says nothing of it any more.",
    )  # fmt: skip


class PriceBookSerializer(serializers.Serializer[Any]):
    """Prices of all teams, or of one, from a day on."""

    id = serializers.IntegerField()
    team = serializers.CharField(allow_null=True, help_text="Whose own it is, by the short name; null: everybody's.")
    stage = serializers.ChoiceField([str(one) for one in Stage], help_text="planned: published, and not begun.")
    currency = serializers.CharField()
    valid_from_ms = serializers.IntegerField(help_text="A UTC midnight.")
    valid_to_ms = serializers.IntegerField(
        allow_null=True, help_text="The UTC midnight at which it ends by itself; null: until another one begins."
    )
    ends_ms = serializers.IntegerField(
        allow_null=True, help_text="When it ends as things stand; null: no end is known."
    )
    percent = serializers.RegexField(DECIMAL, help_text="Added to every price that a team's book does not name.")
    note = serializers.CharField(allow_blank=True)
    created_at_ms = serializers.IntegerField()
    published_at_ms = serializers.IntegerField(allow_null=True)
    published_by = serializers.CharField(allow_null=True)


class PriceBookWithPricesSerializer(PriceBookSerializer):
    """A book with all that it says."""

    prices = BookPriceSerializer(many=True)
    fingerprint = serializers.CharField(help_text="Of all that it says: publishing asks for it.")
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps a draft from being published."
    )


class PriceBookQuery(PageQuery):
    """Filters of the list."""

    team = serializers.CharField(max_length=SLUG_CHARS_MAX, required=False, help_text="Of one team's own.")
    is_draft = serializers.BooleanField(allow_null=True, default=None, help_text="Drafts, or published ones.")


class NewPriceBookSerializer(serializers.Serializer[Any]):
    """A draft."""

    team = serializers.CharField(
        max_length=SLUG_CHARS_MAX, required=False, allow_null=True, default=None,
        help_text="Whose own it is to be, by the short name; null: everybody's.",
    )  # fmt: skip
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the metaclass takes it away
        [str(one) for one in Source], default=str(Source.PRESENT), help_text="What it begins with; list: AWS's list."
    )


class ChangedPriceBookSerializer(serializers.Serializer[Any]):
    """What is to change; the rest stays."""

    valid_from_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, help_text="A UTC midnight in no closed month."
    )
    valid_to_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, allow_null=True, help_text="Of a team's book; null: no end."
    )
    percent = serializers.RegexField(
        PERCENT, max_length=PERCENT_CHARS_MAX, required=False, help_text="Of a team's book: -10 is a discount."
    )
    note = serializers.CharField(max_length=book_rules.NOTE_CHARS_MAX, required=False, allow_blank=True)
    prices = serializers.ListField(
        child=BookPriceSerializer(), max_length=len(DIMENSIONS), required=False, help_text="Those that change."
    )


class PublishSerializer(serializers.Serializer[Any]):
    """What was looked at."""

    fingerprint = serializers.CharField(
        max_length=SEEN_CHARS_MAX,
        help_text="Of the draft as you read it: if it was changed since, nothing is published.",
    )


class PriceBooks(OperatorView):
    """All of them, and one more."""

    needs: ClassVar = {"GET": "billing:read", "POST": "billing:write"}
    names: ClassVar = {"GET": "listPriceBooks", "POST": "createPriceBook"}
    creates = True
    examples: ClassVar = {"POST": {"team": "shop", "source": "present"}}

    @extend_schema(parameters=[PriceBookQuery], responses=page_of(PriceBookSerializer))
    def get(self, request: ApiRequest) -> Response:
        """The price books of the region, those that begin last first."""
        query = self.query(request, PriceBookQuery)
        rows = filtered(_rows(), query, {"team": "team__slug"})
        if query["is_draft"] is not None:
            rows = rows.filter(published_at_ms__isnull=query["is_draft"])
        told = page(request, rows, ("-valid_from_ms", "-pk"), query, lambda row: row)
        return Response(told | {"items": _shown(told["items"])})

    @extend_schema(request=NewPriceBookSerializer, responses={201: PriceBookWithPricesSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a draft, to be valid from the next month on (CreatePriceBook). It prices nothing until it is published."""
        given = self.read(request, NewPriceBookSerializer)
        team = None if given["team"] is None else team_named(given["team"])
        who, person, region = _who(request)
        with _told(()):
            made = billing_books.create(who, person, region, team, Source(given["source"]))
        return Response(_whole(made.pk), 201)


class OnePriceBook(OperatorView):
    """One of them."""

    needs: ClassVar = {"GET": "billing:read", "PATCH": "billing:write", "DELETE": "billing:write"}
    names: ClassVar = {"GET": "getPriceBook", "PATCH": "changePriceBook", "DELETE": "deletePriceBook"}
    examples: ClassVar = {
        "PATCH": {
            "valid_from_ms": 1_796_083_200_000,
            "note": "New hardware",
            "prices": [{"dimension": "shard-hour", "tiers": [{"up_to": None, "price": "0.014"}]}],
        }
    }

    @extend_schema(responses=PriceBookWithPricesSerializer)
    def get(self, request: ApiRequest, book: int) -> Response:
        """A book with its prices; of a draft also what keeps it from being published."""
        self.query(request, serializers.Serializer)
        return Response(_whole(book))

    @extend_schema(request=ChangedPriceBookSerializer, responses=PriceBookWithPricesSerializer)
    def patch(self, request: ApiRequest, book: int) -> Response:
        """Change a draft's days, percentage, note, and the prices that are named (UpdatePriceBook). A published book never
        changes: 409."""
        given, found = self.read(request, ChangedPriceBookSerializer), one_book(book)
        terms = {name: value for name, value in given.items() if name != "prices"}
        prices = given.get("prices", ())
        stored = {one["dimension"]: _stored(one["tiers"]) for one in prices}
        if len(stored) < len(prices):
            raise serializers.ValidationError({"prices": "A dimension is named twice."})
        with _told(stored):
            billing_books.revise(*_who(request), found.pk, terms, stored)
        return Response(_whole(book))

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: ApiRequest, book: int) -> Response:
        """Delete a draft (DeletePriceBook). A published book stays: 409."""
        with _told(()):
            billing_books.delete(*_who(request), book)
        return Response(status=204)


class PriceBookPublishing(OperatorView):
    """From draft to history."""

    needs: ClassVar = {"POST": "billing:write"}
    names: ClassVar = {"POST": "publishPriceBook"}
    examples: ClassVar = {"POST": {"fingerprint": "0123456789abcdef"}}

    @extend_schema(request=PublishSerializer, responses=PriceBookWithPricesSerializer)
    def post(self, request: ApiRequest, book: int) -> Response:
        """Publish a draft (PublishPriceBook). It prices from its first day on; look at its preview before."""
        seen = self.read(request, PublishSerializer)["fingerprint"]
        with _told(()):
            billing_books.publish(*_who(request), book, seen)
        return Response(_whole(book))


class PriceBookWithdrawal(OperatorView):
    """And back, in time."""

    needs: ClassVar = {"POST": "billing:write"}
    names: ClassVar = {"POST": "withdrawPriceBook"}

    @extend_schema(request=None, responses=PriceBookWithPricesSerializer)
    def post(self, request: ApiRequest, book: int) -> Response:
        """Make a published book that has not begun a draft again (WithdrawPriceBook)."""
        with _told(()):
            billing_books.withdraw(*_who(request), book)
        return Response(_whole(book))


def _who(request: ApiRequest) -> tuple[Actor, User, str]:
    return calls.actor(request), request.user, settings.CONFIG.region


@contextmanager
def _told(named: Iterable[str]) -> Iterator[None]:
    """What the rules refuse is told at the body's member. named: the dimensions of prices, in the body's order."""
    try:
        yield
    except BookRefused as error:
        error.field = MEMBERS.get(error.field, error.field)
        if error.dimension in (order := list(named)):
            error.field = f"prices[{order.index(error.dimension)}].tiers"
        raise


def _rows() -> QuerySet[PriceBook]:
    return PriceBook.objects.filter(region=settings.CONFIG.region).select_related("team")


def one_book(pk: int) -> PriceBook:
    """Of the region. Raises Http404."""
    found = _rows().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _stored(tiers: list[Json] | None) -> list[list[str | None]] | None:
    return None if tiers is None else [[tier["up_to"], tier["price"]] for tier in tiers]


def _shown(rows: list[PriceBook]) -> list[Json]:
    return [
        {
            "id": place.book.pk,
            "team": None if place.book.team is None else place.book.team.slug,
            "stage": str(place.stage),
            "currency": place.book.currency,
            "valid_from_ms": place.book.valid_from_ms,
            "valid_to_ms": place.book.valid_to_ms,
            "ends_ms": place.ends_ms,
            "percent": place.book.percent,
            "note": place.book.note,
            "created_at_ms": place.book.created_at_ms,
            "published_at_ms": place.book.published_at_ms,
            "published_by": place.book.published_by or None,
        }
        for place in publishing.places(rows, settings.CONFIG.region, calls.now_ms())
    ]


def _whole(pk: int) -> Json:
    found = one_book(pk)
    named = {one.dimension: price_book.tiers_of(one.tiers) for one in found.prices.all()}
    is_draft = found.published_at_ms is None
    [told] = _shown([found])
    return told | {
        "prices": [{"dimension": name, "tiers": told_tiers(named[name])} for name in DIMENSIONS if name in named],
        "fingerprint": publishing.fingerprint(found),
        "problems": [str(one) for one in book_rules.problems(found, calls.now_ms())] if is_draft else [],
    }


def told_tiers(tiers: price_book.Tiers) -> list[Json]:
    """As the body of a change has them."""
    return [{"up_to": up_to, "price": price} for up_to, price in price_book.stored_of(tiers)]
