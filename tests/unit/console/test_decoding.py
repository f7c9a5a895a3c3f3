"""What records are wrapped in, and decoding by a schema: exact, bounded, and harmless whatever the schema says."""

import gzip
import io
import json
import uuid
import zlib

import fastavro
import pytest

from console.decoding import decoder, wrappings
from console.decoding.decoder import AVRO, PROTOBUF, TOO_MUCH, Schema, SchemaError

BIG = 2**60 + 1
ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [{"name": "id", "type": "long"}, {"name": "who", "type": "string"}, {"name": "raw", "type": "bytes"}],
}
PROTO = 'syntax = "proto3"; package shop; message Order { int64 id = 1; string who = 2; message Line { int32 n = 1; } }'
VERSION = uuid.UUID("0b9e4b5a-27a1-4b7c-9d4e-3f6a8f1f2c11")


def avro(schema, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, value)
    return stream.getvalue()


ENCODED = avro(ORDER, {"id": BIG, "who": "mira", "raw": b"\x00\xff"})


def test_avro_is_exact_and_what_does_not_fit_is_said():
    schema = Schema(AVRO, json.dumps(ORDER))
    good, framed, cut, longer = decoder.decode(schema, [ENCODED, b"\0\0\0\0\7" + ENCODED, ENCODED[:-1], ENCODED + b"!"])
    assert json.loads(good.json) == {"id": BIG, "who": "mira", "raw": "AP8="}
    assert framed.json == good.json
    assert "Confluent" in framed.note
    assert cut.problem
    assert "1 bytes are left over" in longer.problem


def test_a_container_brings_its_own_schema():
    stream = io.BytesIO()
    fastavro.writer(stream, ORDER, [{"id": n, "who": "x", "raw": b""} for n in range(150)], codec="deflate")
    (found,) = decoder.decode(Schema(AVRO, ""), [stream.getvalue()])
    assert len(json.loads(found.json)) == 100
    assert "first 100 records" in found.note


def test_protobuf_is_exact_and_names_the_message():
    data = b"\x08\x81\x80\x80\x80\x80\x80\x80\x80\x10\x12\x04mira\x78\x05"
    found, broken = decoder.decode(Schema(PROTOBUF, PROTO), [data, b"\xff\xff"])
    assert json.loads(found.json) == {"id": str(BIG), "who": "mira"}
    assert found.note == "Left out: 1 that the schema does not know."
    assert broken.problem
    (line,) = decoder.decode(Schema(PROTOBUF, PROTO, "Line"), [b"\x08\x07"])
    assert line.json == '{"n": 7}'


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (AVRO, "{", ""),
        (AVRO, '"nothing"', ""),
        (AVRO, "[" * 60_000, ""),
        (AVRO, " " * 70_000, ""),
        (PROTOBUF, "message {", ""),
        (PROTOBUF, "", ""),
        (PROTOBUF, PROTO, "Missing"),
        (PROTOBUF, 'import "/etc/passwd"; message A {}', ""),
        (PROTOBUF, 'import public/* */"other.proto"; message A {}', ""),
        (PROTOBUF, 'import "google/protobuf/../../x.proto"; message A {}', ""),
        (PROTOBUF, "message A {" * 5_000, ""),
    ],
)
def test_a_schema_that_cannot_be_used_is_told(kind, text, message):
    with pytest.raises(SchemaError) as told:
        decoder.check(Schema(kind, text, message))
    assert 0 < len(str(told.value)) < 500
    assert "root:" not in str(told.value)


def test_well_known_imports_and_a_field_of_that_name_are_good():
    text = 'syntax = "proto3"; import "google/protobuf/timestamp.proto"; // import "x"\n'
    decoder.check(Schema(PROTOBUF, text + "message A { google.protobuf.Timestamp at = 1; string import = 2; }"))


def test_hostile_records_end_their_process_alone():
    nothings = json.dumps({"type": "array", "items": "null"})
    endless = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\0"  # an array of 2^62 nulls
    bomb, good = decoder.decode(Schema(AVRO, nothings), [endless, b"\0"])
    assert bomb.problem
    assert good.json == "[]"
    nested = json.dumps({"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]})
    deep, shallow = decoder.decode(Schema(AVRO, nested), [b"\2" * 200_000 + b"\0", b"\0"])
    assert deep.problem == TOO_MUCH
    assert json.loads(shallow.json) == {"r": None}


def glue(body, compression=0):
    return bytes([3, compression]) + VERSION.bytes + body


def test_wrappings_are_told_by_their_first_bytes():
    assert wrappings.unwrap(b"plain") == wrappings.Unwrapped(b"plain")
    assert wrappings.unwrap(gzip.compress(b"inside")).data == b"inside"
    assert wrappings.unwrap(gzip.compress(b"inside")).steps == ("gzip",)
    assert wrappings.unwrap(b"\x1f\x8b\x08 not gzip").data == b"\x1f\x8b\x08 not gzip"
    for framed in (glue(b"body"), glue(zlib.compress(b"body"), 5), gzip.compress(glue(b"body"))):
        found = wrappings.unwrap(framed)
        assert (found.data, found.version) == (b"body", VERSION)
    assert wrappings.unwrap(glue(b"", 4)).version is None
    assert wrappings.unwrap(glue(b"no zlib", 5)).version is None


def test_a_bomb_of_gzip_is_cut():
    found = wrappings.unwrap(gzip.compress(bytes(64 * 2**20)))
    assert len(found.data) == wrappings.UNPACKED_BYTES_MAX
