"""What streams have used: readings of their cumulative meters, for the ledger.

Two kinds. *Log meters* (records, bytes, payload units by access key) are kept by the record log, commit with the records
and are read per shard. *Time meters* (shards, consumers, extended retention) follow from the rows: how much of an hour
each lifetime covers, added up. Both are cumulative within a UTC hour, so a reading may be repeated, and a late one still
lands in the right hour.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import transaction

from apps.base.units import DAY_MS, HOUR_MS, KIB, MINUTE_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import (
    ADVANTAGE_BYTES_IN,
    BYTES_IN,
    CONSUMER_TIME,
    EXTENDED_RETENTION_TIME,
    ON_DEMAND_BYTES_IN,
    ON_DEMAND_TIME,
    PAYLOAD_UNITS,
    RECORDS_IN,
    SHARD_TIME,
    Meter,
)
from apps.billing.plans import Plan, split
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.progress import Progress
from apps.recordlog.interface import MeterRow, Totals, UnknownShard
from apps.runtime import Runtime
from apps.streams.models import Consumer, Shard, Stream, StreamMode, StreamStatus

EVERY_MS = MINUTE_MS
SHARDS_PER_ROUND = 100
STREAMS_PER_ROUND = 20
HOURS_PER_CALL = 48
"""Time meters of a stream are booked for at most so many hours in one transaction."""

ROWS = "rows"
"""Stands in the place of the log's incarnation where a reading follows from rows."""

PAID_BY = {Plan.ON_DEMAND: ON_DEMAND_BYTES_IN, Plan.ADVANTAGE: ADVANTAGE_BYTES_IN}
"""What is put under these plans is paid by bytes, each record rounded up to 1 KiB; else by payload units."""

Span = tuple[int, int]


def read_all(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round over all shards and then all streams. The checkpoint says how far the round is."""
    while True:
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
        shards = list(
            Shard.objects.select_related("stream")
            .filter(pk__gt=held.checkpoint.get("shard", 0))
            .order_by("pk")
            .filter(expired_at_ms__isnull=True)[:SHARDS_PER_ROUND]
        )
        if not shards:
            break
        record_log(runtime, shards)
        hold.save_checkpoint(held, {"shard": shards[-1].pk})
    return _read_streams(runtime, held, until_ms)


def _read_streams(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    while True:
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
        rows = Stream.objects.exclude(status=StreamStatus.DELETING).filter(pk__gt=held.checkpoint.get("stream", 0))
        streams = list(rows.order_by("pk")[:STREAMS_PER_ROUND])
        if not streams:
            break
        for stream in streams:
            record_time(stream, runtime.clock.now_ms())
        hold.save_checkpoint(held, {**held.checkpoint, "stream": streams[-1].pk})
    hold.save_checkpoint(held, {})
    ledger.prune_finished(runtime.clock.now_ms())
    return runtime.clock.now_ms() + EVERY_MS


def record_log(runtime: Runtime, shards: Sequence[Shard]) -> None:
    """Book what the log has counted for the shards since they were read last."""
    read_at_ms = runtime.clock.now_ms()
    found = runtime.wait_for(_log_meters(runtime, shards))
    readings = [r for shard, rows in zip(shards, found, strict=True) for r in _of_log(runtime, shard, rows, read_at_ms)]
    with transaction.atomic():
        ledger.record(readings)
        for shard, rows in zip(shards, found, strict=True):
            _move_on(shard, rows)


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


def record_time(stream: Stream, now_ms: int) -> None:
    """Book the stream's time meters up to now. The caller does it once more before a row goes whose time counts."""
    while stream.metered_to_ms < now_ms:
        first_hour_ms = stream.metered_to_ms - stream.metered_to_ms % HOUR_MS
        to_ms = min(now_ms, first_hour_ms + HOURS_PER_CALL * HOUR_MS)
        with transaction.atomic():
            ledger.record(_of_rows(stream, first_hour_ms, to_ms))
            ledger.prune(source_of_stream(stream.pk), first_hour_ms - 2 * DAY_MS)
            Stream.objects.filter(pk=stream.pk, metered_to_ms__lt=to_ms).update(metered_to_ms=to_ms)
        stream.metered_to_ms = to_ms


def _of_rows(stream: Stream, first_hour_ms: int, to_ms: int) -> list[Reading]:
    lifetimes = stream.shards.values_list("opened_at_ms", "closed_at_ms")
    shards = [
        (opened_ms, to_ms if closed_ms is None else closed_ms)
        for opened_ms, closed_ms in lifetimes
        if opened_ms is not None and (closed_ms is None or closed_ms > first_hour_ms)
    ]
    extended = [(since_ms, to_ms if end_ms is None else end_ms) for since_ms, end_ms in stream.extended_spans]
    modes = _mode_spans(stream, to_ms)
    consumers = list(stream.consumers.all())
    readings = []
    for hour_ms in range(first_hour_ms, to_ms, HOUR_MS):
        hour = (hour_ms, min(hour_ms + HOUR_MS, to_ms))
        of_shards = sum(_covered(hour, shards, span) for span in modes[StreamMode.PROVISIONED])
        readings.append(_of_time(stream, SHARD_TIME.name, hour_ms, of_shards, to_ms))
        extra = sum(_covered(hour, shards, _both(a, b)) for a in extended for b in modes[StreamMode.PROVISIONED])
        readings.append(_of_time(stream, EXTENDED_RETENTION_TIME.name, hour_ms, extra, to_ms))
        if shards:
            lifetime = (stream.created_at_ms, to_ms)
            value = sum(_covered(hour, [lifetime], span) for span in modes[StreamMode.ON_DEMAND])
            readings.append(_of_time(stream, ON_DEMAND_TIME.name, hour_ms, value, to_ms))
        for consumer in consumers:
            value = _covered(hour, shards, (consumer.created_at_ms, to_ms))
            readings.append(_of_time(stream, CONSUMER_TIME.name, hour_ms, value, to_ms, consumer))
    return [reading for reading in readings if reading.value]


def _mode_spans(stream: Stream, to_ms: int) -> dict[str, list[Span]]:
    """When the stream was in which mode. A switch books the time up to itself, and is remembered for a day: longer than
    the hours that are booked anew."""
    spans: dict[str, list[Span]] = {mode: [] for mode in StreamMode}
    mode, end_ms = stream.mode, to_ms
    for at_ms in reversed(stream.mode_changes_ms):
        spans[mode].append((at_ms, end_ms))
        mode = StreamMode.ON_DEMAND if mode == StreamMode.PROVISIONED else StreamMode.PROVISIONED
        end_ms = at_ms
    spans[mode].append((0, end_ms))
    return spans


def _both(a: Span, b: Span) -> Span:
    return max(a[0], b[0]), min(a[1], b[1])


def _of_time(
    stream: Stream, meter: str, hour_ms: int, value: int, read_at_ms: int, consumer: Consumer | None = None
) -> Reading:
    """meter_key is the consumer's name, else empty: time is nobody's access key's."""
    source = source_of_stream(stream.pk) if consumer is None else source_of_consumer(consumer.pk)
    key = "" if consumer is None else consumer.name
    return Reading(stream.team_id, resource_of(stream), Series(source, meter, hour_ms, key, ROWS), value, read_at_ms)


def _covered(hour: Span, lifetimes: Iterable[Span], within: Span | None = None) -> int:
    """Milliseconds of the hour (and of `within`) that the lifetimes cover, added up."""
    start_ms, end_ms = hour if within is None else (max(hour[0], within[0]), min(hour[1], within[1]))
    return sum(max(0, min(end_ms, b) - max(start_ms, a)) for a, b in lifetimes)


def source_of_shard(key: int) -> str:
    """What a shard's log readings are stored under."""
    return f"shard/{key}"


def source_of_stream(key: int) -> str:
    """What a stream's time readings are stored under."""
    return f"stream/{key}"


def source_of_consumer(key: int) -> str:
    """What a consumer's time readings are stored under."""
    return f"consumer/{key}"


def resource_of(stream: Stream) -> str:
    """What all of a stream's usage is booked on."""
    return f"stream/{stream.name}"
