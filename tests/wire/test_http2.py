"""HTTP/2 with prior knowledge on the same port: what JS SDK v3 and the Java SDK speak."""

import base64
import json

import pytest

from tests.wire.conftest import Endpoint
from tests.wire.http2 import Http2
from tests.wire.raw import headers_for, sign

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "upgrade"}


def signed(endpoint: Endpoint, operation: str, body: bytes) -> dict[str, str]:
    return sign(endpoint, headers_for(operation), body)


def test_the_authority_is_the_signed_host(endpoint: Endpoint) -> None:
    with Http2(endpoint) as client:
        answer = client.answer(client.request(signed(endpoint, "ListStreams", b"{}"), b"{}"))
    assert answer.status == 200
    assert "StreamNames" in answer.json
    assert not HOP_BY_HOP & set(answer.headers)
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize("length", [True, False])
def test_many_streams_of_one_connection(endpoint: Endpoint, length: bool) -> None:
    with Http2(endpoint) as client:
        streams = []
        for number in range(50):
            body = json.dumps({"Limit": number + 1}).encode()
            headers = signed(endpoint, "ListStreams", body)
            if length:
                headers["content-length"] = str(len(body))
            streams.append(client.request(headers, body))
        assert [client.answer(stream).status for stream in streams] == [200] * 50


def test_a_large_body_in_many_frames(endpoint: Endpoint, make_stream) -> None:
    name = make_stream("http2-large", 1)
    records = [{"Data": base64.b64encode(bytes(100_000)).decode(), "PartitionKey": str(n)} for n in range(5)]
    body = json.dumps({"StreamName": name, "Records": records}).encode()
    with Http2(endpoint) as client:
        answer = client.answer(client.request(signed(endpoint, "PutRecords", body), body))
        assert answer.status == 200
        assert answer.json["FailedRecordCount"] == 0


def test_errors_and_empty_answers(endpoint: Endpoint) -> None:
    with Http2(endpoint) as client:
        missing = client.answer(client.request(headers_for("ListStreams"), b"{}"))
        assert missing.json["__type"] == "MissingAuthenticationTokenException"
        body = b'{"StreamName":"http2-empty","ShardCount":1}'
        created = client.answer(client.request(signed(endpoint, "CreateStream", body), body))
        assert (created.status, created.body) == (200, b"")
        nothing = client.answer(client.request(signed(endpoint, "ListStreams", b""), b""))
        assert nothing.json == {"__type": "SerializationException"}


def test_an_end_mark_in_a_frame_of_its_own(endpoint: Endpoint) -> None:
    with Http2(endpoint) as client:
        stream = client.request(signed(endpoint, "ListStreams", b"{}"), b"{}", end=False)
        client.connection.end_stream(stream)
        client.flush()
        assert client.answer(stream).status == 200


def test_a_reset_stream_harms_no_other(endpoint: Endpoint) -> None:
    with Http2(endpoint) as client:
        half = client.request(signed(endpoint, "ListStreams", b"{}"), b"{", end=False)
        client.connection.reset_stream(half)
        client.flush()
        assert client.answer(client.request(signed(endpoint, "ListStreams", b"{}"), b"{}")).status == 200


def test_the_console_answers_too(endpoint: Endpoint) -> None:
    with Http2(endpoint) as client:
        answer = client.answer(client.request({}, b"", path="/healthz", method="GET"))
        assert answer.json["parts"]["database"] == "ok"
        page = client.answer(client.request({"accept": "text/html"}, b"", path="/accounts/login/", method="GET"))
        assert page.status < 500
        assert not HOP_BY_HOP & set(page.headers)
