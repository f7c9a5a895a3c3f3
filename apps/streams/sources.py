"""What ingestion jobs read from: the lines of a file, or a time range of a stream. Both can read a piece again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from apps.recordlog.interface import UnknownShard
from apps.runtime import Runtime
from apps.streams.exact_put import Record
from apps.streams.models import Shard
from apps.streams.placement import record_bytes

PARTITION_KEY_CHARACTERS = 256
NO_KEY = "-"
"""Partition key of a line that has no such field."""

Json = dict[str, Any]


class SourceError(Exception):
    """The job cannot go on. The text is a sentence for the person who asked for it."""


@dataclass(slots=True)
class Piece:
    """Neighbouring records of a source. after: the checkpoint behind them; done: progress in the source's units."""

    records: list[Record]
    after: Json
    done: int

    @property
    def size_bytes(self) -> int:
        """Keys and data."""
        return sum(record_bytes(*record) for record in self.records)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a piece may hold, and the largest record that the target takes."""

    records: int
    size_bytes: int
    record_bytes: int


class Source(Protocol):
    """Where the records come from."""

    def read(self, checkpoint: Json, limits: Limits, until: Json | None = None) -> Piece | None:
        """The piece behind a checkpoint, None at the end. With `until` (the `after` of a piece read before) just that
        piece again. Raises SourceError."""
        ...


class Lines:
    """The lines of a file, without their line feeds: one record each.

    The partition key is a fixed text, or the line's field with a number (from 1, separated by white space), or else
    the line's number. Progress counts bytes.
    """

    def __init__(self, open_file: Callable[[], Any], key: str = "", key_field: int = 0) -> None:
        """open_file: the file for reading bytes, at its beginning; may raise OSError."""
        self._open_file = open_file
        self._key = key
        self._key_field = key_field

    def read(self, checkpoint: Json, limits: Limits, until: Json | None = None) -> Piece | None:
        """See Source.read. Checkpoint: `at` (byte) and `line` (number of the lines before it)."""
        at, number = checkpoint.get("at", 0), checkpoint.get("line", 0)
        end = None if until is None else until["at"]
        records: list[Record] = []
        size = 0
        with self._open() as file, _told():
            file.seek(at)
            while at != end and (until is not None or (len(records) < limits.records and size < limits.size_bytes)):
                line = file.readline(limits.record_bytes + 2)
                if not line:
                    break
                data = line.removesuffix(b"\n")
                record = self._key_of(data, number + 1), data
                if record_bytes(*record) > limits.record_bytes:
                    if records:
                        break  # first put what comes before it
                    raise SourceError(
                        f"Line {number + 1} is longer than the {limits.record_bytes} bytes that a record of the stream "
                        f"may have. The {number} lines before it were imported."
                    )
                records.append(record)
                size += record_bytes(*record)
                at, number = at + len(line), number + 1
        return Piece(records, {"at": at, "line": number}, at) if records else None

    def _open(self) -> Any:
        with _told():
            return self._open_file()

    def _key_of(self, data: bytes, number: int) -> str:
        if self._key:
            return self._key
        if not self._key_field:
            return str(number)
        # A field may be as long as the line; what is cut off here would be cut off below.
        fields = data.split(None, self._key_field)
        if len(fields) < self._key_field:
            return NO_KEY
        return fields[self._key_field - 1].decode(errors="replace")[:PARTITION_KEY_CHARACTERS]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"The uploaded file cannot be read ({error.strerror}). Import it again.") from error


class StreamRange:
    """A stream's records between two times, shard after shard, parents before their children, so that the order per
    key is kept. `extents` are [shard key, first ordinal, ordinal behind the last], fixed when the job began. Progress
    counts records, those too that retention removes before they are read."""

    def __init__(self, runtime: Runtime, extents: list[list[int]]) -> None:
        self._runtime = runtime
        self._extents = extents

    @property
    def total(self) -> int:
        """Records in all extents."""
        return sum(end - first for _, first, end in self._extents)

    def read(self, checkpoint: Json, limits: Limits, until: Json | None = None) -> Piece | None:
        """See Source.read. Checkpoint: `extent` (index) and `ordinal` (the next to read in it)."""
        number = checkpoint.get("extent", 0)
        while number < len(self._extents):
            shard, first, end = self._extents[number]
            start = max(first, checkpoint["ordinal"]) if number == checkpoint.get("extent") else first
            is_last = until is not None and until["extent"] == number
            stop = until["ordinal"] if is_last and until is not None else end
            records, reached = self._read(shard, start, stop, limits) if start < stop else ([], stop)
            if records or is_last:
                done = sum(b - a for _, a, b in self._extents[:number]) + reached - first
                return Piece(records, {"extent": number, "ordinal": reached}, done)
            number += 1
        return None

    def _read(self, shard: int, start: int, stop: int, limits: Limits) -> tuple[list[Record], int]:
        """What is left of the records in [start, stop), as far as the limits go, and the ordinal behind it."""
        log = self._runtime.record_log
        count = min(limits.records, stop - start)
        try:
            batch = self._runtime.wait_for(log.read(shard, start, count, limits.size_bytes))
        except UnknownShard:
            return [], stop  # expired since: nothing of it is left
        records: list[Record] = []
        for part in batch.slices:
            flat = iter(part.records)
            for ordinal, (key, data) in enumerate(zip(flat, flat, strict=True), part.first):
                if ordinal >= stop:
                    return records, stop
                assert isinstance(key, str)
                assert isinstance(data, bytes)
                if (size := record_bytes(key, data)) > limits.record_bytes:
                    if records:
                        return records, ordinal  # first put what comes before it
                    raise SourceError(
                        f"A record of {size} bytes is larger than the {limits.record_bytes} bytes that a record of "
                        "the target stream may have. The records before it were put."
                    )
                records.append((key, data))
        return records, min(stop, batch.next_offset)


def extents_of(runtime: Runtime, shards: list[Shard], from_ms: int, to_ms: int) -> list[list[int]]:
    """What of each shard, by number, arrived in [from_ms, to_ms]. Shards that hold nothing of it are left out."""
    extents = []
    for shard in sorted(shards, key=lambda s: s.index):
        try:
            first = runtime.wait_for(runtime.record_log.find(shard.pk, from_ms))
            end = runtime.wait_for(runtime.record_log.find(shard.pk, to_ms + 1))
        except UnknownShard:
            continue
        if first < end:
            extents.append([shard.pk, first, end])
    return extents
