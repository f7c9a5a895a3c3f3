"""What a table's own files may not do to the worker that reads them: they are in a bucket of the team's.

A table's properties may name Python code that pyiceberg would import and call, and a file of a few bytes may unpack to many
gigabytes. Both are looked for before pyiceberg sees the file.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from apps.base.units import MIB

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata

METADATA_BYTES_MAX: Final = 16 * MIB
"""Of a table's metadata: some 20,000 snapshots. A table that has more must expire some."""

MANIFEST_BYTES_MAX: Final = 64 * MIB
"""Of a manifest, or a list of them, unpacked."""

MANIFEST_ENTRIES_MAX: Final = 100_000
"""Of either. An entry of ten bytes is a kilobyte of objects when it is read."""

CALLS: Final = ("write.py-location-provider.impl", "py-io-impl")
"""Properties by which a table names code."""

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
VARINT_BYTES_MAX: Final = 10


def metadata_of(data: bytes, location: str) -> TableMetadata:
    """A table's metadata. Raises ValueError."""
    from pyiceberg.table.metadata import TableMetadataUtil

    if location.endswith(".gz.metadata.json"):
        data = _unpacked(data, zlib.MAX_WBITS | 16, METADATA_BYTES_MAX)
    if len(data) > METADATA_BYTES_MAX:
        raise ValueError(f"its metadata has more than {METADATA_BYTES_MAX} bytes; expire snapshots of it")
    metadata = TableMetadataUtil.parse_raw(data.decode())
    named = [name for name in CALLS if name in metadata.properties]
    if named:
        raise ValueError(f"it has the property {named[0]}, which is not obeyed")
    return metadata


def check_avro(data: bytes) -> None:
    """See that an Avro container unpacks to a bounded size. Raises ValueError."""
    if data[:4] != MAGIC:
        raise ValueError("a manifest is not an Avro file")
    codec, at = _header(data, 4)
    at += SYNC_BYTES
    left, entries = MANIFEST_BYTES_MAX, 0
    while at < len(data):
        count, at = _long(data, at)
        entries += count
        if count < 0 or entries > MANIFEST_ENTRIES_MAX:
            raise ValueError(f"a manifest has more than {MANIFEST_ENTRIES_MAX} entries")
        size, at = _long(data, at)
        if size < 0 or at + size > len(data):
            raise ValueError("a manifest is cut short")
        left -= _size_of(data[at : at + size], codec, left)
        if left < 0:
            raise ValueError(f"a manifest has more than {MANIFEST_BYTES_MAX} bytes")
        at += size + SYNC_BYTES


def _header(data: bytes, at: int) -> tuple[str, int]:
    """(the codec, where the header's map ends)"""
    codec = "null"
    while True:
        count, at = _long(data, at)
        if count == 0:
            return codec, at
        if count < 0:
            _, at = _long(data, at)
        for _ in range(abs(count)):
            name, at = _bytes(data, at)
            value, at = _bytes(data, at)
            if name == b"avro.codec":
                codec = value.decode("latin-1")


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(data, at)
    if size < 0 or at + size > len(data):
        raise ValueError("a manifest is cut short")
    return data[at : at + size], at + size


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Avro's numbers: seven bits a byte, the sign in the last bit."""
    value = shift = 0
    for place in range(at, min(at + VARINT_BYTES_MAX, len(data))):
        value |= (data[place] & 0x7F) << shift
        shift += 7
        if not data[place] & 0x80:
            return (value >> 1) ^ -(value & 1), place + 1
    raise ValueError("a manifest is cut short")


def _size_of(block: bytes, codec: str, most: int) -> int:
    """How much a block is when it is unpacked; more than most: nobody needs to know how much more."""
    match codec:
        case "null":
            return len(block)
        case "deflate":
            return len(_unpacked(block, -zlib.MAX_WBITS, most))
        case "zstandard":
            return _zstandard(block, most)
    raise ValueError(f"a manifest has the codec {codec[:40]!r}, which is not read")


def _zstandard(block: bytes, most: int) -> int:
    import zstandard

    size = 0
    with zstandard.ZstdDecompressor().stream_reader(block) as reader:
        while piece := reader.read(MIB):
            size += len(piece)
            if size > most:
                return size
    return size


def _unpacked(data: bytes, bits: int, most: int) -> bytes:
    try:
        found = zlib.decompressobj(bits).decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(f"a file of the table cannot be unpacked: {error}") from error
    if len(found) > most:
        raise ValueError(f"a file of the table has more than {most} bytes when it is unpacked")
    return found
