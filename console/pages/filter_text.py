"""The text of a list's filter: words, and `name:value` with quotes where a value has spaces. What data streams and delivery
streams have in common; each list knows the rest of its names."""

from __future__ import annotations

import shlex
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


def parts_of(text: str) -> list[str]:
    """The text taken apart. A quote that nobody closed is a space."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.replace('"', " ").replace("'", " ").split()


def named_and_tagged(rows: QuerySet[Row], words: list[str], tags: list[str]) -> QuerySet[Row]:
    """Rows with all words in their name and all tags, each `key=value`, or a word that is a tag's key or its value."""
    for word in words:
        rows = rows.filter(name__icontains=word)
    for tag in tags:
        key, equals, value = tag.partition("=")
        tagged = Q(tags__key=key, tags__value=value) if equals else Q(tags__key=key) | Q(tags__value=key)
        rows = rows.filter(pk__in=rows.model._default_manager.filter(tagged).values("pk"))  # noqa: SLF001 - Django's name
    return rows
