"""From CreateDeliveryStream and PutRecordBatch through the engine to a receiver, and to the error prefix: the real parts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.base.clock import FakeClock
from apps.delivery import connections
from apps.delivery.models import DeliveryError, DeliveryStream
from apps.gateway.invoke import invoke_sync
from apps.leases.models import Lease
from apps.runtime import Runtime
from tests.support.firehose import HTTP, SEARCH, SPLUNK, configured
from tests.support.firehose_receiver import FirehoseReceiver
from tests.support.receiver import Fault
from tests.support.runtimes import memory_runtime, run_due
from tests.support.s3 import S3Server, settings_for
from tests.support.search_receiver import SearchReceiver
from tests.support.splunk_receiver import SplunkReceiver

Json = dict[str, Any]


class Delivery:
    """A delivery stream with a connection to a receiver; the clock moves by hand."""

    def __init__(self, runtime: Runtime, clock: FakeClock, team: Any, s3: S3Server) -> None:
        self.runtime, self.clock, self.principal, self.s3 = runtime, clock, team.principal, s3

    def __call__(self, operation: str, **params: Any) -> Json:
        return invoke_sync(self.runtime, self.principal, "firehose", operation, {"DeliveryStreamName": "d"} | params)

    def create(self, kind: str, configuration: Json, endpoint: str) -> None:
        hints = {"SizeInMBs": 1, "IntervalInSeconds": 60}
        self("CreateDeliveryStream", **configured(kind, {"BufferingHints": hints, **configuration}))
        stream = DeliveryStream.objects.get(name="d")
        connections.put(
            stream, "destination", connections.Given(endpoint), by="a test", allow_private=True,
            master_key_path=self.runtime.config.master_key_path,
        )  # fmt: skip
        run_due(self.runtime, "delivery-streams", "delivery")

    def put(self, *datas: bytes) -> None:
        self("PutRecordBatch", Records=[{"Data": data} for data in datas])

    def run(self, seconds: float) -> None:
        """Let time pass, and what is due then happen. Not by run_due: a waiting lane comes back due later, on purpose."""
        self.clock.advance(round(seconds * 1_000))
        Lease.objects.filter(kind="delivery").update(due_at_ms=self.clock.now_ms())
        run_due(self.runtime, "delivery")

    def lost(self) -> list[Json]:
        """The lines under the error prefix."""
        bodies = self.s3.objects("bucket").values()
        return [json.loads(line) for body in bodies for line in body.splitlines()]

    def errors(self) -> set[str]:
        """The codes of the error log."""
        return set(DeliveryError.objects.values_list("code", flat=True))


@pytest.fixture
def delivery(transactional_db: None, clock: FakeClock, team: Any, s3: S3Server) -> Iterator[Delivery]:
    s3.make_bucket("bucket")
    runtime = memory_runtime(clock, throttle=False, private_destinations="allow", **settings_for(s3.endpoint))
    runtime.open_in_thread()
    yield Delivery(runtime, clock, team, s3)
    runtime.close_in_thread()


def test_http_delivers_and_repeats_under_the_same_request_id(delivery: Delivery) -> None:
    with FirehoseReceiver(access_key="the access key") as receiver:
        delivery.create("HttpEndpoint", HTTP, receiver.endpoint)
        delivery.put(b"a", b"b")
        receiver.fail(Fault("reset", taken=True), Fault("status", 500, taken=True))
        for _ in range(3):
            delivery.run(60)
        assert receiver.wrong == []
        assert receiver.records == [b"a", b"b"]
        assert list(receiver.times.values()) == [3]
        assert delivery.errors() == {"HttpEndpoint.ConnectionReset", "HttpEndpoint.DestinationException"}
        delivery.put(b"c")
        delivery.run(60)
        assert receiver.records == [b"a", b"b", b"c"]
        assert len(receiver.taken) == 2


def test_http_down_for_longer_than_the_retry_duration(delivery: Delivery) -> None:
    with FirehoseReceiver() as receiver:
        delivery.create("HttpEndpoint", HTTP | {"RetryOptions": {"DurationInSeconds": 100}}, receiver.endpoint)
        receiver.chooser = lambda _request: Fault("status", 503)
        delivery.put(b"a", b"b")
        delivery.run(60)
        delivery.run(60)
        assert delivery.lost() == []
        delivery.run(60)
        lines = delivery.lost()
        assert [base64.b64decode(line["rawData"]) for line in lines] == [b"a", b"b"]
        assert {line["errorCode"] for line in lines} == {"HttpEndpoint.DestinationException"}
        assert {line["attemptsMade"] for line in lines} == {3}
        assert [line["subsequenceNumber"] for line in lines] == [0, 0]
        assert all("http-endpoint-failed" in key for key in delivery.s3.keys("bucket"))
        receiver.recover()
        delivery.put(b"c")
        delivery.run(60)
        assert receiver.records == []  # it wants no key of ours
        assert len(delivery.lost()) == 2


def test_http_attempts_follow_an_update_of_the_access_key_under_the_same_request_id(delivery: Delivery) -> None:
    with FirehoseReceiver(access_key="the right key") as receiver:
        delivery.create("HttpEndpoint", HTTP, receiver.endpoint)
        delivery.put(b"a")
        delivery.run(60)
        [first] = receiver.requests
        configuration = {"Url": HTTP["EndpointConfiguration"]["Url"], "AccessKey": "the right key"}
        delivery(
            "UpdateDestination", CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
            HttpEndpointDestinationUpdate={"EndpointConfiguration": configuration},
        )  # fmt: skip
        delivery.run(2)
        assert list(receiver.taken.values()) == [[b"a"]]
        assert list(receiver.taken) == [first.headers["x-amz-firehose-request-id"]]


def test_http_too_large_is_kept_nowhere(delivery: Delivery) -> None:
    with FirehoseReceiver(access_key="the access key") as receiver:
        receiver.refuse_over_bytes = 10
        delivery.create("HttpEndpoint", HTTP, receiver.endpoint)
        delivery.put(b"a")
        delivery.run(60)
        assert delivery.s3.keys("bucket") == []
        receiver.refuse_over_bytes = 10_000
        delivery.put(b"b")
        delivery.run(60)
        assert receiver.records == [b"b"]


def test_an_endpoint_that_may_not_be_called_means_the_error_prefix_and_a_worker_alive(
    transactional_db: None, clock: FakeClock, team: Any, s3: S3Server
) -> None:
    s3.make_bucket("bucket")
    runtime = memory_runtime(clock, throttle=False, private_destinations="refuse", **settings_for(s3.endpoint))
    runtime.open_in_thread()
    delivery = Delivery(runtime, clock, team, s3)
    with FirehoseReceiver() as receiver:
        delivery.create("HttpEndpoint", HTTP, receiver.endpoint)  # allowed when it was made
        delivery.put(b"a")
        delivery.run(60)
        assert [line["errorCode"] for line in delivery.lost()] == ["HttpEndpoint.ConnectionFailed"]
        assert "Only https is called" in delivery.lost()[0]["errorMessage"]
        assert receiver.requests == []
    runtime.close_in_thread()


def test_splunk_is_acknowledged_later_and_bad_events_go_alone(delivery: Delivery) -> None:
    with SplunkReceiver(token=SPLUNK["HECToken"]) as receiver:
        receiver.acknowledges = False
        delivery.create("Splunk", SPLUNK, receiver.url)
        delivery.put(b'{"event":1}', b"no event", b'{"event":2}')
        for seconds in (60, 1, 10):
            delivery.run(seconds)
        assert delivery.lost() == []
        receiver.acknowledges = True
        delivery.run(10)
        assert [event["event"] for event in receiver.events()] == [1, 2]
        assert [line["errorCode"] for line in delivery.lost()] == ["Splunk.InvalidDataFormat"]
        assert delivery.errors() <= {"Splunk.InvalidDataFormat"}


def test_splunk_without_acknowledgements_gives_up_after_the_retry_duration(delivery: Delivery) -> None:
    with SplunkReceiver(token=SPLUNK["HECToken"]) as receiver:
        receiver.acknowledges = False
        raw = SPLUNK | {"HECEndpointType": "Raw", "RetryOptions": {"DurationInSeconds": 10}}
        delivery.create("Splunk", raw, receiver.url)
        delivery.put(b"line\n")
        for seconds in (60, 100, 80, 5, 180):  # sent; asked; late; sent again; late, and the ten seconds are over
            delivery.run(seconds)
            if seconds != 180:
                assert delivery.lost() == []
        delivery.run(20)
        delivery.run(180)
        lines = delivery.lost()
        assert [(line["errorCode"], base64.b64decode(line["rawData"])) for line in lines] == [
            ("Splunk.AckTimeout", b"line\n")
        ]
        assert lines[0]["EventId"].endswith(".0")
        assert set(receiver.data) == {b"line\n"}


def test_search_keeps_what_fails_apart(delivery: Delivery) -> None:
    with SearchReceiver() as receiver:
        busy = (429, "rejected_execution_exception", "busy")
        bad = (400, "mapper_parsing_exception", "failed to parse")
        receiver.refuse = lambda _index, document: {1: busy, 2: bad}.get(document["n"])
        delivery.create("Amazonopensearchservice", SEARCH | {"IndexRotationPeriod": "NoRotation"}, receiver.url)
        delivery.put(b'{"n":0}', b'{"n":1}', b'{"n":2}', b"no json", b'{"n":4}')
        delivery.run(60)
        receiver.refuse = lambda _index, _document: None
        delivery.run(10)
        assert sorted(document["n"] for document in receiver.all()) == [0, 1, 4]
        assert set(receiver.versions.values()) == {1}
        lines = delivery.lost()
        assert [line["errorCode"] for line in lines] == ["400", "OS.MalformedData"]
        assert [line["esIndexName"] for line in lines] == ["events", "events"]
        assert all("AmazonOpenSearchService-failed" in key for key in delivery.s3.keys("bucket"))


def test_what_was_delivered_does_not_follow_what_failed_when_the_error_prefix_could_not_be_written(
    delivery: Delivery,
) -> None:
    with SearchReceiver() as receiver:
        later = {"S3Configuration": SEARCH["S3Configuration"] | {"BucketARN": "arn:aws:s3:::later"}}
        options = {"IndexRotationPeriod": "NoRotation", "RetryOptions": {"DurationInSeconds": 30}}
        delivery.create("Amazonopensearchservice", SEARCH | options | later, receiver.url)
        delivery.put(b'{"n":0}', b"no json", b'{"n":1}')
        for _ in range(4):  # far longer than the retry duration
            delivery.run(60)
        assert len(receiver.all()) == 2
        delivery.s3.make_bucket("later")
        delivery.run(150)
        [body] = delivery.s3.objects("later").values()
        assert [base64.b64decode(json.loads(line)["rawData"]) for line in body.splitlines()] == [b"no json"]
        assert set(receiver.versions.values()) == {1}
