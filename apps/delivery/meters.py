"""What delivery streams have used: readings of their cumulative meters, for the ledger (apps/billing).

Two kinds. What is put into a Direct PUT delivery stream is counted by the record log, by access key, and commits with the
records. What lanes do (records taken from a stream, conversion, partitioning …) they count in their checkpoint, by UTC hour,
so it commits with the checkpoint: a batch that is repeated after a crash is counted once. The reading of a delivery stream is
the sum over its lanes, taken in one statement; a lane that goes hands its sums on in the transaction that removes it
(partitions.py), or the whole delivery stream is read once more and finished.

What is counted where (AWS's pricing page is the model):

* ingestion (F1), each record rounded up to 5 KiB: when it is put, or when the lane on a shard is done with it. Not for
  Iceberg, which has prices of its own, by bytes without rounding, in place of it (F8): by source, and what processors add at
  the price of streams.
* conversion (F4): what was taken in, rounded in the same way, of streams that convert.
* partitioning (F5): what was delivered. Decompression (F9): what came out of it.
* channels (D15): what was delivered, by destination and by whether the account had the commitment then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db import models, transaction
from django.db.models.functions import Cast

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from apps.billing import billed_resources, clock_guard, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import (
    ADVANTAGE_CHANNEL_BYTES,
    ADVANTAGE_CHANNEL_TABLE_BYTES,
    CHANNEL_BYTES,
    CHANNEL_TABLE_BYTES,
    CONVERTED_UNITS,
    DECOMPRESSED_BYTES,
    DELIVERY_BYTES_IN,
    DELIVERY_RECORDS_IN,
    DELIVERY_UNITS,
    ICEBERG_BYTES,
    ICEBERG_PUT_BYTES,
    JQ_TIME,
    PARTITIONED_BYTES,
    PARTITIONED_OBJECTS,
    Meter,
)
from apps.capacity import commitment
from apps.delivery.destinations.interface import Delivered, Target
from apps.delivery.models import (
    LOG_KEYS_FROM,
    DeliveryStream,
    DeliveryTag,
    DestinationType,
    Lane,
    LogPurpose,
    SourceType,
)
from apps.delivery.processing.interface import Processed
from apps.delivery.settings import converts
from apps.delivery.trimming import KIND as LANE_KIND
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.models import Lease
from apps.leases.progress import Progress
from apps.metrics import series
from apps.metrics.series import Identity, Observed, TooManySeries, Value
from apps.recordlog.interface import MeterRow, UnknownShard
from apps.runtime import Runtime
from apps.streams import log_marks

KIND, KEY = "metering", "delivery"
"""The lease of the readings."""

EVERY_MS = MINUTE_MS
STREAMS_PER_ROUND = 50
LANES = "lanes"
"""Stands in the place of the log's incarnation where a reading follows from checkpoints."""

REDRIVE_KEY: Final = "redrive"
"""Meter key of records that failed and are put once more: they were paid for when they came."""

READ_AGAIN_MS = HOUR_MS
"""Hours that ended so long before the last reading are read once more, for whoever was late."""

KEPT_MS = 3 * HOUR_MS
"""A lane keeps an hour for so long after it has been read."""

Json = dict[str, Any]
Metered = dict[str, dict[str, int]]
"""Sums by meter and hour (UTC ms, as text: it is kept as JSON)."""


def added(
    metered: Mapping[str, Mapping[str, int]] | None, adds: Mapping[str, int], now_ms: int, read_ms: int
) -> Metered:
    """What a lane has metered, with what it did now. read_ms: up to when its delivery stream was read (metered_to_ms);
    hours long before are left out."""
    oldest_ms = min(now_ms, read_ms) - KEPT_MS
    after = {
        name: {hour: value for hour, value in hours.items() if int(hour) >= oldest_ms}
        for name, hours in (metered or {}).items()
    }
    hour = str(now_ms - now_ms % HOUR_MS)
    for name, value in adds.items():
        if value:
            hours = after.setdefault(name, {})
            hours[hour] = hours.get(hour, 0) + value
    return {name: hours for name, hours in after.items() if hours}


def together(several: Iterable[Mapping[str, Mapping[str, int]] | None]) -> Metered:
    """The sum of what several lanes have metered."""
    total: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for metered in several:
        for name, hours in (metered or {}).items():
            for hour, value in hours.items():
                total[name][hour] += value
    return {name: dict(hours) for name, hours in total.items()}


def ensure(now_ms: int) -> None:
    """There is something to read from now on. May be repeated."""
    hold.ensure(KIND, KEY, now_ms + EVERY_MS)


class Made(NamedTuple):
    """What processors made of a piece, as far as it is paid for. Kept with the piece's answers, so that a crash after them
    loses nothing."""

    jq_ms: int = 0
    decompressed_bytes: int = 0
    data_bytes: int = 0
    """Of the records that are to be delivered."""

    @classmethod
    def of(cls, processed: Processed) -> Made:
        """From the answers."""
        jq_ms = sum(value for name, value in processed.metrics if name == "JQProcessing.Duration")
        return cls(round(jq_ms), processed.decompressed_bytes, sum(len(one.data) for one in processed.records))


def of_batch(
    stream: DeliveryStream,
    lane: Lane,
    target: Target,
    units: int,
    data_bytes: int,
    delivered: Delivered,
    now_ms: int,
) -> dict[str, int]:
    """What a batch of a lane that delivers adds, by meter. units: its records rounded up to multiples of 5 KiB; data_bytes:
    of its records, without rounding."""
    if stream.channel_id:
        return {_of_channel(stream, now_ms).name: delivered.size_bytes}
    if lane.parent_id is None:
        return _taken_in(stream, lane, units, data_bytes, converted=converts(target.description))
    if not lane.label:
        return {}
    return {PARTITIONED_BYTES.name: delivered.size_bytes, PARTITIONED_OBJECTS.name: len(delivered.written)}


def _of_channel(stream: DeliveryStream, now_ms: int) -> Meter:
    """By what the account had when the batch was delivered."""
    is_table = stream.destination_type == DestinationType.ICEBERG
    if commitment.in_force(stream.team_id, now_ms):
        return ADVANTAGE_CHANNEL_TABLE_BYTES if is_table else ADVANTAGE_CHANNEL_BYTES
    return CHANNEL_TABLE_BYTES if is_table else CHANNEL_BYTES


def of_processing(stream: DeliveryStream, lane: Lane, units: int, data_bytes: int, made: Made) -> dict[str, int]:
    """What a piece that went through the processors adds, by meter. units, data_bytes: of what it was made of."""
    adds = _taken_in(stream, lane, units, data_bytes, converted=converts(stream.destination))
    if stream.destination_type == DestinationType.ICEBERG:
        adds[ICEBERG_BYTES.name] = adds.get(ICEBERG_BYTES.name, 0) + max(0, made.data_bytes - data_bytes)
    return {**adds, JQ_TIME.name: made.jq_ms, DECOMPRESSED_BYTES.name: made.decompressed_bytes}


def _taken_in(stream: DeliveryStream, lane: Lane, units: int, data_bytes: int, *, converted: bool) -> dict[str, int]:
    """Of the source, before any processing. Ingestion is counted of shards alone: logs of the delivery stream's own hold what
    was put, which they count themselves, or what was counted before and is delivered once more."""
    adds = {CONVERTED_UNITS.name: units} if converted else {}
    if lane.log_key >= LOG_KEYS_FROM:
        return adds
    if stream.destination_type == DestinationType.ICEBERG:
        return {**adds, ICEBERG_BYTES.name: data_bytes}
    return {**adds, DELIVERY_UNITS.name: units}


def read_all(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice of a round over all delivery streams. The checkpoint says how far the round is."""
    while True:
        if runtime.clock.now_ms() >= until_ms:
            return Progress.MORE
        rows = DeliveryStream.objects.filter(pk__gt=held.checkpoint.get("delivery_stream", 0)).order_by("pk")
        streams = list(rows[:STREAMS_PER_ROUND])
        if not streams:
            break
        for stream in streams:
            record(runtime, stream)
        note_tags(streams, runtime.clock.now_ms())
        hold.save_checkpoint(held, {"delivery_stream": streams[-1].pk})
    hold.save_checkpoint(held, {})
    ledger.prune_finished(clock_guard.trusted_ms(runtime.clock.now_ms()))
    note_resources(runtime.clock.now_ms())
    return runtime.clock.now_ms() + EVERY_MS


def record(runtime: Runtime, stream: DeliveryStream) -> None:
    """Book what the delivery stream has used since it was read last. metered_to_ms goes up to trusted time alone: hours long
    before it are read no more, so a clock that is ahead for a moment must not move it."""
    is_direct = stream.source_type == SourceType.DIRECT_PUT
    older = log_marks.look(runtime) if is_direct else ledger.NEVER
    now_ms = runtime.clock.now_ms()
    to_ms = clock_guard.trusted_ms(now_ms)
    from_ms = stream.metered_to_ms - stream.metered_to_ms % HOUR_MS - READ_AGAIN_MS
    readings = _of_logs(runtime, stream, from_ms, now_ms)
    with transaction.atomic():
        raised = ledger.record([*readings, *_of_lanes(stream, from_ms, now_ms)], older)
        DeliveryStream.objects.filter(pk=stream.pk, metered_to_ms__lt=to_ms).update(metered_to_ms=to_ms)
        for source in sources_of(stream):
            ledger.prune(source, from_ms - 2 * DAY_MS)
        if raised and is_direct:
            log_marks.leave(runtime, older)


def finish(runtime: Runtime, stream: DeliveryStream) -> None:
    """Book the last of a delivery stream, in the transaction that removes its lanes or makes them harmless. Before its logs
    are dropped."""
    with transaction.atomic():
        record(runtime, stream)
        for source in sources_of(stream):
            ledger.finish(source)


def _of_logs(runtime: Runtime, stream: DeliveryStream, from_ms: int, read_at_ms: int) -> list[Reading]:
    """What was put: of Direct PUT alone."""
    if stream.source_type != SourceType.DIRECT_PUT:
        return []
    incarnation = runtime.record_log.incarnation()
    readings = []
    for kept in stream.logs.filter(purpose=LogPurpose.DIRECT):
        for row in _rows(runtime, kept.log_key, from_ms):
            values = {DELIVERY_RECORDS_IN: row.totals.records, DELIVERY_BYTES_IN: row.totals.size_bytes}
            if stream.destination_type != DestinationType.ICEBERG:
                values[DELIVERY_UNITS] = row.totals.payload_units
            elif row.meter_key != REDRIVE_KEY:
                values[ICEBERG_PUT_BYTES] = row.totals.size_bytes
            for meter, value in values.items():
                series_ = Series(source_of_log(stream.pk), meter.name, row.hour_ms, row.meter_key, incarnation)
                readings.append(Reading(stream.team_id, resource_of(stream), series_, value, read_at_ms))
    return readings


def _rows(runtime: Runtime, log_key: int, from_ms: int) -> list[MeterRow]:
    try:
        return runtime.wait_for(runtime.record_log.meters(log_key, from_ms))
    except UnknownShard:
        return []  # not made yet


def _of_lanes(stream: DeliveryStream, from_ms: int, read_at_ms: int) -> list[Reading]:
    """The sums over all lanes, as of one moment."""
    keys = stream.lanes.annotate(lease=Cast("pk", models.CharField())).values("lease")
    checkpoints = Lease.objects.filter(kind=LANE_KIND, key__in=keys).values_list("checkpoint", flat=True)
    readings = []
    for name, hours in together(checkpoint.get("metered") for checkpoint in checkpoints).items():
        for hour, value in hours.items():
            if int(hour) >= from_ms:
                series_ = Series(source_of_lanes(stream.pk), name, int(hour), "", LANES)
                readings.append(Reading(stream.team_id, resource_of(stream), series_, value, read_at_ms))
    return readings


def note_tags(streams: Sequence[DeliveryStream], now_ms: int) -> None:
    """Keep the tags of delivery streams and channels as they are now, for bills that outlive them."""
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    rows = DeliveryTag.objects.filter(delivery_stream__in=streams)
    for key, name, value in rows.values_list("delivery_stream_id", "key", "value"):
        tags[key][name] = value
    billed_resources.note({(one.team_id, resource_of(one)): tags[one.pk] for one in streams}, now_ms)


def note_resources(now_ms: int) -> None:
    """AWS/Usage: how many delivery streams each team has, once in a round."""
    counted = (
        DeliveryStream.objects.filter(channel_id="").order_by("team_id").values("team_id")
        .annotate(n=models.Count("pk")).values_list("team_id", "n")
    )  # fmt: skip
    for team_id, n in counted:
        observed = Observed(USAGE, "None", now_ms // SECOND_MS, Value(1, n, n, n))
        try:
            series.record(team_id, [observed], now_ms // SECOND_MS)
        except TooManySeries:
            continue  # the team's own metrics fill its room; this one can be counted from ListDeliveryStreams


USAGE = Identity(
    "AWS/Usage",
    "ResourceCount",
    (("Class", "None"), ("Resource", "DeliveryStreams"), ("Service", "Firehose"), ("Type", "Resource")),
)


def sources_of(stream: DeliveryStream) -> tuple[str, str]:
    """What its readings are stored under."""
    return source_of_log(stream.pk), source_of_lanes(stream.pk)


def source_of_log(key: int) -> str:
    """What the readings of a delivery stream's log are stored under."""
    return f"delivery-log/{key}"


def source_of_lanes(key: int) -> str:
    """What the readings of a delivery stream's lanes are stored under."""
    return f"delivery-lanes/{key}"


def resource_of(stream: DeliveryStream) -> str:
    """What all of its usage is booked on."""
    return f"{'channel' if stream.channel_id else 'deliverystream'}/{stream.name}"
