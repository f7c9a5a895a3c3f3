"""Which requests are AWS's."""

import pytest

from apps.gateway.claims import claims

SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "query"),
    [
        ("POST", "/", {}, ""),
        ("PUT", "/", {}, ""),
        ("DELETE", "/", {}, ""),
        ("OPTIONS", "/", {"origin": "https://example.test"}, ""),
        ("GET", "/", SIGNED, ""),
        ("GET", "/whatever", SIGNED, ""),
        ("POST", "/whatever", {"x-amz-target": "Kinesis_20131202.PutRecord"}, ""),
        ("POST", "/streams/new", {"x-amz-target": ""}, ""),
        ("GET", "/", {}, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=1"),
        ("GET", "/", {}, "a=b&X%2DAmz-Signature=1"),
        (
            "POST",
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            {"smithy-protocol": "rpc-v2-cbor"},
            "",
        ),
    ],
)
def test_the_gateway_claims(method: str, path: str, headers: dict[str, str], query: str) -> None:
    assert claims(method, path, headers, query)


@pytest.mark.parametrize(
    ("method", "path", "headers", "query"),
    [
        ("GET", "/", {}, ""),
        ("HEAD", "/", {}, ""),
        ("POST", "/accounts/login/", {}, ""),
        ("OPTIONS", "/api/v1/streams", {"origin": "https://example.test"}, ""),
        ("GET", "/api/v1/streams", {"authorization": "Token abc"}, ""),
        ("GET", "/streams", {}, "next=/?X-Amz-Signature=1"),
        ("GET", "/streams", {}, "q=X-Amz-Target&x-amz-target=1"),
        ("GET", "/healthz", {}, ""),
        ("GET", "/metrics", {"authorization": "Basic QUtJRDpz"}, ""),
        ("POST", "/service/x/operation/y", {}, ""),
        ("POST", "/streams", {"smithy-protocol": "rpc-v2-cbor"}, ""),
    ],
)
def test_the_console_keeps(method: str, path: str, headers: dict[str, str], query: str) -> None:
    assert not claims(method, path, headers, query)
