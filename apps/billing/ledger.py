"""The ledger: readings of cumulative meters in, usage per hour out.

A meter works like an electricity meter: its value only rises, and usage is the difference of two readings. So a reading
taken twice, late, or not at all changes nothing in the end: the sum of the differences is the last value read.

* One series is (source, meter, hour, meter key, incarnation of the log). Each hour is a series of its own because the
  log books records under the hour in which they arrived; a late reading still lands in the right hour.
* A reading older than the last one of its series, or one that shows less shortly after it, comes from a reader who was
  overtaken: it is ignored.
* A value that shows less long after the last reading comes from a log that was restored from an older copy, and at once if
  that is known (OlderLog): the series goes on from there, flagged; the gap is neither billed nor credited.
* Usage of a month whose bill is being made, or made, is frozen: what comes late is a correction (booking.py).
* After `finish` a source's series take no more: its log is dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from django.db import connection, transaction

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import booking, flags
from apps.billing.meters import METERS
from apps.billing.models import FlagKind, MeterReading

log = structlog.get_logger(__name__)

OVERTAKEN_MS = 5 * MINUTE_MS
"""Longer than any slice of metering lives: a smaller value within this time is a late reader's, after it a real one."""

FINISHED_KEPT_MS = 2 * DAY_MS
"""Readings of finished sources are kept so long, to recognise readers who were overtaken."""

AHEAD_MS = HOUR_MS
"""A reading of an hour that begins later than this after it was read comes from a clock gone wrong: booked, and flagged."""

SOURCES_PER_QUERY = 200

OTHER = "other"
"""What the logs book under once an hour has more access keys than they keep apart."""


class Series(NamedTuple):
    """What makes two readings comparable. source is what is read: "shard/7", "stream/3", "consumer/5"."""

    source: str
    meter: str
    hour_ms: int
    meter_key: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A cumulative value at a time. resource is what the usage is booked on: a stream's shards are booked on it."""

    team_id: int
    resource: str
    series: Series
    value: int
    read_at_ms: int


class OlderLog(NamedTuple):
    """A log that was found to be an older copy of itself, and when: what was read before is of another life of it. 0: never."""

    incarnation: str
    found_at_ms: int


NEVER = OlderLog("", 0)


def record(readings: Sequence[Reading], older: OlderLog = NEVER) -> int:
    """Book the readings in one transaction (the caller's, if there is one); answers how many raised a usage.

    Repeating the call, with the same or with fewer readings, changes nothing.
    """
    for reading in readings:
        assert reading.series.meter in METERS, reading.series.meter
        assert reading.value >= 0, reading
    if not readings:
        return 0
    with transaction.atomic():
        booking.share_teams(reading.team_id for reading in readings)
        raised = _move(readings, _rows_of(readings), older)
        _book(raised)
    return len(raised)


def finish(source: str) -> None:
    """The source is read no more; call it in the transaction that records its last reading."""
    MeterReading.objects.filter(resource=source).update(final=True)


def prune(source: str, before_hour_ms: int) -> None:
    """Forget series of hours that nobody reads any more. Only for hours that the caller has left behind for good."""
    MeterReading.objects.filter(resource=source, hour_ms__lt=before_hour_ms).delete()


def prune_finished(now_ms: int) -> int:
    """Forget the readings of sources that were finished long ago; answers how many."""
    return MeterReading.objects.filter(final=True, read_at_ms__lt=now_ms - FINISHED_KEPT_MS).delete()[0]


def _rows_of(readings: Sequence[Reading]) -> dict[Series, _Stored]:
    """The stored series, locked; those that are new are made with the value 0."""
    wanted = {reading.series: reading for reading in readings}
    found = _locked(wanted)
    missing = [series for series in sorted(wanted) if series not in found]
    if missing:
        MeterReading.objects.bulk_create(
            [
                MeterReading(
                    team_id=wanted[s].team_id,
                    resource=s.source,
                    booked_on=wanted[s].resource,
                    meter=s.meter,
                    hour_ms=s.hour_ms,
                    meter_key=s.meter_key,
                    incarnation=s.incarnation,
                    value=0,
                    read_at_ms=0,
                )
                for s in missing
            ],
            ignore_conflicts=True,
        )
        found |= _locked(missing)
    return found


@dataclass(slots=True)
class _Stored:
    """What is stored of a series."""

    pk: int
    value: int
    read_at_ms: int
    shrunk_at_ms: int | None
    final: bool


_COLUMNS = ("resource", "meter", "hour_ms", "meter_key", "incarnation")
_STORED = ("pk", "value", "read_at_ms", "shrunk_at_ms", "final")


def _locked(wanted: Iterable[Series]) -> dict[Series, _Stored]:
    """Those that there are. Meters and hours are named besides the sources, so that the index leads to these rows alone: two
    days of them are kept."""
    wanted = set(wanted)
    sources = sorted({series.source for series in wanted})
    meters = sorted({series.meter for series in wanted})
    from_hour_ms, to_hour_ms = min(one.hour_ms for one in wanted), max(one.hour_ms for one in wanted)
    found = {}
    for first in range(0, len(sources), SOURCES_PER_QUERY):
        rows = (
            MeterReading.objects.select_for_update()
            .filter(
                resource__in=sources[first : first + SOURCES_PER_QUERY],
                meter__in=meters,
                hour_ms__gte=from_hour_ms,
                hour_ms__lte=to_hour_ms,
            )
            .order_by("id")
            .values_list(*_COLUMNS, *_STORED)
        )
        for row in rows:
            series = Series(*row[: len(_COLUMNS)])
            if series in wanted:
                found[series] = _Stored(*row[len(_COLUMNS) :])
    return found


def _move(readings: Sequence[Reading], rows: dict[Series, _Stored], older: OlderLog) -> list[tuple[Reading, int]]:
    """Move each series to its reading; answers those that rose, and by how much."""
    raised: list[tuple[Reading, int]] = []
    changed: dict[Series, _Stored] = {}
    for reading in readings:
        row = rows[reading.series]
        delta = _delta(row, reading, older)
        if delta is None:
            continue
        row.value, row.read_at_ms = reading.value, max(reading.read_at_ms, row.read_at_ms)
        changed[reading.series] = row
        if delta:
            raised.append((reading, delta))
    _save(changed.values())
    return raised


def _save(rows: Iterable[_Stored]) -> None:
    """Each row by its own statement, prepared once: Django's bulk_update takes five times as long to write its own."""
    table = MeterReading._meta.db_table  # noqa: SLF001 - Django documents it
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET value = %s, read_at_ms = %s, shrunk_at_ms = %s WHERE id = %s",  # noqa: S608 - the model's own name
            [(row.value, row.read_at_ms, row.shrunk_at_ms, row.pk) for row in rows],
        )


def _delta(row: _Stored, reading: Reading, older: OlderLog) -> int | None:
    """What the reading adds to the usage; None if it says nothing new."""
    if row.final or reading.value == row.value:
        return None
    if reading.value > row.value:
        return reading.value - row.value
    in_another_life = (
        reading.series.incarnation == older.incarnation and row.read_at_ms < older.found_at_ms <= reading.read_at_ms
    )
    if reading.read_at_ms <= row.read_at_ms + OVERTAKEN_MS and not in_another_life:
        return None
    row.shrunk_at_ms = reading.read_at_ms
    log.warning("meter_shrunk", series=reading.series, was=row.value, now=reading.value)
    text = (
        f"The meter {reading.series.meter} of {reading.series.source} showed {row.value} and then {reading.value}, as after a "
        "restored backup. It goes on from there; what lies between is neither billed nor credited."
    )
    flags.raise_flag(reading.team_id, FlagKind.SHRUNK, reading.resource, text, reading.read_at_ms)
    return 0


def _book(raised: Sequence[tuple[Reading, int]]) -> None:
    if not raised:
        return
    deltas: dict[booking.Key, int] = defaultdict(int)
    for reading, delta in raised:
        series = reading.series
        deltas[reading.team_id, reading.resource, series.meter, series.hour_ms, series.meter_key] += delta
    at_ms = max(reading.read_at_ms for reading, _ in raised)
    booking.book(deltas, at_ms)
    _flag_odd(raised)


def _flag_odd(raised: Sequence[tuple[Reading, int]]) -> None:
    """Hours that are still to come, and keys that were not kept apart."""
    ahead = {(one.team_id, one.resource): one for one, _ in raised if one.series.hour_ms > one.read_at_ms + AHEAD_MS}
    for reading in ahead.values():
        text = (
            f"{reading.resource} has usage of an hour that is still to come: the clock was set back, or was ahead. "
            "The hour's month has it."
        )
        flags.raise_flag(reading.team_id, FlagKind.CLOCK_AHEAD, reading.resource, text, reading.read_at_ms)
    unknown = {(one.team_id, one.resource): one for one, _ in raised if one.series.meter_key == OTHER}
    for reading in unknown.values():
        text = f"{reading.resource} was used by more access keys in an hour than are kept apart; the rest is under {OTHER!r}."
        flags.raise_flag(reading.team_id, FlagKind.UNKNOWN_KEY, reading.resource, text, reading.read_at_ms)
