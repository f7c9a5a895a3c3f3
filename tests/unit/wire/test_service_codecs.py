"""JSON 1.0 and RPC v2 CBOR: what differs from JSON 1.1 and CBOR 1.1."""

import gzip
import json

import cbor2
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer

from apps.base.errors import SerializationException, ServiceError, ValidationException
from apps.wire.json10 import Json10
from apps.wire.model import load
from apps.wire.rpc_cbor import RpcCbor, operation_of

MODEL = load("cloudwatch")
THEIRS = ServiceModel(Loader().load_service_model("cloudwatch", "service-2"))
STATISTICS = MODEL.operations["GetMetricStatistics"]


class InvalidFormat(ServiceError):
    code = "InvalidFormatFault"


def test_cbor_requests_as_botocore_writes_them() -> None:
    asked = {
        "Namespace": "n",
        "MetricName": "m",
        "StartTime": "2026-11-20T12:00:00.250Z",
        "EndTime": 1_795_176_060,
        "Period": 60,
        "Statistics": ["Sum"],
    }
    written = RpcV2CBORSerializer().serialize_to_request(asked, THEIRS.operation_model("GetMetricStatistics"))
    assert operation_of(written["url_path"]) == ("GraniteServiceVersion20100801", "GetMetricStatistics")
    params = RpcCbor(MODEL).decode(written["body"], STATISTICS)
    assert params == {**asked, "StartTime": 1_795_176_000_250, "EndTime": 1_795_176_060_000}


def test_cbor_answers_as_botocore_reads_them() -> None:
    answer = {"Label": "m", "Datapoints": [{"Timestamp": 1_795_176_000_250, "Sum": 0.1, "Unit": "Count"}]}
    body = RpcCbor(MODEL).encode(STATISTICS, answer)
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed = RpcV2CBORParser().parse(response, THEIRS.operation_model("GetMetricStatistics").output_shape)
    [point] = parsed["Datapoints"]
    assert (point["Sum"], round(point["Timestamp"].timestamp() * 1000)) == (0.1, 1_795_176_000_250)


@pytest.mark.parametrize("time", [cbor2.CBORTag(1, float("nan")), cbor2.CBORTag(1, "x"), "2026-11-20"])
def test_cbor_times_that_are_none(time: object) -> None:
    with pytest.raises(SerializationException):
        RpcCbor(MODEL).decode(cbor2.dumps({"StartTime": time}), STATISTICS)


def test_no_body_is_no_members() -> None:
    assert RpcCbor(MODEL).decode(b"", MODEL.operations["DescribeAlarms"]) == {}
    with pytest.raises(SerializationException):
        Json10(MODEL).decode(b"", MODEL.operations["DescribeAlarms"])


@pytest.mark.parametrize(
    "path", ["/", "/service/a", "/service/a/operation", "service/a/operation/b", "/service/a/operation/b/"]
)
def test_other_paths(path: str) -> None:
    assert operation_of(path) is None


def test_packed_bodies() -> None:
    body = gzip.compress(json.dumps({"AlarmNames": ["a"]}).encode())
    assert Json10(MODEL).decode(body, MODEL.operations["DescribeAlarms"]) == {"AlarmNames": ["a"]}
    for broken in (body[:-4], body + b"more", body[:12], gzip.compress(b" " * 5_000_000)):
        with pytest.raises(SerializationException):
            Json10(MODEL).decode(broken, MODEL.operations["DescribeAlarms"])


@pytest.mark.parametrize("codec", [Json10(MODEL), RpcCbor(MODEL)])
def test_errors(codec: Json10 | RpcCbor) -> None:
    error = InvalidFormat("not JSON")
    status, headers = codec.failure(error)
    assert (status, headers) == (400, [("x-amzn-query-error", "InvalidFormat;Sender")])
    body = codec.encode_error(error)
    read = json.loads(body) if isinstance(codec, Json10) else cbor2.loads(body)
    assert read == {"__type": "com.amazonaws.cloudwatch#InvalidFormatFault", "message": "not JSON"}
    assert codec.failure(ValidationException("x"))[1] == [("x-amzn-query-error", "ValidationError;Sender")]
