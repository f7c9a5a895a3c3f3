"""Every meter, its unit, and what it counts: the one table. Readings with any other name are refused.

Integers only: records, bytes, milliseconds, and byte-hours for what is stored (byte-milliseconds would not fit into the
database's integers; what an hour's fraction leaves is dropped once per series and hour). Time becomes hours, and bytes become
GB, where prices are applied (dimensions.py).

What a stream's usage costs depends on its plan: provisioned, on-demand, or on-demand of an account with the minimum
throughput billing commitment ("advantage"). So the same act is counted by another meter under another plan, and the plan
is known when it is counted: a switch in the middle of an hour needs no reading of its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter of usage."""

    name: str
    unit: str
    meaning: str


BYTE, TIME, STORED = "byte", "millisecond", "byte-hour"

RECORDS_IN = Meter("records-in", "record", "Records put into a stream")
BYTES_IN = Meter("bytes-in", BYTE, "Data and partition keys put into a stream")
PAYLOAD_UNITS = Meter(
    "payload-units", "unit of 25 KiB", "Each record put into a provisioned stream, in units of 25 KiB"
)
SHARD_TIME = Meter("shard-time", TIME, "Open shards of provisioned streams, times how long")
EXTENDED_RETENTION_TIME = Meter(
    "extended-retention-time",
    TIME,
    "Open shards of provisioned streams while the retention is above 24 hours, times how long",
)
LONG_TERM_STORAGE = Meter("long-term-storage", STORED, "Data older than 7 days in provisioned streams, times how long")
BYTES_OUT = Meter("bytes-out", BYTE, "Data that GetRecords gave from provisioned streams")
LONG_TERM_BYTES_OUT = Meter("long-term-bytes-out", BYTE, "Of that, data older than 7 days")
CONSUMER_TIME = Meter(
    "consumer-time", TIME, "Registered consumers times open shards of provisioned streams, times how long"
)
FAN_OUT_BYTES = Meter("fan-out-bytes", BYTE, "Data that consumers of provisioned streams got by enhanced fan-out")
SHARD_METRIC_TIME = Meter(
    "shard-metric-time", TIME, "Shard-level metrics switched on times open shards, times how long"
)

ON_DEMAND_TIME = Meter("on-demand-time", TIME, "On-demand streams, times how long")
ON_DEMAND_BYTES_IN = Meter("on-demand-bytes-in", BYTE, "Each record put into an on-demand stream, rounded up to 1 KiB")
ON_DEMAND_BYTES_OUT = Meter("on-demand-bytes-out", BYTE, "Data that GetRecords gave from on-demand streams")
ON_DEMAND_FAN_OUT_BYTES = Meter("on-demand-fan-out-bytes", BYTE, "Data that consumers of on-demand streams got")
ON_DEMAND_EXTENDED_STORAGE = Meter(
    "on-demand-extended-storage", STORED, "Data between 24 hours and 7 days old in on-demand streams, times how long"
)
ON_DEMAND_LONG_TERM_STORAGE = Meter(
    "on-demand-long-term-storage", STORED, "Data older than 7 days in on-demand streams, times how long"
)

ADVANTAGE_TIME = Meter("advantage-time", TIME, "How long the account had the minimum throughput billing commitment")
ADVANTAGE_BYTES_IN = Meter("advantage-bytes-in", BYTE, "As on-demand-bytes-in, under the commitment")
ADVANTAGE_BYTES_OUT = Meter("advantage-bytes-out", BYTE, "As on-demand-bytes-out, under the commitment")
ADVANTAGE_FAN_OUT_BYTES = Meter("advantage-fan-out-bytes", BYTE, "As on-demand-fan-out-bytes, under the commitment")
ADVANTAGE_STORAGE = Meter("advantage-storage", STORED, "Data older than 24 hours, under the commitment, times how long")

QUEUE_TIME = Meter("queue-time", TIME, "Queues, times how long")
QUEUE_BYTES = Meter("queue-bytes", BYTE, "Data that receivers got from queues")

CHANNEL_BYTES = Meter("channel-bytes", BYTE, "Data that channels delivered to S3")
CHANNEL_TABLE_BYTES = Meter("channel-table-bytes", BYTE, "Data that channels delivered to S3 Tables")
ADVANTAGE_CHANNEL_BYTES = Meter("advantage-channel-bytes", BYTE, "As channel-bytes, under the commitment")
ADVANTAGE_CHANNEL_TABLE_BYTES = Meter(
    "advantage-channel-table-bytes", BYTE, "As channel-table-bytes, under the commitment"
)

DELIVERY_RECORDS_IN = Meter("delivery-records-in", "record", "Records put into a delivery stream")
DELIVERY_BYTES_IN = Meter("delivery-bytes-in", BYTE, "Data put into a delivery stream")
DELIVERY_UNITS = Meter(
    "delivery-units", "unit of 5 KiB", "Each record a delivery stream took in, rounded up to multiples of 5 KiB"
)
CONVERTED_UNITS = Meter(
    "delivery-converted-units",
    "unit of 5 KiB",
    "Each record converted to Parquet or ORC, rounded up as it was taken in",
)
PARTITIONED_BYTES = Meter("delivery-partitioned-bytes", BYTE, "Data delivered with dynamic partitioning")
PARTITIONED_OBJECTS = Meter("delivery-objects", "object", "Objects written with dynamic partitioning")
JQ_TIME = Meter("delivery-jq-time", TIME, "Time that jq took")
DECOMPRESSED_BYTES = Meter("delivery-decompressed-bytes", BYTE, "Data decompressed by a processor")
ICEBERG_BYTES = Meter("delivery-iceberg-bytes", BYTE, "Data taken from a stream for Iceberg tables")
ICEBERG_PUT_BYTES = Meter("delivery-iceberg-put-bytes", BYTE, "Data put for Iceberg tables")

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
    ICEBERG_PUT_BYTES,
    CHANNEL_BYTES,
    CHANNEL_TABLE_BYTES,
    ADVANTAGE_CHANNEL_BYTES,
    ADVANTAGE_CHANNEL_TABLE_BYTES,
)
"""Read by apps/delivery/meters.py."""

METERS: dict[str, Meter] = {
    meter.name: meter
    for meter in (
        RECORDS_IN,
        BYTES_IN,
        PAYLOAD_UNITS,
        SHARD_TIME,
        EXTENDED_RETENTION_TIME,
        LONG_TERM_STORAGE,
        BYTES_OUT,
        LONG_TERM_BYTES_OUT,
        CONSUMER_TIME,
        FAN_OUT_BYTES,
        SHARD_METRIC_TIME,
        ON_DEMAND_TIME,
        ON_DEMAND_BYTES_IN,
        ON_DEMAND_BYTES_OUT,
        ON_DEMAND_FAN_OUT_BYTES,
        ON_DEMAND_EXTENDED_STORAGE,
        ON_DEMAND_LONG_TERM_STORAGE,
        ADVANTAGE_TIME,
        ADVANTAGE_BYTES_IN,
        ADVANTAGE_BYTES_OUT,
        ADVANTAGE_FAN_OUT_BYTES,
        ADVANTAGE_STORAGE,
        QUEUE_TIME,
        QUEUE_BYTES,
        *DELIVERY_METERS,
    )
}
