"""Compressed objects, read by other libraries than wrote them, and the same however the records come."""

import gzip
import io
import struct
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.delivery.formats import writer_for
from apps.delivery.formats.compression import HADOOP_BLOCK_BYTES, XERIAL_BLOCK_BYTES
from apps.delivery.record import Record

NOW_MS = 1_800_000_000_000
FORMATS = ("UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY", "ZSTD")
SNAPPY = pa.Codec("snappy")


def written(compression, pieces, **description):
    file = io.BytesIO()
    writer = writer_for(file, {"CompressionFormat": compression, **description}, {}, NOW_MS)
    ordinal = 0
    for piece in pieces:
        records = [Record(data, NOW_MS, ordinal + i) for i, data in enumerate(piece)]
        assert writer.write(records) == []
        ordinal += len(piece)
    assert writer.finish() == []
    assert not file.closed
    return file.getvalue(), writer


def snappy_frames(packed):
    """Of snappy-java: the frames' contents."""
    assert packed[:16] == b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
    at, found = 16, []
    while at < len(packed):
        (size,) = struct.unpack_from(">i", packed, at)
        raw = packed[at + 4 : at + 4 + size]
        found.append(bytes(SNAPPY.decompress(raw, varint(raw))))
        at += 4 + size
    return found


def hadoop_frames(packed):
    """Of Hadoop's SnappyCodec: the frames' contents."""
    at, found = 0, []
    while at < len(packed):
        plain, size = struct.unpack_from(">ii", packed, at)
        found.append(bytes(SNAPPY.decompress(packed[at + 8 : at + 8 + size], plain)))
        at += 8 + size
    return found


def varint(raw):
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    raise AssertionError("no length")


def unzip(packed):
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert archive.testzip() is None
    (entry,) = archive.infolist()
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)
    return archive.read(entry)


def unzstd(packed):
    return pa.CompressedInputStream(io.BytesIO(packed), "zstd").read()


READ = {
    "UNCOMPRESSED": bytes,
    "GZIP": gzip.decompress,
    "ZIP": unzip,
    "Snappy": lambda packed: b"".join(snappy_frames(packed)),
    "HADOOP_SNAPPY": lambda packed: b"".join(hadoop_frames(packed)),
    "ZSTD": unzstd,
}


@pytest.mark.parametrize("compression", FORMATS)
@settings(max_examples=15, deadline=None)
@given(pieces=st.lists(st.lists(st.binary(max_size=40), max_size=6), max_size=6))
def test_records_are_concatenated_without_a_separator(compression, pieces):
    packed, _ = written(compression, pieces)
    assert READ[compression](packed) == b"".join(data for piece in pieces for data in piece)


LONG = [bytes([65 + i % 26, 10]) * (1 + i * 7919 % 60_000) for i in range(60)]


@pytest.mark.parametrize("compression", FORMATS)
def test_the_same_records_give_the_same_object_however_they_are_read(compression):
    once, _ = written(compression, [LONG])
    one_by_one, _ = written(compression, [[data] for data in LONG])
    assert len(b"".join(LONG)) > 3 << 20
    assert once == one_by_one
    assert READ[compression](once) == b"".join(LONG)


@pytest.mark.parametrize(
    ("compression", "encoding", "extension"),
    [
        ("UNCOMPRESSED", "", ""), ("GZIP", "gzip", ".gz"), ("ZIP", "zip", ".zip"), ("Snappy", "snappy-java", ".snappy"),
        ("HADOOP_SNAPPY", "hadoop-snappy", ".snappy"), ("ZSTD", "zstd", ".zst"),
    ],
)  # fmt: skip
def test_what_an_object_is_called(compression, encoding, extension):
    _, writer = written(compression, [])
    assert (writer.content_encoding, writer.extension) == (encoding, extension)
    assert written(compression, [], FileExtension=".json.x")[1].extension == ".json.x"


def test_frames_have_the_sizes_that_readers_expect():
    long = b"x" * 3_000_000
    frames = snappy_frames(written("Snappy", [[long]])[0])
    assert {len(frame) for frame in frames[:-1]} == {XERIAL_BLOCK_BYTES}
    assert max(len(frame) for frame in hadoop_frames(written("HADOOP_SNAPPY", [[long]])[0])) == HADOOP_BLOCK_BYTES


def test_gzip_says_neither_time_nor_name():
    packed, _ = written("GZIP", [[b"a"]])
    assert packed[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_a_description_without_a_compression_is_uncompressed():
    file = io.BytesIO()
    writer = writer_for(file, {}, {}, NOW_MS)
    writer.write([Record(b"a", NOW_MS, 0)])
    writer.finish()
    assert file.getvalue() == b"a"
