"""The query protocol against botocore's own serializer and parser."""

from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import QueryParser
from botocore.serialize import QuerySerializer

from apps.base.errors import (
    AccessDeniedException,
    SerializationException,
    ServiceError,
    UnknownOperationException,
    ValidationException,
)
from apps.wire.model import load
from apps.wire.query import Query

REQUEST_ID = "11111111-2222-4333-8444-555555555555"
NOW_MS = 1_763_640_000_000


def theirs(service: str, operation: str) -> Any:
    return ServiceModel(Loader().load_service_model(service, "service-2")).operation_model(operation)


def query(service: str = "cloudwatch", in_url: str = "") -> Query:
    return Query(load(service), REQUEST_ID, in_url)


def form(service: str, operation: str, params: dict[str, Any]) -> bytes:
    body = QuerySerializer().serialize_to_request(params, theirs(service, operation))["body"]
    return urlencode(body, doseq=True).encode()


PUT = {
    "Namespace": "My/App",
    "MetricData": [
        {
            "MetricName": "Über & <under>",
            "Dimensions": [{"Name": "a", "Value": "1+1=2 %"}, {"Name": "b", "Value": "x.member.1"}],
            "Timestamp": "2026-11-20T12:00:00.250Z",
            "Values": [0.5, 1e300, -3.0],
            "Counts": [1.0, 2.0, 3.0],
            "Unit": "Count",
            "StorageResolution": 60,
        },
        {"MetricName": "n", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}},
        *({"MetricName": f"m{number}", "Value": float(number)} for number in range(12)),
    ],
}


def test_requests_as_botocore_writes_them() -> None:
    body = form("cloudwatch", "PutMetricData", PUT)
    codec = query()
    assert codec.action(body) == "PutMetricData"
    params = codec.decode(body, load("cloudwatch").operations["PutMetricData"])
    first = params["MetricData"][0]
    assert params["Namespace"] == "My/App"
    assert first["Timestamp"] == 1_795_176_000_250
    assert {**first, "Timestamp": PUT["MetricData"][0]["Timestamp"]} == PUT["MetricData"][0]
    assert [datum["MetricName"] for datum in params["MetricData"][2:]] == [f"m{number}" for number in range(12)]
    assert params["MetricData"][1]["StatisticValues"] == {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}


def test_requests_in_the_url() -> None:
    codec = query("sts", "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60")
    assert codec.action(b"") == "GetCallerIdentity"
    assert codec.decode(b"", load("sts").operations["GetCallerIdentity"]) == {}


@pytest.mark.parametrize(
    ("body", "params"),
    [
        (b"AlarmNames=", {"AlarmNames": []}),
        (b"AlarmNames.member.3=c&AlarmNames.member.1=a", {"AlarmNames": ["a", "c"]}),
        (b"AlarmNames.member.10=b&AlarmNames.member.9=a&Whatever=1", {"AlarmNames": ["a", "b"]}),
        (b"MaxRecords=5&MaxRecords=6", {"MaxRecords": 6}),
    ],
)
def test_lists(body: bytes, params: dict[str, Any]) -> None:
    assert query().decode(body, load("cloudwatch").operations["DescribeAlarms"]) == params


@pytest.mark.parametrize(
    "body",
    [
        b"AlarmNames.member.x=1",
        b"AlarmNames.member.1234567=1",
        b"AlarmNames.member.%D9%A3=1",
        b"MaxRecords=many",
        b"MaxRecords.member.1=1",
        b"AlarmNames.member.1.deep=1",
        b"a=\xff",
        b"a=1&" * 70_000,
        b"\x1f\x8bnot a gzip file",
        b"a" * (5 * 1024 * 1024),
    ],
)
def test_malformed(body: bytes) -> None:
    with pytest.raises(SerializationException):
        query().decode(body, load("cloudwatch").operations["DescribeAlarms"])


@pytest.mark.parametrize("text", ["1_000", "٣", "1" * 600, "", "0x10", "1,5"])
def test_what_is_no_number(text: str) -> None:
    for name in ("Threshold", "Period"):
        body = urlencode({"AlarmName": "a", name: text}).encode()
        with pytest.raises(SerializationException):
            query().decode(body, load("cloudwatch").operations["PutMetricAlarm"])


def test_a_long_number_is_not_cut_off() -> None:
    base = {"AlarmName": "a", "EvaluationPeriods": "0" * 40 + "3", "ComparisonOperator": "GreaterThanThreshold"}
    for text, number in (("1" + "0" * 80, 1e80), ("0." + "0" * 70 + "1", 1e-71), (repr(5e-324), 5e-324)):
        body = urlencode({**base, "Threshold": text}).encode()
        params = query().decode(body, load("cloudwatch").operations["PutMetricAlarm"])
        assert (params["Threshold"], params["EvaluationPeriods"]) == (number, 3)


def test_limits() -> None:
    with pytest.raises(
        ValidationException, match="Value '101' at 'maxRecords' failed to satisfy constraint: Member must"
    ):
        query().decode(b"MaxRecords=101", load("cloudwatch").operations["DescribeAlarms"])


@pytest.mark.parametrize("body", [b"", b"Action=", b"Action=ListMetrics&Version=2009-05-15"])
def test_no_action(body: bytes) -> None:
    with pytest.raises(UnknownOperationException, match="Could not find operation"):
        query().action(body)


def test_answers_as_botocore_reads_them() -> None:
    answer = {
        "MetricDataResults": [
            {"Id": "a", "Label": "x & <y> \u20ac \x00\r\n", "Timestamps": [NOW_MS, NOW_MS + 1], "Values": [0.1, -2e-7]},
            {"Id": "b", "Timestamps": [], "Values": [], "StatusCode": None},
        ]
    }
    codec = query()
    body = codec.encode(load("cloudwatch").operations["GetMetricData"], answer)
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed = QueryParser().parse(response, theirs("cloudwatch", "GetMetricData").output_shape)
    [first, second] = parsed["MetricDataResults"]
    assert first["Label"] == "x & <y> \u20ac \ufffd\r\n"
    assert first["Values"] == [0.1, -2e-7]
    assert [round(time.timestamp() * 1000) for time in first["Timestamps"]] == [NOW_MS, NOW_MS + 1]
    assert second == {"Id": "b", "Timestamps": [], "Values": []}
    assert parsed["ResponseMetadata"]["RequestId"] == REQUEST_ID
    assert b"<GetMetricDataResult>" in body
    assert b'xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"' in body


def test_an_answer_without_members() -> None:
    body = query().encode(load("cloudwatch").operations["PutMetricData"], None)
    assert QueryParser().parse({"status_code": 200, "headers": {}, "body": body}, None)["ResponseMetadata"] == {
        "RequestId": REQUEST_ID,
        "HTTPStatusCode": 200,
        "HTTPHeaders": {},
    }


def test_maps_and_blobs() -> None:
    operation = load("iam").operations["GetContextKeysForCustomPolicy"]
    names = ["a" * 5, "b" * 6]
    codec = query("iam")
    assert codec.decode(form("iam", operation.name, {"PolicyInputList": names}), operation) == {
        "PolicyInputList": names
    }
    summary = load("iam").operations["GetAccountSummary"]
    body = codec.encode(summary, {"SummaryMap": {"Users": 27, "Roles": 3}})
    parsed = QueryParser().parse(
        {"status_code": 200, "headers": {}, "body": body}, theirs("iam", "GetAccountSummary").output_shape
    )
    assert parsed["SummaryMap"] == {"Users": 27, "Roles": 3}
    report = codec.encode(load("iam").operations["GetCredentialReport"], {"Content": b"\x00\xff", "GeneratedTime": 0})
    read = QueryParser().parse(
        {"status_code": 200, "headers": {}, "body": report}, theirs("iam", "GetCredentialReport").output_shape
    )
    assert read["Content"] == b"\x00\xff"


class NoSuchEntity(ServiceError):
    code = "NoSuchEntityException"


@pytest.mark.parametrize(
    ("service", "error", "status", "code", "kind"),
    [
        ("iam", NoSuchEntity("The user with name x cannot be found."), 404, "NoSuchEntity", "Sender"),
        ("sts", AccessDeniedException("User: x is not authorized"), 403, "AccessDenied", "Sender"),
        ("cloudwatch", ValidationException("1 validation error detected: <&>"), 400, "ValidationError", "Sender"),
        ("sts", ServiceError("x"), 500, "InternalFailure", "Receiver"),
    ],
)
def test_errors(service: str, error: ServiceError, status: int, code: str, kind: str) -> None:
    if code == "InternalFailure":
        error.__class__ = type("InternalFailure", (ServiceError,), {"status": 500})
    codec = query(service)
    assert codec.failure(error) == (status, [])
    parsed = QueryParser().parse({"status_code": status, "headers": {}, "body": codec.encode_error(error)}, None)
    assert parsed["Error"] == {"Type": kind, "Code": code, "Message": error.message}
    assert parsed["ResponseMetadata"]["RequestId"] == REQUEST_ID
