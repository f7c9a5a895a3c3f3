"""Files kept encrypted in the data directory, read at any place as if they were plain.

Format 1: 5 bytes `TGSF` 01; the file's own key, wrapped under one that derives from the master key (nonce 12, ciphertext
32, tag 16); then chunks of CHUNK_BYTES of the content, each AES-256-GCM with a tag. A chunk's nonce is its number and
whether it is the last one, so that chunks can be neither exchanged nor cut off. The last one may be empty.

A file without the first five bytes is one that an earlier version kept plain, and is read as it is.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.base.keys import derive
from apps.encryption.positioned import Positioned

LABEL = "sealed-files"
MAGIC = b"TGSF\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
HEADER_BYTES = len(MAGIC) + NONCE_BYTES + KEY_BYTES + TAG_BYTES
CHUNK_BYTES = 64 * 1024
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE = Struct(">Q?3x")


class Unreadable(OSError):
    """The file does not open: another master key, or changed or missing bytes."""


class SealedWriter:
    """Write plain bytes; close() finishes the file. Without it, it does not open. Raises OSError."""

    def __init__(self, file: BinaryIO, master_key_path: Path) -> None:
        self._file = file
        self._rest = bytearray()
        self._number = 0
        self.size_bytes = 0
        key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        self._cipher = AESGCM(key)
        file.write(MAGIC + nonce + AESGCM(derive(master_key_path, LABEL)).encrypt(nonce, key, MAGIC))

    def write(self, data: bytes) -> None:
        """The next bytes of the content."""
        self._rest += data
        self.size_bytes += len(data)
        while len(self._rest) > CHUNK_BYTES:
            self._seal(bytes(self._rest[:CHUNK_BYTES]), last=False)
            del self._rest[:CHUNK_BYTES]

    def close(self) -> None:
        """The content ends here."""
        self._seal(bytes(self._rest), last=True)
        self._rest.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(NONCE.pack(self._number, last), chunk, None))
        self._number += 1


class _Sealed(Positioned):
    """The content, from an open file."""

    def __init__(self, file: BinaryIO, cipher: AESGCM, path: Path) -> None:
        self._file = file
        self._cipher = cipher
        self._path = path
        self._size = size_of(path)
        self._last = max(0, self._size - 1) // CHUNK_BYTES

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._at >= self._size:
            return 0
        number, skip = divmod(self._at, CHUNK_BYTES)
        part = self._chunk(number)[skip : skip + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _chunk(self, number: int) -> bytes:
        self._file.seek(HEADER_BYTES + number * SEALED_BYTES)
        sealed = self._file.read(SEALED_BYTES)
        try:
            return self._cipher.decrypt(NONCE.pack(number, number == self._last), sealed, None)
        except (InvalidTag, ValueError) as error:
            raise Unreadable(None, "its bytes were changed", str(self._path)) from error

    def close(self) -> None:
        self._file.close()
        super().close()


def open_sealed(path: Path, master_key_path: Path) -> Any:
    """The file for reading, content plain. Raises OSError."""
    file = path.open("rb")
    try:
        header = file.read(HEADER_BYTES)
        if not header.startswith(MAGIC):
            file.seek(0)
            return file
        nonce, wrapped = header[len(MAGIC) : len(MAGIC) + NONCE_BYTES], header[len(MAGIC) + NONCE_BYTES :]
        try:
            key = AESGCM(derive(master_key_path, LABEL)).decrypt(nonce, wrapped, MAGIC)
        except (InvalidTag, ValueError) as error:
            raise Unreadable(None, "it does not open with this master key", str(path)) from error
        return io.BufferedReader(_Sealed(file, AESGCM(key), path), CHUNK_BYTES)
    except BaseException:
        file.close()
        raise


def size_of(path: Path) -> int:
    """Bytes of the content. Raises OSError."""
    stored = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return stored
    sealed = stored - HEADER_BYTES
    return max(0, sealed - -(-sealed // SEALED_BYTES) * TAG_BYTES)
