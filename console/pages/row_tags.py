"""The tags of the things in a list, read with their rows: a list asks its database few questions."""

from __future__ import annotations

from typing import Any

from django.db.models import Aggregate, JSONField, OuterRef, QuerySet, Subquery


class _TagsAsObject(Aggregate):
    """{key: value} of a group's tags."""

    function = "JSON_GROUP_OBJECT"
    output_field = JSONField()

    def as_postgresql(self, compiler: Any, connection: Any, **given: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_OBJECT_AGG", **given)


def tags_of(tags: QuerySet[Any], owner: str) -> Subquery:
    """A column with the tags of each row as an object; None where there are none. owner: the tags' key to the rows."""
    own = tags.filter(**{owner: OuterRef("pk")}).order_by().values(owner)
    return Subquery(own.annotate(as_object=_TagsAsObject("key", "value")).values("as_object"))


def told(tags: dict[str, str] | None) -> list[str]:
    """As they stand in a list: `team: core`, or the key alone."""
    return sorted(f"{key}: {value}" if value else key for key, value in (tags or {}).items())
