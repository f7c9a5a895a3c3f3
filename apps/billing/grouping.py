"""The usage of a team with what it costs, grouped by the database: the rows that reports are made of.

A group is what the units of one meter cost in one stretch of days; a report adds those up. Labels are made by the database as far
as they tell rows apart (resource, key, tag), and from the meter's dimension where they do not (service, dimension).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from django.db.models import Case, CharField, F, Func, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from apps.billing import commitment
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.meters import ADVANTAGE_FAN_OUT_BYTES, CONSUMER_TIME, FAN_OUT_BYTES, ON_DEMAND_FAN_OUT_BYTES
from apps.billing.models import BilledResource, UsageDay
from apps.billing.months import Month
from apps.billing.price_book import Books
from apps.billing.unit_costs import Period, Stretch, UnitCosts

OTHERS = "\0others"
"""The label of what is not among the first groups; no resource, tag or key has it, as no text of ours holds a NUL."""

BOOKED_BY_CONSUMER = tuple(
    meter.name for meter in (CONSUMER_TIME, FAN_OUT_BYTES, ON_DEMAND_FAN_OUT_BYTES, ADVANTAGE_FAN_OUT_BYTES)
)
"""Meters whose key is a consumer's name and nobody's access key."""

NEVER_IN_TAG_KEYS = frozenset('"\\')
"""Who asks for such a key asks for what nothing is tagged with, and SQLite's paths cannot say it."""


class By(StrEnum):
    """What groups are. A resource is stream/NAME, deliverystream/NAME, channel/NAME, queue/NAME or account."""

    SERVICE = "service"
    DIMENSION = "dimension"
    RESOURCE = "resource"
    TAG = "tag"
    KEY = "key"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Where:
    """Only a part of the usage; empty: all. key: the access key, "" for usage that is of none. tag: (key, value), the value ""
    for resources without the tag."""

    resource: str = ""
    service: str = ""
    dimension: str = ""
    key: str | None = None
    tag: tuple[str, str] | None = None

    @property
    def is_all(self) -> bool:
        """Nothing is left out."""
        return self == Where()


@dataclass(frozen=True, slots=True)
class Cost:
    """Usage of one dimension with what it costs. day_ms: where days are told apart, else the first of its stretch. quantity: in
    units of sale."""

    label: str
    dimension: str
    day_ms: int
    quantity: Fraction
    amount: Fraction


class TagOf(Func):
    """The value of one tag, as text. No JSON path of Django's: it takes a key of digits for a place in a list."""

    output_field = CharField()

    def __init__(self, tags: str, key: str) -> None:
        super().__init__(F(tags), Value(key))
        self.key = key

    def as_sqlite(self, compiler: Any, connection: Any, **given: Any) -> Any:
        """Django stores what is not ASCII escaped, and SQLite compares it as it is stored."""
        with_path = self.copy()
        with_path.set_source_expressions([self.source_expressions[0], Value(f"$.{json.dumps(self.key)}")])
        return with_path.as_sql(compiler, connection, function="JSON_EXTRACT", **given)

    def as_postgresql(self, compiler: Any, connection: Any, **given: Any) -> Any:
        """Text on the right makes it a key."""
        return self.as_sql(compiler, connection, template="(%(expressions)s::text)", arg_joiner=" ->> ", **given)


class Usage:
    """A team's usage where it is asked for. resources: only these, if there are any."""

    def __init__(
        self, team_id: int, prices: Books, where: Where, tag_key: str = "", resources: Collection[str] = ()
    ) -> None:
        self.where = where
        self._team_id = team_id
        self._tag_key = tag_key
        self._resources = resources
        self._costs = UnitCosts(team_id, prices)

    @property
    def problems(self) -> tuple[str, ...]:
        """About what could not be priced in what was read so far."""
        return self._costs.problems

    def by_group(self, period: Period, by: By) -> Iterator[Cost]:
        """Labels with what they cost; a label comes several times."""
        for stretch in self._costs.stretches(period):
            day = F("day_ms") if by == By.DAY else _day_in(stretch)
            rows = self._rows(stretch).annotate(day=day, label=self._label(by))
            summed = rows.values_list("label", "meter", "day").annotate(n=Sum("quantity")).order_by()
            yield from self._priced(summed, stretch, by)
            yield from self._shortfall(stretch, by)

    def by_day(self, period: Period, by: By, first: Collection[str] | None = None) -> Iterator[Cost]:
        """The same by day. first: labels to keep, the others are OTHERS; None: all."""
        label = self._label(by)
        in_database = by in (By.RESOURCE, By.TAG, By.KEY)
        for stretch in self._costs.stretches(period):
            rows = self._rows(stretch).annotate(label=label)
            if in_database and first is not None:
                kept = Case(When(label__in=list(first), then=F("label")), default=Value(None, output_field=CharField()))
                rows = rows.annotate(kept=kept)
            name = "kept" if in_database and first is not None else "label"  # None: not among the first
            summed = rows.values_list(name, "meter", "day_ms").annotate(n=Sum("quantity")).order_by()
            for cost in (*self._priced(summed, stretch, by), *self._shortfall(stretch, by)):
                is_other = first is not None and cost.label not in first
                yield Cost(OTHERS, cost.dimension, cost.day_ms, cost.quantity, cost.amount) if is_other else cost

    def by_booked_key(self, period: Period) -> Iterator[Cost]:
        """By what usage is booked under: access keys, and names of consumers."""
        for stretch in self._costs.stretches(period):
            rows = self._rows(stretch).annotate(day=_day_in(stretch))
            summed = rows.values_list("meter_key", "meter", "day").annotate(n=Sum("quantity")).order_by()
            yield from self._priced(summed, stretch, By.KEY)

    def _rows(self, stretch: Stretch) -> QuerySet[UsageDay]:
        rows = UsageDay.objects.filter(
            team_id=self._team_id, day_ms__gte=stretch.from_ms, day_ms__lt=stretch.to_ms, meter__in=self._meters()
        )
        if self._resources:
            rows = rows.filter(resource__in=self._resources)
        if self.where.resource:
            rows = rows.filter(resource=self.where.resource)
        if self.where.key is not None:
            rows = rows.annotate(of_key=KEY).filter(of_key=self.where.key)
        if self.where.tag is not None:
            key, value = self.where.tag
            rows = rows.annotate(of_tag=self._tag(key)).filter(of_tag=value)
        return rows

    def _meters(self) -> list[str]:
        return [meter for meter, sold in OF_METER.items() if self._wants(sold.name)]

    def _wants(self, dimension: str) -> bool:
        where = self.where
        return where.dimension in ("", dimension) and where.service in ("", DIMENSIONS[dimension].service)

    def _label(self, by: By) -> Any:
        return {By.RESOURCE: F("resource"), By.KEY: KEY, By.TAG: self._tag(self._tag_key)}.get(by, Value(""))

    def _tag(self, key: str) -> Any:
        if NEVER_IN_TAG_KEYS.intersection(key):
            return Value("")
        known = BilledResource.objects.filter(team_id=self._team_id, resource=OuterRef("resource"))
        return Coalesce(Subquery(known.values(tag=TagOf("tags", key))[:1]), Value(""), output_field=CharField())

    def _priced(self, summed: Any, stretch: Stretch, by: By) -> Iterator[Cost]:
        for label, meter, day_ms, metered in summed.iterator():
            yield self._cost(label, OF_METER[meter].name, day_ms, metered, stretch.month, by)

    def _cost(self, label: str | None, name: str, day_ms: int, metered: int, month: Month, by: By) -> Cost:
        sold = DIMENSIONS[name]
        given = {By.SERVICE: sold.service, By.DIMENSION: name, By.DAY: str(day_ms)}.get(by, label)
        given = OTHERS if given is None else given
        amount = self._costs.cost(name, day_ms, metered, month)
        return Cost(given, name, day_ms, sold.quantity(metered, month.hours), amount)

    def _shortfall(self, stretch: Stretch, by: By) -> Iterator[Cost]:
        """Of the commitment: of the account, of no key, with no tag."""
        where = self.where
        is_theirs = where.resource in ("", commitment.ACCOUNT) and not where.key and not (where.tag and where.tag[1])
        if not is_theirs or (self._resources and commitment.ACCOUNT not in self._resources):
            return
        label = commitment.ACCOUNT if by == By.RESOURCE else ""
        for row in commitment.rows(self._team_id, stretch.from_ms, stretch.to_ms, label):
            if self._wants(row.dimension):
                yield self._cost(label, row.dimension, row.day_ms, row.metered, stretch.month, by)


def _day_in(stretch: Stretch) -> Any:
    """Days are told apart only where a unit costs another amount each day."""
    return Case(When(meter__in=stretch.tiered, then=F("day_ms")), default=Value(stretch.from_ms))


KEY: Any = Case(When(meter__in=BOOKED_BY_CONSUMER, then=Value("")), default=F("meter_key"))
