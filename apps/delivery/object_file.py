"""An object in S3 as a file that is read: piece by piece over ranges, and no more of it than a budget allows."""

from __future__ import annotations

import io
from typing import Any, Final

from apps.base.units import MIB
from apps.delivery.s3_client import S3

RANGE_BYTES: Final = MIB


class BudgetSpent(Exception):
    """More of the object is wanted than may be read."""


class ObjectFile(io.RawIOBase):
    """Reads forward and anywhere; each request is for one range. Raises DeliveryFailed, BudgetSpent."""

    def __init__(
        self, s3: S3, bucket: str, key: str, *, budget_bytes: int | None = None, range_bytes: int = RANGE_BYTES
    ) -> None:
        self._s3, self._bucket, self._key = s3, bucket, key
        self._range_bytes = range_bytes
        self._left = budget_bytes
        self._at = 0
        self._start, self._kept = 0, b""
        first = self._fetch(0)
        self.size_bytes, self.content_encoding = first.size_bytes, first.content_encoding

    def _fetch(self, start: int) -> Any:
        if self._left is not None and self._left <= 0:
            raise BudgetSpent
        found = self._s3.read(self._bucket, self._key, start, self._range_bytes)
        if self._left is not None:
            self._left -= len(found.data)
        self._start, self._kept = start, found.data
        return found

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; nothing is read yet."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        """Where we are."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """As much as is wanted, but for the end of the object."""
        wanted = self.size_bytes - self._at if size is None or size < 0 else size
        wanted = max(0, min(wanted, self.size_bytes - self._at))
        pieces = []
        while wanted > 0:
            if not self._start <= self._at < self._start + len(self._kept):
                self._fetch(self._at)
                if not self._kept:
                    break
            piece = self._kept[self._at - self._start :][:wanted]
            pieces.append(piece)
            self._at += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """See read()."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
