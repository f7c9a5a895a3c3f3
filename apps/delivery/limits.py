"""Limits of putting and buffering, as AWS's page of Firehose's quotas has them."""

from __future__ import annotations

from functools import lru_cache

from apps.base.units import KIB, MIB
from apps.throttle.interface import Budget

BATCH_BYTES_MAX = 4 * MIB
"""Data of one PutRecordBatch call."""

BILLED_BYTES = 5 * KIB
"""What AWS sells Direct PUT by: each record is rounded up to a multiple of 5 KiB."""


@lru_cache(maxsize=256)
def data_budget(records_per_s: int, bytes_per_s: int) -> Budget:
    """Records and bytes that may be put into a Direct PUT delivery stream; a second's worth may be saved up."""
    return Budget(records_per_s, bytes_per_s, records_per_s, bytes_per_s)


@lru_cache(maxsize=256)
def request_budget(per_s: int) -> Budget:
    """PutRecord and PutRecordBatch calls."""
    return Budget(per_s, 0, per_s, 0)
