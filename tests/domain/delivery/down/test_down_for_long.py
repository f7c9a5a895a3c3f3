"""A destination that is down for longer than the retry duration: everything is under the error prefix in AWS's format, and comes
back when it is asked for."""

import base64
import json

import pytest

import workers.delivery
import workers.delivery_jobs  # noqa: F401 - both write slices
from apps.base.units import HOUR_MS, MINUTE_MS
from apps.delivery import redrive
from apps.delivery.grants import grant
from apps.delivery.jobs import UNFINISHED
from apps.delivery.models import DeliveryError, DeliveryStream, Lane
from apps.gateway.invoke import invoke_sync
from tests.support.delivery_rows import ROLE
from tests.support.firehose_receiver import FirehoseReceiver
from tests.support.receiver import Fault
from tests.support.runtimes import run_due
from tests.support.search_receiver import SearchReceiver
from tests.support.splunk_receiver import SplunkReceiver
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

BUCKET = "events"
RETRY_S = 300
DATAS = [b'{"n":%d}\n' % n for n in range(120)]
MEMBERS = {
    "attemptsMade",
    "arrivalTimestamp",
    "errorCode",
    "errorMessage",
    "attemptEndingTimestamp",
    "rawData",
}
COMMON = {
    "RoleARN": ROLE,
    "RetryOptions": {"DurationInSeconds": RETRY_S},
    "S3Configuration": {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
    },
}


def http(receiver):
    """Its configuration. The address is an https one to the API; where it really is says its connection."""
    endpoint = {"Url": "https://endpoint.example/deliver", "Name": "e"}
    return {"HttpEndpointDestinationConfiguration": {"EndpointConfiguration": endpoint, **COMMON}}


def splunk(receiver):
    more = {name: value for name, value in COMMON.items() if name != "RoleARN"}
    hec = {"HECEndpoint": "https://splunk.example:8088", "HECEndpointType": "Raw", "HECToken": receiver.token}
    return {"SplunkDestinationConfiguration": {**hec, **more}}


def search(receiver):
    cluster = {"ClusterEndpoint": "https://search.example", "IndexName": "i", "IndexRotationPeriod": "NoRotation"}
    return {"AmazonopensearchserviceDestinationConfiguration": {**cluster, **COMMON}}


def came_http(receiver):
    return receiver.records


def came_splunk(receiver):
    return [line + b"\n" for body in receiver.data for line in body.splitlines()]


def came_search(receiver):
    return [b'{"n":%d}\n' % document["n"] for document in receiver.all()]


def settle(runtime, clock, minutes=0):
    """Time passes, and what is due is done."""
    for _ in range(max(1, minutes)):
        for lane in Lane.objects.order_by("pk"):
            slices.run(runtime, "delivery", str(lane.pk))
        clock.advance(MINUTE_MS if minutes else 0)


@pytest.mark.parametrize(
    ("kind", "configuration", "came", "path", "error_type"),
    [
        (FirehoseReceiver, http, came_http, "/deliver", "http-endpoint-failed"),
        (SplunkReceiver, splunk, came_splunk, "", "splunk-failed"),
        (SearchReceiver, search, came_search, "", "AmazonOpenSearchService-failed"),
    ],
    ids=["http", "splunk", "opensearch"],
)
def test_all_of_it_is_kept_and_comes_back(s3, s3_runtime, clock, team, kind, configuration, came, path, error_type):
    runtime = s3_runtime
    grant(team.team, s3.make_bucket(BUCKET), clock.now_ms())

    def firehose(operation, **params):
        return invoke_sync(runtime, team.principal, "firehose", operation, params)

    with kind() as receiver:
        firehose("CreateDeliveryStream", DeliveryStreamName="d", **configuration(receiver))
        stream = DeliveryStream.objects.get()
        stream.connections.create(part="destination", endpoint_url=receiver.url + path)
        run_due(runtime, "delivery-streams", "delivery")
        put_ms = clock.now_ms()
        firehose("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": data} for data in DATAS])
        receiver.chooser = lambda _request: Fault("status", 503)
        settle(runtime, clock, minutes=20)
        kept = s3.objects(BUCKET)
        assert kept
        assert all(key.startswith(f"bad/{error_type}/") for key in kept)
        lines = [json.loads(line) for body in kept.values() for line in body.splitlines()]
        assert sorted(base64.b64decode(line["rawData"]) for line in lines) == sorted(DATAS)
        for line in lines:
            assert set(line) >= MEMBERS
            assert line["attemptsMade"] >= 2
            assert line["arrivalTimestamp"] == put_ms
            assert put_ms + RETRY_S * 1_000 <= line["attemptEndingTimestamp"] < put_ms + HOUR_MS
        assert came(receiver) == []
        assert DeliveryError.objects.filter(delivery_stream=stream).exists()

        receiver.recover()
        newest = max(one["LastModified"] for one in s3.client.list_objects_v2(Bucket=BUCKET)["Contents"])
        clock.set(max(clock.now_ms(), int(newest.timestamp() * 1_000) + 1_000))
        job = redrive.start(stream, clock.now_ms())
        while job.status in UNFINISHED:
            slices.run(runtime, "delivery-jobs", str(job.pk))
            job.refresh_from_db()
        assert (job.status, job.records) == ("COMPLETE", len(DATAS))
        settle(runtime, clock, minutes=8)
        assert sorted(came(receiver)) == sorted(DATAS)
        assert all(key.startswith("redriven/") for key in s3.keys(BUCKET))
