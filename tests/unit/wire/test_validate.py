"""ValidationException: AWS's texts and their order, as recorded."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.base.errors import ValidationException
from apps.wire import validate
from apps.wire.model import Shape, load
from tests.support.cpu import cpu_under

KINESIS = load("kinesis")
NAME = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
NOT_NULL = "Member must not be null"


def least(n, what="length"):
    return f"Member must have {what} greater than or equal to {n}"


def most(n, what="length"):
    return f"Member must have {what} less than or equal to {n}"


def value(printed, path, constraint):
    return f"Value '{printed}' at '{path}' failed to satisfy constraint: {constraint}"


def null(path):
    return f"Value null at '{path}' failed to satisfy constraint: {NOT_NULL}"


def empty_name(path="streamName"):
    return [value("", path, NAME), value("", path, least(1))]


def message(operation, params):
    with pytest.raises(ValidationException) as refusal:
        validate.check(KINESIS.operations[operation], params)
    assert refusal.value.status == 400
    return refusal.value.message


def detected(*messages):
    plural = "" if len(messages) == 1 else "s"
    return f"{len(messages)} validation error{plural} detected: {'; '.join(messages)}"


LONG = "a" * 129
HASH_KEY = r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})"
SEQUENCE = r"Member must satisfy regular expression pattern: 0|([1-9]\d{0,128})"
TYPES = "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
TAG_KEYS = "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
TAG_VALUES = "[Member must have length less than or equal to 256, Member must have length greater than or equal to 0]"

CASES = [
    ("CreateStream", {}, [null("streamName")]),
    ("CreateStream", {"StreamName": "", "ShardCount": 0}, [value(0, "shardCount", least(1, "value")), *empty_name()]),
    ("CreateStream", {"StreamName": LONG}, [value(LONG, "streamName", most(128))]),
    ("CreateStream", {"StreamName": "a;b"}, [value("a;b", "streamName", NAME)]),
    (
        "CreateStream",
        {"StreamName": "a;b" * 50},
        [value("a;b" * 50, "streamName", NAME), value("a;b" * 50, "streamName", most(128))],
    ),
    ("CreateStream", {"StreamName": "a\n"}, [value("a\n", "streamName", NAME)]),
    ("CreateStream", {"StreamName": "a", "StreamModeDetails": {}}, [null("streamModeDetails.streamMode")]),
    (
        "CreateStream",
        {"StreamName": "a", "StreamModeDetails": {"StreamMode": "X"}},
        [value("X", "streamModeDetails.streamMode", "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]")],
    ),
    (
        "CreateStream",
        {"StreamName": "a", "MaxRecordSizeInKiB": 5},
        [value(5, "maxRecordSizeInKiB", least(1024, "value"))],
    ),
    (
        "CreateStream",
        {"StreamName": "a", "MaxRecordSizeInKiB": 99999},
        [value(99999, "maxRecordSizeInKiB", most(10240, "value"))],
    ),
    (
        "DescribeStream",
        {"StreamName": "", "Limit": 0, "ExclusiveStartShardId": ""},
        [value(0, "limit", least(1, "value")), *empty_name("exclusiveStartShardId"), *empty_name()],
    ),
    ("DescribeStream", {"Limit": 100000}, [value(100000, "limit", most(10000, "value"))]),
    (
        "ListShards",
        {"StreamName": "", "ExclusiveStartShardId": "", "MaxResults": 0, "NextToken": ""},
        [
            value(0, "maxResults", least(1, "value")),
            *empty_name("exclusiveStartShardId"),
            *empty_name(),
            value("", "nextToken", least(1)),
        ],
    ),
    (
        "ListShards",
        {"StreamName": "a", "ShardFilter": {}},
        [null("shardFilter.type")],
    ),
    (
        "ListStreams",
        {"ExclusiveStartStreamName": "", "Limit": 0},
        [value(0, "limit", least(1, "value")), *empty_name("exclusiveStartStreamName")],
    ),
    ("GetRecords", {}, [null("shardIterator")]),
    (
        "GetRecords",
        {"ShardIterator": "", "Limit": 0},
        [value(0, "limit", least(1, "value")), value("", "shardIterator", least(1))],
    ),
    (
        "GetRecords",
        {"ShardIterator": "a" * 513, "Limit": 100000},
        [value(100000, "limit", most(10000, "value")), value("a" * 513, "shardIterator", most(512))],
    ),
    ("GetShardIterator", {}, [null("shardId"), null("shardIteratorType")]),
    (
        "GetShardIterator",
        {"StreamName": "", "ShardIteratorType": "", "ShardId": "", "StartingSequenceNumber": ""},
        [
            *empty_name("shardId"),
            value("", "shardIteratorType", TYPES),
            value("", "startingSequenceNumber", SEQUENCE),
            *empty_name(),
        ],
    ),
    (
        "GetShardIterator",
        {"StreamName": LONG, "ShardId": LONG, "ShardIteratorType": "LATEST"},
        [value(LONG, "shardId", most(128)), value(LONG, "streamName", most(128))],
    ),
    (
        "SubscribeToShard",
        {
            "ConsumerARN": "arn:aws:kinesis:r:123456789012:stream/s/consumer/c:1",
            "ShardId": "a",
            "StartingPosition": {"Type": "x"},
        },
        [value("x", "startingPosition.type", TYPES)],
    ),
    ("PutRecord", {}, [null("data")]),
    (
        "PutRecord",
        {"StreamName": "", "PartitionKey": "", "Data": b"", "ExplicitHashKey": "", "SequenceNumberForOrdering": ""},
        [
            value("", "sequenceNumberForOrdering", SEQUENCE),
            value("", "partitionKey", least(1)),
            value("", "explicitHashKey", HASH_KEY),
            *empty_name(),
        ],
    ),
    (
        "PutRecord",
        {"StreamName": LONG, "PartitionKey": "a" * 257, "Data": b"a" * 10485761},
        [
            value("a" * 257, "partitionKey", most(256)),
            value("java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]", "data", most(10485760)),
            value(LONG, "streamName", most(128)),
        ],
    ),
    ("PutRecords", {}, [null("records")]),
    ("PutRecords", {"StreamName": "", "Records": []}, [value("[]", "records", least(1)), *empty_name()]),
    ("PutRecords", {"Records": [{}]}, [null("records.1.member.data")]),
    ("PutRecords", {"Records": [None]}, [null("records.1.member")]),
    (
        "PutRecords",
        {"StreamName": LONG, "Records": [{"PartitionKey": "a" * 257, "Data": b"a" * 10485761, "ExplicitHashKey": ""}]},
        [
            value("a" * 257, "records.1.member.partitionKey", most(256)),
            value("", "records.1.member.explicitHashKey", HASH_KEY),
            value("java.nio.HeapByteBuffer[pos=0 lim=10485761 cap=10485761]", "records.1.member.data", most(10485760)),
            value(LONG, "streamName", most(128)),
        ],
    ),
    (
        "PutRecords",
        {"StreamName": "", "Records": [{"PartitionKey": "", "Data": b""}] * 501},
        [
            value(
                "[" + ", ".join(["com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"] * 501) + "]",
                "records",
                most(500),
            ),
            *(value("", f"records.{n}.member.partitionKey", least(1)) for n in range(1, 10)),
        ],
    ),
    (
        "SplitShard",
        {"StreamName": "", "NewStartingHashKey": "", "ShardToSplit": ""},
        [value("", "newStartingHashKey", HASH_KEY), *empty_name(), *empty_name("shardToSplit")],
    ),
    ("SplitShard", {}, [null("newStartingHashKey"), null("shardToSplit")]),
    ("MergeShards", {}, [null("shardToMerge"), null("adjacentShardToMerge")]),
    ("IncreaseStreamRetentionPeriod", {"StreamName": ""}, [null("retentionPeriodHours"), *empty_name()]),
    ("DecreaseStreamRetentionPeriod", {"StreamName": ""}, [null("retentionPeriodHours"), *empty_name()]),
    ("AddTagsToStream", {}, [null("tags")]),
    ("AddTagsToStream", {"StreamName": "", "Tags": {}}, [value("{}", "tags", least(1)), *empty_name()]),
    (
        "AddTagsToStream",
        {"Tags": {"a": "1", LONG: "b" * 257, "c": ""}},
        [
            value(f"{{a=1, {LONG}={'b' * 257}, c=}}", "tags", f"Map keys must satisfy constraint: {TAG_KEYS}"),
            value(f"{{a=1, {LONG}={'b' * 257}, c=}}", "tags", f"Map value must satisfy constraint: {TAG_VALUES}"),
        ],
    ),
    ("AddTagsToStream", {"Tags": {"a": None}}, [null("tags.a.member")]),
    (
        "AddTagsToStream",
        {"Tags": {str(n): "" for n in range(201)}},
        [value("{" + ", ".join(f"{n}=" for n in range(201)) + "}", "tags", most(200))],
    ),
    ("RemoveTagsFromStream", {"StreamName": "", "TagKeys": []}, [value("[]", "tagKeys", least(1)), *empty_name()]),
    (
        "RemoveTagsFromStream",
        {"TagKeys": ["a", LONG, "b"]},
        [value(f"[a, {LONG}, b]", "tagKeys", f"Member must satisfy constraint: {TAG_KEYS}")],
    ),
    (
        "RemoveTagsFromStream",
        {"TagKeys": [str(n) for n in range(51)]},
        [value("[" + ", ".join(str(n) for n in range(51)) + "]", "tagKeys", most(50))],
    ),
    ("RemoveTagsFromStream", {"TagKeys": ["a", None]}, [null("tagKeys.2.member")]),
    (
        "ListTagsForStream",
        {"StreamName": "", "Limit": 51, "ExclusiveStartTagKey": ""},
        [value(51, "limit", most(50, "value")), value("", "exclusiveStartTagKey", least(1)), *empty_name()],
    ),
    (
        "EnableEnhancedMonitoring",
        {"ShardLevelMetrics": ["IncomingBytes", "x"]},
        [
            value(
                "[IncomingBytes, x]",
                "shardLevelMetrics",
                "Member must satisfy constraint: [Member must satisfy enum value set: [IncomingBytes, IncomingRecords, OutgoingBytes, "
                "OutgoingRecords, WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]",
            )
        ],
    ),
    (
        "RegisterStreamConsumer",
        {"StreamARN": "arn:aws:s3:::b", "ConsumerName": "c"},
        [
            value(
                "arn:aws:s3:::b",
                "streamARN",
                r"Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
            )
        ],
    ),
    (
        "DescribeStreamConsumer",
        {"ConsumerARN": "x"},
        [
            value(
                "x",
                "consumerARN",
                r"Member must satisfy regular expression pattern: "
                r"(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+",
            )
        ],
    ),
    (
        "DescribeStreamSummary",
        {"StreamId": "x"},
        [value("x", "streamId", "Member must satisfy regular expression pattern: [a-z0-9]{20}-[a-z0-9]{3}")],
    ),
]


@pytest.mark.parametrize(
    ("operation", "params", "messages"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_messages(operation, params, messages):
    assert message(operation, params) == detected(*messages)


GOOD = [
    ("ListStreams", {}),
    ("DescribeLimits", {}),
    ("DescribeStream", {}),
    ("PutRecord", {"Data": b"", "StreamName": "a"}),
    ("PutRecords", {"Records": [{"Data": b""}] * 500}),
    ("PutRecords", {"Records": [{"Data": b"", "PartitionKey": "😀" * 256, "ExplicitHashKey": "0"}]}),
    ("AddTagsToStream", {"Tags": {"a" * 128: "b" * 256, "c": ""}}),
    ("GetRecords", {"ShardIterator": "a" * 512, "Limit": 10000}),
    (
        "GetShardIterator",
        {"ShardId": "s", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 5, "StartingSequenceNumber": "9" * 129},
    ),
    ("SplitShard", {"ShardToSplit": "s", "NewStartingHashKey": "9" * 39}),
    (
        "RegisterStreamConsumer",
        {"StreamARN": "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s", "ConsumerName": "c"},
    ),
    (
        "DescribeStreamConsumer",
        {"ConsumerARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1700000000"},
    ),
    (
        "TagResource",
        {"ResourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:17", "Tags": {"a": "b"}},
    ),
    ("ListShards", {"NextToken": "x" * 1_048_576}),
]


@pytest.mark.parametrize(("operation", "params"), GOOD)
def test_kept_limits(operation, params):
    validate.check(KINESIS.operations[operation], params)


def shapes_of(shape: Shape):
    yield shape
    for part in (*shape.members.values(), shape.member, shape.key, shape.value):
        if part is not None:
            yield from shapes_of(part)


ALL_SHAPES = {shape.name: shape for operation in KINESIS.operations.values() for shape in shapes_of(operation.input)}


def test_every_recorded_order_is_of_a_known_shape():
    assert set(validate._ORDER) <= set(ALL_SHAPES)
    for name in validate._ORDER:
        listed = [member for member, *_ in validate.ordered_members(ALL_SHAPES[name])]
        assert sorted(listed) == sorted(ALL_SHAPES[name].members)
        assert tuple(listed[: len(validate._ORDER[name])]) == validate._ORDER[name]
    for name, order in validate._ENUM_ORDER.items():
        assert sorted(order) == sorted(ALL_SHAPES[name].enum)


def test_patterns_as_aws_prints_them():
    assert validate.unanchored(r"^(0|([1-9]\d{0,38}))$") == r"0|([1-9]\d{0,38})"
    assert validate.unanchored("^[a-z0-9]+$") == "[a-z0-9]+"
    assert validate.unanchored("[a-z]+") == "[a-z]+"
    assert validate.unanchored("^(a)|(b)$") == "(a)|(b)"
    assert validate.unanchored("(a|b)") == "(a|b)"


def test_patterns_match_whole_and_in_ascii():
    key = validate.Pattern.of(r"^(0|([1-9]\d{0,38}))$")
    assert key.matches("10")
    for text in ("1\n", "٣", "1٣", " 1", "1 ", "01", ""):
        assert not key.matches(text)


PATTERNS = sorted({shape.pattern for shape in ALL_SHAPES.values() if shape.pattern})
PIECES = [
    "arn:aws",
    "arn:",
    "aws",
    ":kinesis:",
    "kinesis",
    ":",
    "123456789012",
    "12345678901",
    ":123456789012:",
    "stream",
    "stream/",
    "queue/",
    "/",
    "consumer/",
    "/consumer/",
    "a",
    "-",
    "1",
    ":1",
    " ",
    "\n",
    "us-east-1",
    "us-gov",
    ":s3:::",
    "bucket",
    ".",
    "*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=9))
def test_patterns_mean_what_re_means(pattern, pieces):
    text = "".join(pieces)
    for tried in (text, f"arn:aws{text}", f"arn:aws:kinesis:r:123456789012:{text}"):
        assert validate.Pattern.of(pattern).matches(tried) == bool(
            re.fullmatch(pattern.removesuffix("$"), tried, re.ASCII)
        )


def test_patterns_with_gaps_are_known():
    assert validate.Pattern.of(r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+").has_gaps
    assert not validate.Pattern.of(r"[0-9A-Za-z!\-_'.*()\/]+").has_gaps
    assert not validate.Pattern.of("[a-z]+").has_gaps


def test_huge_values_are_left_out_of_their_messages():
    found = message("PutRecords", {"Records": [{"Data": b""}] * 2000, "StreamName": "a" * 100_000})
    assert found == detected(
        f"Value at 'records' failed to satisfy constraint: {most(500)}",
        f"Value at 'streamName' failed to satisfy constraint: {most(128)}",
    )


HOSTILE = ["stream/", "x", "stream/a/consumer/", "a:", "1"]


@pytest.mark.parametrize("name", sorted(name for name, shape in ALL_SHAPES.items() if shape.pattern))
def test_no_pattern_takes_long(name):
    """Texts up to the longest that is tried at all, made of pieces of the patterns; `re` needs seconds for some."""
    shape = ALL_SHAPES[name]
    longest = shape.maximum if validate.Pattern.of(shape.pattern).has_gaps else 50_000
    with cpu_under(0.5):
        for services, accounts, piece in itertools.product((0, 10, 80), (0, 10, 30), HOSTILE):
            start = "arn:aws" + ":kinesis:" * services + ":123456789012:" * accounts
            text = (start + piece * longest)[: longest - 1] + " "
            validate._matches(text, shape)


def test_a_text_longer_than_allowed_is_not_matched_against_a_slow_pattern():
    text = "arn:aws" + ":kinesis::123456789012:" * 100_000
    with cpu_under(0.5):
        found = message("ListTagsForResource", {"ResourceARN": text})
    assert found == detected(f"Value at 'resourceARN' failed to satisfy constraint: {most(2048)}")


def test_at_most_ten_messages_and_no_more_work():
    with cpu_under(1):
        found = message("PutRecords", {"Records": [{}] * 1_000_000})
    assert found.startswith("10 validation errors detected: Value at 'records' failed")
    assert found.count("failed to satisfy") == 10


def test_patterns_with_classes_of_unicode() -> None:
    tag = validate.Pattern.of(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")
    for good in ("team", "Größe 7", "名前", "a:b/c=d+e-f@g", "٣"):
        assert tag.matches(good), good
    for bad in ("", "a\tb", "a;b", "#"):
        assert not tag.matches(bad), bad


def test_the_recorded_order_is_of_members_that_kinesis_has():
    shapes = {}

    def collect(shape):
        shapes[shape.name] = shape
        for below in (*shape.members.values(), shape.member, shape.value):
            if below is not None:
                collect(below)

    for operation in load("kinesis").operations.values():
        collect(operation.input)
    for name, members in validate._ORDER.items():
        assert set(members) <= set(shapes[name].members), name


@pytest.mark.parametrize(("text", "fits"), [("name", True), ("\U0001f600", True), ("a\tb", True), ("a\nb", False)])
def test_a_range_of_characters_in_two_halves_as_java_writes_it(text, fits):
    pattern = r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*"
    assert validate.Pattern.of(pattern).matches(text) is fits
