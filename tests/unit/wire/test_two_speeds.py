"""The quick way and the exact way of reading a request: what the one accepts, the other accepts, with an equal result."""

import base64
import json
import random
import re
from typing import Annotated, Any
from unittest import mock

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.base.errors import InternalFailure, SerializationException, ServiceError, ValidationException
from apps.streams.operations import REQUESTS
from apps.wire import cbor, json11
from apps.wire.member_types import Instant
from apps.wire.model import Shape, load
from tests.unit.wire.requests import ANY_JSON, answered, as_json, structures

KINESIS = load("kinesis")
TYPED = sorted(REQUESTS)


def outcome(decode, *arguments):
    """What came of it: a value, or an error as its name and text. Never a 500."""
    found = answered(decode, *arguments)
    return (type(found).__name__, found.message) if isinstance(found, ServiceError) else found


def both_ways(name, body):
    operation, request_type = KINESIS.operations[name], REQUESTS[name]
    quick = json11._quickly(body, operation.input, request_type)
    exact = outcome(json11._exactly, body, operation, request_type)
    if quick is not None:
        assert quick == exact
    assert outcome(json11.decode, body, operation, request_type) == exact
    return quick, exact


def requests_of(name):
    shape = KINESIS.operations[name].input
    return structures(shape).map(lambda params: (params, as_json(params, shape)))


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
def test_requests_of_the_model(name, data):
    params, request = data.draw(requests_of(name))
    quick, exact = both_ways(name, json.dumps(request).encode())
    text_ends_in_pad = '="' in json.dumps(params, default=lambda blob: "")
    if isinstance(exact, msgspec.Struct) and not (quick is None and text_ends_in_pad):
        # (A text that ends in a pad may be taken for base64 with stray bits: the exact way then reads it.)
        assert quick is not None, "the quick way is for everything that is right"
        assert {k: v for k, v in members(exact).items() if v is not None} == in_seconds(params)


def members(struct):
    return msgspec.to_builtins(struct, builtin_types=(bytes,)) | {
        "Records": [
            without_nones(entry) for entry in msgspec.to_builtins(struct, builtin_types=(bytes,)).get("Records", [])
        ]
        or None
    }


def without_nones(entry):
    return {name: value for name, value in entry.items() if value is not None}


def in_seconds(params):
    return {name: value / 1000 if name == "Timestamp" else value for name, value in params.items()}


def mutated(value, draw):
    """A request with something odd in one place."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: mutated(value[name], draw)}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [mutated(value[0], draw), *value[1:]]
    if isinstance(value, dict) and draw(st.booleans()):
        return {**value, draw(st.sampled_from(["Nope", "", "streamName"])): draw(ANY_JSON)}
    return draw(ANY_JSON)


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
def test_odd_requests(name, data):
    _, request = data.draw(requests_of(name))
    both_ways(name, json.dumps(mutated(request, data.draw), ensure_ascii=data.draw(st.booleans())).encode())


@pytest.mark.parametrize("name", TYPED)
def test_broken_bytes(name):
    """Bodies with bytes changed, cut out and doubled."""
    draw = random.Random(name)
    good = json.dumps(
        {
            "StreamName": "s",
            "StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s",
            "Data": "AAE=",
            "PartitionKey": "kü\\\n",
            "Limit": 5,
            "ShardId": "shardId-1",
            "ShardIteratorType": "LATEST",
            "ShardIterator": "AAAA",
            "Timestamp": 17.5,
            "DryRun": False,
            "Records": [{"Data": "AA==", "PartitionKey": "a="}, {"Data": "", "ExplicitHashKey": "5"}],
            "x": [1, {"y": None}, "é\u2028"],
        },
        ensure_ascii=False,
    ).encode()
    for _ in range(600):
        body = bytearray(good)
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            at = draw.randrange(len(body))
            kind = draw.randrange(3)
            if kind == 0:
                body[at] = draw.choice(b'"\\{}[],:=0e.-+\xff\xc3\x00 AZ\n')
            elif kind == 1:
                del body[at : at + draw.randrange(1, 4)]
            else:
                body[at:at] = body[at : at + draw.randrange(1, 9)]
        both_ways(name, bytes(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"Data":"+/+=","PartitionKey":"k","StreamName":"s"}',
        b'{"Data":"+/+\\u003d","PartitionKey":"k","StreamName":"s"}',
        b'{"Data":"+/+\\u003D","PartitionKey":"k","StreamName":"s"}',
        b'{"Data":"AB==","PartitionKey":"k","StreamName":"s"}',
        b'{"Data":"AB\\u003d=","PartitionKey":"k","StreamName":"s"}',
        b'{"Data":"AB=\\u003d" ,"PartitionKey":"k","StreamName":"s"}',
        b'{"PartitionKey":"k","StreamName":"s","Data":"A\\u0042=="}',
        b'{"Nope":"%s","Data":"AB==","PartitionKey":"k","StreamName":"s"}' % (b"x" * 2000 + b"="),
        b'{"Nope":"%s=","Data":"AB==","PartitionKey":"k","StreamName":"s"}' % (b"x=" + b"y" * 2000),
    ],
)
def test_stray_bits_are_seen(body):
    quick, exact = both_ways("PutRecord", body)
    assert quick is None
    assert exact[0] == "SerializationException"
    assert exact[1].endswith("Invalid last non-pad Base64 character dectected")


@given(
    size=st.integers(1, 900), count=st.integers(1, 30), wrong=st.integers(0, 40), seed=st.randoms(use_true_random=False)
)
def test_stray_bits_among_many_records(size, count, wrong, seed):
    texts = [base64.b64encode(seed.randbytes(size)).decode() for _ in range(count)]
    stray = wrong < count and size % 3 != 0
    if stray:
        at = -2 if size % 3 == 2 else -3
        last = texts[wrong][at]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        texts[wrong] = texts[wrong][:at] + alphabet[alphabet.index(last) + 1] + texts[wrong][at + 1 :]
    body = json.dumps({"StreamName": "s", "Records": [{"Data": text, "PartitionKey": "k"} for text in texts]}).encode()
    quick, exact = both_ways("PutRecords", body)
    assert (quick is None) == stray
    assert isinstance(exact, tuple) == stray


def test_keys_that_look_like_pads_take_the_slow_way_and_pass():
    body = json.dumps({"StreamName": "s", "Data": "AAAA", "PartitionKey": "B="}).encode()
    quick, exact = both_ways("PutRecord", body)
    assert quick is None
    assert exact.partition_key == "B="


def test_escaped_base64_is_base64():
    body = b'{"StreamName":"s","Data":"AA\\u003d\\u003d","PartitionKey":"k"}'
    assert both_ways("PutRecord", body)[1].data == b"\0"


def test_the_last_of_doubled_members_counts():
    for body in (
        b'{"StreamName":"a","StreamName":"b","Data":"AAAA","PartitionKey":"k"}',
        b'{"StreamName":5,"StreamName":"b","Data":"AAAA","PartitionKey":"k"}',
        b'{"StreamName":"b","Data":"!","Data":"AAAA","PartitionKey":"k"}',
    ):
        _, exact = both_ways("PutRecord", body)
        assert exact.stream_name == "b"


# Long blobs, in two steps


@given(data=st.data())
def test_long_blobs_are_read_as_others_are(data):
    _, request = data.draw(requests_of("PutRecords"))
    odd = mutated(request, data.draw) if data.draw(st.booleans()) else request
    with mock.patch.object(json11, "LONG_BLOB_BYTES", 0):
        both_ways("PutRecords", json.dumps(odd, ensure_ascii=data.draw(st.booleans())).encode())


def test_broken_bytes_of_long_blobs():
    draw = random.Random(2)
    texts = [base64.b64encode(draw.randbytes(size)).decode() for size in (0, 1, 2, 3, 40)]
    records = [{"Data": text, "PartitionKey": "k="} for text in texts]
    good = json.dumps({"StreamName": "s", "Records": records}).encode()
    taken = 0
    for _ in range(1_500):
        body = bytearray(good)
        at = draw.randrange(len(body))
        body[at : at + draw.choice((0, 1, 1, 3))] = draw.choice(
            (b"=", b"==", b"A", b"\\u003d", b" ", b"\n", b"-", b"_", b'"', b"")
        )
        with mock.patch.object(json11, "LONG_BLOB_BYTES", 0):
            quick, _ = both_ways("PutRecords", bytes(body))
        taken += quick is not None
    assert taken > 100


def test_a_long_blob_of_the_limit_and_one_byte_more():
    for size, right in ((10_485_760, True), (10_485_761, False)):
        text = base64.b64encode(bytes(size))
        body = b'{"StreamName":"s","Records":[{"Data":"%s","PartitionKey":"k"}]}' % text
        quick = json11._quickly(body, KINESIS.operations["PutRecords"].input, REQUESTS["PutRecords"])
        assert (quick is not None) == right


# In CBOR


def as_cbor(value: Any, shape: Shape) -> Any:
    if shape.type == "structure":
        return {name: as_cbor(item, shape.members[name]) for name, item in value.items()}
    if shape.type == "list":
        return [as_cbor(item, shape.member) for item in value]
    return cbor2.CBORTag(1, value) if shape.type == "timestamp" else value


@pytest.mark.parametrize("name", sorted(KINESIS.operations))
@given(data=st.data())
@settings(max_examples=settings.default.max_examples // 5)
def test_json_and_cbor_are_equal(name, data):
    operation = KINESIS.operations[name]
    params = data.draw(structures(operation.input))
    in_json = json.dumps(as_json(params, operation.input)).encode()
    in_cbor = cbor2.dumps(as_cbor(params, operation.input))
    plain = outcome(json11.decode, in_json, operation)
    assert plain == outcome(cbor.decode, in_cbor, operation)
    if not isinstance(plain, tuple):
        assert plain == params
    if name in REQUESTS:
        typed = outcome(json11.decode, in_json, operation, REQUESTS[name])
        assert typed == outcome(cbor.decode, in_cbor, operation, REQUESTS[name])


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
def test_the_quick_way_of_cbor(name, data):
    """What convert() takes, the exact way takes too, odd members and all."""
    operation, request_type = KINESIS.operations[name], REQUESTS[name]
    params = data.draw(structures(operation.input))
    odd = mutated(as_cbor(params, operation.input), data.draw)
    body = cbor2.dumps(odd)
    got = outcome(cbor.decode, body, operation, request_type)
    exact = outcome(exactly_in_cbor, body, operation, request_type)
    assert got == exact


def exactly_in_cbor(body, operation, request_type):
    checked = cbor.check(cbor.parse(body), operation.input, in_cbor=True, times_in_seconds=True)
    return json11.convert(operation, checked, request_type)


# What a struct demands


class Picky(msgspec.Struct):
    stream_name: str = msgspec.field(name="StreamName")
    shard_id: Annotated[str, msgspec.Meta(max_length=3)] | None = msgspec.field(name="ShardId", default=None)


def test_what_the_struct_requires_is_told_as_missing():
    operation = KINESIS.operations["GetShardIterator"]
    with pytest.raises(ValidationException) as refusal:
        json11.decode(b'{"ShardId":"abc"}', operation, Picky)
    assert refusal.value.message == (
        "2 validation errors detected: Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null; "
        "Value null at 'streamName' failed to satisfy constraint: Member must not be null"
    )


def test_a_struct_that_refuses_what_the_model_accepts_is_a_bug():
    operation = KINESIS.operations["GetShardIterator"]
    body = b'{"StreamName":"s","ShardId":"abcd","ShardIteratorType":"LATEST"}'
    with pytest.raises(InternalFailure):
        json11.decode(body, operation, Picky)
    with pytest.raises(InternalFailure):
        cbor.decode(cbor2.dumps(json.loads(body)), operation, Picky)


def test_put_record_without_a_key_is_for_the_stream_to_judge():
    request = json11.decode(b'{"StreamName":"s","Data":"AAAA"}', KINESIS.operations["PutRecord"], REQUESTS["PutRecord"])
    assert request.partition_key is None


@pytest.mark.parametrize("name", TYPED)
def test_the_structs_know_the_models_members(name):
    fields = {field.encode_name for field in msgspec.structs.fields(REQUESTS[name])}
    assert fields == set(KINESIS.operations[name].input.members)


def test_an_instant_is_no_number():
    body = cbor2.dumps({"ShardIterator": "a", "Limit": cbor2.CBORTag(1, 5)})
    with pytest.raises(
        SerializationException, match=re.escape("class java.util.Date can not be converted to an Integer")
    ):
        cbor.decode(body, KINESIS.operations["GetRecords"], REQUESTS["GetRecords"])
    assert Instant(5).time_ms == 5
