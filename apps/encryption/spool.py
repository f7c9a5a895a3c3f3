"""A temporary file that nobody can read but the process that writes it: uploads wait in it for their view.

Its key is random, in memory only, and of this file alone, so that AES in counter mode never uses a key stream twice: bytes
are only ever added. It has no name in the folder, and is gone with the process. Nothing authenticates its bytes: whoever can
change an open file without a name can change the process, too.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from apps.encryption.positioned import Positioned

IN_MEMORY_BYTES = 2_621_440
"""Up to so many bytes nothing goes to the disk (Django's own number)."""

KEY_BYTES = 32
BLOCK_BYTES = 16
BUFFER_BYTES = 64 * 1024


class _Enciphered(Positioned):
    """Encrypts what is added, decrypts what is read anywhere."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._algorithm = algorithms.AES(os.urandom(KEY_BYTES))
        self._encryptor = Cipher(self._algorithm, modes.CTR(bytes(BLOCK_BYTES))).encryptor()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Raises UnsupportedOperation anywhere but at the end."""
        if self._at != self._size:
            raise io.UnsupportedOperation("bytes are only added")
        view = memoryview(data).cast("B")
        self._file.seek(self._size)
        self._file.write(self._encryptor.update(view))
        self._size += len(view)
        self._at = self._size
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        block, skip = divmod(self._at, BLOCK_BYTES)
        self._file.seek(block * BLOCK_BYTES)
        stored = self._file.read(skip + len(view))
        cipher = Cipher(self._algorithm, modes.CTR(block.to_bytes(BLOCK_BYTES, "big")))
        plain = cipher.decryptor().update(stored)[skip:]
        view[: len(plain)] = plain
        self._at += len(plain)
        return len(plain)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def spool(folder: Path, in_memory_bytes: int = IN_MEMORY_BYTES) -> io.BufferedRandom:
    """An empty one; bytes are added at its end and read anywhere. Raises OSError."""
    held = tempfile.SpooledTemporaryFile(in_memory_bytes, dir=str(folder))  # noqa: SIM115 - closed with the spool
    return io.BufferedRandom(_Enciphered(cast("BinaryIO", held)), BUFFER_BYTES)
