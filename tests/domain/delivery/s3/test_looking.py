"""The beginning of a delivered object, whatever it is packed in, and whatever somebody has put in its place."""

import gzip
import io

import pytest

from apps.delivery import looking
from apps.delivery.destinations import destination_for
from apps.delivery.looking import look
from apps.delivery.models import DeliveredObject
from apps.delivery.targets import target_for
from tests.support.delivery_batches import NOW_MS, Engine, records_of
from tests.support.delivery_rows import make_delivery, s3_description

pytestmark = pytest.mark.django_db

DATAS = [b'{"n": %d, "s": "%s"}\n' % (n, b"x" * 50) for n in range(2_000)]


@pytest.fixture
def bucket(s3):
    return s3.make_bucket("events")


@pytest.fixture
def stream(team):
    return make_delivery(team)


def deliver(runtime, stream, datas=DATAS, **description):
    stream.destination = s3_description(**description)
    stream.save()
    target = target_for(runtime, stream)
    done = Engine(records_of(datas)).attempt_with(lambda: destination_for(runtime, target))
    (one,) = done.written
    return row(stream, one.key)


def row(stream, key, bucket="events", part="destination"):
    return DeliveredObject(
        delivery_stream=stream, part=part, bucket=bucket, key=key, size_bytes=1, records=1, at_ms=NOW_MS
    )


@pytest.mark.parametrize("packing", ["UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"])
def test_text(s3_runtime, stream, bucket, packing):
    seen = look(s3_runtime, deliver(s3_runtime, stream, CompressionFormat=packing))
    assert (seen.kind, seen.cut, seen.problem) == ("text", True, "")
    assert seen.text == b"".join(DATAS)[: looking.HEAD_BYTES].decode()
    small = look(s3_runtime, deliver(s3_runtime, stream, DATAS[:3], CompressionFormat=packing))
    assert (small.text, small.cut) == (b"".join(DATAS[:3]).decode(), False)


def test_bytes_that_are_no_text(s3_runtime, stream, bucket):
    seen = look(s3_runtime, deliver(s3_runtime, stream, [bytes(range(256))]))
    assert seen.kind == "binary"
    assert seen.text.splitlines()[2] == "00000020  " + bytes(range(32, 48)).hex(" ") + "   !\"#$%&'()*+,-./"


def test_characters_are_not_cut_into_garbage(s3_runtime, stream, bucket):
    seen = look(s3_runtime, deliver(s3_runtime, stream, ["ä€".encode() * 40_000]))
    assert seen.kind == "text"
    assert set(seen.text.rstrip("\ufffd")) == {"ä", "€"}


@pytest.mark.parametrize("kind", ["parquet", "orc"])
def test_rows(s3, s3_runtime, stream, bucket, kind):
    import pyarrow as pa
    from pyarrow import orc, parquet

    table = pa.table({"n": list(range(5_000)), "s": [None, "long" * 500] * 2_500, "b": [b"\x00\xff"] * 5_000})
    file = io.BytesIO()
    parquet.write_table(table, file) if kind == "parquet" else orc.write_table(table, file)
    s3.client.put_object(Bucket=bucket, Key="k." + kind, Body=file.getvalue())
    seen = look(s3_runtime, row(stream, "k." + kind))
    assert (seen.kind, seen.columns, len(seen.rows), seen.cut) == ("rows", ["n", "s", "b"], looking.ROWS, True)
    assert seen.rows[1] == ["1", ("long" * 500)[: looking.CELL_CHARACTERS] + "…", "00ff"]
    assert seen.rows[0][1] == ""


def test_a_bomb_is_not_unpacked(s3, s3_runtime, s3_faults, stream, bucket):
    s3.client.put_object(Bucket=bucket, Key="k.gz", Body=gzip.compress(bytes(30_000_000), 1), ContentEncoding="gzip")
    seen = look(s3_runtime, row(stream, "k.gz"))
    assert (seen.kind, seen.cut) == ("binary", True)
    assert len(s3_faults.requests) <= 2


@pytest.mark.parametrize(
    ("key", "encoding", "body"),
    [
        ("k.gz", "gzip", b"no gzip"), ("k.gz", "gzip", gzip.compress(b"x" * 1_000, mtime=0)[:-20]), ("k.zip", "zip", b"PK\x03\x04"),
        ("k.zip", "", b"x" * 100), ("k.snappy", "snappy-java", b"x" * 100), ("k.snappy", "hadoop-snappy", b"\xff" * 100),
        ("k.snappy", "snappy-java", b"h" * 16 + b"\x00\x00\x00\x06\xff\xff\xff\xff\x7fx"), ("k.zst", "", b"x" * 100),
        ("k.parquet", "", b"PAR1" + b"x" * 100), ("k.orc", "", b"ORC" + b"x" * 100),
    ],
)  # fmt: skip
def test_what_is_not_what_it_says(s3, s3_runtime, stream, bucket, key, encoding, body):
    s3.client.put_object(Bucket=bucket, Key=key, Body=body, ContentEncoding=encoding)
    seen = look(s3_runtime, row(stream, key))
    assert seen.kind == ""
    assert seen.problem.endswith(".")


def test_what_is_gone_or_cannot_be_asked_for(s3_faults, s3_runtime, stream, bucket, monkeypatch):
    assert look(s3_runtime, row(stream, "gone")).problem.startswith("The specified object does not exist")
    s3_faults.plan(["reset"])
    assert look(s3_runtime, row(stream, "k")).problem
    assert look(s3_runtime, row(stream, "k", bucket="other")).problem


def test_only_a_part_of_a_large_columnar_object_is_read(s3, s3_runtime, stream, bucket, monkeypatch):
    import os

    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table({"b": [os.urandom(4_000) for _ in range(1_000)]}), file, compression="none")
    s3.client.put_object(Bucket=bucket, Key="k.parquet", Body=file.getvalue())
    monkeypatch.setattr(looking, "COLUMNAR_BUDGET_BYTES", 1_000_000)
    assert "too large to look into" in look(s3_runtime, row(stream, "k.parquet")).problem
