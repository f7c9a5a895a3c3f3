"""What is sold: the dimensions of a bill, each with its unit of sale and the meters it counts. Prices are data (prices/).

A dimension without a meter is a rate only: its engine is not there yet, or the thing cannot happen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from apps.base.units import HOUR_MS
from apps.billing import meters
from apps.billing.meters import Meter

GB = 2**30
"""As AWS reckons: 1 KB is 1,024 bytes in all of its prices."""

DELIVERY_UNIT_BYTES = 5_120


@dataclass(frozen=True, slots=True)
class Dimension:
    """name: as the price book, REST and CSV have it. code: the row of AWS's price list it stands for (reference only).
    unit: what one of it is. per: how many of the meter's units make one; for monthly ones how many make one for an hour of a
    month, which is divided by the hours of the month. also: a second meter that is sold on the same line."""

    name: str
    code: str
    service: str
    title: str
    unit: str
    meter: Meter | None = None
    per: Fraction = Fraction(1)
    monthly: bool = False
    also: Meter | None = None

    @property
    def meters(self) -> tuple[Meter, ...]:
        """All that it counts: none, one, or two."""
        return tuple(one for one in (self.meter, self.also) if one is not None)

    def quantity(self, metered: int, hours_of_month: int) -> Fraction:
        """Units of sale, exactly. metered: the meter's units."""
        return Fraction(metered) / (self.per * hours_of_month if self.monthly else self.per)

    def metered(self, quantity: Fraction, hours_of_month: int) -> Fraction:
        """The counterpart of quantity, for tiers."""
        return quantity * (self.per * hours_of_month if self.monthly else self.per)


STREAMS, FIREHOSE, ANALYTICS, VIDEO = "Data Streams", "Firehose", "Analytics", "Video"
SERVICES = (STREAMS, FIREHOSE, ANALYTICS, VIDEO)

_HOUR = Fraction(HOUR_MS)
_MILLION = Fraction(1_000_000)
_GB = Fraction(GB)
_DELIVERED_GB = Fraction(GB, DELIVERY_UNIT_BYTES)


def _streams(name: str, code: str, title: str, unit: str, meter: Meter, per: Fraction, **given: Any) -> Dimension:
    return Dimension(name, code, STREAMS, title, unit, meter, per, **given)


def _delivery(
    name: str, code: str, title: str, unit: str, meter: Meter | None = None, per: Fraction = _GB
) -> Dimension:
    return Dimension(name, code, FIREHOSE, title, unit, meter, per)


def _rate(name: str, code: str, service: str, title: str, unit: str) -> Dimension:
    return Dimension(name, code, service, title, unit)


COMMITTED_IN = Dimension(
    "advantage-shortfall-in", "D13", STREAMS, "Commitment: what was missing of 25 MiB/s in", "GB", None, _GB
)
COMMITTED_OUT = Dimension(
    "advantage-shortfall-out", "D13", STREAMS, "Commitment: what was missing of 25 MiB/s out", "GB", None, _GB
)
"""Of no meter: what each UTC hour of the commitment lacks (commitment.py)."""

_ALL = (
    _streams("shard-hour", "D1", "Shard hours", "shard-hour", meters.SHARD_TIME, _HOUR),
    _streams("payload-unit", "D2", "PUT payload units", "1,000,000 units", meters.PAYLOAD_UNITS, _MILLION),
    _streams("extended-retention", "D3", "Extended retention", "shard-hour", meters.EXTENDED_RETENTION_TIME, _HOUR),
    _streams("long-term-retention", "D4", "Long-term retention", "GB-month", meters.LONG_TERM_STORAGE, _GB, monthly=True),
    _streams("long-term-retrieval", "D5", "Long-term retrieval", "GB", meters.LONG_TERM_BYTES_OUT, _GB),
    _streams("fan-out-hour", "D6", "Enhanced fan-out consumers", "consumer-shard-hour", meters.CONSUMER_TIME, _HOUR),
    _streams("fan-out-data", "D7", "Enhanced fan-out data", "GB", meters.FAN_OUT_BYTES, _GB),
    _streams("on-demand-stream-hour", "D8", "On-demand streams", "stream-hour", meters.ON_DEMAND_TIME, _HOUR),
    _streams("on-demand-data-in", "D9", "On-demand data in", "GB", meters.ON_DEMAND_BYTES_IN, _GB),
    _streams("on-demand-data-out", "D10", "On-demand data out", "GB", meters.ON_DEMAND_BYTES_OUT, _GB),
    _streams("on-demand-fan-out", "D11", "On-demand enhanced fan-out", "GB", meters.ON_DEMAND_FAN_OUT_BYTES, _GB),
    _streams("on-demand-extended-retention", "D12", "On-demand retention, 24 hours to 7 days", "GB-month",
             meters.ON_DEMAND_EXTENDED_STORAGE, _GB, monthly=True),
    _streams("on-demand-long-term-retention", "D12", "On-demand retention above 7 days", "GB-month",
             meters.ON_DEMAND_LONG_TERM_STORAGE, _GB, monthly=True),
    _streams("advantage-data-in", "D13", "Advantage data in", "GB", meters.ADVANTAGE_BYTES_IN, _GB),
    _streams("advantage-data-out", "D13", "Advantage data out, enhanced fan-out included", "GB", meters.ADVANTAGE_BYTES_OUT, _GB,
             also=meters.ADVANTAGE_FAN_OUT_BYTES),
    COMMITTED_IN,
    COMMITTED_OUT,
    _streams("advantage-retention", "D14", "Advantage retention above 24 hours", "GB-month", meters.ADVANTAGE_STORAGE, _GB,
             monthly=True),
    _streams("channel-data", "D15", "Channels to S3", "GB", meters.CHANNEL_BYTES, _GB),
    _streams("channel-table-data", "D15", "Channels to S3 Tables", "GB", meters.CHANNEL_TABLE_BYTES, _GB),
    _streams("advantage-channel-data", "D15", "Advantage channels to S3", "GB", meters.ADVANTAGE_CHANNEL_BYTES, _GB),
    _streams("advantage-channel-table-data", "D15", "Advantage channels to S3 Tables", "GB",
             meters.ADVANTAGE_CHANNEL_TABLE_BYTES, _GB),
    _streams("queue-hour", "D16", "Queues", "queue-hour", meters.QUEUE_TIME, _HOUR),
    _streams("queue-data", "D16", "Data received from queues", "GB", meters.QUEUE_BYTES, _GB),
    _streams("shard-metric", "D17", "Shard-level metrics", "metric-month", meters.SHARD_METRIC_TIME, _HOUR, monthly=True),
    _delivery("delivery-ingestion", "F1", "Delivery stream ingestion", "GB", meters.DELIVERY_UNITS, _DELIVERED_GB),
    _delivery("delivery-msk", "F2", "Ingestion from MSK", "GB"),
    _delivery("delivery-vended-logs", "F3", "Vended logs", "GB"),
    _delivery("delivery-conversion", "F4", "Format conversion", "GB", meters.CONVERTED_UNITS, _DELIVERED_GB),
    _delivery("delivery-partitioned-data", "F5", "Dynamic partitioning, data", "GB", meters.PARTITIONED_BYTES),
    _delivery("delivery-partitioned-objects", "F5", "Dynamic partitioning, objects", "1,000 objects", meters.PARTITIONED_OBJECTS,
              Fraction(1_000)),
    _delivery("delivery-jq-hour", "F5", "Dynamic partitioning, jq", "hour", meters.JQ_TIME, _HOUR),
    _delivery("delivery-vpc-data", "F6", "VPC delivery, data", "GB"),
    _delivery("delivery-vpc-hour", "F6", "VPC delivery, zones", "zone-hour"),
    _delivery("delivery-snowflake", "F7", "Snowflake delivery", "GB"),
    _delivery("delivery-iceberg", "F8", "Iceberg delivery from a stream", "GB", meters.ICEBERG_BYTES),
    _delivery("delivery-iceberg-put", "F8", "Iceberg delivery of Direct PUT", "GB", meters.ICEBERG_PUT_BYTES),
    _delivery("delivery-decompression", "F9", "Decompression", "GB", meters.DECOMPRESSED_BYTES),
    _rate("flink-kpu-hour", "A1", ANALYTICS, "Flink", "KPU-hour"),
    _rate("flink-storage", "A2", ANALYTICS, "Running storage", "GB-month"),
    _rate("flink-backup", "A3", ANALYTICS, "Durable backups", "GB-month"),
    _rate("sql-kpu-hour", "A4", ANALYTICS, "SQL applications", "KPU-hour"),
    _rate("video-in", "V1", VIDEO, "Video in", "GB"),
    _rate("video-out", "V1", VIDEO, "Video out", "GB"),
    _rate("video-hls-out", "V2", VIDEO, "Video out, HLS", "GB"),
    _rate("video-storage", "V3", VIDEO, "Video stored", "GB-month"),
    _rate("signaling-channel", "V4", VIDEO, "Signaling channels", "channel-month"),
    _rate("signaling-message", "V4", VIDEO, "Signaling messages", "1,000,000 messages"),
    _rate("turn-minute", "V4", VIDEO, "TURN minutes", "1,000 minutes"),
)  # fmt: skip

DIMENSIONS: dict[str, Dimension] = {one.name: one for one in _ALL}

OF_METER: dict[str, Dimension] = {meter.name: one for one in _ALL for meter in one.meters}
"""The dimension that a meter is sold by. Meters without one are counted, not sold."""
