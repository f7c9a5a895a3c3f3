"""What was put into streams, as their logs count it: readings for the ledger, by UTC hour, access key and plan.

The counts commit with the records and are read per shard. They are cumulative within an hour, so a reading may be repeated,
and a late one still lands in the right hour. How long things were there is time_meters.py's, what is stored is
storage_meters.py's, and metering.py has the round over all of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import transaction

from apps.base.units import DAY_MS, HOUR_MS, KIB
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import (
    ADVANTAGE_BYTES_IN,
    BYTES_IN,
    ON_DEMAND_BYTES_IN,
    PAYLOAD_UNITS,
    RECORDS_IN,
    Meter,
)
from apps.billing.plans import Plan, split
from apps.recordlog.interface import MeterRow, Totals, UnknownShard
from apps.runtime import Runtime
from apps.streams import log_marks
from apps.streams.models import Shard
from apps.streams.usage_names import resource_of, source_of_shard

PAID_BY = {Plan.ON_DEMAND: ON_DEMAND_BYTES_IN, Plan.ADVANTAGE: ADVANTAGE_BYTES_IN}
"""What is put under these plans is paid by bytes, each record rounded up to 1 KiB; else by payload units."""


def record_log(runtime: Runtime, shards: Sequence[Shard]) -> None:
    """Book what the log has counted for the shards since they were read last."""
    older = log_marks.look(runtime)
    read_at_ms = runtime.clock.now_ms()
    found = runtime.wait_for(_log_meters(runtime, shards))
    readings = [r for shard, rows in zip(shards, found, strict=True) for r in _of_log(runtime, shard, rows, read_at_ms)]
    with transaction.atomic():
        raised = ledger.record(readings, older)
        for shard, rows in zip(shards, found, strict=True):
            _move_on(shard, rows)
        if raised:
            log_marks.leave(runtime, older)


async def _log_meters(runtime: Runtime, shards: Sequence[Shard]) -> list[list[MeterRow]]:
    """The rows of each shard; none where its log is not made yet, or dropped."""

    async def read(shard: Shard) -> list[MeterRow]:
        try:
            return await runtime.record_log.meters(shard.pk, shard.metered_hour_ms)
        except UnknownShard:
            return []

    return await asyncio.gather(*(read(shard) for shard in shards))


def _of_log(runtime: Runtime, shard: Shard, rows: Iterable[MeterRow], read_at_ms: int) -> list[Reading]:
    source, incarnation = source_of_shard(shard.pk), runtime.record_log.incarnation()
    values: Counter[Series] = Counter()
    for row in rows:
        meter_key, plan = split(row.meter_key)
        for meter, value in _of_plan(plan, row.totals):
            # The rows of one hour under several plans are read at once and each only rises: so does their sum.
            values[Series(source, meter.name, row.hour_ms, meter_key, incarnation)] += value
    team_id, resource = shard.stream.team_id, resource_of(shard.stream)
    return [Reading(team_id, resource, series, value, read_at_ms) for series, value in values.items()]


def _of_plan(plan: Plan, totals: Totals) -> tuple[tuple[Meter, int], ...]:
    paid_by = PAID_BY.get(plan)
    paid = (PAYLOAD_UNITS, totals.payload_units) if paid_by is None else (paid_by, totals.kib_units * KIB)
    return (RECORDS_IN, totals.records), (BYTES_IN, totals.size_bytes), paid


def _move_on(shard: Shard, rows: Sequence[MeterRow]) -> None:
    """Arrivals never go back within a shard, so hours before its newest one are complete. One more is read again all
    the same, and two days of readings are kept to recognise those who were overtaken."""
    from_hour_ms = max((row.hour_ms for row in rows), default=0) - HOUR_MS
    if from_hour_ms <= shard.metered_hour_ms:
        return
    Shard.objects.filter(pk=shard.pk, metered_hour_ms__lt=from_hour_ms).update(metered_hour_ms=from_hour_ms)
    ledger.prune(source_of_shard(shard.pk), from_hour_ms - 2 * DAY_MS)
