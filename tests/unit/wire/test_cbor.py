"""CBOR as the Java SDK writes it, and as nobody should."""

import random
import struct

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.base.errors import SerializationException, ValidationException
from apps.streams.operations import REQUESTS
from apps.wire import cbor
from apps.wire.model import load
from tests.support.cpu import cpu_under
from tests.unit.wire.requests import answered

KINESIS = load("kinesis")
PUT = KINESIS.operations["PutRecord"]
PUTS = KINESIS.operations["PutRecords"]


def refused(body, operation=PUT):
    with pytest.raises(SerializationException) as refusal:
        cbor.decode(body, operation)
    return refusal.value.message


def test_indefinite_lengths_of_everything():
    body = bytes.fromhex(
        "bf"
        "6a53747265616d4e616d65"
        "7f"
        "6161"
        "6162"
        "ff"  # StreamName: "a" "b"
        "64"
        "44617461"
        "5f"
        "4101"
        "4202ff"
        "ff"  # Data: 01, 02 ff
        "6c"
        "506172746974696f6e4b6579"
        "616b"  # PartitionKey: "k"
        "ff"
    )
    for request_type in (None, REQUESTS["PutRecord"]):
        request = cbor.decode(body, PUT, request_type)
        found = (
            request
            if request_type is None
            else {"StreamName": request.stream_name, "Data": request.data, "PartitionKey": request.partition_key}
        )
        assert found == {"StreamName": "ab", "Data": b"\x01\x02\xff", "PartitionKey": "k"}


def test_an_indefinite_list_of_indefinite_maps():
    entry = b"\xbf\x64Data\x41\x00\x6cPartitionKey\x61k\xff"
    body = b"\xbf\x67Records\x9f" + entry * 3 + b"\xff\x6aStreamName\x61s\xff"
    assert len(cbor.decode(body, PUTS, REQUESTS["PutRecords"]).records) == 3


def test_timestamps_are_tagged_milliseconds():
    operation = KINESIS.operations["GetShardIterator"]
    request = {"StreamName": "s", "ShardId": "a", "ShardIteratorType": "AT_TIMESTAMP"}
    for sent in (cbor2.CBORTag(1, 1_795_163_467_123), 1_795_163_467_123, cbor2.CBORTag(1, 1_795_163_467_123.0)):
        body = cbor2.dumps({**request, "Timestamp": sent})
        assert cbor.decode(body, operation)["Timestamp"] == 1_795_163_467_123
        assert cbor.decode(body, operation, REQUESTS["GetShardIterator"]).timestamp == 1_795_163_467.123
    small = cbor.decode(cbor2.dumps({**request, "Timestamp": 5}), operation, REQUESTS["GetShardIterator"])
    assert small.timestamp == 0.005


@pytest.mark.parametrize("inside", ["2026", b"1", [], {}, True, float("nan"), None])
def test_what_is_no_time(inside):
    body = cbor2.dumps({"StreamCreationTimestamp": cbor2.CBORTag(1, inside)})
    assert refused(body, KINESIS.operations["ListShards"])


def test_times_beyond_dates_are_clamped():
    for sent, understood in (
        (2**63, 253_402_300_799_000),
        (float("inf"), 253_402_300_799_000),
        (-(2**60), -253_402_300_799_000),
    ):
        body = cbor2.dumps({"StreamCreationTimestamp": cbor2.CBORTag(1, sent)})
        assert cbor.decode(body, KINESIS.operations["ListShards"])["StreamCreationTimestamp"] == understood


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"Data": "AAAA"}, "class java.lang.String can not be converted to a Blob"),
        ({"Data": 5}, "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to a Blob"),
        ({"Data": []}, "Start of list found where not expected"),
        ({"Data": {}}, "Start of structure or map found where not expected."),
        ({"StreamName": b"a"}, "class java.nio.HeapByteBuffer can not be converted to an String"),
        ({"StreamName": True}, "class java.lang.Boolean can not be converted to an String"),
        ({"StreamName": cbor2.undefined}, "class java.lang.Object can not be converted to an String"),
        ({"DryRun": b""}, "class java.nio.HeapByteBuffer can not be converted to an Boolean"),
    ],
)
def test_wrong_types(params, text):
    body = cbor2.dumps(params)
    assert refused(body) == text
    with pytest.raises(SerializationException):
        cbor.decode(body, PUT, REQUESTS["PutRecord"])


@pytest.mark.parametrize(
    ("sent", "understood"),
    [(5.9, 5), (2**64 - 1, 2147483647), (float("inf"), 2147483647), (float("-inf"), -2147483648), (float("nan"), 0)],
)
def test_numbers(sent, understood):
    operation = KINESIS.operations["IncreaseStreamRetentionPeriod"]
    assert cbor.decode(cbor2.dumps({"RetentionPeriodHours": sent}), operation) == {"RetentionPeriodHours": understood}


def test_limits_are_told_as_in_json():
    with pytest.raises(ValidationException, match="1 validation error detected: Value null at 'data'"):
        cbor.decode(b"\xa0", PUT)


def test_keys_that_are_no_text_are_strangers():
    assert cbor.decode(cbor2.dumps({b"StreamName": "a", "Data": b""}), PUT) == {"Data": b""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        b"\x61a",
        b"\xf6",
        b"\xff",
        b"hello",
        b"{}",
        b"\xa1",
        b"\xa1\x61a",
        b"\xbf",
        b"\xbf\x61a\xff",
        b"\x9f",
        b"\x1c",
        b"\x7f\x41a\xff",
        b"\xa0\xa0",
        b"\xa0\x00",
        b"\xa0\x9b",
        b"\xa1\x61\xff\x01",
        b"\xa1\x61a\x63\xed\xa0\x80",
        b"\xa1\x01\x02",
        b"\xa1\x80\x01",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\xa1\x64Data\x5b" + b"\xff" * 8,
        b"\xa1\x64Data\x5a\x3f\xff\xff\xff",
        b"\xa1\x64Data\x7b" + b"\x7f" * 8,
        b"\x81" * 100_000,
        b"\x9f" * 100_000,
        b"\xa1\x61a" * 100_000,
        b"\xc1" * 100_000,
    ],
)
def test_what_is_no_request(body):
    with cpu_under(1):
        assert refused(body) is None
        with pytest.raises(SerializationException):
            cbor.check_body(body)


def head(tag):
    return (
        bytes([0xC0 | tag]) if tag < 24 else b"\xd8" + bytes([tag]) if tag < 256 else b"\xd9" + struct.pack(">H", tag)
    )


INSIDE = [b"\x05", b"\x61a", b"\x82\x01\x02", b"\x44abcd", b"\xa0", b"\x50" + b"a" * 16]


def test_every_tag_but_one_is_refused():
    """Also where the model has no member: what a tag would make is made before anybody looks."""
    for tag in (*range(300), *range(300, 65_536, 97), 1004, 43_000, 55_799):
        for inside in INSIDE if tag < 300 else INSIDE[:2]:
            body = b"\xa1\x61x" + head(tag) + inside
            if tag == 1:
                cbor.parse(body)
            else:
                assert refused(body) is None
    assert refused(b"\xa1\x61x\xdb" + b"\xff" * 8 + b"\x05") is None


def test_shared_and_repeated_values_are_refused():
    for value in ([[1], [1]], ["abcd", "abcd"]):
        for option in ({"value_sharing": True}, {"string_referencing": True}):
            body = cbor2.dumps({"x": value}, **option)
            if body != cbor2.dumps({"x": value}):
                assert refused(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"\x9f" + b"\x80" * 11_000_000 + b"\xff",
        b"\xa1\x61x\x9f" + b"\xa0" * 11_000_000 + b"\xff",
        b"\xa1\x61x\x9f" + b"\x00" * 11_000_000 + b"\xff",
        b"\xbf" + b"\x60\x80" * 5_000_000 + b"\xff",
        b"\x9b\x00\x00\x00\x00\x00\xff\xff\xff" + b"\x80" * 11_000_000,
        b"\x7f" + b"\x60" * 11_000_000 + b"\xff",
    ],
    ids=["lists", "maps", "numbers", "pairs", "definite", "pieces"],
)
def test_megabytes_of_tiny_items_are_not_built(body):
    with cpu_under(1):
        assert refused(body) is None


def test_megabytes_of_data_are_fine():
    body = cbor2.dumps(
        {"Records": [{"Data": bytes([n % 256]) * 20_000, "PartitionKey": "k"} for n in range(500)], "StreamName": "s"}
    )
    assert len(cbor.decode(body, PUTS, REQUESTS["PutRecords"]).records) == 500


@given(st.binary(max_size=200))
def test_any_bytes(body):
    for operation, request_type in (
        (PUT, REQUESTS["PutRecord"]),
        (PUTS, None),
        (KINESIS.operations["CreateStream"], None),
    ):
        answered(cbor.decode, body, operation, request_type)


def test_broken_bytes():
    draw = random.Random(5)
    good = cbor2.dumps(
        {
            "Records": [
                {"Data": b"\0\1", "PartitionKey": "k", "x": cbor2.CBORTag(1, 5)},
                {"Data": b"", "ExplicitHashKey": "5"},
            ],
            "StreamName": "sü",
            "y": [1.5, None, True, -5, {"z": []}],
        }
    )
    for _ in range(4_000):
        body = bytearray(good)
        for _ in range(draw.choice((1, 1, 2, 4))):
            body[draw.randrange(len(body))] = draw.randrange(256)
        cut = bytes(body)[: draw.choice((len(body), draw.randrange(len(body))))]
        for request_type in (None, REQUESTS["PutRecords"]):
            answered(cbor.decode, cut, PUTS, request_type)
