"""Starting positions of readers: AWS's five types, checked and turned into an ordinal of the shard's log."""

from __future__ import annotations

from typing import NamedTuple

from apps.recordlog.interface import RecordLog, UnknownShard
from apps.runtime import Call
from apps.streams import sequence
from apps.streams.addressing import shard_id_text
from apps.streams.catalog import ShardView, StreamView
from apps.streams.errors import InvalidArgumentException
from apps.streams.reading import find_shard_anew
from apps.streams.sequence import SequenceNumber

TIME_MAX_MS = 10**15
"""Further ahead than any clock: larger timestamps are cut to this."""


class Start(NamedTuple):
    """Where a reader wants to begin. type is AWS's; number and at_ms are None where not given."""

    type: str
    number: str | None
    at_ms: int | None


def to_ms(seconds: float | None) -> int | None:
    """AWS's float seconds in milliseconds."""
    if seconds is None:
        return None
    return round(max(-TIME_MAX_MS, min(seconds * 1000, TIME_MAX_MS)))


def check(start: Start, now_ms: int) -> None:
    """Raises InvalidArgumentException if type and arguments do not go together. (What AWS says of a time where none
    belongs, and of a number beside one, is not known.)"""
    needs_number = start.type in {"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"}
    if needs_number != (start.number is not None):
        raise InvalidArgumentException(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or "
            "(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
            f"Request specified {start.type} and {'no' if needs_number else 'also a'} StartingSequenceNumber."
        )
    if start.type == "AT_TIMESTAMP":
        if start.at_ms is None:
            raise InvalidArgumentException(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. "
                "Current request has no timestamp parameter."
            )
        if start.at_ms > now_ms:
            raise InvalidArgumentException(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
                f"timestampInMillis: {start.at_ms}, currentTimestampInMillis: {now_ms}"
            )
    elif start.at_ms is not None:
        raise InvalidArgumentException(
            "The timestampInMillis parameter can only be specified for iterator of type AT_TIMESTAMP. "
            f"Current request is of type {start.type}."
        )


async def begin(
    call: Call, start: Start, stream: StreamView, shard: ShardView, operation: str
) -> tuple[StreamView, ShardView, int]:
    """The shard, and the ordinal to begin with; errors as ordinal_of. A shard that the log does not know is looked for
    once more: the view may be of a stream that was deleted and made again since."""
    log, now_ms = call.runtime.record_log, call.now_ms
    try:
        return stream, shard, await ordinal_of(start, log, stream, shard, now_ms, operation)
    except UnknownShard:
        stream, shard = await find_shard_anew(call, stream.name, shard.index)
    return stream, shard, await ordinal_of(start, log, stream, shard, now_ms, operation)


async def ordinal_of(
    start: Start, log: RecordLog, stream: StreamView, shard: ShardView, now_ms: int, operation: str
) -> int:
    """The ordinal of the first record to read. Positions before the horizon are moved to it by the read itself.

    Raises InvalidArgumentException for a number that is not one of this shard, UnknownShard (whatever the type) if the
    log has no such shard: then the view is older than the stream's deletion.
    """
    next_offset = (await log.bounds(shard.key)).next_offset
    match start.type:
        case "TRIM_HORIZON":
            return 1
        case "LATEST":
            return next_offset
        case "AT_TIMESTAMP":
            assert start.at_ms is not None
            return await log.find(shard.key, max(0, start.at_ms))
    assert start.number is not None
    number = _number_of_shard(start.number, stream, shard, now_ms, operation)
    if number.ordinal == sequence.ORDINAL_MAX and shard.closed_at_ms is not None:
        return next_offset
    if number.ordinal >= next_offset:
        raise _invalid(start.number, stream, shard, operation)
    return max(1, number.ordinal + (start.type == "AFTER_SEQUENCE_NUMBER"))


def _number_of_shard(text: str, stream: StreamView, shard: ShardView, now_ms: int, operation: str) -> SequenceNumber:
    number = sequence.decode(text)
    if number is None:
        raise _invalid(text, stream, shard, operation)
    if number.shard_index != shard.index:
        raise InvalidArgumentException(
            f"Invalid StartingSequenceNumber. It encodes {shard_id_text(number.shard_index)}, while it was used in a call "
            f"to a shard with {shard.shard_id}"
        )
    # The numbers of a shard's two ends may carry a second that is still to come (a child opens "after" its parent).
    an_end = number.ordinal in {0, sequence.ORDINAL_MAX}
    too_late = number.second > now_ms // 1000 and not an_end
    if number.created_s != shard.created_s or number.version != sequence.VERSION:
        raise _invalid(text, stream, shard, operation, " because it did not come from this stream")
    if too_late:
        raise _invalid(text, stream, shard, operation)
    return number


def _invalid(
    text: str, stream: StreamView, shard: ShardView, operation: str, why: str = ""
) -> InvalidArgumentException:
    return InvalidArgumentException(
        f"StartingSequenceNumber {text} used in {operation} on shard {shard.shard_id} in stream {stream.name} "
        f"under account {stream.account_id} is invalid{why}."
    )
