"""Records in parts that are small enough for a process to be given at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def frames(records: Sequence[bytes], records_max: int, bytes_max: int) -> Iterator[list[bytes]]:
    """At most so many records and bytes each; a larger record is alone in its own. None of no records."""
    frame: list[bytes] = []
    size = 0
    for record in records:
        if frame and (len(frame) == records_max or size + len(record) > bytes_max):
            yield frame
            frame, size = [], 0
        frame.append(record)
        size += len(record)
    if frame:
        yield frame
