"""How large the deliveries of a delivery stream are: their sizes in classes, and the newest of them, minute by minute.

From its metrics, so that it is the same for every destination.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from apps.base.units import KIB, MIB, SECOND_MS
from apps.delivery.metrics import delivery_metric, series_key
from apps.metrics import firehose, store
from apps.metrics.buckets import NOTHING
from console import calls

HOURS = 6
WIDTH_S = 60
NEWEST = 6

CLASSES: Final = (
    (KIB, "below 1 KiB"),
    (10 * KIB, "1 to 10 KiB"),
    (100 * KIB, "10 to 100 KiB"),
    (MIB, "100 KiB to 1 MiB"),
    (10 * MIB, "1 to 10 MiB"),
    (float("inf"), "10 MiB and more"),
)
"""Below so many bytes."""


@dataclass(frozen=True, slots=True)
class Minute:
    """Deliveries of one minute."""

    at_ms: int
    count: int
    size_bytes: float
    records: float


@dataclass(frozen=True, slots=True)
class Class:
    """Deliveries of about one size. percent: of the class with the most."""

    label: str
    count: int
    percent: float


@dataclass(slots=True)
class Batches:
    """Of the last HOURS. known: the metrics answered."""

    hours: int = HOURS
    known: bool = True
    total: int = 0
    classes: list[Class] = field(default_factory=list)
    newest: list[Minute] = field(default_factory=list)


def batches_of(team_id: int, row: Any) -> Batches:
    """From 6 hours of minutes. Several deliveries of a minute count with their mean size."""
    clock = calls.runtime().clock
    now_s = clock.now_ms() // SECOND_MS
    history = store.history(team_id, series_key(row.pk), now_s - HOURS * 3_600, now_s + 1, WIDTH_S, clock=clock)
    size, records = (
        firehose.BY_NAME[delivery_metric(row.destination_type, what)].number for what in ("Bytes", "Records")
    )
    minutes = [
        Minute(at_s * SECOND_MS, points[size].count, points[size].total, points.get(records, NOTHING).total)
        for at_s, points in zip(history.times, history.buckets, strict=True)
        if points and size in points and points[size].count and points[size].total
    ]
    counts = dict.fromkeys((label for _, label in CLASSES), 0)
    for minute in minutes:
        counts[_class(minute.size_bytes / minute.count)] += minute.count
    most = max(counts.values(), default=0) or 1
    classes = [Class(label, count, 100 * count / most) for label, count in counts.items()]
    return Batches(HOURS, not history.away, sum(counts.values()), classes, minutes[::-1][:NEWEST])


def _class(size_bytes: float) -> str:
    return next(label for below, label in CLASSES if size_bytes < below)
