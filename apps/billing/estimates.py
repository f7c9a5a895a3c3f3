"""What something will cost a month before it is made or changed: the same rating that bills, over usage that is made up.

An estimate is of the present month in full, at today's prices of the team, by itself: tiers begin at their first. Rates of
traffic are averages; what cannot be known (a record's rounding where only an average is known) is reckoned by the average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from django.db.models import Min, Sum

from apps.base.units import DAY_MS, HOUR_MS, KIB, PAYLOAD_UNIT_BYTES, SECOND_MS
from apps.billing import meters
from apps.billing.dimensions import DELIVERY_UNIT_BYTES, GB, OF_METER
from apps.billing.meters import Meter
from apps.billing.models import UsageDay
from apps.billing.months import Month
from apps.billing.plans import Plan
from apps.billing.rating import Line, Priced, PriceList, Row, lines_of, rate

FREE_RETENTION_HOURS = 24
EXTENDED_TO_HOURS = 168
"""Above, what is older than 7 days is paid by what is stored."""

RATE_DAYS = 7
"""A stream's present rate is the average over so many days, or since it has usage."""

Used = Mapping[Meter, int]
"""What a month uses of each meter, in the meter's unit."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Lines as a bill would have them, and their sum."""

    month: Month
    lines: tuple[Line, ...]

    @property
    def total_cents(self) -> int:
        """The sum of the rounded lines."""
        return sum(line.cents for line in self.lines)

    @property
    def basis(self) -> str:
        """How long a month it is of."""
        return f"a month of {self.month.days} days"


@dataclass(frozen=True, slots=True)
class Change:
    """Two estimates of the same thing."""

    before: Estimate
    after: Estimate

    @property
    def cents(self) -> int:
        """What a month costs more; less, if negative."""
        return self.after.total_cents - self.before.total_cents


@dataclass(frozen=True, slots=True)
class Traffic:
    """What goes through a stream, on average. The sizes are of a record: as it is, in units of 25 KiB, rounded up to KiB. reads:
    how often all of it is read by GetRecords."""

    records_per_s: Fraction = Fraction(0)
    record_bytes: Fraction = Fraction(0)
    units: Fraction = Fraction(1)
    rounded_bytes: Fraction = Fraction(KIB)
    reads: Fraction = Fraction(0)

    @classmethod
    def of(cls, records_per_s: Fraction | int, record_bytes: Fraction | int, reads: Fraction | int = 0) -> Traffic:
        """Records that are all of one size."""
        size = Fraction(record_bytes)
        units = Fraction(max(1, math.ceil(size / PAYLOAD_UNIT_BYTES)))
        return cls(Fraction(records_per_s), size, units, Fraction(max(1, math.ceil(size / KIB)) * KIB), Fraction(reads))


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A data stream that costs something. consumers: how many read all of it by enhanced fan-out."""

    plan: Plan
    shards: int
    traffic: Traffic = Traffic()
    retention_hours: int = FREE_RETENTION_HOURS
    consumers: int = 0
    shard_metrics: int = 0

    def changed(self, **to: object) -> StreamPlan:
        """The same with some of it different."""
        return replace(self, **to)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """A delivery stream. objects_per_hour: of dynamic partitioning; jq_share: how much of the time jq runs."""

    records_per_s: Fraction
    record_bytes: Fraction
    converts: bool = False
    partitions: bool = False
    objects_per_hour: Fraction = Fraction(0)
    iceberg: bool = False
    direct: bool = True
    """Put directly; False: from a data stream."""


def price(used: Used, prices: PriceList, now_ms: int) -> Estimate:
    """The present month with that usage at today's prices. Raises price_book.NoPrice."""
    month = Month.at(now_ms)
    rows = [
        Row(month.start_ms, OF_METER[meter.name].name, "", n)
        for meter, n in used.items()
        if n and meter.name in OF_METER
    ]
    return Estimate(month, tuple(lines_of(rate(rows, _Today(prices, now_ms), month), month)))


class _Today:
    """A price list on which every day is today."""

    def __init__(self, prices: PriceList, now_ms: int) -> None:
        self._prices = prices
        self._day_ms = now_ms // DAY_MS * DAY_MS

    def of(self, dimension: str, day_ms: int) -> Priced:  # noqa: ARG002 - see PriceList
        return replace(self._prices.of(dimension, self._day_ms), from_ms=0, to_ms=None)


def of_stream(plan: StreamPlan, prices: PriceList, now_ms: int) -> Estimate:
    """A data stream for a month."""
    return price(stream_usage(plan, Month.at(now_ms)), prices, now_ms)


def of_change(before: StreamPlan, after: StreamPlan, prices: PriceList, now_ms: int) -> Change:
    """What is different when a data stream changes."""
    return Change(of_stream(before, prices, now_ms), of_stream(after, prices, now_ms))


def of_delivery(plan: DeliveryPlan, prices: PriceList, now_ms: int) -> Estimate:
    """A delivery stream for a month."""
    return price(delivery_usage(plan, Month.at(now_ms)), prices, now_ms)


def of_queue(prices: PriceList, now_ms: int, received_bytes: int = 0) -> Estimate:
    """A queue for a month."""
    hours = Month.at(now_ms).hours
    return price({meters.QUEUE_TIME: hours * HOUR_MS, meters.QUEUE_BYTES: received_bytes}, prices, now_ms)


def of_read(plan: Plan, size_bytes: int, prices: PriceList, now_ms: int, *, is_long_term: bool = False) -> Estimate:
    """Reading that much with GetRecords once. is_long_term: it is older than 7 days."""
    meter = {
        Plan.PROVISIONED: meters.LONG_TERM_BYTES_OUT if is_long_term else meters.BYTES_OUT,
        Plan.ON_DEMAND: meters.ON_DEMAND_BYTES_OUT,
        Plan.ADVANTAGE: meters.ADVANTAGE_BYTES_OUT,
    }[plan]
    return price({meter: size_bytes}, prices, now_ms)


def read_price(plan: Plan, prices: PriceList, now_ms: int, *, is_long_term: bool = False) -> Fraction:
    """What reading a GB costs, exactly."""
    lines = of_read(plan, GB, prices, now_ms, is_long_term=is_long_term).lines
    return sum((line.amount for line in lines), Fraction(0))


def stream_usage(plan: StreamPlan, month: Month) -> dict[Meter, int]:
    """What the meters of a data stream would say at the end of the month."""
    traffic, time_ms = plan.traffic, month.hours * HOUR_MS
    records = traffic.records_per_s * (time_ms // SECOND_MS)
    size = records * traffic.record_bytes
    used: dict[Meter, Fraction] = {
        meters.RECORDS_IN: records,
        meters.BYTES_IN: size,
        meters.SHARD_METRIC_TIME: Fraction(plan.shards * plan.shard_metrics * time_ms),
    }
    stored = _Stored(traffic.records_per_s * traffic.record_bytes, plan.retention_hours, month.hours)
    if plan.plan == Plan.PROVISIONED:
        used |= _provisioned(plan, records, size, stored, time_ms)
    elif plan.plan == Plan.ON_DEMAND:
        used |= {
            meters.ON_DEMAND_TIME: Fraction(time_ms),
            meters.ON_DEMAND_BYTES_IN: records * traffic.rounded_bytes,
            meters.ON_DEMAND_BYTES_OUT: size * traffic.reads,
            meters.ON_DEMAND_FAN_OUT_BYTES: size * plan.consumers,
            meters.ON_DEMAND_EXTENDED_STORAGE: stored.between(FREE_RETENTION_HOURS, EXTENDED_TO_HOURS),
            meters.ON_DEMAND_LONG_TERM_STORAGE: stored.between(EXTENDED_TO_HOURS, None),
        }
    else:
        used |= {
            meters.ADVANTAGE_BYTES_IN: records * traffic.rounded_bytes,
            meters.ADVANTAGE_BYTES_OUT: size * traffic.reads,
            meters.ADVANTAGE_FAN_OUT_BYTES: size * plan.consumers,
            meters.ADVANTAGE_STORAGE: stored.between(FREE_RETENTION_HOURS, None),
        }
    return {meter: round(quantity) for meter, quantity in used.items()}


def _provisioned(
    plan: StreamPlan, records: Fraction, size: Fraction, stored: _Stored, time_ms: int
) -> dict[Meter, Fraction]:
    extended = plan.shards * time_ms if plan.retention_hours > FREE_RETENTION_HOURS else 0
    return {
        meters.SHARD_TIME: Fraction(plan.shards * time_ms),
        meters.PAYLOAD_UNITS: records * plan.traffic.units,
        meters.EXTENDED_RETENTION_TIME: Fraction(extended),
        meters.LONG_TERM_STORAGE: stored.between(EXTENDED_TO_HOURS, None),
        meters.BYTES_OUT: size * plan.traffic.reads,
        meters.CONSUMER_TIME: Fraction(plan.consumers * plan.shards * time_ms),
        meters.FAN_OUT_BYTES: size * plan.consumers,
    }


@dataclass(frozen=True, slots=True)
class _Stored:
    """What lies in a stream that has been going on for longer than its retention."""

    bytes_per_s: Fraction
    retention_hours: int
    hours: int

    def between(self, from_hours: int, to_hours: int | None) -> Fraction:
        """Byte-hours of data of that age, over the month."""
        oldest = self.retention_hours if to_hours is None else min(self.retention_hours, to_hours)
        seconds = max(0, oldest - from_hours) * HOUR_MS // SECOND_MS
        return self.bytes_per_s * seconds * self.hours


def delivery_usage(plan: DeliveryPlan, month: Month) -> dict[Meter, int]:
    """What the meters of a delivery stream would say at the end of the month."""
    records = plan.records_per_s * (month.hours * HOUR_MS // SECOND_MS)
    size = records * plan.record_bytes
    units = records * max(1, math.ceil(plan.record_bytes / DELIVERY_UNIT_BYTES))
    used: dict[Meter, Fraction] = {
        meters.DELIVERY_RECORDS_IN: records,
        meters.DELIVERY_BYTES_IN: size,
    }
    if not plan.iceberg:
        used[meters.DELIVERY_UNITS] = units
    if plan.converts:
        used[meters.CONVERTED_UNITS] = units
    if plan.partitions:
        used[meters.PARTITIONED_BYTES] = size
        used[meters.PARTITIONED_OBJECTS] = plan.objects_per_hour * month.hours
    if plan.iceberg:
        used[meters.ICEBERG_PUT_BYTES if plan.direct else meters.ICEBERG_BYTES] = size
    return {meter: round(quantity) for meter, quantity in used.items()}


def traffic_of(team_id: int, resource: str, now_ms: int, since_ms: int = 0) -> Traffic | None:
    """What went through a data stream on average lately; None: nothing did. since_ms: when it was made. What a stream of the same
    name used before that counts as its own."""
    from_ms = now_ms // DAY_MS * DAY_MS - (RATE_DAYS - 1) * DAY_MS
    rows = UsageDay.objects.filter(
        team_id=team_id, resource=resource, meter__in=[meter.name for meter in _OF_TRAFFIC], day_ms__gte=from_ms
    )
    found = rows.values_list("meter").annotate(n=Sum("quantity"), first_ms=Min("day_ms")).order_by()
    used = {meter: n for meter, n, _ in found}
    first_ms = min((first for _, _, first in found), default=from_ms)
    records = used.get(meters.RECORDS_IN.name, 0)
    if not records:
        return None
    start_ms = first_ms if first_ms + DAY_MS <= since_ms else max(from_ms, since_ms)
    seconds = Fraction(max(now_ms - start_ms, HOUR_MS), SECOND_MS)
    size = used.get(meters.BYTES_IN.name, 0)
    read = sum(used.get(meter.name, 0) for meter in _READ)
    reads = Fraction(read, size) if size else Fraction(0)
    like = Traffic.of(Fraction(records) / seconds, Fraction(size, records), reads)
    units = used.get(meters.PAYLOAD_UNITS.name, 0)
    rounded = sum(used.get(meter.name, 0) for meter in (meters.ON_DEMAND_BYTES_IN, meters.ADVANTAGE_BYTES_IN))
    if units >= records:
        like = replace(like, units=Fraction(units, records))
    if rounded >= records * KIB:
        like = replace(like, rounded_bytes=Fraction(rounded, records))
    return like


_READ = (meters.BYTES_OUT, meters.ON_DEMAND_BYTES_OUT, meters.ADVANTAGE_BYTES_OUT)
_OF_TRAFFIC = (
    *_READ,
    meters.RECORDS_IN,
    meters.BYTES_IN,
    meters.PAYLOAD_UNITS,
    meters.ON_DEMAND_BYTES_IN,
    meters.ADVANTAGE_BYTES_IN,
)
