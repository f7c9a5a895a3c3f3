"""Splunk's event collector: what is sent, what is waited for without waiting, and every way to fail."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from apps.delivery.destinations import splunk
from apps.delivery.destinations.interface import DeliveryFailed, NotYet
from apps.delivery.destinations.splunk import SplunkDestination, are_events
from apps.runtime import Runtime
from tests.support.delivery_batches import NOW_MS, Engine, records_of, target
from tests.support.receiver import Fault
from tests.support.splunk_receiver import SplunkReceiver


@pytest.fixture
def receiver() -> Iterator[SplunkReceiver]:
    with SplunkReceiver() as receiver:
        yield receiver


class Case:
    """A batch on its way to a receiver."""

    def __init__(self, runtime: Runtime, url: str, datas: list[bytes], kind: str = "Raw", token: str = "") -> None:
        description = {"HECEndpoint": url, "HECEndpointType": kind, "HECAcknowledgmentTimeoutInSeconds": 180}
        secret = token or "a0b1c2d3-0000-4000-8000-123456789abc"
        self.runtime = runtime
        self.target = target("Splunk", description, secrets={"HECToken": secret})
        self.engine = Engine(records_of(datas))

    def attempt(self, *, again: bool = False) -> Any:
        return self.engine.attempt_with(lambda: SplunkDestination(self.runtime, self.target), again=again)

    def not_yet(self, *, again: bool = False) -> int:
        with pytest.raises(NotYet) as caught:
            self.attempt(again=again)
        return caught.value.look_again_ms

    def failure(self, *, again: bool = False) -> DeliveryFailed:
        with pytest.raises(DeliveryFailed) as caught:
            self.attempt(again=again)
        return caught.value


def test_raw_bytes_arrive_one_after_the_other_and_are_acknowledged(runtime: Runtime, receiver: SplunkReceiver) -> None:
    case = Case(runtime, receiver.url, [b"line 1\n", b"", b"no newline", b"\x00\xff"])
    delivered = case.attempt()
    assert receiver.data == [b"line 1\nno newline\x00\xff"]
    assert receiver.requests[0].path == "/services/collector/raw"
    assert (delivered.size_bytes, list(delivered.failed)) == (19, [])
    assert delivered.metrics == [("DeliveryToSplunk.DataAckLatency", 0.0)]
    channel = receiver.taken[0][0]
    assert str(uuid.UUID(channel)) == channel


@pytest.mark.parametrize("path", ["/", "/services/collector", "/services/collector/raw", "/prefix/"])
def test_endpoints_with_a_path(runtime: Runtime, receiver: SplunkReceiver, path: str) -> None:
    case = Case(runtime, receiver.url + path, [b'{"event":"a"}'], "Event")
    if path == "/prefix/":
        case.failure()
        assert receiver.requests[0].path == "/prefix/services/collector/event"
    else:
        case.attempt()
        assert receiver.requests[0].path == "/services/collector/event"


def test_the_channel_is_the_delivery_streams_own(runtime: Runtime, receiver: SplunkReceiver) -> None:
    first, other = Case(runtime, receiver.url, [b"a"]), Case(runtime, receiver.url, [b"b"])
    other.engine.lane_id = 99
    first.attempt(), other.attempt()
    elsewhere = Case(runtime, receiver.url, [b"c"])
    elsewhere.target = target("Splunk", elsewhere.target.description, secrets=elsewhere.target.secrets, arn="arn:other")
    elsewhere.attempt()
    channels = [channel for channel, _, _ in receiver.taken]
    assert channels[0] == channels[1] != channels[2]


def test_nobody_waits_for_the_acknowledgement(runtime: Runtime, receiver: SplunkReceiver) -> None:
    receiver.acknowledges = False
    case = Case(runtime, receiver.url, [b"a"])
    waits = [case.not_yet()]
    for _ in range(5):
        case.engine.now_ms += waits[-1]
        waits.append(case.not_yet(again=True))
    assert waits == sorted(waits)
    assert waits[0] == 500
    receiver.acknowledges = True
    case.engine.now_ms = NOW_MS + 60_000
    delivered = case.attempt(again=True)
    assert delivered.metrics == [("DeliveryToSplunk.DataAckLatency", 60.0)]
    assert receiver.data == [b"a"]
    assert case.engine.attempt == 1


def test_without_acknowledgement_it_is_sent_again(runtime: Runtime, receiver: SplunkReceiver) -> None:
    receiver.acknowledges = False
    case = Case(runtime, receiver.url, [b"a", b"b"])
    case.not_yet()
    case.engine.now_ms += 175_000
    assert case.not_yet(again=True) == 5_000
    case.engine.now_ms += 5_000
    failure = case.failure(again=True)
    assert failure.code == "Splunk.AckTimeout"
    assert not failure.permanent
    assert failure.waited_ms == 180_000
    lost = list(failure.remaining or [])
    assert [(one.record.data, one.error_type, one.code) for one in lost] == [
        (b"a", "splunk-failed", "Splunk.AckTimeout"), (b"b", "splunk-failed", "Splunk.AckTimeout"),
    ]  # fmt: skip
    assert json.loads(lost[1].line())["EventId"] == f"{2:056d}.0"
    case.engine.now_ms += 1_000
    receiver.acknowledges = True
    delivered = case.attempt()
    assert receiver.data == [b"ab", b"ab"]
    assert delivered.records == 2
    assert delivered.metrics == [("DeliveryToSplunk.DataAckLatency", 0.0)]


def test_only_what_was_not_acknowledged_is_sent_again(runtime: Runtime, receiver: SplunkReceiver) -> None:
    datas = [bytes([number]) * 2_000_000 for number in range(5)]
    case = Case(runtime, receiver.url, datas)
    receiver.chooser = lambda request: Fault("status", 503) if len(receiver.taken) == 2 else None
    assert case.failure().code == "Splunk.IndexerBusy"
    assert [len(body) for body in receiver.data] == [4_000_000, 4_000_000]
    receiver.recover()
    delivered = case.attempt()
    assert b"".join(receiver.data) == b"".join(datas)
    assert (delivered.records, delivered.size_bytes) == (5, 10_000_000)


def test_events(runtime: Runtime, receiver: SplunkReceiver) -> None:
    datas = [
        b'{"event":"a"}',
        b'{"event":{"b":1},"time":1}\n {"event":"c"}\n',
        b"no json",
        b'{"time":1}',
        b'{"event":"d"}',
    ]
    case = Case(runtime, receiver.url, datas, "Event")
    delivered = case.attempt()
    assert [event["event"] for event in receiver.events()] == ["a", {"b": 1}, "c", "d"]
    wrong = list(delivered.failed)
    assert [one.record.data for one in wrong] == [b"no json", b'{"time":1}']
    assert {(one.code, one.error_type) for one in wrong} == {("Splunk.InvalidDataFormat", "splunk-failed")}
    assert delivered.records == 3


def test_when_nothing_is_an_event_nothing_is_sent(runtime: Runtime, receiver: SplunkReceiver) -> None:
    delivered = Case(runtime, receiver.url, [b"a", b""], "Event").attempt()
    assert receiver.requests == []
    assert [one.record.data for one in delivered.failed] == [b"a", b""]


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b'{"event":"a"}', True), (b' {"event":"a"}{"event":0}\r\n', True), (b'{"event":"a"}\n\n{"event":"b"}', True),
        (b"", False), (b"[]", False), (b'"event"', False), (b'{"event":""}', False), (b'{"event":null}', False),
        (b'{"event":"a"},{"event":"b"}', False), (b'{"event":"a"}{', False), (b"\xff", False), (b"[" * 200_000, False),
        (b'{"event":' * 100_000, False),
    ],
)  # fmt: skip
def test_what_an_event_is(data: bytes, good: bool) -> None:
    assert are_events(data) is good


def test_refusals_have_the_codes_of_aws(runtime: Runtime, receiver: SplunkReceiver) -> None:
    assert Case(runtime, receiver.url, [b"a"], token="other").failure().code == "Splunk.InvalidToken"
    receiver.enabled = False
    assert Case(runtime, receiver.url, [b"a"]).failure().code == "Splunk.DisabledToken"
    receiver.enabled, receiver.acks = True, False
    disabled = Case(runtime, receiver.url, [b"a"]).failure()
    assert disabled.code == "Splunk.DisabledAck"
    assert disabled.permanent  # the data was taken: trying again would index it again
    assert len(receiver.taken) == 1


def test_connections_that_fail(runtime: Runtime, receiver: SplunkReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(runtime, receiver.url, [b"a"])
    for fault, code in {
        Fault("status", 500): "ServerError",
        Fault("status", 503): "IndexerBusy",
        Fault("status", 404): "InvalidEndpoint",
        Fault("redirect", "http://127.0.0.1:1/"): "InvalidEndpoint",
        Fault("garbage"): "InvalidEndpoint",
        Fault("huge"): "InvalidEndpoint",
        Fault("drip"): "ConnectionTimeout",
        Fault("reset"): "ConnectionClosed",
    }.items():
        monkeypatch.setattr(splunk, "ANSWER_S", 60.0 if fault.ends else 0.5)
        receiver.fail(fault)
        failure = case.failure()
        assert failure.code == f"Splunk.{code}", fault
        assert not failure.permanent
        assert [one.record.data for one in failure.remaining or []] == [b"a"]
    assert receiver.taken == []
    https = receiver.url.replace("http://", "https://")
    assert Case(runtime, https, [b"a"]).failure().code == "Splunk.SSLHandshake"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert Case(runtime, f"http://127.0.0.1:{port}/", [b"a"]).failure().code == "Splunk.InvalidEndpoint"


def test_an_answer_that_is_lost_means_a_second_copy_and_never_none(runtime: Runtime, receiver: SplunkReceiver) -> None:
    receiver.fail(Fault("reset", taken=True))
    case = Case(runtime, receiver.url, [b"a"])
    case.failure()
    case.attempt()
    assert receiver.data == [b"a", b"a"]


def test_a_question_without_an_answer_is_asked_again(runtime: Runtime, receiver: SplunkReceiver) -> None:
    case = Case(runtime, receiver.url, [b"a"])
    receiver.chooser = lambda request: Fault("status", 503) if "/ack" in request.path else None
    case.not_yet()
    receiver.recover()
    case.attempt(again=True)
    assert receiver.data == [b"a"]


def test_sticky_sessions(runtime: Runtime, receiver: SplunkReceiver) -> None:
    receiver.sticky = True
    receiver.acknowledges = False
    case = Case(runtime, receiver.url, [b"a"])
    case.not_yet()
    receiver.acknowledges = True
    case.attempt(again=True)  # another process: the cookie was remembered
    receiver.acknowledges = False
    other = Case(runtime, receiver.url, [b"b"])
    other.not_yet()
    other.engine.state["cookie"] = "AWSELB=node-2"
    failure = other.failure(again=True)
    assert failure.code == "Splunk.ProxyWithoutStickySessions"
    assert not failure.permanent


@pytest.mark.parametrize("url", ["https://127.0.0.1:8088", "https://[fd00::1]:8088", "http://splunk.example:8088"])
def test_private_addresses_are_refused(guarded: Runtime, url: str) -> None:
    failure = Case(guarded, url, [b"a"]).failure()
    assert failure.code == "Splunk.InvalidEndpoint"
    assert failure.permanent
    assert [one.record.data for one in failure.remaining or []] == [b"a"]
