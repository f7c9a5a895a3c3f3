"""The HTTP endpoint protocol against a strict receiver, and everything that an endpoint can do wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from apps.base import outgoing
from apps.base.outgoing import Answer
from apps.delivery.destinations import http
from apps.delivery.destinations.http import HttpDestination, check_answer
from apps.delivery.destinations.interface import DeliveryFailed
from apps.runtime import Runtime
from tests.support.delivery_batches import NOW_MS, Engine, records_of, target
from tests.support.firehose_receiver import FirehoseReceiver
from tests.support.receiver import Fault

ID = "ed4acda5-034f-9f42-bba1-f29aea6d7d8f"


@pytest.fixture
def receiver() -> Iterator[FirehoseReceiver]:
    with FirehoseReceiver() as receiver:
        yield receiver
        assert receiver.wrong == []
        assert receiver.changed == []


def description(url: str, **members: Any) -> dict[str, Any]:
    return {
        "EndpointConfiguration": {"Url": url},
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
    } | members


class Case:
    """A batch, and an endpoint for it."""

    def __init__(self, runtime: Runtime, url: str, datas: list[bytes], **members: Any) -> None:
        secrets = {"EndpointConfiguration.AccessKey": members.pop("key")} if "key" in members else {}
        self.runtime = runtime
        self.target = target("HttpEndpoint", description(url, **members), secrets=secrets)
        self.engine = Engine(records_of(datas))

    def attempt(self) -> Any:
        return self.engine.attempt_with(lambda: HttpDestination(self.runtime, self.target))

    def failure(self) -> DeliveryFailed:
        with pytest.raises(DeliveryFailed) as caught:
            self.attempt()
        return caught.value


def test_a_batch_arrives_in_form(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    receiver.access_key = 'key with "quotes" and é'.encode().decode("latin-1")
    attributes = [{"AttributeName": "deployment -context", "AttributeValue": "pré-prod"}]
    case = Case(
        runtime, receiver.endpoint + "?a=b%20c", [b"hello", b"", bytes(range(256))],
        key='key with "quotes" and é', RequestConfiguration={"ContentEncoding": "NONE", "CommonAttributes": attributes},
    )  # fmt: skip
    delivered = case.attempt()
    assert receiver.records == [b"hello", b"", bytes(range(256))]
    assert receiver.attributes == [{"deployment -context": "pré-prod"}]
    [request] = receiver.requests
    assert request.path == "/deliver?a=b%20c"
    assert request.headers["x-amz-firehose-source-arn"] == case.target.arn
    assert "content-encoding" not in request.headers
    assert json.loads(request.body)["timestamp"] == NOW_MS
    assert (delivered.records, delivered.size_bytes, delivered.failed) == (3, 261, [])
    assert dict(delivered.metrics)["DeliveryToHttpEndpoint.ProcessedBytes"] == 261


def test_a_body_that_waits_on_the_disk(
    runtime: Runtime, receiver: FirehoseReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "IN_MEMORY_BYTES", 10_000)
    datas = [bytes([number % 256]) * 1_000 for number in range(300)]
    Case(runtime, receiver.endpoint, datas).attempt()
    assert receiver.records == datas


def test_gzip(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    case = Case(runtime, receiver.endpoint, [b"x" * 1_000] * 50, RequestConfiguration={"ContentEncoding": "GZIP"})
    case.attempt()
    assert receiver.records == [b"x" * 1_000] * 50
    [request] = receiver.requests
    assert request.headers["content-encoding"] == "gzip"
    assert len(request.body) < 5_000


def test_no_key_no_header(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    Case(runtime, receiver.endpoint, [b"a"]).attempt()
    assert "x-amz-firehose-access-key" not in receiver.requests[0].headers
    assert "x-amz-firehose-common-attributes" not in receiver.requests[0].headers


@pytest.mark.parametrize("taken", [False, True])
def test_a_repeat_has_the_same_request_id(runtime: Runtime, receiver: FirehoseReceiver, taken: bool) -> None:
    case = Case(runtime, receiver.endpoint, [b"a", b"b"])
    receiver.fail(Fault("reset", taken=taken), Fault("status", 503, taken=taken))
    first, second = case.failure(), case.failure()
    assert first.code == "HttpEndpoint.ConnectionReset"
    assert second.code == "HttpEndpoint.DestinationException"
    assert not first.permanent
    assert not second.permanent
    case.engine.now_ms += 9_000
    assert case.attempt().records == 2
    assert receiver.records == [b"a", b"b"]
    assert list(receiver.times.values()) == [3 if taken else 1]


def test_other_batches_have_other_request_ids(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    for first, lane_id in [(1, 3), (2, 3), (1, 4)]:
        case = Case(runtime, receiver.endpoint, [b"a"])
        case.engine = Engine(records_of([b"a"], first=first), lane_id)
        case.attempt()
    # A lane with the same number in an installation that was made anew.
    case.engine = Engine(records_of([b"a"], arrival_ms=NOW_MS - 59_000))
    case.attempt()
    assert len(receiver.taken) == 4


def test_a_large_batch_is_several_requests_and_what_was_taken_is_not_sent_again(
    runtime: Runtime, receiver: FirehoseReceiver
) -> None:
    datas = [b"%07d" % number for number in range(25_000)]
    case = Case(runtime, receiver.endpoint, datas)
    receiver.chooser = lambda _request: Fault("status", 500) if len(receiver.taken) == 1 else None
    failure = case.failure()
    assert failure.delivered == (10_000, 70_000)
    lost = list(failure.remaining or [])
    assert [one.record.data for one in lost] == datas[10_000:]
    assert lost[0].error_type == "http-endpoint-failed"
    receiver.recover()
    delivered = case.attempt()
    assert (delivered.records, delivered.size_bytes) == (25_000, 175_000)
    assert receiver.records == datas
    assert [len(records) for records in receiver.taken.values()] == [10_000, 10_000, 5_000]
    assert set(receiver.times.values()) == {1}


def test_requests_have_no_more_data_than_the_buffer(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    datas = [bytes([number]) * 400_000 for number in range(5)]
    case = Case(runtime, receiver.endpoint, datas)
    case.attempt()
    assert [len(records) for records in receiver.taken.values()] == [2, 2, 1]
    assert receiver.records == datas


def test_too_large_for_them_is_the_end_of_that_request_alone(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    datas = [b"small", b"x" * 900_000, b"y" * 300_000, b"last"]
    receiver.refuse_over_bytes = 1_000_000
    case = Case(runtime, receiver.endpoint, datas)
    failure = case.failure()
    assert failure.permanent
    assert not failure.keep
    assert failure.code == "HttpEndpoint.DestinationException"
    assert "413" in failure.message
    assert "Payload too large" in failure.message
    assert receiver.records == [b"y" * 300_000, b"last"]
    assert [one.record.data for one in failure.remaining or []] == datas[:2]
    assert failure.delivered == (2, 300_004)
    again = case.failure()  # the worker died before it had written that down
    assert not again.keep
    assert set(receiver.times.values()) == {1}


def test_a_413_that_is_not_in_form_is_tried_again(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    receiver.fail(Fault("status", 413))
    failure = Case(runtime, receiver.endpoint, [b"a"]).failure()
    assert not failure.permanent
    assert failure.keep


def test_failures_tell_the_codes_of_aws(
    runtime: Runtime, receiver: FirehoseReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(runtime, receiver.endpoint, [b"a"])
    for fault, code in {
        Fault("status", 429): "DestinationException",
        Fault("redirect", "http://127.0.0.1:1/"): "DestinationException",
        Fault("garbage"): "InvalidResponseFromDestination",
        Fault("drip"): "RequestTimeout",
        Fault("silent"): "RequestTimeout",
        Fault("reset"): "ConnectionReset",
    }.items():
        monkeypatch.setattr(http, "ANSWER_S", 60.0 if fault.ends else 0.5)
        receiver.fail(fault)
        failure = case.failure()
        assert failure.code == f"HttpEndpoint.{code}", fault
        assert not failure.permanent
        assert failure.message
    assert receiver.taken == {}


def test_an_endless_answer_is_not_read(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    receiver.fail(Fault("huge"))
    assert Case(runtime, receiver.endpoint, [b"a"]).failure().code == "HttpEndpoint.ResponseTooLarge"


def test_redirects_are_not_followed(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    with FirehoseReceiver() as private:
        receiver.fail(Fault("redirect", private.endpoint))
        failure = Case(runtime, receiver.endpoint, [b"a"]).failure()
        assert failure.message.endswith("307")
        assert private.requests == []


def test_nobody_there_and_no_tls(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert Case(runtime, f"http://127.0.0.1:{port}/", [b"a"]).failure().code == "HttpEndpoint.ConnectionFailed"
    https = receiver.endpoint.replace("http://", "https://")
    assert Case(runtime, https, [b"a"]).failure().code == "HttpEndpoint.SSLHandshakeFailure"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/", "http://example.com/", "https://user:secret@example.com/", "https://10.1.2.3:8088/x",
        "https://localhost/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_for_good(guarded: Runtime, url: str) -> None:
    failure = Case(guarded, url, [b"a"]).failure()
    assert failure.code == "HttpEndpoint.ConnectionFailed"
    assert failure.permanent
    assert failure.keep


def test_a_name_that_stands_for_a_private_address_is_refused(
    guarded: Runtime, receiver: FirehoseReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_args: object, **_kwargs: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", resolve)
    failure = Case(guarded, f"https://endpoint.example:{receiver.port}/", [b"a"]).failure()
    assert "Private and local addresses are not called" in failure.message
    assert receiver.requests == []


def test_a_connection_says_where_it_really_is(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    case = Case(runtime, "https://aws-kinesis-http-intake.logs.example.com/v1/input", [b"a"])
    case.target.connections["destination"] = {"endpoint_url": receiver.endpoint}
    case.attempt()
    assert receiver.records == [b"a"]


def test_a_key_that_is_no_header_is_a_clear_failure(runtime: Runtime, receiver: FirehoseReceiver) -> None:
    for key in ("two\nlines", "lines'and\ntwo", " lines two", "lines\ud800 two"):
        failure = Case(runtime, receiver.endpoint, [b"a"], key=key).failure()
        assert "cannot be sent by HTTP" in failure.message
        assert failure.permanent
        assert not [word for word in ("two", "lines", "ud800") if word in str(failure)]  # it stands where people look
        assert failure.__cause__ is None or "two" not in str(failure.__cause__)


def test_what_a_line_under_the_error_prefix_has(runtime: Runtime) -> None:
    case = Case(runtime, "https://x.example/", [b"a"])
    record = case.engine.records[0]
    record.sequence_number, record.sub = "49607357361271740811418664280693044274821622880012337186", 2
    extra = HttpDestination(runtime, case.target).failed_extra(case.engine.batch(), record)
    assert extra == {"subsequenceNumber": 2, "dataId": record.sequence_number + ".2"}


GOOD = {"content-type": "application/json", "content-length": "1"}


def answer(status: int, body: Any, **headers: str) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name: value for name, value in (GOOD | headers).items() if value}
    return Answer(status, given, text)


def test_a_good_answer() -> None:
    check_answer(answer(200, {"requestId": ID, "timestamp": 1_578_090_903_599}), ID)
    check_answer(answer(200, {"requestId": ID, "timestamp": 1, "errorMessage": ""}), ID)
    typed = {"content-type": "Application/JSON; charset=utf-8"}
    check_answer(answer(200, {"requestId": ID, "timestamp": 1}, **typed), ID)


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (b"", {}, "JSON"), (b"[]", {}, "JSON"), (b"{", {}, "JSON"), (b"[" * 100_000, {}, "JSON"),
        ({"requestId": ID, "timestamp": 1, "more": 1}, {}, "unexpected fields"),
        ({"timestamp": 1}, {}, "no requestId"), ({"requestId": ID.upper(), "timestamp": 1}, {}, "another requestId"),
        ({"requestId": None, "timestamp": 1}, {}, "another requestId"), ({"requestId": ID}, {}, "timestamp"),
        ({"requestId": ID, "timestamp": "1578090903599"}, {}, "timestamp"), ({"requestId": ID, "timestamp": True}, {}, "timestamp"),
        ({"requestId": ID, "timestamp": 1.5}, {}, "timestamp"),
        ({"requestId": ID, "timestamp": 1}, {"content-type": "text/plain"}, "Content-Type"),
        ({"requestId": ID, "timestamp": 1}, {"content-type": ""}, "Content-Type"),
        ({"requestId": ID, "timestamp": 1}, {"content-encoding": "gzip"}, "Content-Encoding"),
        ({"requestId": ID, "timestamp": 1}, {"content-length": ""}, "Content-Length"),
    ],
)  # fmt: skip
def test_a_200_that_is_off_is_a_failure(body: Any, headers: dict[str, str], why: str) -> None:
    with pytest.raises(DeliveryFailed, match=why) as caught:
        check_answer(answer(200, body, **headers), ID)
    assert caught.value.code == "HttpEndpoint.InvalidResponseFromDestination"
    assert not caught.value.permanent


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 413, 429, 500, 503])
def test_every_other_status_is_a_failure_that_tells_what_was_said(status: int) -> None:
    with pytest.raises(DeliveryFailed, match=f"{status}: .*no\\u00fcance") as caught:
        check_answer(answer(status, "no\u00fcance \u0007 in <html>".encode()), ID)
    assert caught.value.code == "HttpEndpoint.DestinationException"
    assert len(caught.value.message) < 5_000
