import json

import cbor2
import pytest

from apps.wire import cbor, json11, xml
from apps.wire.identify import Identified, Refusal, cors_headers, identify, preflight

TARGETS = {"Kinesis_20131202.ListStreams": "the route"}
GOOD = "Kinesis_20131202.ListStreams"
JSON, CBOR = "application/x-amz-json-1.1", "application/x-amz-cbor-1.1"

DENIED = (
    b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n"
    b"</AccessDeniedException>\n"
)
MISSING = (
    b"<MissingAuthenticationTokenException>\n  <Message>Missing Authentication Token</Message>\n"
    b"</MissingAuthenticationTokenException>\n"
)


def ask(content_type="", target="", body=b"", method="POST", signed=True):
    found = identify(method, content_type, target, signed=signed, targets=TARGETS)
    return found if isinstance(found, Identified) else found.answer(body)


def said(answer):
    decoded = cbor2.loads(answer.body) if answer.content_type == CBOR else json.loads(answer.body)
    return answer.status, answer.content_type, decoded


@pytest.mark.parametrize(
    "content_type", [JSON, f"  {JSON}  ;whatever", f"{JSON}; charset=utf-8", f"{JSON};", f"\t{JSON}\t"]
)
def test_json(content_type):
    assert ask(content_type, GOOD) == Identified(json11, "the route")


@pytest.mark.parametrize(
    "content_type",
    [
        CBOR,
        f" {CBOR} ; x",
        "",
        "application/x-amz-json-1.0",
        f"{JSON}asdf",
        "text/plain",
        ";",
        "APPLICATION/X-AMZ-JSON-1.1",
    ],
)
def test_cbor_is_what_everything_unknown_is(content_type):
    assert ask(content_type, GOOD) == Identified(cbor, "the route")


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("body", [b"", b"{}", b"hello"])
@pytest.mark.parametrize(
    "target",
    [
        "",
        ".",
        "Kinesis_20131202",
        "Kinesis_20131202.",
        ".ListStreams",
        "Kinesis_20131202.ListStream",
        "Kinesis_20131201.ListStreams",
        "kinesis_20131202.ListStreams",
        f"{GOOD}.x",
        f" {GOOD}",
    ],
)
@pytest.mark.parametrize("content_type", [JSON, CBOR])
def test_an_unknown_operation_is_told_in_the_format_and_by_name_alone(content_type, target, body, signed):
    answer = ask(content_type, target, body, signed=signed)
    assert said(answer) == (400, content_type, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-amz-json-1.0", "application/json"])
def test_an_unknown_operation_without_a_body_is_told_in_cbor(content_type):
    for target in ("", "nope", "Kinesis_20131202.Nope"):
        assert said(ask(content_type, target)) == (400, CBOR, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-amz-json-1.0"])
def test_an_unknown_operation_with_a_body_and_no_known_format_is_told_in_cbor(content_type):
    answer = ask(content_type, "Kinesis_20131202.Nope", b"{}")
    assert said(answer) == (400, CBOR, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("target", ["", "Kinesis_20131202", ".", "x."])
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-amz-json-1.0"])
def test_a_body_without_format_and_target_is_refused_in_xml(content_type, target, signed):
    answer = ask(content_type, target, b"{}", signed=signed)
    assert (answer.status, answer.content_type, answer.body) == (403, None, DENIED)


@pytest.mark.parametrize("target", ["", "nope", GOOD])
@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"StreamName":"a"}'])
def test_plain_json_knows_no_operation(target, body):
    answer = ask("application/json; charset=utf-8", target, body)
    assert said(answer) == (
        404,
        "application/json",
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"},
    )


@pytest.mark.parametrize("body", [b"hello", b"{", b"5", b'"a"', b"null"])
def test_plain_json_that_is_no_json(body):
    assert said(ask("application/json", GOOD, body)) == (
        400,
        "application/json",
        {"Output": {"__type": "com.amazon.coral.service#SerializationException"}, "Version": "1.0"},
    )


def test_plain_json_without_a_body_is_told_in_cbor():
    assert said(ask("application/json", GOOD)) == (400, CBOR, {"__type": "SerializationException"})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_other_methods(method, body):
    for content_type, target in ((JSON, GOOD), ("", "")):
        signed = ask(content_type, target, body, method=method, signed=True)
        unsigned = ask(content_type, target, body, method=method, signed=False)
        assert (signed.status, signed.content_type, signed.body) == (403, None, DENIED)
        assert (unsigned.status, unsigned.content_type, unsigned.body) == (403, None, MISSING)


def test_the_cbor_error_is_one_that_other_parsers_read():
    body = ask("", "nope").body
    assert cbor2.loads(body) == {"__type": "UnknownOperationException"}
    assert isinstance(identify("POST", "", "nope", signed=True, targets=TARGETS), Refusal)


def test_cors_of_a_request():
    assert cors_headers(None) == {} == cors_headers("")
    assert cors_headers("whatever") == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date",
    }


def test_preflight():
    assert preflight(None, "a", "b") is None
    assert preflight("whatever", None, None) == {
        "access-control-allow-origin": "*",
        "access-control-max-age": "172800",
    }
    assert preflight("whatever", "a, b, c", "d") == {
        "access-control-allow-origin": "*",
        "access-control-max-age": "172800",
        "access-control-allow-headers": "a, b, c",
        "access-control-allow-methods": "d",
    }


def test_xml_escapes():
    assert xml.encode_error("A<b>", "1 < 2 & 3 > 2") == (
        b"<A&lt;b&gt;>\n  <Message>1 &lt; 2 &amp; 3 &gt; 2</Message>\n</A&lt;b&gt;>\n"
    )
