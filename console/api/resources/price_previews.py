"""What a draft of prices would change: reckoned over the last full month and this one so far."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.billing import publishing, recalculation
from apps.billing.exports.cells import money
from apps.billing.models import PriceBook
from apps.billing.recalculation import Amounts, Preview
from console import calls
from console.api.operator import OperatorView
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS
from console.api.resources.price_books import BookTierSerializer, one_book, told_tiers

Json = dict[str, Any]


class PriceChangeSerializer(serializers.Serializer[Any]):
    """A price that is another one with the book, on its first day."""

    dimension = serializers.CharField()
    before = BookTierSerializer(many=True, allow_null=True, help_text="null: there was none.")
    after = BookTierSerializer(many=True)


class PreviewAmountsSerializer(serializers.Serializer[Any]):
    """What usage costs, without corrections and credits."""

    now = serializers.RegexField(CENTS, help_text="At the prices that there are.")
    tried = serializers.RegexField(CENTS, help_text="With the draft valid on every day.")
    change = serializers.RegexField(CENTS, help_text="What the draft adds.")


class TeamPreviewSerializer(serializers.Serializer[Any]):
    """Of one team."""

    team = serializers.CharField(help_text="The short name.")
    name = serializers.CharField()
    last = PreviewAmountsSerializer()
    this = PreviewAmountsSerializer()


class PricePreviewSerializer(serializers.Serializer[Any]):
    """What a draft would have made of two months."""

    fingerprint = serializers.CharField(help_text="Of the draft that was looked at: publishing asks for it.")
    last_month = serializers.CharField(help_text="The last full one.")
    this_month = serializers.CharField(help_text="So far.")
    last = PreviewAmountsSerializer(help_text="Of all teams.")
    this = PreviewAmountsSerializer(help_text="Of all teams.")
    changes = PriceChangeSerializer(many=True)
    teams = TeamPreviewSerializer(many=True, help_text="Those that used anything; those that change most first.")


class PriceBookPreview(OperatorView):
    """Before publishing."""

    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "previewPriceBook"}

    @extend_schema(responses=PricePreviewSerializer)
    def get(self, request: ApiRequest, book: int) -> Response:
        """What a draft would change. Its prices, and what the last full month and this one would have cost each team, by the
        functions that bill. A published book has none: 404."""
        self.query(request, serializers.Serializer)
        found = one_book(book)
        if found.published_at_ms is not None:
            raise Http404
        return Response(_shown(found, recalculation.preview(found, calls.now_ms())))


def _shown(book: PriceBook, preview: Preview) -> Json:
    return {
        "fingerprint": publishing.fingerprint(book),
        "last_month": str(preview.last_month),
        "this_month": str(preview.this_month),
        "last": _amounts(preview.last),
        "this": _amounts(preview.this),
        "changes": [
            {
                "dimension": one.dimension,
                "before": None if one.before is None else told_tiers(one.before),
                "after": told_tiers(one.after),
            }
            for one in publishing.changes(book)
        ],
        "teams": [
            {"team": one.slug, "name": one.name, "last": _amounts(one.last), "this": _amounts(one.this)}
            for one in preview.teams
        ],
    }


def _amounts(of: Amounts) -> Json:
    return {"now": money(of.now), "tried": money(of.tried), "change": money(of.change)}
