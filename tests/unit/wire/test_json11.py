"""JSON that is large, deep or broken: refused with AWS's errors, and quickly."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.base.errors import SerializationException, ServiceError, ValidationException
from apps.streams.operations import REQUESTS
from apps.wire import json11
from apps.wire.model import load
from tests.support.cpu import cpu_under
from tests.unit.wire.requests import ANY_JSON, answered

KINESIS = load("kinesis")
PUTS = KINESIS.operations["PutRecords"]


def timed(function, *arguments):
    with cpu_under(1.5):
        return answered(function, *arguments)


@pytest.mark.parametrize("request_type", [None, REQUESTS["PutRecords"]])
@pytest.mark.parametrize(
    "body",
    [
        b'{"x":[' + b"[]," * 3_600_000 + b"[]]}",
        b'{"x":[' + b"{}," * 3_600_000 + b"{}]}",
        b'{"Records":[' + b'{"Data":""},' * 900_000 + b'{"Data":""}]}',
        b'{"StreamName":[' + b"0," * 5_000_000 + b"0]}",
    ],
    ids=["lists", "maps", "records", "numbers"],
)
def test_megabytes_of_tiny_items_are_not_built(body, request_type):
    assert isinstance(timed(json11.decode, body, PUTS, request_type), SerializationException)


def test_too_many_records_are_told_so():
    body = json.dumps({"StreamName": "s", "Records": [{"Data": "", "PartitionKey": "k"}] * 501}).encode()
    with pytest.raises(ValidationException, match="Member must have length less than or equal to 500"):
        json11.decode(body, PUTS, REQUESTS["PutRecords"])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("PutRecord", b'{"Data":"' + b"A" * 11_000_001 + b'"}'),
        ("PutRecord", b'{"Data":"' + b"A" * 11_000_000 + b'","StreamName":""}'),
        ("PutRecord", b'{"StreamName":"' + b"a" * 11_000_000 + b'","Data":"AAAA","PartitionKey":"k"}'),
        ("PutRecord", b'{"StreamARN":"arn:aws' + b":kinesis:" * 1_200_000 + b'","Data":"AAAA","PartitionKey":"k"}'),
        ("PutRecord", b'{"Data":"' + b"=" * 11_000_000 + b'"}'),
        ("PutRecord", b'{"ExplicitHashKey":"' + b"1" * 11_000_000 + b'","Data":"","PartitionKey":"k"}'),
        ("AddTagsToStream", b'{"Tags":{' + b",".join(b'"%d":""' % n for n in range(200_000)) + b"}}"),
        ("GetRecords", b'{"ShardIterator":"a","Limit":1' + b"0" * 4_000_000 + b"}"),
        ("GetRecords", b'{"ShardIterator":"a","Limit":1' + b"0" * 4_000 + b',"x":[' + b"1" + b"0" * 4_200 + b"]}"),
        ("GetRecords", b'{"ShardIterator":"a","Limit":0.' + b"1" * 4_000_000 + b"}"),
        ("DeleteStream", b'{"EnforceConsumerDeletion":"' + b"x" * 11_000_000 + b'"}'),
    ],
)
def test_large_bodies_are_refused_quickly_and_shortly(name, body):
    for request_type in {None, REQUESTS.get(name)}:
        found = timed(json11.decode, body, KINESIS.operations[name], request_type)
        assert isinstance(found, ServiceError)
        assert len(found.message or "") < 200_000


def test_records_of_the_largest_keys_full_of_commas():
    records = [{"Data": "AAAA", "PartitionKey": "," * 256} for _ in range(500)]
    body = json.dumps({"StreamName": "s", "Records": records, "x": "y" * 1_000_000}).encode()
    assert len(json11.decode(body, PUTS, REQUESTS["PutRecords"]).records) == 500


@pytest.mark.parametrize("depth", [10, 100, 400])
def test_strangers_may_be_deep(depth):
    body = b'{"Limit":5,"x":' + b"[" * depth + b"]" * depth + b"}"
    assert json11.decode(body, KINESIS.operations["ListStreams"]) == {"Limit": 5}


@given(st.binary(max_size=100))
def test_any_bytes(body):
    for operation, request_type in ((PUTS, REQUESTS["PutRecords"]), (KINESIS.operations["CreateStream"], None)):
        answered(json11.decode, body, operation, request_type)


@pytest.mark.parametrize("name", sorted(KINESIS.operations))
def test_any_json(name):
    """Every operation's members with values of any kind; only ServiceError comes out, and never a 500."""
    operation = KINESIS.operations[name]
    draw = random.Random(name)
    values = [
        None,
        True,
        5,
        -1,
        2**70,
        1e308,
        0.5,
        "",
        "a",
        "AAAA",
        "x" * 3000,
        [],
        {},
        [None],
        [[]],
        [{}],
        {"a": None},
        {"Key": 5},
        "\u2028",
        "😀",
    ]
    for _ in range(60):
        params = {member: draw.choice(values) for member in operation.input.members if draw.random() < 0.8}
        for member, shape in operation.input.members.items():
            if draw.random() < 0.3:
                params[member] = {
                    "list": [draw.choice(values) for _ in range(draw.randrange(4))],
                    "map": {draw.choice(["", "k", "k" * 200]): draw.choice(values)},
                    "structure": {inner: draw.choice(values) for inner in shape.members},
                }.get(shape.type, draw.choice(values))
        answered(json11.decode, json.dumps(params).encode(), operation, REQUESTS.get(name))


@given(ANY_JSON)
def test_check_body_agrees_with_parse(value):
    body = json.dumps(value).encode()
    if isinstance(value, dict | list):
        json11.check_body(body)
        json11.parse(body)
    else:
        with pytest.raises(SerializationException):
            json11.check_body(body)
