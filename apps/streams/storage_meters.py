"""Storage: byte-hours of data that is kept for longer than is part of the price, by UTC hour.

The rule, so that anyone can check it with the ledger alone: what arrived in a UTC hour counts as stored from the end of that
hour on, and is gone when it is as old as the retention period, or when a shorter one took it away (a longer one does not
bring it back). So within one UTC hour the same arrivals are stored, unless the stream is changed in it: then the hour is
cut there. The byte-hours of an hour are the exact sum of bytes times milliseconds, divided by 3,600,000, without the rest.

Booked once, when the hour is over and the logs have been read since; of a deleted stream up to the millisecond, once its last
log is read. What the ledger learns of arrivals later than that counts from then on, not backwards.

A stream of a name that another one had counts its own arrivals only: from the hour of its creation on, less what the other
had put in that hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Sum

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import (
    ADVANTAGE_STORAGE,
    BYTES_IN,
    LONG_TERM_STORAGE,
    ON_DEMAND_EXTENDED_STORAGE,
    ON_DEMAND_LONG_TERM_STORAGE,
)
from apps.billing.models import Correction, CorrectionReason, UsageDay, UsageHour
from apps.capacity import commitment
from apps.streams.metered_states import INCLUDED_HOURS, Span, State, cut, hour_of, length, pieces, states_of
from apps.streams.models import Stream, StreamMode, StreamStatus
from apps.streams.usage_names import ROWS, resource_of, source_of_storage

LONG_TERM_HOURS = 7 * 24
"""Data older than this is long-term, with prices of its own."""

HOURS_PER_CALL = 48
READINGS_KEPT_MS = 2 * DAY_MS


def due(now_ms: int, after: int, limit: int) -> list[int]:
    """Row ids of streams, after one, of which hours are over that are not booked yet."""
    rows = Stream.objects.exclude(status=StreamStatus.DELETING)
    rows = rows.filter(pk__gt=after, stored_to_ms__lt=hour_of(now_ms), metered_to_ms__gte=hour_of(now_ms))
    return list(rows.order_by("pk").values_list("pk", flat=True)[:limit])


def book(key: int, now_ms: int) -> None:
    """Book the storage of a stream (row id) for all hours that are over. Its logs have been read since they were."""
    more = True
    while more:
        with transaction.atomic():
            stream = Stream.objects.select_for_update(no_key=True).filter(pk=key).first()
            if stream is None or stream.status == StreamStatus.DELETING or stream.stored_to_ms is None:
                return
            more = _book(stream, hour_of(now_ms), now_ms)


def finish(stream: Stream, now_ms: int) -> None:
    """Book all of a deleted stream's storage, in the transaction that removes its row. Its last log has been read."""
    stream.refresh_from_db(fields=["metered_states", "stored_to_ms"])
    states = states_of(stream.metered_states)
    while stream.stored_to_ms is not None and _book(stream, states[-1].from_ms, now_ms):
        continue
    ledger.finish(source_of_storage(stream.pk))


def arrived_in_hour(team_id: int, resource: str, hour_ms: int) -> int:
    """What the ledger has of a UTC hour's arrivals under a name."""
    return _sum(UsageHour.objects.filter(team_id=team_id, resource=resource, meter=BYTES_IN.name, hour_ms=hour_ms))


def _book(stream: Stream, until_ms: int, now_ms: int) -> bool:
    """Some hours up to a moment (the last one may end with it); True if more are left."""
    assert stream.stored_to_ms is not None
    to_ms = min(until_ms, stream.stored_to_ms + HOURS_PER_CALL * HOUR_MS)
    states = states_of(stream.metered_states)
    committed = commitment.spans([stream.team_id])[stream.team_id]
    arrivals, readings = Arrivals(stream), []
    for hour_ms in range(stream.stored_to_ms, to_ms, HOUR_MS):
        parts = pieces(states, (hour_ms, min(hour_ms + HOUR_MS, to_ms)))
        for meter, value in of_hour(hour_ms, parts, committed, arrivals).items():
            series = Series(source_of_storage(stream.pk), meter, hour_ms, "", ROWS)
            readings.append(Reading(stream.team_id, resource_of(stream), series, value, now_ms))
    ledger.record(readings)
    ledger.prune(source_of_storage(stream.pk), to_ms - READINGS_KEPT_MS)
    is_over = to_ms == until_ms and not states[-1].is_extended and states[-1].from_ms <= to_ms
    stream.stored_to_ms = None if is_over else max(stream.stored_to_ms, to_ms)
    stream.save(update_fields=["stored_to_ms"])
    return to_ms < until_ms


class Arrivals:
    """What arrived in a stream in a range of UTC hours. Whole days are added up from their own rows, so that a year costs
    some hundred rows."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._created_hour_ms = hour_of(stream.created_at_ms)
        self._known: dict[Span, int] = {}

    def between(self, from_ms: int, to_ms: int) -> int:
        """Bytes of the hours [from, to), which are full hours."""
        span = max(from_ms, self._created_hour_ms), to_ms
        if span[0] >= span[1]:
            return 0
        if span not in self._known:
            before = self._stream.namesake_bytes if span[0] == self._created_hour_ms else 0
            self._known[span] = max(0, self._of(span) - before)
        return self._known[span]

    def _of(self, span: Span) -> int:
        days = -(-span[0] // DAY_MS) * DAY_MS, span[1] // DAY_MS * DAY_MS
        late = Correction.objects.filter(reason=CorrectionReason.LATE, hour_ms__gte=span[0], hour_ms__lt=span[1])
        found = _sum(self._rows(late))
        if days[0] >= days[1]:
            return found + self._hours(span)
        of_days = self._rows(UsageDay.objects.filter(day_ms__gte=days[0], day_ms__lt=days[1]))
        return found + self._hours((span[0], days[0])) + _sum(of_days) + self._hours((days[1], span[1]))

    def _hours(self, span: Span) -> int:
        if span[0] >= span[1]:
            return 0
        return _sum(self._rows(UsageHour.objects.filter(hour_ms__gte=span[0], hour_ms__lt=span[1])))

    def _rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(team_id=self._stream.team_id, resource=resource_of(self._stream), meter=BYTES_IN.name)


def _sum(rows: QuerySet[Any]) -> int:
    return int(rows.aggregate(n=Sum("quantity"))["n"] or 0)


def of_hour(
    hour_ms: int, parts: Sequence[tuple[Span, State]], committed: Sequence[Span], arrivals: Arrivals
) -> dict[str, int]:
    """Byte-hours by meter of the parts of one UTC hour."""
    byte_ms: dict[str, int] = defaultdict(int)
    for span, state in parts:
        if state.is_extended:
            for meter, part_ms, ages in _windows(span, state, committed):
                byte_ms[meter] += part_ms * _stored(hour_ms, state, ages, arrivals)
    return {meter: value // HOUR_MS for meter, value in byte_ms.items() if value >= HOUR_MS}


def _windows(span: Span, state: State, committed: Sequence[Span]) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """(meter, ms, ages in hours from … to) for a part of an hour."""
    kept = state.retention_hours
    if state.mode == StreamMode.PROVISIONED:
        yield LONG_TERM_STORAGE.name, length(span), (LONG_TERM_HOURS, kept)
        return
    inside, outside = cut(span, committed)
    in_ms, out_ms = sum(map(length, inside)), sum(map(length, outside))
    if in_ms:
        yield ADVANTAGE_STORAGE.name, in_ms, (INCLUDED_HOURS, kept)
    if out_ms:
        yield ON_DEMAND_EXTENDED_STORAGE.name, out_ms, (INCLUDED_HOURS, min(kept, LONG_TERM_HOURS))
        yield ON_DEMAND_LONG_TERM_STORAGE.name, out_ms, (LONG_TERM_HOURS, kept)


def _stored(hour_ms: int, state: State, ages: tuple[int, int], arrivals: Arrivals) -> int:
    """Bytes stored in that hour that are at least so old and not as old as the second age."""
    oldest_ms = max(hour_ms - ages[1] * HOUR_MS, hour_of(state.floor_ms))
    return arrivals.between(oldest_ms, hour_ms - ages[0] * HOUR_MS)
