"""Time of queues: milliseconds from ACTIVE to DeleteQueue, by UTC hour. It follows from their rows, as streams' time does
(apps/streams/time_meters.py), and is booked by the same round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from apps.base.units import DAY_MS, HOUR_MS
from apps.billing import billed_resources, clock_flags, ledger
from apps.billing.ledger import Reading, Series
from apps.billing.meters import QUEUE_TIME
from apps.queues.models import Queue, QueueStatus, QueueTag

QUEUES_PER_CALL = 100
HOURS_PER_CALL = 48
READINGS_KEPT_MS = 2 * DAY_MS

ROWS = "rows"
"""Stands in the place of the log's incarnation where a reading follows from rows."""


def book_all(now_ms: int) -> None:
    """Book the time of all queues up to a moment (trusted time), and keep their tags."""
    after = 0
    while keys := list(
        _counted(now_ms).filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:QUEUES_PER_CALL]
    ):
        while not book(keys, now_ms):
            continue
        note_tags(list(Queue.objects.filter(pk__in=keys)), now_ms)
        after = keys[-1]


def book(keys: Sequence[int], now_ms: int) -> bool:
    """Book the time of some queues (row ids); False if some of it is left for another call."""
    with transaction.atomic():
        queues = list(_counted(now_ms).select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))
        readings: list[Reading] = []
        booked: dict[int, list[int]] = defaultdict(list)
        for queue in queues:
            first_ms = queue.metered_to_ms - queue.metered_to_ms % HOUR_MS
            to_ms = min(now_ms, first_ms + HOURS_PER_CALL * HOUR_MS)
            readings += _readings(queue, first_ms, to_ms)
            booked[to_ms].append(queue.pk)
        ledger.record(readings)
        for to_ms, some in booked.items():
            Queue.objects.filter(pk__in=some).update(metered_to_ms=to_ms)
        for queue in queues:
            if queue.metered_to_ms // HOUR_MS < now_ms // HOUR_MS:
                ledger.prune(source_of(queue.pk), queue.metered_to_ms - READINGS_KEPT_MS)
        return set(booked) <= {now_ms}


def end(queue: Queue, now_ms: int) -> None:
    """The queue's time ends now, in the transaction that marks it as DELETING then: such ones are not counted."""
    while not book([queue.pk], now_ms):
        continue
    clock_flags.booked_at_end(queue.team_id, resource_of(queue), now_ms)
    ledger.finish(source_of(queue.pk))
    note_tags([queue], now_ms)


def note_tags(queues: Sequence[Queue], now_ms: int) -> None:
    """Keep the tags of queues as they are now, for bills that outlive them."""
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for key, name, value in QueueTag.objects.filter(queue__in=queues).values_list("queue_id", "key", "value"):
        tags[key][name] = value
    billed_resources.note({(one.team_id, resource_of(one)): tags[one.pk] for one in queues}, now_ms)


def _counted(now_ms: int) -> QuerySet[Queue]:
    rows = Queue.objects.exclude(status=QueueStatus.DELETING)
    return rows.filter(opened_at_ms__isnull=False, metered_to_ms__lt=now_ms)


def _readings(queue: Queue, first_ms: int, to_ms: int) -> list[Reading]:
    assert queue.opened_at_ms is not None
    readings = []
    for hour_ms in range(first_ms, to_ms, HOUR_MS):
        value = min(hour_ms + HOUR_MS, to_ms) - max(hour_ms, queue.opened_at_ms)
        if value > 0:
            series = Series(source_of(queue.pk), QUEUE_TIME.name, hour_ms, "", ROWS)
            readings.append(Reading(queue.team_id, resource_of(queue), series, value, to_ms))
    return readings


def source_of(key: int) -> str:
    """What a queue's time readings are stored under."""
    return f"queue-time/{key}"


def resource_of(queue: Queue) -> str:
    """What all of a queue's usage is booked on."""
    return f"queue/{queue.name}"
