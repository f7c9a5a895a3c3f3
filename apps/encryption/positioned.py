"""What the encrypted files have in common: a place in them that is moved at will."""

from __future__ import annotations

import io


class Positioned(io.RawIOBase):
    """Readable and seekable. A subclass keeps _size, the bytes of the content, and moves _at as it reads."""

    _size = 0
    _at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the content; answers where it is now."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The next byte of the content that is read."""
        return self._at
