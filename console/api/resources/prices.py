"""Prices: the team's rate card, beside AWS's list; and what a plan would cost at them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from apps.base.units import DAY_MS
from apps.billing import estimates, price_book
from apps.billing.dimensions import DIMENSIONS, SERVICES, Dimension
from apps.billing.estimates import DeliveryPlan, Estimate, StreamPlan, Traffic
from apps.billing.exports.cells import money
from apps.billing.plans import Plan
from apps.billing.price_book import Books, NoPrice, number_text
from apps.billing.rating import Tier, decimal_text
from console import calls
from console.api.paging import page_of, whole
from console.api.request import ApiRequest
from console.api.resources.bills import CENTS, DECIMAL
from console.api.resources.metrics import TIME_MS_MAX
from console.api.view import ApiView

TAG: Final = "Prices"
SHARDS_MAX: Final = 100_000
RATE_MAX: Final = 10**9
RECORD_BYTES_MAX: Final = 10 * 2**20
HOURS_MAX: Final = 8_760
READERS_MAX: Final = 1_000
SHARD_METRICS_MAX: Final = 7
BYTES_MAX: Final = 10**15
MODES: Final = {"PROVISIONED": Plan.PROVISIONED, "ON_DEMAND": Plan.ON_DEMAND, "ADVANTAGE": Plan.ADVANTAGE}

Json = dict[str, Any]


class TierSerializer(serializers.Serializer[Any]):
    """What a unit costs up to a quantity."""

    up_to = serializers.RegexField(DECIMAL, allow_null=True, help_text="Units of sale in a month; null: all others.")
    price = serializers.RegexField(DECIMAL, help_text="Of each unit.")


class PriceSerializer(serializers.Serializer[Any]):
    """The price of a dimension."""

    dimension = serializers.CharField()
    service = serializers.ChoiceField(SERVICES)
    title = serializers.CharField()
    unit = serializers.CharField(help_text="Of sale. 1 GB is 2^30 bytes.")
    meter = serializers.CharField(allow_null=True, help_text="What it counts; null: a rate that nothing here uses.")
    tiers = TierSerializer(many=True, allow_null=True, help_text="null: no price; usage of it is not billed.")
    from_ms = serializers.IntegerField(allow_null=True, help_text="Valid since.")
    to_ms = serializers.IntegerField(allow_null=True, help_text="Valid until, not in it; null: no end is known.")
    is_own = serializers.BooleanField(help_text="The team pays another price than others.")
    list_tiers = TierSerializer(many=True, allow_null=True, help_text="AWS's list; null: AWS publishes none.")
    currency = serializers.CharField()


class PriceQuery(serializers.Serializer[Any]):
    """On which day."""

    at_ms = serializers.IntegerField(
        min_value=0, max_value=TIME_MS_MAX, required=False, help_text="On the UTC day of this time; by default now."
    )


class StreamPlanSerializer(serializers.Serializer[Any]):
    """A data stream as it would be."""

    mode = serializers.ChoiceField(list(MODES), default="PROVISIONED", help_text="ADVANTAGE: under the commitment.")
    shards = serializers.IntegerField(min_value=1, max_value=SHARDS_MAX, default=1)
    records_per_s = serializers.FloatField(min_value=0, max_value=RATE_MAX, default=0, help_text="On average.")
    record_bytes = serializers.FloatField(min_value=0, max_value=RECORD_BYTES_MAX, default=0, help_text="On average.")
    retention_hours = serializers.IntegerField(min_value=24, max_value=HOURS_MAX, default=24)
    reads = serializers.FloatField(
        min_value=0, max_value=READERS_MAX, default=0, help_text="How often all of it is read by GetRecords."
    )
    consumers = serializers.IntegerField(
        min_value=0, max_value=READERS_MAX, default=0, help_text="Consumers with enhanced fan-out."
    )
    shard_metrics = serializers.IntegerField(min_value=0, max_value=SHARD_METRICS_MAX, default=0)


class DeliveryPlanSerializer(serializers.Serializer[Any]):
    """A delivery stream as it would be."""

    records_per_s = serializers.FloatField(min_value=0, max_value=RATE_MAX)
    record_bytes = serializers.FloatField(min_value=0, max_value=RECORD_BYTES_MAX)
    converts = serializers.BooleanField(default=False, help_text="To Parquet or ORC.")
    partitions = serializers.BooleanField(default=False, help_text="By dynamic partitioning.")
    objects_per_hour = serializers.FloatField(min_value=0, max_value=RATE_MAX, default=0)
    iceberg = serializers.BooleanField(default=False)
    direct = serializers.BooleanField(default=True, help_text="Put directly; false: from a data stream.")


class QueuePlanSerializer(serializers.Serializer[Any]):
    """A queue as it would be."""

    received_bytes = serializers.IntegerField(min_value=0, max_value=BYTES_MAX, default=0, help_text="In a month.")


class EstimatePlanSerializer(serializers.Serializer[Any]):
    """One of the three."""

    data_stream = StreamPlanSerializer(required=False)
    delivery_stream = DeliveryPlanSerializer(required=False)
    queue = QueuePlanSerializer(required=False)


class EstimateLineSerializer(serializers.Serializer[Any]):
    """A line, as a bill would have it."""

    dimension = serializers.CharField()
    service = serializers.CharField()
    title = serializers.CharField()
    quantity = serializers.RegexField(DECIMAL)
    unit = serializers.CharField()
    unit_price = serializers.RegexField(DECIMAL)
    amount = serializers.RegexField(DECIMAL, help_text="Before rounding, 12 places at most.")
    billed = serializers.RegexField(CENTS)


class EstimateSerializer(serializers.Serializer[Any]):
    """What a month would cost."""

    month = serializers.CharField(help_text="Whose days and hours were taken.")
    currency = serializers.CharField()
    total = serializers.RegexField(CENTS)
    lines = EstimateLineSerializer(many=True)


class Prices(ApiView):
    """The rate card."""

    tag = TAG
    needs: ClassVar = {"GET": "billing:read"}
    names: ClassVar = {"GET": "listPrices"}

    @extend_schema(parameters=[PriceQuery], responses=page_of(PriceSerializer))
    def get(self, request: ApiRequest) -> Response:
        """What the team pays for each dimension on a day, beside AWS's list as it was shipped. Told at once."""
        query = self.query(request, PriceQuery)
        day_ms = query.get("at_ms", calls.now_ms()) // DAY_MS * DAY_MS
        region = settings.CONFIG.region
        own, listed = price_book.price_list(request.team.pk, region), price_book.list_prices(region)
        return Response(whole([_price(one, own, listed, day_ms) for one in DIMENSIONS.values()]))


class Estimates(ApiView):
    """What would it cost?"""

    tag = TAG
    needs: ClassVar = {"POST": "billing:read"}
    names: ClassVar = {"POST": "estimateCosts"}
    examples: ClassVar = {
        "POST": {
            "data_stream": {
                "mode": "PROVISIONED", "shards": 4, "records_per_s": 100, "record_bytes": 35_840, "retention_hours": 24,
                "reads": 1, "consumers": 0, "shard_metrics": 0,
            }
        }
    }  # fmt: skip

    @extend_schema(request=EstimatePlanSerializer, responses=EstimateSerializer)
    def post(self, request: ApiRequest) -> Response:
        """What a data stream, a delivery stream or a queue would cost in this month in full, at today's prices of the team.

        The same code that bills; nothing is made or kept. Tiers begin at their first: it is an estimate of the thing alone.
        """
        given = self.read(request, EstimatePlanSerializer)
        if len(given) != 1:
            raise ValidationError({"data_stream": "Give one plan: data_stream, delivery_stream or queue."})
        prices = price_book.price_list(request.team.pk, settings.CONFIG.region)
        try:
            made = _estimate(given, prices)
        except NoPrice as error:
            raise ValidationError({"data_stream": str(error)}) from error
        return Response(_estimated(made))


def _estimate(given: Json, prices: Books) -> Estimate:
    now_ms = calls.now_ms()
    if plan := given.get("data_stream"):
        traffic = Traffic.of(*(Fraction(str(plan[name])) for name in ("records_per_s", "record_bytes", "reads")))
        names = ("shards", "retention_hours", "consumers", "shard_metrics")
        stream = StreamPlan(MODES[plan["mode"]], traffic=traffic, **{name: plan[name] for name in names})
        return estimates.of_stream(stream, prices, now_ms)
    if plan := given.get("delivery_stream"):
        flags = ("converts", "partitions", "iceberg", "direct")
        delivery = DeliveryPlan(
            Fraction(str(plan["records_per_s"])), Fraction(str(plan["record_bytes"])),
            objects_per_hour=Fraction(str(plan["objects_per_hour"])), **{name: plan[name] for name in flags},
        )  # fmt: skip
        return estimates.of_delivery(delivery, prices, now_ms)
    return estimates.of_queue(prices, now_ms, given["queue"]["received_bytes"])


def _estimated(made: Estimate) -> Json:
    lines = [
        {
            "dimension": line.dimension.name,
            "service": line.dimension.service,
            "title": line.dimension.title,
            "quantity": decimal_text(line.quantity),
            "unit": line.dimension.unit,
            "unit_price": number_text(line.price),
            "amount": decimal_text(line.amount),
            "billed": money(line.cents),
        }
        for line in made.lines
    ]
    return {
        "month": str(made.month), "currency": price_book.CURRENCY, "total": money(made.total_cents), "lines": lines,
    }  # fmt: skip


def _price(one: Dimension, own: Books, listed: Books, day_ms: int) -> Json:
    try:
        priced = own.of(one.name, day_ms)
    except NoPrice:
        priced = None
    try:
        list_tiers = _tiers(listed.of(one.name, day_ms).tiers)
    except NoPrice:
        list_tiers = None
    shipped = price_book.shipped_list(settings.CONFIG.region)
    return {
        "dimension": one.name,
        "service": one.service,
        "title": one.title,
        "unit": one.unit,
        "meter": None if one.meter is None else one.meter.name,
        "tiers": None if priced is None else _tiers(priced.tiers),
        "from_ms": None if priced is None else priced.from_ms,
        "to_ms": None if priced is None else priced.to_ms,
        "is_own": own.is_own(one.name, day_ms),
        "list_tiers": None if one.name in shipped.not_published else list_tiers,
        "currency": price_book.CURRENCY,
    }


def _tiers(tiers: tuple[Tier, ...]) -> list[Json]:
    return [
        {"up_to": None if tier.up_to is None else number_text(tier.up_to), "price": number_text(tier.price)}
        for tier in tiers
    ]
