"""From where to where records are read: the starting positions, and the cursor that goes on.

Forward, shards are read beside each other, but a shard that came from others only when those are read to their end: so a
key's records come in their order. Backward (`newest`) each page ends where the one before it began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.core import signing
from rest_framework.exceptions import ValidationError

from apps.streams import sequence
from apps.streams.models import Shard, Stream
from apps.streams.operations.shards import shown as visible
from console import calls
from console.api.request import ApiRequest
from console.api.resources import shards
from console.pages import reading
from console.pages.reading import Page, Positions
from console.pages.record_filter import RecordFilter

NEWEST: Final = "newest"
LATEST: Final = "latest"
TRIM_HORIZON: Final = "trim-horizon"
AT_TIME: Final = "at-time"
AT: Final = "at-sequence-number"
AFTER: Final = "after-sequence-number"
STARTS: Final = (NEWEST, LATEST, TRIM_HORIZON, AT_TIME, AT, AFTER)


@dataclass(slots=True)
class Course:
    """What is read, and how far it is. shards: those read; all: the stream's, also those that come to be. at_ms: where a
    shard without a position begins; number: likewise, the start and a sequence number. Neither: at its beginning."""

    shards: list[Shard]
    all: bool
    backwards: bool
    at_ms: int | None = None
    number: tuple[str, str] | None = None
    positions: Positions = field(default_factory=dict)


def begin(stream: Stream, query: dict[str, Any]) -> Course:
    """The course that a query without a cursor asks for. Raises Http404, ValidationError."""
    start, now_ms = query["start"], calls.now_ms()
    _check(start, query, now_ms)
    if "sequence_number" in query:
        return _from_number(stream, query)
    course = Course(_chosen(stream, query.get("shard")), "shard" not in query, start == NEWEST)
    if start == AT_TIME:
        course.at_ms = query["at_ms"]
    if start == LATEST:
        course.positions = {index: found.next_offset for index, found in reading.bounds(course.shards).items()}
    return course


def _check(start: str, query: dict[str, Any], now_ms: int) -> None:
    """Raises ValidationError for a start without its value, or a value that nothing asks for."""
    for name, starts in (("at_ms", (AT_TIME,)), ("sequence_number", (AT, AFTER))):
        if (name in query) != (start in starts):
            wanted = f"Needed for start={start}." if start in starts else f"Only for start={' or '.join(starts)}."
            raise ValidationError({name: wanted})
    if query.get("at_ms", 0) > now_ms:
        raise ValidationError({"at_ms": "This time is still to come."})


def _from_number(stream: Stream, query: dict[str, Any]) -> Course:
    """A sequence number names its shard. Whether it is a good one, GetShardIterator says."""
    parts = sequence.decode(query["sequence_number"])
    found = [
        shard
        for shard in ([shards.one(stream, query["shard"])] if "shard" in query else visible(stream, calls.now_ms()))
        if parts and (shard.index, shard.created_s) == (parts.shard_index, parts.created_s)
    ]
    if not found:
        raise ValidationError({"sequence_number": "It is of none of the shards that are read."})
    return Course(found, all=False, backwards=False, number=(query["start"], query["sequence_number"]))


def resume(request: ApiRequest, stream: Stream, cursor: str) -> Course:
    """The course that a cursor of save() goes on with. Raises ValidationError."""
    try:
        kept = signing.loads(cursor, salt=_salt(request, stream))
    except signing.BadSignature as error:
        raise ValidationError({"cursor": "This is no cursor of this stream."}) from error
    found = list(visible(stream, calls.now_ms())[: reading.SHARDS_MAX + 1])
    if kept["s"] is not None:
        found = [shard for shard in found if shard.index in kept["s"]]
    _refuse_many(found)
    positions = {int(index): ordinal for index, ordinal in kept["p"].items()}
    return Course(found, kept["s"] is None, kept["b"], kept["t"], kept["n"], positions)


def save(request: ApiRequest, stream: Stream, course: Course) -> str:
    """The cursor."""
    indexes = None if course.all else [shard.index for shard in course.shards]
    kept = {"s": indexes, "b": course.backwards, "t": course.at_ms, "n": course.number, "p": course.positions}
    return signing.dumps(kept, salt=_salt(request, stream), compress=True)


def _salt(request: ApiRequest, stream: Stream) -> str:
    return f"records#{request.team.pk}#{stream.pk}"


def _chosen(stream: Stream, shard: str | None) -> list[Shard]:
    found = [shards.one(stream, shard)] if shard else list(visible(stream, calls.now_ms())[: reading.SHARDS_MAX + 1])
    _refuse_many(found)
    return found


def _refuse_many(found: list[Shard]) -> None:
    if len(found) > reading.SHARDS_MAX:
        text = f"The stream has more than {reading.SHARDS_MAX} shards: name one of them."
        raise ValidationError({"shard": text})


def read(
    request: ApiRequest, stream: Stream, course: Course, wanted: RecordFilter, limit: int
) -> tuple[Page, Course | None]:
    """One page, and the course that goes on after it; None at the end of all. Raises ServiceError."""
    ends = {index: found.next_offset for index, found in reading.bounds(course.shards).items()}
    scanned = reading.SCAN_ROWS if wanted else limit
    return (_backward if course.backwards else _forward)(request, stream, course, wanted, (limit, scanned), ends)


def _forward(
    request: ApiRequest, stream: Stream, course: Course, wanted: RecordFilter, sizes: tuple[int, int], ends: Positions
) -> tuple[Page, Course | None]:
    now_ms, ready = calls.now_ms(), [shard for shard in course.shards if _is_ready(shard, course, ends)]
    starts = {shard: _start(shard, course, now_ms) for shard in ready if not _is_read(shard, course, ends)}
    page = reading.read(request, stream.name, starts, wanted, sizes[1])
    read_empty = {index: ends[index] for index in page.was_read if index not in page.next and index in ends}
    page = page.first(sizes[0])
    course.positions = {**course.positions, **read_empty, **page.next}
    finished = all(shard.closed_at_ms is not None and _is_read(shard, course, ends) for shard in course.shards)
    page.more = page.more or len(ready) < len(course.shards)
    return page, None if finished and not course.all else course


def _is_read(shard: Shard, course: Course, ends: Positions) -> bool:
    """Closed, and nothing is left in it; or it has no log any more."""
    end = ends.get(shard.index)
    is_done = end is None or end == 1 or course.positions.get(shard.index, 0) >= end
    return shard.closed_at_ms is not None and is_done


def _is_ready(shard: Shard, course: Course, ends: Positions) -> bool:
    """Its parents, as far as they are among those that are read, are read to their end."""
    parents = {shard.parent_index, shard.adjacent_parent_index}
    return all(_is_read(parent, course, ends) for parent in course.shards if parent.index in parents)


def _start(shard: Shard, course: Course, now_ms: int) -> dict[str, Any]:
    """GetShardIterator's parameters."""
    if shard.index in course.positions:
        return reading.at_ordinal(shard, course.positions[shard.index], now_ms)
    if course.number is not None:
        start, number = course.number
        return {"ShardIteratorType": start.upper().replace("-", "_"), "StartingSequenceNumber": number}
    if course.at_ms is not None:
        return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": course.at_ms}
    return {"ShardIteratorType": "TRIM_HORIZON"}


def _backward(
    request: ApiRequest, stream: Stream, course: Course, wanted: RecordFilter, sizes: tuple[int, int], ends: Positions
) -> tuple[Page, Course | None]:
    ends |= {index: ordinal for index, ordinal in course.positions.items() if index in ends}
    begins = {index: max(1, end - sizes[1]) for index, end in ends.items() if end > 1}
    now_ms = calls.now_ms()
    starts = {
        shard: reading.at_ordinal(shard, begins[shard.index], now_ms)
        for shard in course.shards
        if shard.index in begins
    }  # fmt: skip
    page = reading.read(request, stream.name, starts, wanted, sizes[1])
    page.records = [found for found in page.records if found.ordinal < ends[found.shard.index]]
    page = page.last(sizes[0], begins, ends)
    course.positions = page.next
    return page, course if page.more else None
