"""Compressions of whole objects: what AWS calls CompressionFormat, and channels' ZSTD. Each is a stream into a file.

The libraries let go of the interpreter while they compress, for which their input must be large: plain.py gives them
blocks of BLOCK_BYTES, cut at the same bytes every time, so the same records give the same object.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Protocol

from apps.base.units import MIB

BLOCK_BYTES = MIB

GZIP_LEVEL = 3
"""Of isal, 0 to 3. On text-like JSON level 3 measured as quick as level 1 (over 200 MB/s) and 10 % smaller."""

ZLIB_LEVEL = 1
"""For ZIP, which isal does not write: 88 MB/s measured, where level 6 has 37 MB/s and is 10 % smaller."""

ZSTD_LEVEL = 3

XERIAL_HEADER = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
"""Of snappy-java's SnappyOutputStream: magic, version, oldest version that reads it."""

XERIAL_BLOCK_BYTES = 32 * 1024
"""snappy-java's own; each block is its length and then Snappy without a frame."""

HADOOP_BLOCK_BYTES = 256 * 1024 - (256 * 1024 // 6 + 32)
"""Hadoop's BlockCompressorStream with its buffer of 256 KiB less Snappy's worst overhead. Each block: length before,
length after, Snappy without a frame."""

ZIP_ENTRY = "records"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that a ZIP can say; a true one would make each attempt another object."""


class Sink(Protocol):
    """A compression of one object."""

    def write(self, data: bytes | memoryview) -> None:
        """Compress a block into the file."""
        ...

    def finish(self) -> None:
        """Write what is left, and the end."""
        ...


class Uncompressed:
    """Bytes as they are."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write: Callable[[bytes | memoryview], Any] = file.write

    def finish(self) -> None:
        """There is no end mark."""


class Gzip:
    """One gzip member without time or name."""

    def __init__(self, file: IO[bytes]) -> None:
        from isal import isal_zlib  # only workers compress

        self._file = file
        self._stream = isal_zlib.compressobj(level=GZIP_LEVEL, wbits=31)

    def write(self, data: bytes | memoryview) -> None:
        """Compress a block."""
        self._file.write(self._stream.compress(data))

    def finish(self) -> None:
        """Write the checksum."""
        self._file.write(self._stream.flush())


class Zip:
    """A ZIP archive with one entry, as AWS makes."""

    def __init__(self, file: IO[bytes]) -> None:
        import zipfile  # only workers compress

        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=ZLIB_LEVEL)
        entry = zipfile.ZipInfo(ZIP_ENTRY, ZIP_EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        entry._compresslevel = ZLIB_LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - the way to say it with an own ZipInfo before Python 3.13
        self._entry = self._archive.open(entry, "w")

    def write(self, data: bytes | memoryview) -> None:
        """Compress a block."""
        self._entry.write(data)

    def finish(self) -> None:
        """Write the directory of the archive; the file stays open."""
        self._entry.close()
        self._archive.close()


class XerialSnappy:
    """The framing of snappy-java, which AWS names as the content encoding of Snappy."""

    def __init__(self, file: IO[bytes]) -> None:
        file.write(XERIAL_HEADER)
        self._file = file

    def write(self, data: bytes | memoryview) -> None:
        """Write a block as frames; only the last block may have a length that is no multiple of a frame's."""
        from cramjam import snappy

        view = memoryview(data)
        for start in range(0, len(view), XERIAL_BLOCK_BYTES):
            packed = bytes(snappy.compress_raw(view[start : start + XERIAL_BLOCK_BYTES]))
            self._file.write(struct.pack(">i", len(packed)) + packed)

    def finish(self) -> None:
        """There is no end mark."""


class HadoopSnappy:
    """The framing of Hadoop's SnappyCodec."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: bytes | memoryview) -> None:
        """Write a block as frames."""
        from cramjam import snappy

        view = memoryview(data)
        for start in range(0, len(view), HADOOP_BLOCK_BYTES):
            piece = view[start : start + HADOOP_BLOCK_BYTES]
            packed = bytes(snappy.compress_raw(piece))
            self._file.write(struct.pack(">ii", len(piece), len(packed)) + packed)

    def finish(self) -> None:
        """There is no end mark."""


class Zstandard:
    """One Zstandard frame with a checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard  # only workers compress

        self._file = file
        self._stream = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()

    def write(self, data: bytes | memoryview) -> None:
        """Compress a block."""
        self._file.write(self._stream.compress(data))

    def finish(self) -> None:
        """End the frame."""
        self._file.write(self._stream.flush())


@dataclass(frozen=True, slots=True)
class Compression:
    """How an object is compressed. content_encoding and extension: of the object."""

    sink: Callable[[IO[bytes]], Sink]
    content_encoding: str = ""
    extension: str = ""


COMPRESSIONS = {
    "UNCOMPRESSED": Compression(Uncompressed),
    "NONE": Compression(Uncompressed),
    "GZIP": Compression(Gzip, "gzip", ".gz"),
    "ZIP": Compression(Zip, "zip", ".zip"),
    "Snappy": Compression(XerialSnappy, "snappy-java", ".snappy"),
    "HADOOP_SNAPPY": Compression(HadoopSnappy, "hadoop-snappy", ".snappy"),
    "ZSTD": Compression(Zstandard, "zstd", ".zst"),
}
"""By AWS's names; NONE and ZSTD are channels'."""
