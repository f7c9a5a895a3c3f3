"""Lists by cursor: a page begins after the last row of the one before, so that nothing is skipped or told twice while
rows come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.core import signing
from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from console.api.request import ApiRequest

LIMIT_DEFAULT, LIMIT_MAX = 50, 500

M = TypeVar("M", bound=Any)


class PageQuery(serializers.Serializer[Any]):
    """What every list takes; lists with filters inherit from it."""

    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT, help_text="Rows at most.")
    cursor = serializers.CharField(
        max_length=2_000, required=False, default="", allow_blank=True, help_text="`next_cursor` of the page before."
    )


def filtered(rows: QuerySet[M], query: Mapping[str, Any], lookups: Mapping[str, str]) -> QuerySet[M]:
    """Of the rows, those that the given members of the query ask for. lookups: member to field lookup."""
    return rows.filter(**{lookup: query[member] for member, lookup in lookups.items() if member in query})


def page(
    request: ApiRequest, rows: QuerySet[M], order: Sequence[str], query: dict[str, Any], shown: Callable[[M], Any]
) -> dict[str, Any]:
    """One page of rows (models, or dicts of values()): {"items": […], "next_cursor": …}, null on the last.

    order: columns that together are unique and never null, `-name` for falling. query: of a PageQuery. Raises
    ValidationError for a cursor that was not given out for this list.
    """
    after = opened(request, query["cursor"], order)
    if after is not None:
        rows = rows.filter(_after(order, after))
    found = list(rows.order_by(*order)[: query["limit"] + 1])
    more = len(found) > query["limit"]
    found = found[: query["limit"]]
    last = [_value(found[-1], name.removeprefix("-")) for name in order] if more else None
    return {"items": [shown(row) for row in found], "next_cursor": cursor(request, order, last) if last else None}


def whole(items: list[Any]) -> dict[str, Any]:
    """A list that is told at once, in the form of one that is not."""
    return {"items": items, "next_cursor": None}


def cursor(request: ApiRequest, order: Sequence[str], last: Sequence[Any]) -> str:
    """What leads on from the last row of a page of this list."""
    return signing.dumps(list(last), salt=_salt(request, order))


def opened(request: ApiRequest, text: str, order: Sequence[str]) -> list[Any] | None:
    """What cursor() was given; None for an empty text. Raises ValidationError if it was not given out for this list."""
    if not text:
        return None
    try:
        values = signing.loads(text, salt=_salt(request, order))
    except signing.BadSignature as error:
        raise ValidationError({"cursor": "This is no cursor of this list."}) from error
    assert len(values) == len(order)
    return list(values)


def _salt(request: ApiRequest, order: Sequence[str]) -> str:
    return f"{request.path}?{','.join(order)}#{request.team.pk}"


def _value(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, dict) else getattr(row, name)


def _after(order: Sequence[str], values: Sequence[Any]) -> Q:
    """(a, b) > (x, y), column by column."""
    answer, equal = Q(), Q()
    for name, value in zip(order, values, strict=True):
        column = name.removeprefix("-")
        answer |= equal & Q(**{f"{column}__{'lt' if name.startswith('-') else 'gt'}": value})
        equal &= Q(**{column: value})
    return answer


def page_of(item: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The document's shape of a page of these."""
    name = item.__name__.removesuffix("Serializer") + "Page"
    fields = {"items": item(many=True), "next_cursor": serializers.CharField(allow_null=True)}
    return type(name, (serializers.Serializer,), fields)
