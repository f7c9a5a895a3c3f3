"""Search services: bulk requests, documents that fail alone, and services that fail whole."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from apps.base.outgoing import Answer
from apps.delivery.destinations import opensearch
from apps.delivery.destinations.fates import CAUSES_MAX, LEFT, TAKEN, Fates
from apps.delivery.destinations.interface import DeliveryFailed
from apps.delivery.destinations.opensearch import SearchDestination, one_line
from apps.runtime import Runtime
from tests.support.delivery_batches import NOW_MS, Engine, records_of, target
from tests.support.receiver import Fault
from tests.support.search_receiver import SearchReceiver

MAPPING = (400, "mapper_parsing_exception", "failed to parse field [a] of type [long]")
BUSY = (429, "rejected_execution_exception", "rejected execution of coordinating operation")


@pytest.fixture
def receiver() -> Iterator[SearchReceiver]:
    with SearchReceiver() as receiver:
        yield receiver


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of a hundredth."""
    monkeypatch.setattr(opensearch, "REQUEST_BYTES_MAX", 50 * 1024)
    monkeypatch.setattr(opensearch, "DOCUMENTS_MAX", 50)


def numbered(count: int, size: int = 0) -> list[bytes]:
    return [json.dumps({"a": number, "pad": "x" * size}).encode() for number in range(count)]


class Case:
    """A batch on its way to a receiver."""

    def __init__(
        self, runtime: Runtime, url: str, datas: list[bytes], kind: str = "Amazonopensearchservice", **members: Any
    ) -> None:
        where = "CollectionEndpoint" if kind == "AmazonOpenSearchServerless" else "ClusterEndpoint"
        self.runtime = runtime
        connection = members.pop("connection", None)
        self.target = target(kind, {where: url, "IndexName": "logs"} | members)
        if connection:
            self.target.connections["destination"] = connection
        self.engine = Engine(records_of(datas))

    def attempt(self) -> Any:
        return self.engine.attempt_with(lambda: SearchDestination(self.runtime, self.target))

    def failure(self) -> DeliveryFailed:
        with pytest.raises(DeliveryFailed) as caught:
            self.attempt()
        return caught.value


def test_documents_are_indexed_under_stable_ids(runtime: Runtime, receiver: SearchReceiver) -> None:
    case = Case(runtime, receiver.url + "/", [b'{"a":1}', b' {"a":"\xc3\xa9"}\r\n'])
    delivered = case.attempt()
    assert receiver.all() == [{"a": 1}, {"a": "é"}]
    assert (delivered.records, delivered.size_bytes, list(delivered.failed)) == (2, 20, [])
    case.engine.state = {}  # a worker that died before it had said so
    case.attempt()
    assert len(receiver.all()) == 2
    assert set(receiver.versions.values()) == {2}


def test_no_document_id(runtime: Runtime, receiver: SearchReceiver) -> None:
    options = {"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"}
    case = Case(runtime, receiver.url, numbered(2), DocumentIdOptions=options)
    case.attempt()
    assert set(receiver.documents["logs"]) == {"made-1", "made-2"}
    record = case.engine.records[0]
    assert SearchDestination(runtime, case.target).failed_extra(case.engine.batch(), record)["esDocumentId"] == ""


def test_indexes_rotate_by_arrival(runtime: Runtime, receiver: SearchReceiver) -> None:
    case = Case(runtime, receiver.url, numbered(2), IndexRotationPeriod="OneHour")
    case.engine.records[0].arrival_ms = 1_456_405_199_999  # 2016-02-25T12:59:59.999Z
    case.engine.records[1].arrival_ms = 1_456_405_200_000
    case.attempt()
    assert sorted(receiver.documents) == ["logs-2016-02-25-12", "logs-2016-02-25-13"]


def test_what_is_no_object_on_one_line_fails_alone(runtime: Runtime, receiver: SearchReceiver) -> None:
    bad = [
        b"",
        b"text",
        b"[1]",
        b'{"a":\n1}',
        b'{"a":1}{"b":2}',
        b'{"a":1',
        b'{"a":"\xff"}',
        b'{"a":' * 100_000,
        b'{"a":NaN}',
    ]
    case = Case(runtime, receiver.url, [b'{"a":1}', *bad, b'{"a":2}'])
    delivered = case.attempt()
    assert receiver.all() == [{"a": 1}, {"a": 2}]
    lost = list(delivered.failed)
    assert [one.record.data for one in lost] == bad
    assert {(one.code, one.error_type) for one in lost} == {("OS.MalformedData", "AmazonOpenSearchService-failed")}
    assert delivered.records == 2


def test_one_line_strips_what_is_around() -> None:
    assert one_line(b'\r\n {"a" : [{}]} \t\n') == b'{"a" : [{}]}'


def test_documents_refused_for_good_fail_alone_with_what_the_service_said(
    runtime: Runtime, receiver: SearchReceiver
) -> None:
    receiver.refuse = lambda _index, document: MAPPING if document["a"] % 3 == 0 else None
    case = Case(runtime, receiver.url, numbered(10), TypeName="")
    delivered = case.attempt()
    assert delivered.records == 6
    lost = list(delivered.failed)
    assert [json.loads(one.record.data)["a"] for one in lost] == [0, 3, 6, 9]
    line = json.loads(lost[0].line())
    assert line["errorCode"] == "400"
    assert json.loads(line["errorMessage"]) == {"type": MAPPING[1], "reason": MAPPING[2]}
    assert line["esIndexName"] == "logs"
    assert line["esDocumentId"] == f"3.{NOW_MS - 60_000}.1.0"
    assert line["esTypeName"] == ""
    assert line["attemptsMade"] == 1


@pytest.mark.parametrize("status", [429, 503, 500, 403, 404])
def test_documents_refused_for_now_are_sent_again_alone(
    runtime: Runtime, receiver: SearchReceiver, status: int
) -> None:
    busy = (status, *BUSY[1:])
    receiver.refuse = lambda _index, document: (
        busy if document["a"] in {2, 5} else MAPPING if document["a"] == 7 else None
    )
    case = Case(runtime, receiver.url, numbered(10))
    failure = case.failure()
    assert failure.code == str(status)
    assert not failure.permanent
    assert failure.delivered[0] == 7
    assert [(json.loads(one.record.data)["a"], one.code) for one in failure.remaining or []] == [
        (2, str(status)), (5, str(status)), (7, "400"),
    ]  # fmt: skip
    receiver.refuse = lambda _index, _document: None
    delivered = case.attempt()
    assert receiver.bulks == [10, 2]
    assert delivered.records == 9
    assert [json.loads(one.record.data)["a"] for one in delivered.failed] == [7]
    assert set(receiver.versions.values()) == {1}


@pytest.mark.usefixtures("small")
def test_requests_are_bounded(runtime: Runtime, receiver: SearchReceiver) -> None:
    case = Case(runtime, receiver.url, numbered(60) + numbered(20, 9_000))
    case.attempt()
    assert receiver.bulks[0] == 50
    assert sum(receiver.bulks) == 80
    assert max(len(request.body) for request in receiver.requests) <= 50 * 1024


@pytest.mark.usefixtures("small")
def test_an_overloaded_service_is_left_alone(runtime: Runtime, receiver: SearchReceiver) -> None:
    receiver.refuse = lambda _index, _document: BUSY
    case = Case(runtime, receiver.url, numbered(20, 9_000))
    case.failure()
    assert len(receiver.bulks) == 1
    receiver.refuse = lambda _index, _document: None
    assert case.attempt().records == 20


@pytest.mark.usefixtures("small")
def test_a_service_that_fails_midway_is_not_sent_again_what_it_has(runtime: Runtime, receiver: SearchReceiver) -> None:
    case = Case(runtime, receiver.url, numbered(20, 9_000))
    receiver.chooser = lambda _request: Fault("status", 502) if len(receiver.bulks) == 2 else None
    failure = case.failure()
    assert failure.code == "502"
    assert failure.delivered[0] == sum(receiver.bulks) == 10
    receiver.recover()
    assert case.attempt().records == 20
    assert set(receiver.versions.values()) == {1}


def test_a_request_too_large_for_them_is_halved(runtime: Runtime, receiver: SearchReceiver) -> None:
    receiver.bytes_max = 200_000
    case = Case(runtime, receiver.url, [*numbered(5, 90_000), *numbered(1, 200_000), *numbered(1)])
    delivered = case.attempt()
    assert delivered.records == 6
    assert [(len(one.record.data) > 200_000, one.code) for one in delivered.failed] == [(True, "413")]


@pytest.mark.usefixtures("small")
def test_types(runtime: Runtime) -> None:
    with SearchReceiver(types=True) as old:
        Case(runtime, old.url, numbered(2), "Elasticsearch", TypeName="event").attempt()
        assert old.type_names == {"event"}
    with SearchReceiver() as new:
        Case(runtime, new.url, numbered(2), TypeName="_doc").attempt()
        assert new.type_names == {None}
        assert len(new.requests) == 2
        Case(runtime, new.url, numbered(120), TypeName="_doc").attempt()
        assert new.bulks[1:] == [50, 50, 20]


def test_serverless(runtime: Runtime, receiver: SearchReceiver) -> None:
    receiver.ids = False
    case = Case(runtime, receiver.url, numbered(3), "AmazonOpenSearchServerless")
    assert case.attempt().records == 3
    assert len(receiver.all()) == 3
    extra = SearchDestination(runtime, case.target).failed_extra(case.engine.batch(), case.engine.records[0])
    assert extra == {"osDocumentId": f"3.{NOW_MS - 60_000}.1.0", "osIndexName": "logs"}


def test_user_and_password(runtime: Runtime, receiver: SearchReceiver) -> None:
    receiver.user = "tide:gate é"
    case = Case(runtime, receiver.url, numbered(1))
    failure = case.failure()
    assert failure.code == "401"
    assert "security_exception" in failure.message
    assert not failure.permanent
    case.target.connections["destination"] = {"access_key_id": "tide", "secret_access_key": "gate é"}
    assert case.attempt().records == 1


@pytest.mark.parametrize(("kind", "service"), [("Elasticsearch", "es"), ("AmazonOpenSearchServerless", "aoss")])
def test_signed_requests(runtime: Runtime, receiver: SearchReceiver, kind: str, service: str) -> None:
    keys = {
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "s",
        "region": "eu-west-1",
        "endpoint_url": receiver.url,
    }
    Case(runtime, "https://elsewhere.example", numbered(1), kind, connection=keys).attempt()
    [request] = receiver.requests
    authorization = request.headers["authorization"]
    assert re.match(rf"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d+/eu-west-1/{service}/aws4_request, ", authorization)
    assert "x-amz-content-sha256" in authorization
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


def test_a_domain_without_an_address_says_what_to_do(runtime: Runtime, receiver: SearchReceiver) -> None:
    case = Case(runtime, "", numbered(1), DomainARN="arn:aws:es:us-east-1:123456789012:domain/logs")
    failure = case.failure()
    assert "connection" in failure.message
    assert [one.code for one in failure.remaining or []] == ["OS.ConnectionFailed"]
    case.target.connections["destination"] = {"endpoint_url": receiver.url}
    assert case.attempt().records == 1


def test_every_way_to_fail_whole(runtime: Runtime, receiver: SearchReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(runtime, receiver.url, numbered(3), "Elasticsearch")
    for fault, code in {
        Fault("status", 429): "429",
        Fault("status", 503): "503",
        Fault("status", 200): "ES.InvalidResponse",
        Fault("redirect", "http://127.0.0.1:1/"): "307",
        Fault("garbage"): "ES.InvalidResponse",
        Fault("huge"): "ES.InvalidResponse",
        Fault("drip"): "ES.RequestTimeout",
        Fault("reset"): "ES.ConnectionReset",
    }.items():
        monkeypatch.setattr(opensearch, "ANSWER_S", 60.0 if fault.ends else 0.5)
        receiver.fail(fault)
        failure = case.failure()
        assert failure.code == code, fault
        assert len(list(failure.remaining or [])) == 3
    assert receiver.all() == []
    https = receiver.url.replace("http://", "https://")
    assert Case(runtime, https, numbered(1)).failure().code == "OS.SSLHandshakeFailure"


def test_private_addresses_are_refused(guarded: Runtime) -> None:
    failure = Case(guarded, "https://192.168.0.7:9200", numbered(1)).failure()
    assert failure.permanent
    assert "Private and local addresses" in failure.message


def test_fates_are_remembered_in_little_room() -> None:
    fates = Fates("first")
    for place in range(100_000):
        if place % 7 == 0:
            fates.refuse(place, "400", "mapper", f"document {place}")
        elif place % 2:
            fates.take(place, 10)
    kept = fates.kept()
    assert len(json.dumps(kept)) < 50_000
    again = Fates.of(kept)
    assert [again[place] for place in (1, 2, 100_000)] == [TAKEN, LEFT, LEFT]
    assert again.cause(0) == ("400", "document 0")
    assert again.cause(7 * 9_000) == ("400", "mapper")
    assert again.taken == 42_857
    assert again.taken_bytes == 428_570
    again.begin_at("first")
    assert again.any_refused
    again.begin_at("another")
    assert not again.any_refused
    assert again[1] == LEFT


def test_causes_are_bounded() -> None:
    fates = Fates()
    for place in range(2_000):
        fates.refuse(place, "400", f"kind {place}", f"message {place}")
    kept = fates.kept() or {}
    assert len(kept["causes"]) == CAUSES_MAX
    assert fates.cause(1_999) is not None


@pytest.mark.parametrize("entry", [b"{}", b"[]", b'{"index":{"status":201,"x":[[],[],[],[],[],[],[],[]]}}'])
def test_an_answer_full_of_nothing_takes_little_memory(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, entry: bytes
) -> None:
    size = 2 * 1024 * 1024
    body = b'{"items":[' + b",".join([entry] * (size // len(entry))) + b"]}"
    monkeypatch.setattr(opensearch, "call", lambda *_a, **_k: Answer(200, {}, body))
    case = Case(runtime, "http://127.0.0.1:1", numbered(3))
    tracemalloc.start()
    try:
        assert case.failure().code == "OS.InvalidResponse"
        assert tracemalloc.get_traced_memory()[1] < 5 * size
    finally:
        tracemalloc.stop()
