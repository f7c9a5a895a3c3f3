"""What may be configured: every refusal is a sentence that names what is wrong."""

import re

import pytest

from apps.delivery.processing import check
from apps.delivery.processing.configuration import delimiter, transform, with_defaults
from tests.support.processors import FUNCTION_ARN, function, partitioned, processing, processor, query

S3, ICEBERG, SPLUNK = "ExtendedS3", "Iceberg", "Splunk"

DECOMPRESS = processor("Decompression", CompressionFormat="GZIP")
EXTRACT = processor("CloudWatchLogProcessing", DataMessageExtraction="true")


@pytest.mark.parametrize(
    ("destination_type", "description"),
    [
        (S3, {}),
        (S3, {"ProcessingConfiguration": {"Enabled": False}}),
        (S3, processing(function())),
        (S3, processing(function(NumberOfRetries="300", BufferSizeInMBs="0.2", BufferIntervalInSeconds="900"))),
        (S3, processing(function(LambdaArn=FUNCTION_ARN + ":$LATEST", RoleArn="arn:aws:iam::123456789012:role/a/b"))),
        (S3, processing(function(LambdaArn=FUNCTION_ARN + ":blue"))),
        (SPLUNK, processing(processor("Decompression"), EXTRACT)),
        (S3, processing(EXTRACT, DECOMPRESS, processor("AppendDelimiterToRecord"))),
        (S3, processing(processor("AppendDelimiterToRecord", Delimiter="\\n"))),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="JSON"))),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="IyMjIw=="))),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", query("{a:.a}"))),
        (S3, partitioned("!{partitionKeyFromLambda:a}/", function())),
        (S3, partitioned("!{partitionKeyFromLambda:a}/!{partitionKeyFromQuery:b}/", function(), query("{b:.b}"))),
        (ICEBERG, processing(query("{destinationTableName:.t}"))),
    ],
)
def test_what_can_be(destination_type, description):
    check(destination_type, description)


@pytest.mark.parametrize(
    ("destination_type", "description", "names"),
    [
        (S3, processing(), "Between 1 and 5"),
        (S3, processing(processor("Enrichment")), "Enrichment"),
        (S3, processing(function(), function()), "Only one processor of type Lambda"),
        (S3, processing(processor("Lambda")), "LambdaArn is required"),
        (S3, processing(function(LambdaArn="arn:aws:lambda:us-east-1:1:function:x")), "LambdaArn is not a valid ARN"),
        (S3, processing(function(LambdaArn=FUNCTION_ARN + ":a:b")), "LambdaArn"),
        (S3, processing(function(LambdaArn=FUNCTION_ARN + "/../x")), "LambdaArn"),
        (S3, processing(function(RoleArn="role")), "RoleArn"),
        (S3, processing(function(NumberOfRetries="301")), "NumberOfRetries must be a whole number between 0 and 300"),
        (S3, processing(function(NumberOfRetries="-1")), "NumberOfRetries"),
        (S3, processing(function(NumberOfRetries="1e2")), "NumberOfRetries"),
        (S3, processing(function(NumberOfRetries="٣")), "NumberOfRetries"),
        (S3, processing(function(BufferSizeInMBs="0.1")), "BufferSizeInMBs must be a number between 0.2 and 3"),
        (S3, processing(function(BufferSizeInMBs="3.01")), "BufferSizeInMBs"),
        (S3, processing(function(BufferSizeInMBs="nan")), "BufferSizeInMBs"),
        (S3, processing(function(BufferIntervalInSeconds="901")), "BufferIntervalInSeconds"),
        (S3, processing(function(Delimiter="x")), "Delimiter is not supported for processor type Lambda"),
        (S3, processing(EXTRACT), "only supported with a Decompression processor"),
        (S3, processing(DECOMPRESS, processor("CloudWatchLogProcessing")), "DataMessageExtraction is required"),
        (S3, processing(DECOMPRESS, processor("CloudWatchLogProcessing", DataMessageExtraction="yes")), "true or false"),
        (S3, processing(processor("Decompression", CompressionFormat="ZIP")), "CompressionFormat must be GZIP"),
        (S3, processing(processor("RecordDeAggregation")), "SubRecordType is required"),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="XML")), "SubRecordType must be JSON or DELIMITED"),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="DELIMITED")), "Delimiter is required"),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="JSON", Delimiter="IyM=")), "only then"),
        (S3, processing(processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="###")), "base64"),
        (S3, processing(query("{a:.a}")), "only supported when dynamic partitioning is enabled"),
        (SPLUNK, processing(query("{a:.a}")), "only supported when dynamic partitioning is enabled"),
        (SPLUNK, partitioned("", query("{a:.a}")), "only supported for Amazon S3"),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", query("{a:")), "not a valid JQ expression: jq: error: syntax"),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", query("{a:nosuch}")), "nosuch/0 is not defined"),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", query('import "/etc/passwd" as $x; {a:$x}')), "module not found"),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", processor("MetadataExtraction", JsonParsingEngine="JQ-1.6")), "Query is required"),
        (S3, partitioned("x/", processor("MetadataExtraction", MetadataExtractionQuery="{a:.a}")), "JsonParsingEngine is required"),
        (S3, partitioned("x/", processor("MetadataExtraction", MetadataExtractionQuery="{a:.a}", JsonParsingEngine="JQ-1.7")), "JQ-1.6"),
        (S3, partitioned("!{partitionKeyFromQuery:a}/", function()), "MetadataExtraction processor is required"),
        (S3, partitioned("!{partitionKeyFromLambda:a}/", query("{a:.a}")), "Lambda processor is required"),
        (S3, partitioned("!{partitionKeyFromLambda:a}!{partitionKeyFromQuery:a}/", function(), query("{a:.a}")), "same name"),
    ],
)  # fmt: skip
def test_what_cannot_be(destination_type, description, names):
    with pytest.raises(ValueError, match=re.escape(names)):
        check(destination_type, description)


def test_a_parameter_given_twice_is_refused():
    twice = function(NumberOfRetries="1")
    twice["Parameters"].append({"ParameterName": "NumberOfRetries", "ParameterValue": "2"})
    with pytest.raises(ValueError, match="given more than once"):
        check(S3, processing(twice))


def test_what_is_switched_off_must_be_right_as_well():
    with pytest.raises(ValueError, match="NumberOfRetries"):
        check(S3, processing(function(NumberOfRetries="x"), enabled=False))


def test_defaults_as_aws_describes_them():
    filled = with_defaults(
        S3, "arn:aws:iam::123456789012:role/r", [function(NumberOfRetries="1"), processor("Decompression")]
    )
    assert filled == [
        function(
            NumberOfRetries="1", RoleArn="arn:aws:iam::123456789012:role/r",
            BufferSizeInMBs="1", BufferIntervalInSeconds="60",
        ),
        DECOMPRESS,
    ]  # fmt: skip
    assert with_defaults(SPLUNK, "", [function()])[0]["Parameters"][2]["ParameterValue"] == "0.25"


def test_a_function_is_named_with_its_version():
    found = transform(S3, processing(function(LambdaArn=FUNCTION_ARN + ":$LATEST", BufferSizeInMBs="0.5")))
    assert found.function == ("shape", "$LATEST")
    assert (found.retries, found.size_bytes) == (3, 524_288)
    assert transform(S3, processing(function())).function == ("shape", "")
    assert transform(S3, processing(function(), enabled=False)) is None


@pytest.mark.parametrize(
    ("given", "means"),
    [({}, b"\n"), ({"Delimiter": "\\n"}, b"\n"), ({"Delimiter": "\\r\\n"}, b"\r\n"), ({"Delimiter": "|"}, b"|"),
     ({"Delimiter": "\\\\n"}, b"\\n"), ({"Delimiter": "\\t\\x"}, b"\t\\x"), ({"Delimiter": "é"}, "é".encode())],
)  # fmt: skip
def test_delimiters(given, means):
    assert delimiter(given) == means
