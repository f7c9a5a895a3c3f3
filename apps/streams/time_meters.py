"""Time meters: how long shards, consumers, shard-level metrics and on-demand streams were there, in ms of each UTC hour.

They follow from rows: the lifetimes of shards and consumers, the stream's states (metered_states.py), the account's
commitments. What is read is how much of an hour they cover so far, so a reading may be repeated or left out, and days that
nobody read are read later. What makes it exact to the millisecond:

* Booking holds the stream's row, and so does every change: `settle` books up to now and answers the moment from which the
  change counts, which is never before what is booked.
* States, closed shards and removed consumers stay until the hours they belong to are booked.
* Deleting (`end`) books in its own transaction; nothing is counted after that moment, whoever comes later.

A clock that jumped ahead is not believed at first (billing/clock_guard.py): rounds and `settle` book up to trusted time, and
the rest follows from what is remembered. Only what is deleted meanwhile is booked up to the clock's time, and flagged.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import Q

from apps.base.units import DAY_MS, HOUR_MS, MINUTE_MS
from apps.billing import clock_flags, clock_guard, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import (
    CONSUMER_TIME,
    EXTENDED_RETENTION_TIME,
    ON_DEMAND_TIME,
    SHARD_METRIC_TIME,
    SHARD_TIME,
)
from apps.capacity import commitment
from apps.capacity.commitment import FOR_EVER_MS
from apps.streams.errors import LimitExceededException
from apps.streams.metered_states import (
    STATES_MAX,
    Span,
    State,
    both,
    covered,
    cut,
    ended,
    hour_of,
    length,
    pieces,
    states_of,
    with_state,
    without_old,
)
from apps.streams.models import Consumer, ConsumerStatus, Shard, Stream, StreamMode, StreamStatus
from apps.streams.usage_names import ROWS, resource_of, source_of_consumer, source_of_stream

HOURS_PER_CALL = 48
"""Of a stream so many hours are booked in one transaction at most."""

READINGS_KEPT_MS = 2 * DAY_MS

SKEW_MS = MINUTE_MS
"""So far apart clocks of several machines may be. What is booked further ahead than that was booked by a clock gone wrong:
changes then have their true time, and what was booked too much stays, flagged."""

Lives = Mapping[Span, int]
"""How many shards lived from when to when."""


def book(keys: Sequence[int], to_ms: int) -> bool:
    """Book the time of streams (row ids) up to a moment; False if some of it is left for another call."""
    with transaction.atomic():
        rows = Stream.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
        streams = [one for one in rows if one.status != StreamStatus.DELETING and one.metered_to_ms < to_ms]
        return _book([one for one in streams if one.metered_states], to_ms)


def settle(stream: Stream, now_ms: int) -> int:
    """Book a stream's time in the caller's transaction, which then changes what time is counted by. Answers the moment from
    which the change is to count: now, or later if more is booked by another clock."""
    _book_to(stream, clock_guard.trusted_ms(now_ms))
    return max(now_ms, stream.metered_to_ms)


def _book_to(stream: Stream, to_ms: int) -> None:
    while not book([stream.pk], to_ms):
        continue
    stream.refresh_from_db(fields=["metered_to_ms", "metered_states", "stored_to_ms"])


def moment(stream: Stream, now_ms: int, at_ms: int | None = None) -> int:
    """The moment from which a new life counts that began at at_ms (None: begins now): not before what is booked already. The
    stream's row is held and was read after that."""
    at_ms = now_ms if at_ms is None else at_ms
    return stream.metered_to_ms if at_ms < stream.metered_to_ms <= now_ms + SKEW_MS else at_ms


def moment_of_team(team_id: int, now_ms: int) -> int:
    """The same for what changes all of a team's on-demand streams; they are held until the transaction ends."""
    rows = Stream.objects.select_for_update(no_key=True).filter(team_id=team_id, mode=StreamMode.ON_DEMAND)
    booked = [one.metered_to_ms for one in rows.only("metered_to_ms").order_by("pk")]
    return max([now_ms, *(to_ms for to_ms in booked if to_ms <= now_ms + SKEW_MS)])


def begin(stream: Stream, at_ms: int) -> None:
    """The stream's first shard is open: its time begins."""
    stream.metered_states, stream.metered_to_ms = [], at_ms
    _save(stream, [_present(stream, at_ms)])


def begin_state(stream: Stream, at_ms: int) -> None:
    """Mode, retention or shard-level metrics are what the row says from at_ms (settle's answer) on.

    Raises LimitExceededException when they have changed too often within the hours that are not metered yet.
    """
    if not stream.metered_states:
        return  # not open yet: begin() takes what the row says then
    states = with_state(states_of(stream.metered_states), _present(stream, at_ms))
    still_read_ms = hour_of(stream.metered_to_ms)
    if stream.stored_to_ms is not None:
        still_read_ms = min(still_read_ms, stream.stored_to_ms)
    states = without_old(states, still_read_ms)
    if len(states) > STATES_MAX:
        raise LimitExceededException(
            f"Mode, retention period and shard-level metrics of stream {stream.name} have changed {STATES_MAX} times "
            "since its usage was last metered. Try again in an hour."
        )
    _save(stream, states)


def end(stream: Stream, now_ms: int) -> None:
    """The stream's time and that of its consumers ends now, in the transaction that deletes it. May be repeated."""
    states = states_of(stream.metered_states)
    if states and not states[-1].mode:
        return
    _book_to(stream, now_ms)
    if stream.metered_states:
        _save(stream, with_state(states_of(stream.metered_states), ended(max(now_ms, stream.metered_to_ms))))
        clock_flags.booked_at_end(stream.team_id, resource_of(stream), now_ms)
    ledger.finish(source_of_stream(stream.pk))
    for key in stream.consumers.values_list("pk", flat=True):
        ledger.finish(source_of_consumer(key))


def end_consumer(consumer: Consumer, stream: Stream, now_ms: int) -> None:
    """The same for one consumer, which the caller marks as DELETING then: such ones are not counted."""
    _book_to(stream, now_ms)
    clock_flags.booked_at_end(stream.team_id, resource_of(stream), now_ms)
    ledger.finish(source_of_consumer(consumer.pk))


def _present(stream: Stream, at_ms: int) -> State:
    metrics = len(stream.shard_level_metrics)
    return State(at_ms, stream.mode, stream.retention_hours, stream.retention_floor_ms, metrics)


def _save(stream: Stream, states: Sequence[State]) -> None:
    if stream.stored_to_ms is None and states[-1].is_extended:
        stream.stored_to_ms = hour_of(states[-1].from_ms)
    stream.metered_states = [list(one) for one in states]
    stream.save(update_fields=["metered_states", "metered_to_ms", "stored_to_ms"])


# --- booking ----------------------------------------------------------------------------------------------------------


def _book(streams: Sequence[Stream], end_ms: int) -> bool:
    if not streams:
        return True
    lives, consumers = _lives(streams), _consumers(streams)
    committed = commitment.spans({one.team_id for one in streams})
    readings: list[Reading] = []
    booked: dict[int, list[int]] = defaultdict(list)
    for stream in streams:
        first_hour_ms = hour_of(stream.metered_to_ms)
        to_ms = min(end_ms, first_hour_ms + HOURS_PER_CALL * HOUR_MS)
        found = of_stream(
            stream, (first_hour_ms, to_ms), lives[stream.pk], consumers[stream.pk], committed[stream.team_id]
        )
        readings += found
        booked[to_ms].append(stream.pk)
    ledger.record(readings)
    for to_ms, keys in booked.items():
        Stream.objects.filter(pk__in=keys).update(metered_to_ms=to_ms)
    for stream in streams:
        if hour_of(stream.metered_to_ms) < hour_of(end_ms):
            _prune(stream, consumers[stream.pk])
    return list(booked) == [end_ms]


def _lives(streams: Sequence[Stream]) -> Mapping[int, Counter[Span]]:
    """Of the shards that were open at any time that is booked now."""
    since_ms = min(hour_of(one.metered_to_ms) for one in streams)
    counted = Q(closed_at_ms__isnull=True) | Q(closed_at_ms__gt=since_ms)
    rows = Shard.objects.filter(counted, stream__in=[one.pk for one in streams], opened_at_ms__isnull=False)
    lives: dict[int, Counter[Span]] = defaultdict(Counter)
    for key, opened_ms, closed_ms in rows.values_list("stream_id", "opened_at_ms", "closed_at_ms"):
        assert opened_ms is not None  # by the filter
        lives[key][opened_ms, FOR_EVER_MS if closed_ms is None else closed_ms] += 1
    return lives


def _consumers(streams: Sequence[Stream]) -> Mapping[int, list[Consumer]]:
    rows = Consumer.objects.filter(stream__in=[one.pk for one in streams]).exclude(status=ConsumerStatus.DELETING)
    found: dict[int, list[Consumer]] = defaultdict(list)
    for consumer in rows.only("stream_id", "name", "created_at_ms"):
        found[consumer.stream_id].append(consumer)
    return found


def _prune(stream: Stream, consumers: Iterable[Consumer]) -> None:
    before_ms = hour_of(stream.metered_to_ms) - READINGS_KEPT_MS
    for source in [source_of_stream(stream.pk), *(source_of_consumer(one.pk) for one in consumers)]:
        ledger.prune(source, before_ms)


def of_stream(
    stream: Stream, span: Span, lives: Lives, consumers: Sequence[Consumer], committed: Sequence[Span]
) -> list[Reading]:
    """What the time meters of a stream show at the end of a span that begins with a full hour, for each of its hours."""
    states = states_of(stream.metered_states)
    readings = []
    for hour_ms in range(span[0], span[1], HOUR_MS):
        hour = (hour_ms, min(hour_ms + HOUR_MS, span[1]))
        for (source, meter, key), value in _of_hour(stream, pieces(states, hour), lives, consumers, committed).items():
            series = Series(source, meter, hour_ms, key, ROWS)
            readings.append(Reading(stream.team_id, resource_of(stream), series, value, span[1]))
    return readings


def _of_hour(
    stream: Stream,
    parts: Sequence[tuple[Span, State]],
    lives: Lives,
    consumers: Sequence[Consumer],
    committed: Sequence[Span],
) -> dict[tuple[str, str, str], int]:
    """Milliseconds by (source, meter, meter key). The meter key is the consumer's name, else empty: time is nobody's
    access key's."""
    found: dict[tuple[str, str, str], int] = defaultdict(int)
    source = source_of_stream(stream.pk)
    for span, state in parts:
        open_ms = covered(span, lives.items())
        found[source, SHARD_METRIC_TIME.name, ""] += state.metrics * open_ms
        if state.mode == StreamMode.ON_DEMAND:
            found[source, ON_DEMAND_TIME.name, ""] += sum(map(length, cut(span, committed)[1]))
            continue
        found[source, SHARD_TIME.name, ""] += open_ms
        found[source, EXTENDED_RETENTION_TIME.name, ""] += open_ms if state.is_extended else 0
        for consumer in consumers:
            within = both(span, (consumer.created_at_ms, FOR_EVER_MS))
            name = (source_of_consumer(consumer.pk), CONSUMER_TIME.name, consumer.name)
            found[name] += covered(within, lives.items())
    return {name: value for name, value in found.items() if value}
