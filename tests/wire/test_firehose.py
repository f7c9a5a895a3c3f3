"""Data Firehose by boto3: delivery streams of every kind are created, described, filled, updated and deleted."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.support import firehose as examples
from tests.support.firehose import LEAST, ROLE, S3, configured
from tests.support.processes import HAPPENED_WITHIN_S
from tests.wire.conftest import REGION, Endpoint
from tests.wire.raw import headers_for, send, sign

ID = "destinationId-000000000001"


@pytest.fixture(scope="module")
def firehose(endpoint: Endpoint) -> Iterator[Any]:
    client = boto3.client(
        "firehose",
        endpoint_url=endpoint.url,
        region_name=REGION,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret,
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def until_active(firehose: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + HAPPENED_WITHIN_S
    while True:
        found = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        if found["DeliveryStreamStatus"] == "ACTIVE":
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def make(firehose: Any, name: str, **params: Any) -> dict[str, Any]:
    firehose.create_delivery_stream(DeliveryStreamName=name, **params)
    return until_active(firehose, name)


UPDATES = {
    "ExtendedS3": ({"Prefix": "new/"}, {"Prefix": "new/"}),
    "Redshift": ({"Username": "other"}, {"Username": "other"}),
    "Elasticsearch": ({"IndexName": "other"}, {"IndexName": "other"}),
    "Amazonopensearchservice": ({"IndexRotationPeriod": "OneHour"}, {"IndexRotationPeriod": "OneHour"}),
    "AmazonOpenSearchServerless": ({"IndexName": "other"}, {"IndexName": "other"}),
    "Splunk": ({"HECEndpointType": "Raw"}, {"HECEndpointType": "Raw"}),
    "HttpEndpoint": ({"RetryOptions": {"DurationInSeconds": 1}}, {"RetryOptions": {"DurationInSeconds": 1}}),
    "Iceberg": ({"AppendOnly": True}, {"AppendOnly": True}),
}


@pytest.mark.parametrize("kind", LEAST)
def test_every_kind_of_destination(firehose: Any, kind: str) -> None:
    name, update = f"kind-{kind}", UPDATES[kind]
    described = make(firehose, name, **configured(kind, LEAST[kind]))
    answer = firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"{}"}, {"Data": b"\x00"}])
    assert (answer["FailedPutCount"], len(answer["RequestResponses"])) == (0, 2)
    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=ID,
        **{f"{kind}DestinationUpdate": update[0]},
    )
    after = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    assert after["VersionId"] == "2"
    member = f"{kind}DestinationDescription"
    before = described["Destinations"][0][member]
    assert after["Destinations"][0][member] == {**before, **update[1]}
    firehose.delete_delivery_stream(DeliveryStreamName=name)


def test_a_life(firehose: Any, kinesis: Any, endpoint: Endpoint) -> None:
    described = make(firehose, "life", **configured("S3", S3), Tags=[{"Key": "team", "Value": "a"}])
    assert described["DeliveryStreamARN"] == f"arn:aws:firehose:{REGION}:{endpoint.account_id}:deliverystream/life"
    assert described["CreateTimestamp"].timestamp() == pytest.approx(time.time(), abs=HAPPENED_WITHIN_S)
    put = firehose.put_record(DeliveryStreamName="life", Record={"Data": b"one"})
    assert (len(put["RecordId"]), put["Encrypted"]) == (224, False)
    assert "life" in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]
    assert firehose.list_tags_for_delivery_stream(DeliveryStreamName="life")["Tags"] == [{"Key": "team", "Value": "a"}]
    firehose.start_delivery_stream_encryption(DeliveryStreamName="life")
    deadline = time.monotonic() + HAPPENED_WITHIN_S
    while not firehose.put_record(DeliveryStreamName="life", Record={"Data": b"two"})["Encrypted"]:
        assert time.monotonic() < deadline
    firehose.delete_delivery_stream(DeliveryStreamName="life")
    while "life" in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]:
        assert time.monotonic() < deadline + HAPPENED_WITHIN_S
    with pytest.raises(ClientError) as caught:
        firehose.describe_delivery_stream(DeliveryStreamName="life")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["Error"]["Message"] == f"Firehose life under account {endpoint.account_id} not found."


def test_a_data_stream_as_source(firehose: Any, make_stream: Any, endpoint: Endpoint) -> None:
    make_stream("firehose-source")
    arn = f"arn:aws:kinesis:{REGION}:{endpoint.account_id}:stream/firehose-source"
    described = make(
        firehose,
        "from-stream",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": arn, "RoleARN": ROLE},
        **configured("ExtendedS3", S3),
    )
    source = described["Source"]["KinesisStreamSourceDescription"]
    assert source["DeliveryStartTimestamp"] >= described["CreateTimestamp"]
    with pytest.raises(ClientError) as caught:
        firehose.put_record(DeliveryStreamName="from-stream", Record={"Data": b"x"})
    assert caught.value.response["Error"]["Code"] == "InvalidArgumentException"


def test_errors_as_clients_see_them(firehose: Any) -> None:
    with pytest.raises(firehose.exceptions.InvalidArgumentException):
        firehose.create_delivery_stream(DeliveryStreamName="x")
    make(firehose, "seen", **configured("ExtendedS3", examples.FULL_S3))
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        firehose.create_delivery_stream(DeliveryStreamName="seen", **configured("ExtendedS3", S3))
    with pytest.raises(firehose.exceptions.ConcurrentModificationException):
        firehose.update_destination(
            DeliveryStreamName="seen", CurrentDeliveryStreamVersionId="9", DestinationId=ID, S3DestinationUpdate={}
        )
    params = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": f"arn:aws:kms:{REGION}:123456789012:key/none"}
    with pytest.raises(firehose.exceptions.InvalidKMSResourceException) as caught:
        firehose.start_delivery_stream_encryption(
            DeliveryStreamName="seen", DeliveryStreamEncryptionConfigurationInput=params
        )
    assert caught.value.response["code"] == "KMSNotFoundException"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"DeliveryStreamName": "seen", "Record": {"Data": "not base64!"}}', "SerializationException"),
        (b'{"DeliveryStreamName": "seen", "Record": {"Data": "YR=="}}', "SerializationException"),
        (b'{"DeliveryStreamName": "seen", "Record": {}}', "ValidationException"),
        (b'{"DeliveryStreamName": "seen"', "SerializationException"),
    ],
)
def test_bodies_that_cannot_be_read(endpoint: Endpoint, body: bytes, code: str) -> None:
    headers = sign(endpoint, headers_for("Firehose_20150804.PutRecord"), body, service="firehose")
    answer = send(endpoint, headers, body)
    assert (answer.status, answer.json["__type"]) == (400, code)
