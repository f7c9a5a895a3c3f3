import pytest

from apps.wire import java
from apps.wire.model import load

PUTS = load("kinesis").operations["PutRecords"].input
ENTRIES = PUTS.members["Records"]
ENTRY = ENTRIES.member
TEXT = PUTS.members["StreamName"]
BLOB = ENTRY.members["Data"]
TAGS = load("kinesis").operations["AddTagsToStream"].input.members["Tags"]
FLAG = PUTS.members["DryRun"]
NUMBER = load("kinesis").operations["GetRecords"].input.members["Limit"]
TIME = load("kinesis").operations["GetShardIterator"].input.members["Timestamp"]


def test_the_recorded_hash_code():
    assert (
        java.to_string({"PartitionKey": "", "Data": b""}, ENTRY)
        == "com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"
    )


@pytest.mark.parametrize(
    ("value", "shape", "printed"),
    [
        (None, TEXT, "null"),
        ("a", TEXT, "a"),
        (5, NUMBER, "5"),
        (True, FLAG, "true"),
        (False, FLAG, "false"),
        (b"abc", BLOB, "java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]"),
        ({}, TAGS, "{}"),
        ({"a": "1", "b": ""}, TAGS, "{a=1, b=}"),
        ([], ENTRIES, "[]"),
    ],
)
def test_printing(value, shape, printed):
    assert java.to_string(value, shape) == printed


@pytest.mark.parametrize(
    ("value", "shape", "code"),
    [
        ("", TEXT, 0),
        ("a", TEXT, 97),
        ("hello", TEXT, 99162322),
        ("😀", TEXT, 1772899),
        (None, TEXT, 0),
        (5, NUMBER, 5),
        (-1, NUMBER, 0xFFFFFFFF),
        (True, FLAG, 1231),
        (False, FLAG, 1237),
        (b"", BLOB, 1),
        (b"\x01\x02", BLOB, 31 * (31 * 1 + 2) + 1),
        (b"\xff", BLOB, 30),
        (2**32, TIME, 1),
        ({"a": "b"}, TAGS, 97 ^ 98),
        ([], ENTRIES, 1),
    ],
)
def test_hash_codes(value, shape, code):
    assert java.hash_code(value, shape) == code


def test_long_blobs_have_a_stable_number():
    assert java.hash_code(b"a" * 1000, BLOB) == java.hash_code(b"a" * 1000, BLOB) != java.hash_code(b"b" * 1000, BLOB)
