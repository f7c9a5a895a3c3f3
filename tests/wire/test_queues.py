"""Queues as boto3 sees them, over a real socket."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import orjson
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from tests.wire import raw
from tests.wire.conftest import REGION, Endpoint

HAS_BEGUN_S = 0.5
"""A request that was not answered for so long has begun to wait, as a rule."""


def until_active(kinesis: Any, arn: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        queue = kinesis.describe_queue(QueueARN=arn)["QueueDescription"]
        if queue["QueueStatus"] == "ACTIVE":
            return queue
        assert time.monotonic() < deadline, queue
        time.sleep(0.02)


@pytest.fixture(scope="module")
def stream(kinesis: Any) -> str:
    """The ARN of an on-demand stream."""
    kinesis.create_stream(StreamName="queued", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    deadline = time.monotonic() + 60
    while True:
        summary = kinesis.describe_stream_summary(StreamName="queued")["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return summary["StreamARN"]
        assert time.monotonic() < deadline, summary
        time.sleep(0.02)


@pytest.fixture
def arn(kinesis: Any, stream: str) -> Iterator[str]:
    configuration = [{"StreamARN": stream, "StartingPosition": {"Type": "LATEST"}}]
    made = kinesis.create_queue(QueueName="orders", StreamConfigurationList=configuration)
    found = made["QueueDescription"]["QueueARN"]
    until_active(kinesis, found)
    yield found
    kinesis.delete_queue(QueueARN=found)
    deadline = time.monotonic() + 60
    while kinesis.list_queues()["QueueSummaries"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def put(kinesis: Any, *data: bytes) -> None:
    kinesis.put_records(StreamName="queued", Records=[{"Data": one, "PartitionKey": one.decode()} for one in data])


def receive_all(kinesis: Any, arn: str, count: int) -> list[dict[str, Any]]:
    """So many records, in however many calls."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        got = kinesis.receive_queue_records(QueueARN=arn, WaitTimeSeconds=20)["QueueRecords"]
        assert got, found
        found += got
    return found


def test_the_whole_way(kinesis: Any, arn: str):
    put(kinesis, *(b"%02d" % i for i in range(30)))
    got = receive_all(kinesis, arn, 30)
    assert sorted(record["Data"] for record in got) == [b"%02d" % i for i in range(30)]
    assert {record["PartitionKey"].encode() for record in got} == {record["Data"] for record in got}
    assert all(record["ApproximateArrivalTimestamp"] <= record["FirstReceiveTimestamp"] for record in got)
    entries = [{"ReceiptHandle": record["ReceiptHandle"]} for record in got[:9]]
    answer = kinesis.acknowledge_queue_records(QueueARN=arn, Entries=[*entries, {"ReceiptHandle": "?"}])
    assert answer["Successful"] == entries
    [failed] = answer["Failed"]
    assert failed["ErrorCode"] == "InvalidArgumentException"
    assert failed["ErrorMessage"]
    visible = [{"ReceiptHandle": got[9]["ReceiptHandle"], "VisibilityTimeoutSeconds": 0}]
    assert kinesis.update_queue_records_visibility(QueueARN=arn, Entries=visible)["Failed"] == []
    [again] = receive_all(kinesis, arn, 1)
    assert (again["RecordId"], again["ReceiveCount"]) == (got[9]["RecordId"], 2)


def test_dead_letters_over_the_wire(kinesis: Any, arn: str):
    attributes = {"DeadLetterConfiguration": {"TargetType": "BUILT_IN", "MaxReceiveCount": 1}}
    kinesis.update_queue(QueueARN=arn, QueueAttributes=attributes)
    until_active(kinesis, arn)
    put(kinesis, b"poison", b"other")
    got = kinesis.receive_queue_records(QueueARN=arn, VisibilityTimeoutSeconds=0)["QueueRecords"]
    got += receive_all(kinesis, arn, 2 - len(got)) if len(got) < 2 else []
    dead: list[dict[str, Any]] = []
    while len(dead) < 2:
        some = kinesis.receive_dead_letter_queue_records(QueueARN=arn, WaitTimeSeconds=20, VisibilityTimeoutSeconds=600)
        assert some["QueueRecords"]
        dead += some["QueueRecords"]
    assert {record["Data"] for record in dead} == {b"poison", b"other"}
    restored, done = ([{"ReceiptHandle": record["ReceiptHandle"]}] for record in dead)
    longer = [{**done[0], "VisibilityTimeoutSeconds": 60}]
    assert kinesis.update_dead_letter_queue_records_visibility(QueueARN=arn, Entries=longer)["Failed"] == []
    assert kinesis.acknowledge_dead_letter_queue_records(QueueARN=arn, Entries=done)["Failed"] == []
    assert kinesis.restore_dead_letter_queue_records(QueueARN=arn, Entries=restored)["Failed"] == []
    [again] = receive_all(kinesis, arn, 1)
    assert (again["Data"], again["ReceiveCount"]) == (dead[0]["Data"], 1)


def test_a_put_wakes_one_who_waits(kinesis: Any, arn: str):
    answers: list[Any] = []

    def wait() -> None:
        answers.append(kinesis.receive_queue_records(QueueARN=arn, WaitTimeSeconds=20)["QueueRecords"])

    waiting = threading.Thread(target=wait)
    waiting.start()
    put(kinesis, b"now")
    waiting.join(60)
    assert [record["Data"] for record in answers[0]] == [b"now"]


def test_one_who_hung_up_takes_nothing(kinesis: Any, endpoint: Endpoint, arn: str):
    """Whoever comes next gets the record, as its first receiver. The server may see the end of a connection after what
    came later on another one, so there are some tries."""
    body = orjson.dumps({"QueueARN": arn, "WaitTimeSeconds": 20})
    for number in range(5):
        with raw.connect(endpoint) as connection:
            signed = raw.sign(endpoint, raw.headers_for("ReceiveQueueRecords"), body)
            connection.sendall(raw.head(endpoint, signed, len(body)) + body)
            connection.settimeout(HAS_BEGUN_S)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        put(kinesis, b"%d" % number)
        if kinesis.receive_queue_records(QueueARN=arn, WaitTimeSeconds=2)["QueueRecords"]:
            return
    pytest.fail("the dead take everything")


def test_a_record_that_becomes_visible_wakes_one_who_waits(kinesis: Any, arn: str):
    put(kinesis, b"again")
    [first] = kinesis.receive_queue_records(QueueARN=arn, VisibilityTimeoutSeconds=1)["QueueRecords"]
    [again] = receive_all(kinesis, arn, 1)
    assert again["RecordId"] == first["RecordId"]


def test_nothing_in_the_time_given(kinesis: Any, arn: str):
    assert kinesis.receive_queue_records(QueueARN=arn, WaitTimeSeconds=1)["QueueRecords"] == []


@pytest.fixture(scope="module")
def unchecked(endpoint: Endpoint) -> Iterator[Any]:
    """A client that sends whatever it is given."""
    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint.url,
        region_name=REGION,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret,
        config=BotoConfig(parameter_validation=False, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.mark.parametrize(
    ("operation", "params", "text"),
    [
        ("receive_queue_records", {"Limit": 11}, "at 'limit' failed to satisfy constraint"),
        ("receive_queue_records", {"WaitTimeSeconds": 21}, "at 'waitTimeSeconds' failed to satisfy constraint"),
        ("receive_queue_records", {"QueueARN": "x"}, "at 'queueARN' failed to satisfy constraint"),
        ("acknowledge_queue_records", {"Entries": [{"ReceiptHandle": "x"}] * 11}, "at 'entries' failed to satisfy"),
        (
            "update_queue_records_visibility",
            {"Entries": [{"ReceiptHandle": "x", "VisibilityTimeoutSeconds": 43_201}]},
            "failed to satisfy constraint",
        ),
    ],
)
def test_what_breaks_a_limit_of_the_model(unchecked: Any, endpoint: Endpoint, operation: str, params: Any, text: str):
    nowhere = f"arn:aws:kinesis:{REGION}:{endpoint.account_id}:queue/none"
    with pytest.raises(ClientError) as caught:
        getattr(unchecked, operation)(**{"QueueARN": nowhere, **params})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert text in caught.value.response["Error"]["Message"]
