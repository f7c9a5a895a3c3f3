"""What turns records into the bytes of an object: concatenation with a compression, or Parquet and ORC."""

from __future__ import annotations

from typing import Protocol

from apps.delivery.record import Failed, Record


class Writer(Protocol):
    """Writes the records of one object into a file opened for binary writing, which it does not close.

    `writer_for(file, description, plan, now_ms)`; the same records and plan give the same bytes.
    """

    content_encoding: str
    """Content-Encoding of the object, empty if none."""
    extension: str
    """Of the object's key, with its dot: .gz, .parquet … empty if none."""

    def write(self, records: list[Record]) -> list[Failed]:
        """Add records, in order; answers those that cannot be converted."""
        ...

    def finish(self) -> list[Failed]:
        """Complete the object. Nothing of it may be used before. Answers further records that failed."""
        ...
