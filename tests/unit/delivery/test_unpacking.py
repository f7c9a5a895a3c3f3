"""What is in an object, whatever it is packed in; and whatever somebody has put in its place."""

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.delivery.formats import writer_for
from apps.delivery.record import Record
from apps.delivery.unpacking import BLOCK_BYTES_MAX, PIECE_BYTES, Unreadable, lines, packing_of, unpacked

PACKINGS = ["UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY", "ZSTD"]


def packed(compression, data):
    file = io.BytesIO()
    writer = writer_for(file, {"CompressionFormat": compression}, {}, 0)
    writer.write([Record(data, 0, 1)])
    writer.finish()
    return file.getvalue(), packing_of("key" + writer.extension, writer.content_encoding)


@pytest.mark.parametrize("compression", PACKINGS)
@pytest.mark.parametrize("data", [b"", b"x", b"some text\n" * 300_000])
def test_what_was_packed(compression, data):
    body, how = packed(compression, data)
    assert b"".join(unpacked(io.BytesIO(body), how)) == data


@pytest.mark.parametrize("compression", PACKINGS[1:])
def test_what_ends_early(compression):
    body, how = packed(compression, bytes(range(256)) * 1_000)
    with pytest.raises(Unreadable, match=r"\.$"):
        list(unpacked(io.BytesIO(body[: len(body) // 2]), how))


@given(
    st.binary(max_size=400), st.sampled_from(["gzip", "zip", "snappy-java", "hadoop-snappy", "zstd", ""]), st.booleans()
)
def test_anything_is_pieces_or_a_sentence(data, how, like):
    start = (
        {"gzip": b"\x1f\x8b\x08\x00", "zip": b"PK\x03\x04", "zstd": b"\x28\xb5\x2f\xfd"}.get(how, b"") if like else b""
    )
    try:
        pieces = list(unpacked(io.BytesIO(start + data), how))
    except Unreadable as error:
        assert str(error).endswith(".")  # noqa: PT017
        return
    assert all(len(piece) <= max(PIECE_BYTES, BLOCK_BYTES_MAX) for piece in pieces)


def test_a_bomb_is_taken_in_pieces():
    import zlib

    body = zlib.compressobj(1, wbits=31)
    bomb = b"".join([*(body.compress(bytes(PIECE_BYTES)) for _ in range(60)), body.flush()])
    tracemalloc.start()
    try:
        assert sum(map(len, unpacked(io.BytesIO(bomb), "gzip"))) == 60 * PIECE_BYTES
        assert tracemalloc.get_traced_memory()[1] < 10 * PIECE_BYTES
    finally:
        tracemalloc.stop()


def test_lines_whatever_the_pieces():
    text = b"a\n\nbc\n" + b"d" * 10 + b"\nlast"
    for size in range(1, len(text) + 1):
        pieces = (text[at : at + size] for at in range(0, len(text), size))
        assert list(lines(pieces, 100)) == [b"a", b"bc", b"d" * 10, b"last"]
    with pytest.raises(Unreadable, match="more than 5 bytes"):
        list(lines(iter([b"abc", b"def"]), 5))
