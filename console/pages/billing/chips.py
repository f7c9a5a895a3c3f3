"""What of the usage is looked at, as words that can be taken away one by one."""

from __future__ import annotations

from dataclasses import dataclass

from apps.billing.dimensions import DIMENSIONS
from console.pages.billing.asked import Asked
from console.pages.billing.breakdown import resource_words
from console.pages.billing.days import date_words


@dataclass(frozen=True, slots=True)
class Chip:
    """kind: Meter, Day, …; href: the same page without it."""

    kind: str
    words: str
    href: str


def of(asked: Asked) -> list[Chip]:
    """In the order in which people go down."""
    where, found = asked.where, []
    if where.service:
        found.append(Chip("Service", where.service, asked.link(service=None)))
    if where.dimension:
        found.append(Chip("Meter", DIMENSIONS[where.dimension].title, _up(asked, dimension=None)))
    if where.resource:
        name, kind = resource_words(where.resource)
        found.append(Chip(kind, name, _up(asked, resource=None)))
    if where.tag:
        key, value = where.tag
        found.append(Chip("Tag", f"{key}: {value}" if value else f"none of {key}", asked.link(value=None)))
    if where.key is not None:
        found.append(Chip("Access key", where.key or "none", asked.link(key=None)))
    if asked.day_ms is not None:
        found.append(Chip("Day", date_words(asked.day_ms), _up(asked, day=None)))
    return found


def _up(asked: Asked, **changes: None) -> str:
    """Without the filter, grouped by what it was chosen from."""
    group = {"dimension": "service", "resource": "resource", "day": "day"}[next(iter(changes))]
    return asked.link(**changes, group=group)
