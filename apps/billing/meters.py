"""Every meter, its unit, and what it counts: the one table. Readings with any other name are refused.

Time is metered in milliseconds and becomes hours where prices are applied.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter of usage."""

    name: str
    unit: str
    meaning: str


RECORDS_IN = Meter("records-in", "record", "Records put into a stream")
BYTES_IN = Meter("bytes-in", "byte", "Data and partition keys put into a stream")
PAYLOAD_UNITS = Meter("payload-units", "unit of 25 KiB", "Each record put, rounded up to multiples of 25 KiB")
SHARD_TIME = Meter("shard-time", "millisecond", "Open shards of provisioned streams, times how long")
ON_DEMAND_TIME = Meter("on-demand-time", "millisecond", "On-demand streams, times how long")
EXTENDED_RETENTION_TIME = Meter(
    "extended-retention-time", "millisecond", "Open shards while the retention is above 24 hours, times how long"
)
CONSUMER_TIME = Meter("consumer-time", "millisecond", "Registered consumers times open shards, times how long")

DELIVERY_RECORDS_IN = Meter("delivery-records-in", "record", "Records put into a delivery stream")
DELIVERY_BYTES_IN = Meter("delivery-bytes-in", "byte", "Data put into a delivery stream")
DELIVERY_UNITS = Meter(
    "delivery-units", "unit of 5 KiB", "Each record a delivery stream took in, rounded up to multiples of 5 KiB"
)
CONVERTED_UNITS = Meter(
    "delivery-converted-units",
    "unit of 5 KiB",
    "Each record converted to Parquet or ORC, rounded up as it was taken in",
)
PARTITIONED_BYTES = Meter("delivery-partitioned-bytes", "byte", "Data delivered with dynamic partitioning")
PARTITIONED_OBJECTS = Meter("delivery-objects", "object", "Objects written with dynamic partitioning")
JQ_TIME = Meter("delivery-jq-time", "millisecond", "Time that jq took")
DECOMPRESSED_BYTES = Meter("delivery-decompressed-bytes", "byte", "Data decompressed by a processor")
ICEBERG_BYTES = Meter("delivery-iceberg-bytes", "byte", "Data delivered to Iceberg tables")
CHANNEL_BYTES = Meter("channel-bytes", "byte", "Data that a channel of a data stream delivered")

DELIVERY_METERS = (
    DELIVERY_RECORDS_IN,
    DELIVERY_BYTES_IN,
    DELIVERY_UNITS,
    CONVERTED_UNITS,
    PARTITIONED_BYTES,
    PARTITIONED_OBJECTS,
    JQ_TIME,
    DECOMPRESSED_BYTES,
    ICEBERG_BYTES,
    CHANNEL_BYTES,
)
"""Read by apps/delivery/meters.py."""

METERS: dict[str, Meter] = {
    meter.name: meter
    for meter in (
        RECORDS_IN,
        BYTES_IN,
        PAYLOAD_UNITS,
        SHARD_TIME,
        ON_DEMAND_TIME,
        EXTENDED_RETENTION_TIME,
        CONSUMER_TIME,
        *DELIVERY_METERS,
    )
}
