"""The usage of a team with what it costs, grouped by the database: the rows that reports are made of.

A group is what the units of one meter cost in one stretch of days; a report adds those up. Labels are made by the database as far
as they tell rows apart (resource, key, tag), and from the meter's dimension where they do not (service, dimension).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import lcm
from typing import Any, NamedTuple

from django.db.models import Case, CharField, F, Func, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from apps.billing import commitment
from apps.billing.dimensions import DIMENSIONS, OF_METER
from apps.billing.meters import ADVANTAGE_FAN_OUT_BYTES, CONSUMER_TIME, FAN_OUT_BYTES, ON_DEMAND_FAN_OUT_BYTES
from apps.billing.models import BilledResource, UsageDay
from apps.billing.months import Month
from apps.billing.price_book import Books
from apps.billing.unit_costs import Period, Stretch, UnitCosts
from apps.billing.usage_sums import KeyDay, ResourceMonth, TeamDay

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


class Used(NamedTuple):
    """Units of a meter of one dimension, before they are money."""

    label: str
    dimension: str
    day_ms: int
    metered: int


class Sums:
    """What labels cost, as integers over one denominator: so ten thousand are added up and put in order in no time, exactly."""

    def __init__(self) -> None:
        self.denominator = 1
        self.by_label: dict[str, int] = {}

    def add(self, rows: Iterable[Used], units: Mapping[tuple[str, int], Fraction]) -> None:
        """units: what a metered unit costs, by dimension and day."""
        common = lcm(self.denominator, *(unit.denominator for unit in units.values()))
        factor, self.denominator = common // self.denominator, common
        sums = self.by_label if factor == 1 else {label: n * factor for label, n in self.by_label.items()}
        weights = {key: unit.numerator * (common // unit.denominator) for key, unit in units.items()}
        for label, dimension, day_ms, metered in rows:
            sums[label] = sums.get(label, 0) + metered * weights[dimension, day_ms]
        self.by_label = sums

    def dearest(self) -> list[tuple[str, Fraction]]:
        """The labels with their amounts, the largest first."""
        ordered = sorted(self.by_label.items(), key=lambda item: (-item[1], item[0]))
        return [(label, Fraction(n, self.denominator)) for label, n in ordered]


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
            for used in self._grouped(stretch, by):
                yield self._cost(used, stretch.month)

    def sums(self, period: Period, by: By) -> Sums:
        """The same added up by label."""
        sums = Sums()
        for stretch in self._costs.stretches(period):
            rows = list(self._grouped(stretch, by))
            units = {(row.dimension, row.day_ms) for row in rows}
            sums.add(rows, {(name, day): self._costs.cost(name, day, 1, stretch.month) for name, day in units})
        return sums

    def by_day(
        self, period: Period, by: By, first: Collection[str] | None = None, rest: str = OTHERS
    ) -> Iterator[Cost]:
        """The same by day. first: labels to keep, all others together are the rest; None: all."""
        for stretch in self._costs.stretches(period):
            for used in self._daily(stretch, by, first):
                cost = self._cost(used, stretch.month)
                is_rest = first is not None and cost.label not in first
                yield replace(cost, label=rest) if is_rest else cost

    def by_booked_key(self, period: Period) -> Iterator[Cost]:
        """By what usage is booked under: access keys, and names of consumers."""
        for stretch in self._costs.stretches(period):
            for used in self._read(stretch, F("meter_key"), By.KEY, by_day=False):
                yield self._cost(used, stretch.month)

    def _grouped(self, stretch: Stretch, by: By) -> Iterator[Used]:
        yield from _named(self._read(stretch, self._label(by), by, by_day=by == By.DAY), by)
        yield from _named(self._shortfall(stretch, by), by)

    def _daily(self, stretch: Stretch, by: By, first: Collection[str] | None) -> Iterator[Used]:
        if first is not None and by in (By.RESOURCE, By.TAG) and self._is_whole_team() and self._can_ask(by):
            yield from self._less(stretch, list(self._of_labels(stretch, by, first)))
        else:
            yield from _named(self._read(stretch, self._label(by), by, by_day=True), by)
        yield from _named(self._shortfall(stretch, by), by)

    def _less(self, stretch: Stretch, named: list[Used]) -> Iterator[Used]:
        """The rows, and what all of the team used besides: so only they are read one by one."""
        rest = {(one.dimension, one.day_ms): 0 for one in named}
        for one in self._read(stretch, Value(""), By.DAY, by_day=True):
            rest[one.dimension, one.day_ms] = rest.get((one.dimension, one.day_ms), 0) + one.metered
        for one in named:
            rest[one.dimension, one.day_ms] -= one.metered
            yield one
        yield from (Used(OTHERS, name, day_ms, metered) for (name, day_ms), metered in rest.items() if metered)

    def _of_labels(self, stretch: Stretch, by: By, labels: Collection[str]) -> Iterator[Used]:
        """By day, of some resources or values of a tag alone."""
        rows = self._rows(UsageDay, stretch)
        parts: list[tuple[Any, Q]] = [(Value(label), tagged(self._team_id, self._tag_key, label)) for label in labels]
        if by == By.RESOURCE:
            parts = [(F("resource"), Q(resource__in=list(labels)))]
        for label, part in parts:
            yield from _summed(rows.filter(part).annotate(label=label, day=F("day_ms")))

    def _can_ask(self, by: By) -> bool:
        return by == By.RESOURCE or not NEVER_IN_TAG_KEYS.intersection(self._tag_key)

    def _read(self, stretch: Stretch, label: Any, by: By, *, by_day: bool) -> Iterator[Used]:
        """What was used, from the smallest table that tells it apart."""
        day = F("day_ms") if by_day else _day_in(stretch)
        if by not in (By.RESOURCE, By.TAG) and self._is_whole_team():
            model = TeamDay if by != By.KEY and self.where.key is None else KeyDay
            yield from _summed(self._rows(model, stretch).annotate(label=label, day=day))
        elif by_day or not stretch.is_month:
            yield from _summed(self._rows(UsageDay, stretch).annotate(label=label, day=day))
        else:
            yield from self._of_month(stretch, label, by)
            with_tiers = self._rows(ResourceMonth, stretch).filter(meter__in=stretch.tiered)
            if stretch.tiered and with_tiers.exists():
                days = self._rows(UsageDay, stretch).filter(meter__in=stretch.tiered)
                those = days.filter(resource__in=with_tiers.values("resource"))
                yield from _summed(those.annotate(label=label, day=F("day_ms")))

    def _of_month(self, stretch: Stretch, label: Any, by: By) -> Iterator[Used]:
        """Of what costs the same on all days. Rows that are to be told apart are not grouped: that only takes longer."""
        rows = self._rows(ResourceMonth, stretch).exclude(meter__in=stretch.tiered)
        if by not in (By.RESOURCE, By.TAG):
            yield from _summed(rows.annotate(label=label, day=Value(stretch.from_ms)))
            return
        found = rows.values_list("resource", "meter", "quantity").iterator()
        if by == By.TAG:
            found = self._by_tag(found)
        yield from (Used(label, OF_METER[meter].name, stretch.from_ms, metered) for label, meter, metered in found)

    def _by_tag(self, rows: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int]]:
        """Rows by resource and meter, added up by the resource's tag and meter."""
        tags, sums = self._tags(), defaultdict[tuple[str, str], int](int)
        for resource, meter, metered in rows:
            sums[tags.get(resource, ""), meter] += metered
        return ((tag, meter, metered) for (tag, meter), metered in sums.items())

    def _tags(self) -> dict[str, str]:
        """The value of each resource that has the tag."""
        if not self._can_ask(By.TAG):
            return {}
        known = BilledResource.objects.filter(team_id=self._team_id).annotate(tag=TagOf("tags", self._tag_key))
        return dict(known.filter(tag__gt="").values_list("resource", "tag"))

    def _is_whole_team(self) -> bool:
        """Nothing is asked for by resource or tag."""
        return not self._resources and not self.where.resource and self.where.tag is None

    def _rows(self, model: type[Any], stretch: Stretch) -> QuerySet[Any]:
        rows = model.objects.filter(team_id=self._team_id, meter__in=self._meters())
        if model is ResourceMonth:
            rows = rows.filter(month_ms=stretch.month.start_ms)
        else:
            rows = rows.filter(day_ms__gte=stretch.from_ms, day_ms__lt=stretch.to_ms)
        if self._resources:
            rows = rows.filter(resource__in=self._resources)
        if self.where.resource:
            rows = rows.filter(resource=self.where.resource)
        if self.where.key is not None:
            rows = rows.annotate(of_key=KEY).filter(of_key=self.where.key)
        if self.where.tag is not None:
            rows = rows.filter(tagged(self._team_id, *self.where.tag))
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

    def _cost(self, used: Used, month: Month) -> Cost:
        quantity = DIMENSIONS[used.dimension].quantity(used.metered, month.hours)
        amount = self._costs.cost(used.dimension, used.day_ms, used.metered, month)
        return Cost(used.label, used.dimension, used.day_ms, quantity, amount)

    def _shortfall(self, stretch: Stretch, by: By) -> Iterator[Used]:
        """Of the commitment: of the account, of no key, with no tag."""
        where = self.where
        is_theirs = where.resource in ("", commitment.ACCOUNT) and not where.key and not (where.tag and where.tag[1])
        if not is_theirs or (self._resources and commitment.ACCOUNT not in self._resources):
            return
        label = commitment.ACCOUNT if by == By.RESOURCE else ""
        for row in commitment.rows(self._team_id, stretch.from_ms, stretch.to_ms, label):
            if self._wants(row.dimension):
                yield Used(label, row.dimension, row.day_ms, row.metered)


def tagged(team_id: int, key: str, value: str) -> Q:
    """Of rows of usage: those of resources with this tag, or, for an empty value, of those without it."""
    if NEVER_IN_TAG_KEYS.intersection(key):
        return Q(resource__in=[]) if value else Q()
    known = BilledResource.objects.filter(team_id=team_id).annotate(tag=TagOf("tags", key))
    if value:
        return Q(resource__in=known.filter(tag=value).values("resource"))
    return ~Q(resource__in=known.filter(tag__gt="").values("resource"))


def _named(rows: Iterator[Used], by: By) -> Iterator[Used]:
    """Labels that follow from the meter or the day, and those that the database knows."""
    if by == By.SERVICE:
        return (row._replace(label=DIMENSIONS[row.dimension].service) for row in rows)
    if by == By.DIMENSION:
        return (row._replace(label=row.dimension) for row in rows)
    return rows if by != By.DAY else (row._replace(label=str(row.day_ms)) for row in rows)


def _summed(rows: QuerySet[Any]) -> Iterator[Used]:
    """rows: annotated with label and day."""
    summed = rows.values_list("label", "meter", "day").annotate(n=Sum("quantity")).order_by()
    for label, meter, day_ms, metered in summed.iterator():
        yield Used(label, OF_METER[meter].name, day_ms, metered)


def _day_in(stretch: Stretch) -> Any:
    """Days are told apart only where a unit costs another amount each day."""
    return Case(When(meter__in=stretch.tiered, then=F("day_ms")), default=Value(stretch.from_ms))


KEY: Any = Case(When(meter__in=BOOKED_BY_CONSUMER, then=Value("")), default=F("meter_key"))
