"""Limits of putting and buffering, as AWS's page of Firehose's quotas has them."""

from __future__ import annotations

from functools import lru_cache

from apps.base.units import KIB, MIB
from apps.billing.spending_hold import TENTH, THROTTLE
from apps.delivery.shapes import DATA_BYTES_MAX
from apps.throttle.interface import Budget

BATCH_BYTES_MAX = 4 * MIB
"""Data of one PutRecordBatch call."""

BILLED_BYTES = 5 * KIB
"""What AWS sells Direct PUT by: each record is rounded up to a multiple of 5 KiB."""


@lru_cache(maxsize=256)
def data_budget(records_per_s: int, bytes_per_s: int, held: str = "") -> Budget:
    """Records and bytes that may be put into a Direct PUT delivery stream; a second's worth may be saved up. While the team
    is throttled (held: spending_hold.on) it is a tenth, and the largest record can still be saved up for."""
    if held != THROTTLE:
        return Budget(records_per_s, bytes_per_s, records_per_s, bytes_per_s)
    records, size_bytes = records_per_s / TENTH, bytes_per_s / TENTH
    return Budget(records, size_bytes, max(1, records), max(size_bytes, min(bytes_per_s, DATA_BYTES_MAX)))


@lru_cache(maxsize=256)
def request_budget(per_s: int, held: str = "") -> Budget:
    """PutRecord and PutRecordBatch calls; a tenth as well."""
    rate = per_s / TENTH if held == THROTTLE else per_s
    return Budget(rate, 0, max(1, rate), 0)
