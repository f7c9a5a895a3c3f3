"""Answers and errors to bytes, in both formats, read back by botocore where it can."""

import base64
import json
from datetime import UTC, datetime

import cbor2
import msgspec
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from apps.base.errors import (
    InternalFailure,
    SerializationException,
    ServiceError,
    ServiceUnavailable,
    UnknownOperationException,
    ValidationException,
)
from apps.streams.shapes import ChildShard, GetRecordsAnswer, HashKeyRange, PutRecordAnswer, Record
from apps.wire import cbor, json11
from apps.wire.model import load
from apps.wire.timestamps import milliseconds, seconds

KINESIS = load("kinesis")
THEIRS = ServiceModel(Loader().load_service_model("kinesis", "service-2"))
NOW_MS = 1_795_163_467_123
SUMMARY = {
    "StreamDescriptionSummary": {
        "StreamName": "s",
        "StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s",
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": NOW_MS,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "OpenShardCount": 4,
        "KeyId": None,
        "WarmThroughput": {"TargetMiBps": None, "CurrentMiBps": 4},
    }
}


def parsed(name, body, status=200):
    response = {"body": body, "headers": {"x-amzn-requestid": "1"}, "status_code": status}
    return create_parser("json").parse(response, THEIRS.operation_model(name).output_shape)


def tagged(body):
    """CBOR with the tags left visible."""
    return cbor2.loads(body, semantic_decoders={1: lambda value, _: ("tag 1", value)})


def test_an_answer_in_json():
    body = json11.encode(KINESIS.operations["DescribeStreamSummary"], SUMMARY)
    assert json.loads(body)["StreamDescriptionSummary"] == {
        **{name: value for name, value in SUMMARY["StreamDescriptionSummary"].items() if name != "KeyId"},
        "StreamCreationTimestamp": 1795163467.123,
        "WarmThroughput": {"CurrentMiBps": 4},
    }
    read = parsed("DescribeStreamSummary", body)["StreamDescriptionSummary"]
    assert read["StreamCreationTimestamp"] == datetime.fromtimestamp(1795163467.123, UTC)


def test_an_answer_in_cbor():
    body = cbor.encode(KINESIS.operations["DescribeStreamSummary"], SUMMARY)
    read = tagged(body)["StreamDescriptionSummary"]
    assert read["StreamCreationTimestamp"] == ("tag 1", NOW_MS)
    assert "KeyId" not in read
    assert b"\xc1\x1b" + NOW_MS.to_bytes(8, "big") in body


RECORDS = {
    "Records": [
        {"SequenceNumber": "5", "ApproximateArrivalTimestamp": NOW_MS, "Data": b"\0\xff", "PartitionKey": "kü"}
    ],
    "MillisBehindLatest": 0,
    "NextShardIterator": None,
}
STRUCT = GetRecordsAnswer([Record("5", NOW_MS / 1000, b"\0\xff", "kü")], 0)


@pytest.mark.parametrize("answer", [RECORDS, STRUCT], ids=["dict", "struct"])
def test_records_as_dicts_and_as_structs(answer):
    operation = KINESIS.operations["GetRecords"]
    assert json.loads(json11.encode(operation, answer)) == {
        "Records": [
            {"SequenceNumber": "5", "ApproximateArrivalTimestamp": 1795163467.123, "Data": "AP8=", "PartitionKey": "kü"}
        ],
        "MillisBehindLatest": 0,
    }
    assert tagged(cbor.encode(operation, answer)) == {
        "Records": [
            {
                "SequenceNumber": "5",
                "ApproximateArrivalTimestamp": ("tag 1", NOW_MS),
                "Data": b"\0\xff",
                "PartitionKey": "kü",
            }
        ],
        "MillisBehindLatest": 0,
    }


def test_structs_within_structs():
    answer = GetRecordsAnswer([], 0, child_shards=[ChildShard("shardId-1", ["shardId-0"], HashKeyRange("0", "5"))])
    expected = {
        "Records": [],
        "MillisBehindLatest": 0,
        "ChildShards": [
            {
                "ShardId": "shardId-1",
                "ParentShards": ["shardId-0"],
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "5"},
            }
        ],
    }
    operation = KINESIS.operations["GetRecords"]
    assert json.loads(json11.encode(operation, answer)) == expected == cbor2.loads(cbor.encode(operation, answer))


@pytest.mark.parametrize("codec", [json11, cbor])
def test_operations_without_output_answer_nothing(codec):
    assert codec.encode(KINESIS.operations["CreateStream"], None) == b""
    with pytest.raises(AssertionError):
        codec.encode(KINESIS.operations["CreateStream"], {"StreamName": "s"})


def test_no_answer_where_there_is_an_output_is_an_empty_one():
    assert json11.encode(KINESIS.operations["UpdateShardCount"], None) == b"{}"
    assert cbor.encode(KINESIS.operations["UpdateShardCount"], None) == b"\xa0"


@pytest.mark.parametrize("codec", [json11, cbor])
def test_a_member_that_the_model_does_not_know_is_a_bug(codec):
    with pytest.raises(AssertionError, match="no member Nope"):
        codec.encode(KINESIS.operations["PutRecord"], {"ShardId": "s", "SequenceNumber": "5", "Nope": 1})
    with pytest.raises(AssertionError, match="no member nope"):
        codec.encode(KINESIS.operations["GetRecords"], {"Records": [{"nope": 1}]})


def test_lists_of_maps_and_tags():
    answer = {"Tags": [{"Key": "a", "Value": ""}], "HasMoreTags": False}
    operation = KINESIS.operations["ListTagsForStream"]
    assert json.loads(json11.encode(operation, answer)) == answer == cbor2.loads(cbor.encode(operation, answer))


class InUse(ServiceError):
    code = "ResourceInUseException"


ERRORS = [
    (ValidationException("text"), {"__type": "ValidationException", "message": "text"}),
    (InUse("Stream s", resourceId="r"), {"__type": "ResourceInUseException", "message": "Stream s", "resourceId": "r"}),
    (InUse(), {"__type": "ResourceInUseException"}),
    (InUse(""), {"__type": "ResourceInUseException", "message": ""}),
    (SerializationException("text"), {"__type": "SerializationException", "Message": "text"}),
    (SerializationException(), {"__type": "SerializationException"}),
    (UnknownOperationException(), {"__type": "UnknownOperationException"}),
    (UnknownOperationException("text"), {"__type": "UnknownOperationException"}),
    (InternalFailure("a secret"), {"__type": "InternalFailure"}),
    (ServiceUnavailable("busy"), {"__type": "ServiceUnavailable", "message": "busy"}),
    (InUse('ü < "\n'), {"__type": "ResourceInUseException", "message": 'ü < "\n'}),
]


@pytest.mark.parametrize(("error", "members"), ERRORS)
def test_errors(error, members):
    assert json.loads(json11.encode_error(error)) == members
    assert cbor2.loads(cbor.encode_error(error)) == members


def test_errors_may_repeat_anything():
    assert json.loads(json11.encode_error(InUse("a\udcff\ud800ü\x00")))["message"] == "a??ü\x00"
    assert cbor2.loads(cbor.encode_error(InUse("a\udcff\ud800ü")))["message"] == "a??ü"


def test_botocore_reads_errors():
    read = parsed("PutRecord", json11.encode_error(InUse("Stream s is in use")), 400)
    assert read["Error"] == {"Code": "ResourceInUseException", "Message": "Stream s is in use"}


def test_an_answer_that_goes_there_and_back():
    answer = PutRecordAnswer("shardId-000000000000", "4" * 56)
    assert (
        parsed("PutRecord", json11.encode(KINESIS.operations["PutRecord"], answer))["ShardId"] == "shardId-000000000000"
    )
    assert cbor2.loads(cbor.encode(KINESIS.operations["PutRecord"], answer))["SequenceNumber"] == "4" * 56


@pytest.mark.parametrize("time_ms", [0, 1, 999, NOW_MS, NOW_MS + 1, -1, 253_402_300_799_999])
def test_times_survive_seconds(time_ms):
    assert milliseconds(seconds(time_ms)) == time_ms
    assert milliseconds(json.loads(msgspec.json.encode(seconds(time_ms)))) == time_ms


def test_base64_is_padded():
    body = json11.encode(KINESIS.operations["GetRecords"], {"Records": [{"SequenceNumber": "1", "Data": b"a"}]})
    assert base64.b64decode(json.loads(body)["Records"][0]["Data"], validate=True) == b"a"


HEADS = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 100_000]


@pytest.mark.parametrize("length", HEADS)
def test_structs_are_written_as_cbor2_writes_dicts(length):
    operation = KINESIS.operations["GetRecords"]
    record = Record("ü" * (length // 2), 0.0, b"x" * length, "k" * length)
    answer = GetRecordsAnswer([record] * min(length, 300), -length, next_shard_iterator="i" * length)
    expected = {
        "Records": [
            {
                "SequenceNumber": record.sequence_number,
                "ApproximateArrivalTimestamp": cbor2.CBORTag(1, 0),
                "Data": record.data,
                "PartitionKey": record.partition_key,
            }
        ]
        * min(length, 300),
        "MillisBehindLatest": -length,
        "NextShardIterator": answer.next_shard_iterator,
    }
    assert cbor.encode(operation, answer) == cbor2.dumps(expected)


@pytest.mark.parametrize("time_ms", [0, 1, -1, -5_000, 2**32 - 1, 2**32, NOW_MS, 253_402_300_799_999])
def test_times_of_structs_in_cbor(time_ms):
    body = cbor.encode(KINESIS.operations["GetRecords"], GetRecordsAnswer([Record("5", seconds(time_ms), b"")], 0))
    assert tagged(body)["Records"] == [
        {"SequenceNumber": "5", "ApproximateArrivalTimestamp": ("tag 1", time_ms), "Data": b""}
    ]


class One(msgspec.Struct):
    shard_id: str | None = msgspec.field(name="ShardId", default=None)


class Flags(msgspec.Struct, omit_defaults=True):
    has_more_tags: bool = msgspec.field(name="HasMoreTags")
    tags: list[str] | msgspec.UnsetType = msgspec.field(name="Tags", default=msgspec.UNSET)


def test_nulls_booleans_and_what_is_left_out():
    assert cbor2.loads(cbor.encode(KINESIS.operations["PutRecord"], One())) == {"ShardId": None}
    for flag in (True, False):
        assert cbor2.loads(cbor.encode(KINESIS.operations["ListTagsForStream"], Flags(flag))) == {"HasMoreTags": flag}
