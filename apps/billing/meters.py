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
    )
}
