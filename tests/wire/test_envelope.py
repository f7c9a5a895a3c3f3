"""The HTTP envelope, sentence by sentence as it was recorded from AWS: headers, formats, order of checks."""

import base64
import re

import cbor2
import pytest

from tests.wire.conftest import Endpoint
from tests.wire.raw import CBOR, JSON, TARGET, Answer, call, connect, head, headers_for, receive, send, sign

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ACCESS_DENIED = (
    b"<AccessDeniedException>\n"
    b"  <Message>Unable to determine service/operation name to be authorized</Message>\n"
    b"</AccessDeniedException>\n"
)
MISSING_TOKEN_XML = (
    b"<MissingAuthenticationTokenException>\n"
    b"  <Message>Missing Authentication Token</Message>\n"
    b"</MissingAuthenticationTokenException>\n"
)


def assert_ids(answer: Answer) -> None:
    assert UUID.fullmatch(answer.headers["x-amzn-requestid"])
    assert 64 <= len(base64.b64decode(answer.headers["x-amz-id-2"], validate=True)) <= 80
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def assert_json(answer: Answer, status: int, body: object) -> None:
    assert (answer.status, answer.json) == (status, body)
    assert answer.headers["content-type"] == JSON
    assert_ids(answer)


def assert_cbor(answer: Answer, status: int, body: object) -> None:
    assert answer.headers["content-type"] == CBOR
    assert (answer.status, answer.cbor) == (status, body)
    assert_ids(answer)


def assert_xml(answer: Answer, body: bytes) -> None:
    assert (answer.status, answer.body) == (403, body)
    assert "content-type" not in answer.headers
    assert_ids(answer)


def test_json_in_and_out(endpoint: Endpoint) -> None:
    answer = call(endpoint, "ListStreams")
    assert answer.status == 200
    assert answer.headers["content-type"] == JSON
    assert isinstance(answer.json["StreamNames"], list)
    assert_ids(answer)


def test_cbor_in_and_out(endpoint: Endpoint) -> None:
    answer = call(endpoint, "ListStreams", cbor2.dumps({}), content_type=CBOR)
    assert answer.status == 200
    assert answer.headers["content-type"] == CBOR
    assert isinstance(answer.cbor["StreamNames"], list)
    assert_ids(answer)


def test_ids_are_new_in_each_answer(endpoint: Endpoint) -> None:
    one, other = call(endpoint, "ListStreams"), call(endpoint, "ListStreams")
    assert one.headers["x-amzn-requestid"] != other.headers["x-amzn-requestid"]
    assert one.headers["x-amz-id-2"] != other.headers["x-amz-id-2"]


def test_the_content_type_is_taken_before_the_semicolon_and_trimmed(endpoint: Endpoint) -> None:
    headers = headers_for("ListStreams", "  application/x-amz-json-1.1  ;whatever")
    missing = {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"}
    assert_json(send(endpoint, headers, b"{}"), 400, missing)


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.1asdf", "application/x-amz-json-1.0", CBOR])
def test_what_is_not_json_falls_into_cbor(endpoint: Endpoint, content_type: str) -> None:
    assert_cbor(send(endpoint, headers_for(None, content_type)), 400, {"__type": "UnknownOperationException"})
    assert_cbor(send(endpoint, headers_for("ListStreams", content_type)), 400, {"__type": "SerializationException"})


def test_operations_without_output_answer_an_empty_body(endpoint: Endpoint) -> None:
    created = call(endpoint, "CreateStream", b'{"StreamName":"no-output","ShardCount":1}')
    assert (created.status, created.body, created.headers["content-length"]) == (200, b"", "0")
    assert_ids(created)
    deleted = call(endpoint, "DeleteStream", cbor2.dumps({"StreamName": "no-output"}), content_type=CBOR)
    assert (deleted.status, deleted.body) == (200, b"")


# --- order of checks: content type, target, body, signature, types, limits, the operation's own


@pytest.mark.parametrize(
    "target", [None, "", "Kinesis_20131202.", "Kinesis_20131202", ".ListStreams", "Whatever.ListStreams", "ListStream"]
)
@pytest.mark.parametrize("body", [b"", b"{}", b"hello"])
def test_an_unknown_target_comes_before_everything(endpoint: Endpoint, target: str | None, body: bytes) -> None:
    headers = {"Content-Type": JSON}
    if target is not None:
        headers["X-Amz-Target"] = TARGET + target if target == "ListStream" else target
    assert_json(send(endpoint, headers, body), 400, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("content_type", [None, "", "text/plain"])
def test_no_content_type_and_no_body_is_cbor(endpoint: Endpoint, content_type: str | None) -> None:
    headers = headers_for(None, content_type)
    assert_cbor(send(endpoint, headers), 400, {"__type": "UnknownOperationException"})
    known = headers_for("ListStreams", content_type)
    assert_cbor(send(endpoint, known), 400, {"__type": "SerializationException"})


def test_the_signature_does_not_matter_before_the_target(endpoint: Endpoint) -> None:
    answer = call(endpoint, "Kinesis_20131202.Whatever", b"{}")
    assert_json(answer, 400, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("body", [b"", b"hello", b"{", b"true", b"null", b'"text"', b"1", b"\xff\xfe"])
def test_a_missing_or_malformed_body_comes_before_the_signature(endpoint: Endpoint, body: bytes) -> None:
    headers = headers_for("ListStreams")
    assert_json(send(endpoint, headers, body), 400, {"__type": "SerializationException"})
    unknown = sign(endpoint, headers, body, key_id="AKIDNOBODY")
    assert_json(send(endpoint, unknown, body), 400, {"__type": "SerializationException"})
    wrong = sign(endpoint, headers, body, secret="wrong")
    assert_json(send(endpoint, wrong, body), 400, {"__type": "SerializationException"})
    right = sign(endpoint, headers, body)
    assert_json(send(endpoint, right, body), 400, {"__type": "SerializationException"})


def test_a_malformed_cbor_body_comes_before_the_signature(endpoint: Endpoint) -> None:
    answer = send(endpoint, headers_for("ListStreams", CBOR), b"\xbf\x66")
    assert_cbor(answer, 400, {"__type": "SerializationException"})


def test_the_signature_comes_before_the_types(endpoint: Endpoint) -> None:
    body = b'{"StreamName":true}'
    answer = send(endpoint, headers_for("DescribeStream"), body)
    assert answer.json["__type"] == "MissingAuthenticationTokenException"


def test_the_types_come_before_the_limits(endpoint: Endpoint) -> None:
    answer = call(endpoint, "DescribeStream", b'{"StreamName":"","Limit":"one"}')
    assert_json(
        answer,
        400,
        {
            "__type": "SerializationException",
            "Message": "class java.lang.String can not be converted to an Integer",
        },
    )


def test_the_limits_come_before_the_operations_own_checks(endpoint: Endpoint) -> None:
    answer = call(endpoint, "DescribeStream", b'{"StreamName":"not there","Limit":0}')
    assert answer.json["__type"] == "ValidationException"
    assert answer.json["message"].startswith("2 validation errors detected: Value '0' at 'limit' failed")
    own = call(endpoint, "DescribeStream", b'{"StreamName":"not-there"}')
    expected = f"Stream not-there under account {endpoint.account_id} not found."
    assert_json(own, 400, {"__type": "ResourceNotFoundException", "message": expected})


def test_errors_in_cbor_are_maps_with_type_and_message(endpoint: Endpoint) -> None:
    answer = call(endpoint, "DescribeStream", cbor2.dumps({"StreamName": "not-there"}), content_type=CBOR)
    expected = f"Stream not-there under account {endpoint.account_id} not found."
    assert_cbor(answer, 400, {"__type": "ResourceNotFoundException", "message": expected})


# --- application/json, XML


def test_plain_json_leads_nowhere(endpoint: Endpoint) -> None:
    for target in (None, "ListStreams"):
        for signed in (False, True):
            headers = headers_for(target, "application/json")
            headers = sign(endpoint, headers, b"{}") if signed else headers
            unknown = send(endpoint, headers, b"{}")
            assert unknown.status == 404
            assert unknown.body == (
                b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
            )
            assert unknown.headers["content-type"] == "application/json"
            assert_ids(unknown)
    malformed = send(endpoint, headers_for("ListStreams", "application/json"), b"hello")
    assert malformed.status == 400
    assert malformed.body == (
        b'{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}'
    )


def test_plain_json_without_a_body_is_cbor(endpoint: Endpoint) -> None:
    answer = send(endpoint, headers_for(None, "application/json"))
    assert_cbor(answer, 400, {"__type": "UnknownOperationException"})
    known = send(endpoint, headers_for("ListStreams", "application/json"))
    assert_cbor(known, 400, {"__type": "SerializationException"})


def test_a_body_without_a_content_type_is_denied_in_xml(endpoint: Endpoint) -> None:
    assert_xml(send(endpoint, sign(endpoint, {}, b"{}"), b"{}"), ACCESS_DENIED)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_denied_in_xml(endpoint: Endpoint, method: str) -> None:
    signed = sign(endpoint, {}, b"", method=method)
    assert_xml(send(endpoint, signed, method=method), ACCESS_DENIED)
    target = headers_for("ListStreams")
    assert_xml(send(endpoint, target, method=method), MISSING_TOKEN_XML)


# --- CORS


def test_an_origin_opens_the_answer_to_any_page(endpoint: Endpoint) -> None:
    expose = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date"
    for headers in (
        {"Origin": "https://example.test", **headers_for("ListStreams")},
        {"Origin": "https://example.test", **headers_for(None)},
        {"Origin": "https://example.test", **sign(endpoint, headers_for("ListStreams"), b"{}")},
    ):
        answer = send(endpoint, headers, b"{}")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == expose
    assert "access-control-allow-origin" not in call(endpoint, "ListStreams").headers


@pytest.mark.parametrize("signed", [False, True])
def test_preflight(endpoint: Endpoint, signed: bool) -> None:
    headers = {
        "Origin": "https://example.test",
        "Access-Control-Request-Headers": "a, b, c",
        "Access-Control-Request-Method": "POST",
    }
    if signed:
        headers = sign(endpoint, headers, b"", method="OPTIONS")
    answer = send(endpoint, headers, method="OPTIONS")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "172800"
    assert answer.headers["access-control-allow-headers"] == "a, b, c"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert UUID.fullmatch(answer.headers["x-amzn-requestid"])
    assert "x-amz-id-2" not in answer.headers
    assert "content-type" not in answer.headers


# --- connections


def test_one_connection_carries_many_requests(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        for body in (b"{}", b'{"Limit":1}', b""):
            headers = sign(endpoint, headers_for("ListStreams"), body)
            connection.sendall(head(endpoint, headers, len(body)) + body)
            assert receive(connection).status == (200 if body else 400)


def test_an_operation_that_is_not_implemented_says_so(endpoint: Endpoint) -> None:
    answer = call(endpoint, "DescribeLimits")
    if answer.status == 200:
        pytest.skip("this server implements it")
    assert answer.status == 400
    assert answer.json["__type"] == "UnsupportedOperationException"
    assert "DescribeLimits" in answer.json["message"]
    assert len(answer.json["message"]) > len("The operation DescribeLimits is not supported. ")
    unsigned = send(endpoint, headers_for("DescribeLimits"), b"{}")
    assert unsigned.json["__type"] == "MissingAuthenticationTokenException"
