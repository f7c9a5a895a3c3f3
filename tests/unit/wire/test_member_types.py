"""SerializationException: AWS's texts, as recorded (JSON), for each type wanted and each value sent."""

import json

import pytest

from apps.base.errors import SerializationException, ValidationException
from apps.wire import json11
from apps.wire.model import load

KINESIS = load("kinesis")
LIST = "Start of list found where not expected"
MAP = "Start of structure or map found where not expected."
BOOLEAN = "class java.lang.Boolean can not be converted to {}"
STRING = "class java.lang.String can not be converted to {}"
NUMBER = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to {}"
NUMBERS = [23, -2147483648, 2147483648, 34.56, 10**30]

REFUSED = {
    "String": [
        (True, BOOLEAN.format("an String")),
        (False, BOOLEAN.format("an String")),
        *((number, NUMBER.format("an String")) for number in NUMBERS),
        ([], LIST),
        ({}, MAP),
    ],
    "Integer": [
        ("23", STRING.format("an Integer")),
        ("", STRING.format("an Integer")),
        (True, BOOLEAN.format("an Integer")),
        ([], LIST),
        ({}, MAP),
    ],
    "Boolean": [
        ("23", "'23' can not be converted to an Boolean"),
        ("abc", "'ABC' can not be converted to an Boolean"),
        *((number, NUMBER.format("an Boolean")) for number in NUMBERS),
        ([], LIST),
        ({}, MAP),
    ],
    "Timestamp": [
        ("23", STRING.format("milliseconds since epoch")),
        ("2026-11-20T00:00:00Z", STRING.format("milliseconds since epoch")),
        (True, BOOLEAN.format("milliseconds since epoch")),
        ([], LIST),
        ({}, MAP),
    ],
    "Blob": [
        (True, BOOLEAN.format("a Blob")),
        *((number, NUMBER.format("a Blob")) for number in NUMBERS),
        ([], LIST),
        ({}, MAP),
        *(
            (text, f"'{text}' can not be converted to a Blob: {why}")
            for text, why in [
                ("23456", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
                ("a", "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
                ("=+/=", "Invalid Base64 character: '='"),
                ("A===", "Invalid Base64 character: '='"),
                ("====", "Invalid Base64 character: '='"),
                ("AA=A", "Invalid Base64 character: '='"),
                ("AA==AAAA", "Invalid Base64 character: '='"),
                ("AA-_", "Invalid Base64 character: '-'"),
                ("AA\nA", "Invalid Base64 character: '\n'"),
                ("AAAü", "Invalid Base64 character: 'ü'"),
                ("+/+=", "Invalid last non-pad Base64 character dectected"),
                ("AB==", "Invalid last non-pad Base64 character dectected"),
                ("AAAAAAB=", "Invalid last non-pad Base64 character dectected"),
            ]
        ),
    ],
    "List": [
        *((value, "Expected list or null") for value in ("23", "", True, False, *NUMBERS)),
        ({}, MAP),
    ],
    "Map": [
        *((value, "Expected map or null") for value in ("23", "", True, False, *NUMBERS)),
        ([], LIST),
    ],
    "Structure": [
        *((value, "Expected null") for value in ("23", "", True, False, *NUMBERS)),
        ([], LIST),
    ],
}

MEMBERS = [
    ("PutRecords", "Records", "List"),
    ("PutRecords", "Records.0", "Structure"),
    ("PutRecords", "Records.0.Data", "Blob"),
    ("PutRecords", "Records.0.PartitionKey", "String"),
    ("PutRecords", "Records.0.ExplicitHashKey", "String"),
    ("PutRecords", "StreamName", "String"),
    ("PutRecords", "DryRun", "Boolean"),
    ("PutRecord", "Data", "Blob"),
    ("PutRecord", "SequenceNumberForOrdering", "String"),
    ("GetRecords", "Limit", "Integer"),
    ("GetRecords", "ShardIterator", "String"),
    ("GetShardIterator", "Timestamp", "Timestamp"),
    ("GetShardIterator", "ShardIteratorType", "String"),
    ("CreateStream", "ShardCount", "Integer"),
    ("CreateStream", "StreamName", "String"),
    ("CreateStream", "StreamModeDetails", "Structure"),
    ("AddTagsToStream", "Tags", "Map"),
    ("AddTagsToStream", "Tags.a", "String"),
    ("RemoveTagsFromStream", "TagKeys", "List"),
    ("RemoveTagsFromStream", "TagKeys.0", "String"),
    ("DeleteStream", "EnforceConsumerDeletion", "Boolean"),
    ("ListShards", "StreamCreationTimestamp", "Timestamp"),
    ("ListShards", "ShardFilter", "Structure"),
    ("ListShards", "ShardFilter.Timestamp", "Timestamp"),
    ("SubscribeToShard", "StartingPosition.Type", "String"),
]

CASES = [(operation, path, value, text) for operation, path, kind in MEMBERS for value, text in REFUSED[kind]]


def at(path, value):
    """A request with value at a path like Records.0.Data."""
    for part in reversed(path.split(".")):
        value = [value] if part == "0" else {part: value}
    return value


def decode(operation, request):
    return json11.decode(json.dumps(request).encode(), KINESIS.operations[operation])


@pytest.mark.parametrize(("operation", "path", "value", "text"), CASES)
def test_refused(operation, path, value, text):
    with pytest.raises(SerializationException) as refusal:
        decode(operation, at(path, value))
    assert refusal.value.message == text
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        (5, 5),
        (5.9, 5),
        (-5.9, -5),
        (1e3, 1000),
        (2147483647, 2147483647),
        (2147483648, 2147483647),
        (10**30, 2147483647),
        (1e300, 2147483647),
        (-(10**30), -2147483648),
        (0.0, 0),
    ],
)
def test_whole_numbers_are_clamped_and_cut(sent, understood):
    assert decode("IncreaseStreamRetentionPeriod", {"RetentionPeriodHours": sent})["RetentionPeriodHours"] == understood


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        (b"1e400", 2147483647),
        (b"-1e400", -2147483648),
        (b"1" + b"0" * 5000, 2147483647),
        (b"-1" + b"0" * 5000, -2147483648),
        (b"1" + b"0" * 400 + b".5", 2147483647),
        (b"1e-400", 0),
        (b"123456789012345678901234567890", 2147483647),
    ],
)
def test_numbers_beyond_any_type(sent, understood):
    body = b'{"RetentionPeriodHours":' + sent + b',"Unknown":1e999}'
    request = json11.decode(body, KINESIS.operations["IncreaseStreamRetentionPeriod"])
    assert request == {"RetentionPeriodHours": understood}


@pytest.mark.parametrize(
    ("sent", "understood"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("No", False)],
)
def test_words_that_are_booleans(sent, understood):
    assert decode("DeleteStream", {"EnforceConsumerDeletion": sent}) == {"EnforceConsumerDeletion": understood}


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        (1795163467, 1795163467000),
        (1795163467.123, 1795163467123),
        (0, 0),
        (-1.5, -1500),
        (1e300, 253402300799000),
        (-1e300, -253402300799000),
    ],
)
def test_timestamps_are_seconds(sent, understood):
    assert decode("ListShards", {"StreamCreationTimestamp": sent}) == {"StreamCreationTimestamp": understood}


@pytest.mark.parametrize(
    ("text", "data"), [("", b""), ("AA==", b"\0"), ("AAA=", b"\0\0"), ("AAAA", b"\0\0\0"), ("+/8=", b"\xfb\xff")]
)
def test_blobs(text, data):
    assert decode("PutRecord", {"Data": text}) == {"Data": data}


def test_nulls_and_strangers_are_dropped():
    assert decode("ListStreams", {"Limit": None, "Nope": {"a": [1]}, "ExclusiveStartStreamName": "a"}) == {
        "ExclusiveStartStreamName": "a"
    }
    assert decode("PutRecords", {"Records": [{"Data": "", "PartitionKey": None, "x": 1}]}) == {
        "Records": [{"Data": b""}]
    }


def test_a_null_among_records_is_no_record():
    with pytest.raises(ValidationException):
        decode("PutRecords", {"Records": [None]})


def test_the_first_wrong_member_of_the_body_is_told():
    with pytest.raises(SerializationException, match="Expected list or null"):
        decode("PutRecords", {"Records": 5, "StreamName": True})
    with pytest.raises(SerializationException, match="Boolean can not be converted to an String"):
        decode("PutRecords", {"StreamName": True, "Records": 5})


def test_types_come_before_limits():
    with pytest.raises(SerializationException):
        decode("PutRecords", {"StreamName": "", "Records": [{"Data": 5}]})


def test_a_long_text_is_not_echoed_whole():
    with pytest.raises(SerializationException) as refusal:
        decode("PutRecord", {"Data": "a" * 1_000_001})
    assert len(refusal.value.message) < 70_000
    assert refusal.value.message.endswith("but found: 1000001")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b'{"a"}',
        b"nul",
        b"5",
        b'"x"',
        b"null",
        b"true",
        b"\xff",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":1,}',
        b'{"a":"\x00"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
@pytest.mark.parametrize("operation", ["ListStreams", "PutRecords"])
def test_what_is_no_json_has_no_message(operation, body):
    with pytest.raises(SerializationException) as refusal:
        json11.decode(body, KINESIS.operations[operation])
    assert refusal.value.message is None
    with pytest.raises(SerializationException):
        json11.check_body(body)


def test_an_array_is_json_but_no_request():
    json11.check_body(b" [1]")
    with pytest.raises(SerializationException, match=LIST):
        json11.decode(b"[]", KINESIS.operations["ListStreams"])
