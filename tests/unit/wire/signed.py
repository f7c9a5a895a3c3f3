"""Signed requests for tests, at one moment and for one scope."""

from datetime import UTC, datetime

import pytest

from apps.wire import sigv4

NOW = datetime(2026, 11, 20, 10, 31, 7, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
DATE = "20261120T103107Z"
SCOPE = {"region": "us-east-1", "service": "kinesis"}
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BODY = b'{"StreamName":"s"}'
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def parse(headers, query="", now_ms=NOW_MS):
    return sigv4.parse(headers, query, now_ms=now_ms, **SCOPE)


def signed(body=BODY, path="/", query="", method="POST", key_id=KEY_ID, now_ms=NOW_MS, **more):
    headers = {
        "host": "localhost:4567",
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "Kinesis_20131202.ListStreams",
        **more,
    }
    added = sigv4.sign(method, path, headers, body, key_id=key_id, secret=SECRET, now_ms=now_ms, query=query, **SCOPE)
    return {**headers, **added, "user-agent": "x"}


def message(error, function, *arguments, **more):
    with pytest.raises(error) as refusal:
        function(*arguments, **more)
    assert refusal.value.status == 400
    return refusal.value.message
