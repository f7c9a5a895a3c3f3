"""What readers got, from the record log into the ledger: the worker's half of read_meters.py.

The reserved shard is read from the checkpoint on; the readings are recorded in the transaction that moves it, and what was
read is trimmed. Values are sums of a process's life, so a record that is read twice adds nothing. A log that was restored from
an older copy is recognised: the last record that was read must still be where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import structlog
from django.db import transaction

from apps.accounts.models import Team
from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import clock_guard, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.models import MeterReading
from apps.leases import hold
from apps.leases.hold import Held
from apps.leases.models import Lease
from apps.leases.progress import Progress
from apps.recordlog.interface import Batch, UnknownShard
from apps.runtime import Runtime
from apps.streams import log_marks
from apps.streams.read_meters import FORMAT, READS_KEY, Row, Saved

log = structlog.get_logger(__name__)

KIND, KEY = "metering", "reads"
"""The lease."""

EVERY_MS = MINUTE_MS
RECORDS_PER_STEP = 500
BYTES_PER_STEP = 8 * 1_048_576
TRIM_RECORDS = 10_000
STEPS_FOR_TEAM = 100
"""Of records, read at once for a team that is being deleted: those of a minute, and many times as many."""

SOURCES = "reads/"
KEPT_MS = 2 * DAY_MS
"""Readings are kept so long after their hour, to recognise who was overtaken."""

OLDER = "What was read from the old log after that is on no bill. Please add corrections."

Json = dict[str, Any]

_decode = msgspec.msgpack.Decoder(Saved).decode


class Found(NamedTuple):
    """A record of the reserved shard."""

    offset: int
    arrival_ms: int
    saved: Saved


def ensure(now_ms: int) -> None:
    """There may be something to count. May be repeated."""
    hold.ensure(KIND, KEY, now_ms)


def count_all(runtime: Runtime, held: Held, until_ms: int) -> Progress | int:
    """One slice: what the processes have saved, until there is no more."""
    while True:
        now_ms = runtime.clock.now_ms()
        if now_ms >= until_ms:
            return Progress.MORE
        found, more = _next(runtime, held)
        if found:
            _count(runtime, held, found)
        if not more:
            return now_ms + EVERY_MS


def count_for_team(runtime: Runtime, team_id: int) -> bool:
    """Book what readers of a team's things got, as far as it is saved by now; for who deletes the team. The worker reads the same
    records later, and finds nothing new in them. False: they are too many to be read at once, and not all are booked."""
    was = Lease.objects.filter(kind=KIND, key=KEY).values_list("checkpoint", flat=True).first() or {}
    checkpoint, found, more = _go_on(runtime, was)  # of an older log the worker, who finds it too, tells the operator
    for _ in range(STEPS_FOR_TEAM):
        readings = _readings(one for one in found if one.arrival_ms > checkpoint.get("skip_to_ms", 0))
        ledger.record([reading for reading in readings if reading.team_id == team_id])
        if not more:
            return True
        found, more = _read(runtime, found[-1].offset + 1)
    return False


def source_of(row: Row) -> str:
    """What the readings of reads of a thing are stored under."""
    _, kind, row_id, *_ = row.key
    return f"{SOURCES}{kind}/{row_id}"


def _next(runtime: Runtime, held: Held) -> tuple[list[Found], bool]:
    """Records after those that were read, and whether there may be more."""
    was = held.checkpoint
    held.checkpoint, found, more = _go_on(runtime, was)
    if held.checkpoint and held.checkpoint is not was:
        log.warning("read_meters_log_is_older", **was)
        log_marks.raise_older("reads", was["arrival_ms"], OLDER, runtime.clock.now_ms())
    return found, more


def _go_on(runtime: Runtime, was: Json) -> tuple[Json, list[Found], bool]:
    """From which checkpoint, the records after it, and whether there may be more. It is another one than it was if the log is
    another (empty), or an older copy of itself: then all is read again, and what came until then is passed over."""
    if was.get("log") != runtime.record_log.incarnation():
        return {}, *_read(runtime, 1)
    # One record before: it tells whether the log is still the one that was read.
    found, more = _read(runtime, was["offset"] - 1)
    if found and found[0].offset < was["offset"] and found[0].arrival_ms == was["arrival_ms"]:
        return was, found[1:], more
    if found and found[0].offset >= was["offset"]:
        return was, found, more  # that record is trimmed: it is the checkpoint that was restored from an older copy
    return {**was, "skip_to_ms": max(was["arrival_ms"], was["skip_to_ms"])}, *_read(runtime, 1)


def _read(runtime: Runtime, start: int) -> tuple[list[Found], bool]:
    try:
        batch = runtime.wait_for(runtime.record_log.read(READS_KEY, start, RECORDS_PER_STEP, BYTES_PER_STEP))
    except UnknownShard:
        return [], False  # nobody has read anything yet
    return list(_records(batch)), batch.next_offset < batch.end_offset


def _records(batch: Batch) -> Iterable[Found]:
    for part in batch.slices:
        for number, data in enumerate(part.records[1::2]):
            saved = _decode(data)  # type: ignore[arg-type]
            if saved.format != FORMAT:
                raise ValueError(f"meters of reads are of format {saved.format}, which this version does not know")
            yield Found(part.first + number, part.arrival_ms, saved)


def _count(runtime: Runtime, held: Held, found: list[Found]) -> None:
    """skip_to_ms: what arrived until then was counted before the log was restored from an older copy."""
    last, was = found[-1], held.checkpoint
    skip_to_ms, pruned_ms = was.get("skip_to_ms", 0), was.get("pruned_ms", 0)
    # A record may have arrived at a time that a clock gone wrong showed.
    now_ms = min(last.arrival_ms, clock_guard.trusted_ms(runtime.clock.now_ms()))
    prune_ms = now_ms - now_ms % HOUR_MS - KEPT_MS
    checkpoint = {
        "log": runtime.record_log.incarnation(), "offset": last.offset + 1, "arrival_ms": last.arrival_ms,
        "skip_to_ms": skip_to_ms, "pruned_ms": max(prune_ms, pruned_ms),
    }  # fmt: skip
    with transaction.atomic():
        ledger.record(_of_teams(_readings(one for one in found if one.arrival_ms > skip_to_ms)))
        if prune_ms > pruned_ms:
            MeterReading.objects.filter(resource__startswith=SOURCES, hour_ms__lt=prune_ms).delete()
        hold.save_checkpoint(held, checkpoint)
    # The last record stays: it is what the log is recognised by.
    runtime.wait_for(runtime.record_log.trim(READS_KEY, last.arrival_ms, TRIM_RECORDS))


def _readings(found: Iterable[Found]) -> list[Reading]:
    """One for each series: its newest value, which is the largest."""
    newest: dict[Series, Reading] = {}
    for one in found:
        for row in one.saved.rows:
            team_id, kind, _, name, meter, meter_key, hour = row.key
            series = Series(source_of(row), meter, hour * HOUR_MS, meter_key, one.saved.incarnation)
            newest[series] = Reading(team_id, f"{kind}/{name}", series, row.value, one.arrival_ms)
    return list(newest.values())


def _of_teams(readings: list[Reading]) -> list[Reading]:
    """Those of teams that are still there: who deletes a team books its last reads first (count_for_team)."""
    asked = {reading.team_id for reading in readings}
    gone = asked - set(Team.objects.filter(pk__in=asked).values_list("pk", flat=True))
    if gone:
        log.warning("read_meters_of_deleted_teams", teams=sorted(gone))
    return [reading for reading in readings if reading.team_id not in gone]
