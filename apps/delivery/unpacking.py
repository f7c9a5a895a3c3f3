"""The bytes in an object that a delivery wrote: whatever it is compressed with, in pieces, and no more than is asked for.

An object in a bucket may be anybody's by now, so nothing here trusts a length that stands in it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from apps.base.units import KIB, MIB

PIECE_BYTES: Final = MIB
"""The most that is unpacked at a time."""
READ_BYTES: Final = 64 * KIB
BLOCK_BYTES_MAX: Final = 16 * MIB
"""Of one block of Snappy, packed or not. Ours have at most 256 KiB."""
XERIAL_HEADER_BYTES: Final = 16
ZSTD_BYTES: Final = 512
"""Taken at a time: no four bytes of Zstandard say more than 128 KiB."""
ZIP_HEADER: Final = struct.Struct("<4s5H3L2H")

GZIP, ZIP, XERIAL, HADOOP, ZSTD = "gzip", "zip", "snappy-java", "hadoop-snappy", "zstd"
EXTENSIONS: Final = {".gz": GZIP, ".zip": ZIP, ".zst": ZSTD}


class Readable(Protocol):
    """As much of a file as is needed here."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none: the end."""
        ...


class Unreadable(Exception):
    """The object is not what its name or its Content-Encoding say; the text may be shown."""


def packing_of(key: str, content_encoding: str) -> str:
    """How an object is packed; empty: not at all."""
    if content_encoding in {GZIP, ZIP, XERIAL, HADOOP, ZSTD}:
        return content_encoding
    return next((how for extension, how in EXTENSIONS.items() if key.endswith(extension)), "")


def unpacked(file: Readable, how: str) -> Iterator[bytes]:
    """The content in pieces of at most PIECE_BYTES (a block of Snappy: BLOCK_BYTES_MAX). Raises Unreadable."""
    try:
        match how:
            case "gzip":
                yield from _deflated(file, 31, members=True)
            case "zip":
                _skip_zip_header(file)
                yield from _deflated(file, -15, members=False)
            case "snappy-java":
                _exactly(file, XERIAL_HEADER_BYTES)
                yield from _blocks(file, whole=False)
            case "hadoop-snappy":
                yield from _blocks(file, whole=True)
            case "zstd":
                yield from _zstandard(file)
            case _:
                while piece := file.read(PIECE_BYTES):
                    yield piece
    except (zlib.error, struct.error) as error:
        raise Unreadable(f"The object is no {how}.") from error


def lines(pieces: Iterator[bytes], bytes_max: int) -> Iterator[bytes]:
    """Lines without their ends; empty ones are left out. Raises Unreadable at one that is longer."""
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *more = piece.split(b"\n")
        kept.append(first)
        size += len(first)
        for line in more:
            if size:
                yield b"".join(kept)
            kept, size = [line], len(line)
        if size > bytes_max:
            raise Unreadable(f"A line of the object has more than {bytes_max} bytes.")
    if size:
        yield b"".join(kept)


def _deflated(file: Readable, wbits: int, *, members: bool) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(wbits)
    data = file.read(READ_BYTES)
    while data:
        piece = unpacking.decompress(data, PIECE_BYTES)
        if piece:
            yield piece
        data = unpacking.unconsumed_tail
        if unpacking.eof:
            if not members:
                return
            data = unpacking.unused_data or file.read(READ_BYTES)
            unpacking = zlib.decompressobj(wbits)
        elif not data:
            data = file.read(READ_BYTES)
            if not data:
                raise Unreadable("The object ends before its compression does.")


def _skip_zip_header(file: Readable) -> None:
    """Of the archive's first entry, which is its only one."""
    head = ZIP_HEADER.unpack(_exactly(file, ZIP_HEADER.size))
    if head[0] != b"PK\x03\x04" or head[3] != 8:
        raise Unreadable("The object is no ZIP archive as deliveries write them.")
    _exactly(file, head[9] + head[10])


def _blocks(file: Readable, *, whole: bool) -> Iterator[bytes]:
    """Snappy's blocks; whole: the length of what is in it stands before each."""
    from cramjam import DecompressionError, snappy

    while head := file.read(4):
        if whole:
            _exactly(file, 4 - len(head))
            head = _exactly(file, 4)
        else:
            head += _exactly(file, 4 - len(head))
        packed = _exactly(file, _bounded(struct.unpack(">I", head)[0]))
        _bounded(_varint(packed))
        try:
            yield bytes(snappy.decompress_raw(packed))
        except DecompressionError as error:
            raise Unreadable("The object is no Snappy.") from error


def _bounded(size: int) -> int:
    if size > BLOCK_BYTES_MAX:
        raise Unreadable("The object has a block that deliveries do not write.")
    return size


def _varint(data: bytes) -> int:
    """What a block of Snappy says it is when it is unpacked."""
    value = 0
    for place, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return value


def _zstandard(file: Readable) -> Iterator[bytes]:
    import zstandard

    made = zstandard.ZstdDecompressor(max_window_size=BLOCK_BYTES_MAX)
    unpacking, data, begun = made.decompressobj(), b"", False
    try:
        while data or (data := file.read(READ_BYTES)):
            begun = True
            piece = unpacking.decompress(data[:ZSTD_BYTES])
            if piece:
                yield piece
            data = data[ZSTD_BYTES:]
            if unpacking.eof:
                unpacking, data, begun = made.decompressobj(), unpacking.unused_data + data, False
    except zstandard.ZstdError as error:
        raise Unreadable("The object is no Zstandard.") from error
    if begun:
        raise Unreadable("The object ends before its compression does.")


def _exactly(file: Readable, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        piece = file.read(size - len(read))
        if not piece:
            raise Unreadable("The object ends before its compression does.")
        read += piece
    return bytes(read)
