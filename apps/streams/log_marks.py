"""Is the record log still the one that was metered? Whoever books what a log has counted leaves a mark in it.

A log that was restored from an older copy counts on from what it had then. Within an hour its counts may outgrow the last
reading before it is read again, and no number tells that it had been further. So whoever has read meters that rose appends a
record with a random name to a reserved shard, after the reading, and remembers it in the transaction that books the reading. A
copy that has the newest remembered mark has all that was booked; one that does not is older, whenever it was taken: also
between a reading and its mark. Nothing is done while records are put, and an idle log gets no mark. A full log has room for marks
in its reserve (MARKS_SHARD).

Marks in the log that nobody remembers (the transaction was rolled back) say nothing. Where the log has later marks only, it is
the database that was restored; then all that the log counted since is booked again, rightly.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import structlog
from django.db import transaction

from apps.base.units import SECOND_MS
from apps.billing import flags
from apps.billing.ledger import OlderLog
from apps.billing.models import FlagKind
from apps.recordlog.interface import MARKS_SHARD, Appended, Entry, LogFull, RecordLog, ShardKey, UnknownShard
from apps.runtime import Runtime
from apps.streams.models import LogMark

log = structlog.get_logger(__name__)

MARKS_KEY: ShardKey = MARKS_SHARD
"""The reserved shard, next to that of the reads (read_meters.py)."""

NAME_BYTES = 8
READ_BYTES = 1_024
TRIM_EVERY = 64
"""Marks, before old ones are removed from the log."""
TRIM_RECORDS = 10_000


def look(runtime: Runtime) -> OlderLog:
    """Before the log's meters are read: is it older than what was booked of it? If so an operator is told. What is answered
    goes to ledger.record with the readings, and to `leave`."""
    incarnation = runtime.record_log.incarnation()
    newest = list(LogMark.objects.filter(incarnation=incarnation).order_by("-offset")[:2])
    if not newest:
        return OlderLog(incarnation, 0)  # nothing was ever booked of it
    mark = newest[0]
    if not runtime.wait_for(_has(runtime.record_log, mark)):
        return _found_older(runtime, mark)
    for earlier in newest[1:]:
        LogMark.objects.filter(incarnation=incarnation, offset__lt=mark.offset).delete()
        if mark.offset // TRIM_EVERY != earlier.offset // TRIM_EVERY:
            runtime.wait_for(runtime.record_log.trim(MARKS_KEY, mark.arrival_ms, TRIM_RECORDS))
    return OlderLog(incarnation, mark.older_at_ms)


def leave(runtime: Runtime, older: OlderLog) -> None:
    """After meters that rose were read, in the transaction that books them; near its end, as it waits for the disk."""
    name = secrets.token_hex(NAME_BYTES)
    try:
        appended = runtime.wait_for(_append(runtime.record_log, name))
    except LogFull:  # not even the reserve is there: what frees some must not be kept from being booked
        log.warning("log_mark_not_left")
        return
    LogMark.objects.create(
        incarnation=older.incarnation,
        offset=appended.first,
        arrival_ms=appended.arrival_ms,
        name=name,
        older_at_ms=older.found_at_ms,
    )


def raise_older(resource: str, known_ms: int, rest: str, found_ms: int) -> None:
    """Tell the operator of a log that is an older copy, metered up to known_ms before; rest: what that means for bills."""
    text = (
        f"The record log is an older copy, as after a restored backup. It had been metered up to {time_words(known_ms)}; found at "
        f"{time_words(found_ms)}. What was metered stays billed, and nothing is billed twice. {rest}"
    )
    flags.raise_flag(None, FlagKind.SHRUNK, resource, text, found_ms)


def time_words(time_ms: int) -> str:
    """As 2026-11-21 10:15:00 UTC."""
    return f"{datetime.fromtimestamp(time_ms // SECOND_MS, UTC):%Y-%m-%d %H:%M:%S} UTC"


async def _has(record_log: RecordLog, mark: LogMark) -> bool:
    try:
        batch = await record_log.read(MARKS_KEY, mark.offset, 1, READ_BYTES)
    except UnknownShard:
        return False
    if not batch.slices:
        return False
    found = batch.slices[0]
    # Only marks older than one that is remembered are trimmed: the database, restored, may remember an earlier one.
    return found.first > mark.offset or found.records[1] == mark.name.encode()


async def _append(record_log: RecordLog, name: str) -> Appended:
    entry = Entry(MARKS_KEY, ["mark", name.encode()], 1, len("mark") + len(name), 1)
    try:
        [appended] = await record_log.append([entry])
    except UnknownShard:
        await record_log.create(MARKS_KEY)
        [appended] = await record_log.append([entry])
    assert isinstance(appended, Appended), "nobody seals the reserved shard"
    return appended


def _found_older(runtime: Runtime, mark: LogMark) -> OlderLog:
    """Flag it, and begin anew: what is read from now on goes on from what the log has."""
    now_ms = runtime.clock.now_ms()
    copy_ms = runtime.wait_for(_newest_ms(runtime.record_log))
    log.warning("record_log_is_older", known_ms=mark.arrival_ms, copy_ms=copy_ms)
    copy = f"had been metered up to {time_words(copy_ms)}" if copy_ms else "had never been metered"
    rest = (
        f"What was put on the old log after that is on no bill. The copy {copy}: of what was put on it until it was found, as much "
        "may be missing as the old log was metered for since. Please add corrections."
    )
    older = OlderLog(mark.incarnation, now_ms)
    with transaction.atomic():
        raise_older("", mark.arrival_ms, rest, now_ms)
        LogMark.objects.filter(incarnation=mark.incarnation).delete()
        leave(runtime, older)
    return older


async def _newest_ms(record_log: RecordLog) -> int:
    """When the copy was metered last; 0 if it never was."""
    try:
        return (await record_log.bounds(MARKS_KEY)).newest_ms
    except UnknownShard:
        return 0
