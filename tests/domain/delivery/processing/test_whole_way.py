"""From PutRecordBatch through a transform and a query into objects by partition, and what failed under the error prefix."""

import base64
import json

import pytest

from apps.delivery.grants import grant
from apps.delivery.models import Lane
from apps.delivery.processing.jq_queries import Queries
from apps.gateway.invoke import invoke_sync
from tests.support.delivery_batches import NOW_MS
from tests.support.firehose import PARTITIONED, QUERY
from tests.support.lambda_server import LambdaServer, echo
from tests.support.processors import function, processor
from tests.support.runtimes import memory_runtime, run_due
from tests.support.s3 import KEY, SECRET, settings_for
from workers import slices

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSORS = [
    processor("AppendDelimiterToRecord"),
    QUERY,
    function(BufferIntervalInSeconds="0"),
    processor("RecordDeAggregation", SubRecordType="JSON"),
]


@pytest.fixture
def server():
    with LambdaServer(keys=(KEY, SECRET)) as started:
        yield started
        assert started.faults == []


@pytest.fixture
def runtime(clock, s3, server):
    built = memory_runtime(clock, **settings_for(s3.endpoint), aws_endpoint_url_lambda=server.url)
    built.open_in_thread()
    yield built
    built.part(Queries).close()
    built.close_in_thread()


def settle(runtime, clock):
    """What wakes would bring about, which nobody hears here: each lane has a look."""
    run_due(runtime, "delivery-streams", "delivery")
    for _ in range(3):
        for lane in Lane.objects.order_by("pk"):
            slices.run(runtime, "delivery", str(lane.pk))
        clock.advance(61_000)


def differently_each_time(record):
    """What is asked once is never asked again: otherwise the answer would be another."""
    said = json.loads(base64.b64decode(record["data"]))
    if said.get("customer_id") == "bad":
        return {"result": "ProcessingFailed", "data": record["data"]}
    differently_each_time.calls += 1
    said["call"] = differently_each_time.calls
    return {**echo(record), "data": base64.b64encode(json.dumps(said).encode()).decode()}


def test_partitions_of_what_a_transform_answered(runtime, clock, team, s3, server):
    differently_each_time.calls = 0
    server.function = differently_each_time
    bucket = s3.make_bucket("bucket")
    grant(team.team, bucket, NOW_MS)

    def firehose(operation, **params):
        return invoke_sync(runtime, team.principal, "firehose", operation, params)

    configuration = {**PARTITIONED, "ProcessingConfiguration": {"Enabled": True, "Processors": PROCESSORS}}
    configuration["ErrorOutputPrefix"] = "errors/!{firehose:error-output-type}/"
    firehose("CreateDeliveryStream", DeliveryStreamName="d", ExtendedS3DestinationConfiguration=configuration)
    settle(runtime, clock)
    datas = [
        b'{"customer_id":"a","ts":1}{"customer_id":"b","ts":1}',
        b'{"customer_id":"bad","ts":1}',
        b'{"customer_id":"a","ts":100000000}',
        b'{"ts":1}',
        b'{"customer_id":"b","ts":2}',
    ]
    put = firehose("PutRecordBatch", DeliveryStreamName="d", Records=[{"Data": data} for data in datas])
    assert put["FailedPutCount"] == 0
    settle(runtime, clock)

    found = {key.rpartition("/")[0]: body.decode() for key, body in s3.objects(bucket).items()}
    assert found.keys() == {
        "a/1970", "b/1970", "a/1973", "errors/processing-failed", "errors/metadata-extraction-failed",
    }  # fmt: skip
    assert found["a/1970"] == '{"customer_id": "a", "ts": 1, "call": 1}\n'
    assert found["b/1970"].count("\n") == 2
    assert sorted(json.loads(line)["call"] for line in (found["b/1970"] + found["a/1973"]).splitlines()) == [2, 3, 5]
    failed = json.loads(found["errors/processing-failed"])
    assert failed["errorCode"] == "Lambda.ProcessingFailedStatus"
    assert base64.b64decode(failed["rawData"]) == datas[1]
    failed = json.loads(found["errors/metadata-extraction-failed"])
    assert failed["errorMessage"] == "Partition key's value should not be null or empty: customer"
    assert base64.b64decode(failed["rawData"]) == datas[3]
    assert len(server.invocations) == 1
