"""What the processors of a delivery stream are: from a list of records to a list of records, and those that failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from apps.delivery.record import Failed, Record


@dataclass(slots=True)
class Processed:
    """The answers to one list of records, in order. Records that were made of one record have its ordinal and rising
    subs; partition_keys are set where the delivery stream partitions. dropped: how many a transform said to drop.
    metrics: observations by name (ExecuteProcessing.Duration …)."""

    records: list[Record]
    failed: list[Failed] = field(default_factory=list)
    dropped: int = 0
    metrics: list[tuple[str, float]] = field(default_factory=list)
    decompressed_bytes: int = 0
    """What a Decompression processor made, for the bill."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    """(code, message) for the error log: attempts of a transform that failed."""


class Chain(Protocol):
    """The processors in AWS's order: `chain_for(runtime, target, source_kind)`.

    Waits for transforms, at most for their own time-outs; their retries are the chain's. Never raises for anything in a
    record or in a transform's answer: that makes records fail.
    """

    def run(self, records: list[Record], now_ms: int) -> Processed:
        """Take a list of neighbouring records of a source lane, in order; at most about 4 MiB or the transform's
        buffer."""
        ...
