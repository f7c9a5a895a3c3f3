"""Receiving, acknowledging, visibility and restoring: the data plane of queues. No ORM, one flush of the store a call.

The operations of dead letters are those of other records with `dead` set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apps.base.units import HOUR_MS, SECOND_MS
from apps.billing.meters import QUEUE_BYTES
from apps.queues import handles
from apps.queues.changing import Changing, OldVersion, Outcome, UnknownQueue
from apps.queues.deliveries import Handle
from apps.queues.errors import not_found, too_many_in_flight_text
from apps.queues.metrics import acknowledged, received
from apps.queues.receiving import Receiving, told
from apps.queues.store import QueueStore, StoreUnavailable
from apps.queues.views import QueueView, QueueViews
from apps.runtime import Call
from apps.streams.placement import record_bytes
from apps.streams.read_meters import QUEUE, Key, ReadMeters

RECEIVE_MAX = 10
WAIT_S = 9
"""Limit and WaitTimeSeconds of a receive that does not say."""

Json = dict[str, Any]
Entries = Sequence[tuple[Handle, Json]]
Count = Callable[[Call, QueueView, int], None]
Change = Callable[[Changing, QueueView, Entries], list[Outcome]]


async def receive_queue_records(call: Call, params: Json) -> Json:
    """Up to Limit (10) records, each in flight from now on for the visibility timeout.

    Kept from AWS: waits up to WaitTimeSeconds (9) for the first record and returns what there is then; at least once, in no
    order; a new receipt handle each time; RecordId is the same in every delivery and every queue; ReceiveCount; what was
    received MaxReceiveCount times and not acknowledged becomes a dead letter when its timeout expires; nothing past
    the stream's retention; 120,000 in flight (ThrottlingException).
    Ours: RecordId is the sequence number; an answer has at most 10 MiB (one larger record comes alone).
    Not kept: nothing.
    """
    return await _receive(call, params, dead=False)


async def receive_dead_letter_queue_records(call: Call, params: Json) -> Json:
    """The same for dead letters. A dead letter that is received is in flight among the dead letters.

    Kept from AWS: its data, key and RecordId are those it was put with; ReceiveCount goes on rising. Not kept: nothing.
    """
    return await _receive(call, params, dead=True)


async def acknowledge_queue_records(call: Call, params: Json) -> Json:
    """Never deliver these again. Durable when answered.

    Kept from AWS: each entry succeeds or fails by itself; the record stays in the stream and in other queues. A
    handle is good until its record is received again, also when its visibility timeout has expired.
    Ours: an entry whose record is acknowledged already fails with ResourceNotFoundException. Not kept: nothing.
    """
    return await _change(call, params, _acknowledge(dead=False), acknowledged)


async def acknowledge_dead_letter_queue_records(call: Call, params: Json) -> Json:
    """The same for dead letters.

    Kept from AWS: the last handle of a record that became a dead letter is good here too. Not kept: nothing.
    """
    return await _change(call, params, _acknowledge(dead=True))


async def update_queue_records_visibility(call: Call, params: Json) -> Json:
    """Each of these is in flight for so many seconds from now; 0: visible at once.

    Kept from AWS: each entry succeeds or fails by itself; the receive count stays. A record whose timeout has expired and
    that nobody received since goes back into flight. Not kept: nothing.
    """
    return await _change(call, params, _change_visibility(dead=False))


async def update_dead_letter_queue_records_visibility(call: Call, params: Json) -> Json:
    """The same for dead letters.

    Kept from AWS: 0 makes it visible to the next ReceiveDeadLetterQueueRecords. Not kept: nothing.
    """
    return await _change(call, params, _change_visibility(dead=True))


async def restore_dead_letter_queue_records(call: Call, params: Json) -> Json:
    """Back to the others: visible at once, with a receive count of 0.

    Kept from AWS: it may be received MaxReceiveCount times more; its handles end. Not kept: nothing.
    """
    return await _change(call, params, _restore)


async def _receive(call: Call, params: Json, *, dead: bool) -> Json:
    limit, wait_s = params.get("Limit") or RECEIVE_MAX, params.get("WaitTimeSeconds") or WAIT_S
    visibility_s = params.get("VisibilityTimeoutSeconds")
    receiving = call.runtime.part(Receiving)
    queue, look = await receiving.receive(call, params["QueueARN"], limit, wait_s, visibility_s, dead=dead)
    if not dead:
        received(call, queue, len(look.records))
    call.runtime.part(ReadMeters).add(_series(call, queue), sum(map(_bytes_of, look.records)))
    return {"QueueRecords": look.records}


def _series(call: Call, queue: QueueView) -> Key:
    """What the receivers of a queue got is booked on the queue, by access key."""
    name, hour = QUEUE_BYTES.name, call.runtime.clock.now_ms() // HOUR_MS  # the call may have waited long
    return (queue.team_id, QUEUE, queue.key, queue.name, name, call.principal.meter_key, hour)


def _bytes_of(record: Json) -> int:
    return record_bytes(record.get("PartitionKey"), record["Data"])


async def _change(call: Call, params: Json, change: Change, count: Count | None = None) -> Json:
    """Run a batch in one transaction of the store, and say of each entry what became of it."""
    queue = await call.runtime.part(QueueViews).find(call, params["QueueARN"])
    try:
        outcomes = await _outcomes(call, queue, params["Entries"], change)
    except (UnknownQueue, OldVersion):
        queue = await call.runtime.part(QueueViews).find(call, params["QueueARN"], anew=True)
        try:
            outcomes = await _outcomes(call, queue, params["Entries"], change)
        except (UnknownQueue, OldVersion):
            raise not_found(queue.arn, queue.account_id) from None
    successful, failed = [], []
    for entry, outcome in zip(params["Entries"], outcomes, strict=True):
        text = entry["ReceiptHandle"]
        if outcome is Outcome.DONE:
            successful.append({"ReceiptHandle": text})
        else:
            code, message = _failure(queue, outcome)
            failed.append({"ReceiptHandle": text, "ErrorCode": code, "ErrorMessage": message})
    if count is not None:
        count(call, queue, len(successful))
    return {"Successful": successful, "Failed": failed}


async def _outcomes(call: Call, queue: QueueView, entries: Sequence[Json], change: Change) -> list[Outcome | None]:
    """One per entry; None for what is no handle of this queue."""
    opened = [handles.open_handle(queue.key, entry["ReceiptHandle"]) for entry in entries]
    good = [(handle, entry) for handle, entry in zip(opened, entries, strict=True) if handle is not None]
    if not good:
        return [None] * len(entries)
    try:
        done = iter(await call.runtime.part(QueueStore).change(lambda changing: change(changing, queue, good)))
    except StoreUnavailable as error:
        raise told(error) from error
    return [None if handle is None else next(done) for handle in opened]


def _acknowledge(*, dead: bool) -> Change:
    return lambda changing, queue, entries: changing.acknowledge(
        queue.key, queue.version, queue.max_receive_count, [handle for handle, _ in entries], dead=dead
    )


def _change_visibility(*, dead: bool) -> Change:
    return lambda changing, queue, entries: changing.change_visibility(
        queue.key, queue.version, queue.max_receive_count,
        [(handle, entry["VisibilityTimeoutSeconds"] * SECOND_MS) for handle, entry in entries], dead=dead,
    )  # fmt: skip


def _restore(changing: Changing, queue: QueueView, entries: Entries) -> list[Outcome]:
    return changing.restore(queue.key, queue.version, queue.max_receive_count, [handle for handle, _ in entries])


def _failure(queue: QueueView, outcome: Outcome | None) -> tuple[str, str]:
    """ErrorCode and ErrorMessage of a failed entry. The codes are those of AWS's model; the sentences are ours."""
    match outcome:
        case Outcome.GONE:
            return "ResourceNotFoundException", (
                "The record is not in the queue: it was acknowledged, or the stream's retention period has ended for it."
            )
        case Outcome.STALE:
            return "InvalidArgumentException", (
                "The receipt handle is not valid any more: the record was received again, or restored."
            )
        case Outcome.DEAD:
            return "InvalidArgumentException", (
                "The record is a dead-letter record; use the operations for dead-letter records."
            )
        case Outcome.ALIVE:
            return "InvalidArgumentException", "The record is not a dead-letter record."
        case Outcome.FULL:
            return "ThrottlingException", too_many_in_flight_text(queue.arn)
    return "InvalidArgumentException", "The receipt handle is not one of this queue."
