"""What load needs of an on-demand stream, remembered by the day: capacity stays while its day is remembered."""

from __future__ import annotations

from django.db.models import Max

from apps.base.units import DAY_MS
from apps.capacity.models import DemandPeak
from apps.streams.models import Stream
from apps.streams.quotas import ON_DEMAND_SHARDS_AT_START, limit

FORGET_AFTER_DAYS = 400
"""Rows are kept longer than any sensible "on-demand-peak-days"."""


def needed(stream: Stream, now_ms: int, shards: int) -> None:
    """Remember that the stream needs so many shards today; less than what today has seen changes nothing."""
    day = now_ms // DAY_MS
    row, made = DemandPeak.objects.get_or_create(stream=stream, day=day, defaults={"shards": shards})
    if made:
        DemandPeak.objects.filter(stream=stream, day__lt=day - FORGET_AFTER_DAYS).delete()
    elif row.shards < shards:
        DemandPeak.objects.filter(pk=row.pk, shards__lt=shards).update(shards=shards)


def floor(stream: Stream, now_ms: int) -> int:
    """The shards that an on-demand stream keeps: what its load needed in the last 30 days, its warm throughput, and
    never less than a new stream has."""
    since = now_ms // DAY_MS - limit(stream.team_id, stream.region, "on-demand-peak-days")
    peak = DemandPeak.objects.filter(stream=stream, day__gt=since).aggregate(most=Max("shards"))["most"]
    return max(ON_DEMAND_SHARDS_AT_START, stream.warm_throughput_mibps or 0, peak or 0)
