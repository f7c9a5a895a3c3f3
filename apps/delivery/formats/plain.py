"""Objects of records as they came, one after the other with nothing between, compressed or not."""

from __future__ import annotations

from typing import IO, Any

from apps.delivery.formats.compression import BLOCK_BYTES, COMPRESSIONS
from apps.delivery.record import Failed, Record

Json = dict[str, Any]


class PlainWriter:
    """A Writer (interface.py) of concatenated records. Keeps less than one block and one record in memory."""

    def __init__(self, file: IO[bytes], description: Json) -> None:
        how = COMPRESSIONS[description.get("CompressionFormat") or "UNCOMPRESSED"]
        self.content_encoding = how.content_encoding
        self.extension = description.get("FileExtension") or how.extension
        self._sink = how.sink(file)
        self._waiting: list[bytes] = []
        self._size_bytes = 0

    def write(self, records: list[Record]) -> list[Failed]:
        """Add records. None fails."""
        for record in records:
            self._waiting.append(record.data)
            self._size_bytes += len(record.data)
            if self._size_bytes >= BLOCK_BYTES:
                self._cut()
        return []

    def finish(self) -> list[Failed]:
        """Write what is left, and the end of the compression."""
        self._sink.write(b"".join(self._waiting))
        self._waiting, self._size_bytes = [], 0
        self._sink.finish()
        return []

    def _cut(self) -> None:
        """Write whole blocks. They end at multiples of BLOCK_BYTES, however the records came."""
        joined = b"".join(self._waiting)
        whole = len(joined) - len(joined) % BLOCK_BYTES
        view = memoryview(joined)
        for start in range(0, whole, BLOCK_BYTES):
            self._sink.write(view[start : start + BLOCK_BYTES])
        self._waiting, self._size_bytes = [joined[whole:]], len(joined) - whole
